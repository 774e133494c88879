"""The docker runtime with other makers' nodes: uses their compose files, mail folders and seed hooks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from docker.errors import APIError

from lemonade_testbed.errors import ContractBroken, EnvironmentBroken
from lemonade_testbed.runtime.docker_node import DockerNode
from lemonade_testbed.runtime.docker_runtime import DockerRuntime
from lemonade_testbed.runtime.processes import ProcessTable
from lemonade_testbed.vendors.catalogue import CAPABILITIES, Vendor

HOOK = "/lemonade/seed"
"""The program of an image that the testbed runs in the container when the node is ready, if the image has it."""

MAIL = "/lemonade/mail"
"""The folder of messages for a server that stores them itself when it starts, or by its hook."""


def overlay_of(vendor: Vendor, folder: Path) -> Path:
    """Return the compose file that replaces a reference node by a peer.

    If the peer has no such file, one that names its image is written into `folder`.
    """
    if vendor.overlay is not None:
        return vendor.overlay
    path = folder / f"overlay-{vendor.role}-{vendor.name}.json"
    service = {"image": vendor.image, "cap_add": list(CAPABILITIES)}
    path.write_text(json.dumps({"services": {vendor.role: service}}) + "\n", encoding="utf-8")
    return path


class VendorRuntime(DockerRuntime):
    """The nodes of one scenario as containers, some of them of other makers (see `Runtime`)."""

    def __init__(self, table: ProcessTable, vendors: Sequence[Vendor], mail: Mapping[str, Path] | None = None) -> None:
        """Replace the reference nodes of the roles of `vendors`.

        `mail` maps ACCOUNT/MAILBOX/NAME to a file, for a server that stores messages itself.
        """
        super().__init__(table, [overlay_of(vendor, table.run) for vendor in vendors])
        self._mail = mail or {}
        self._vendors = {vendor.role: vendor for vendor in vendors}

    def start(self, names: Sequence[str]) -> None:
        """Start servers, and run the seed hook of each peer that has one."""
        swapped = [name for name in names if name in self._vendors]
        for name in swapped:
            if self._vendors[name].mail != "append":
                self.nodes[name].put(MAIL, {path: source.read_bytes() for path, source in self._mail.items()})
        super().start(names)
        for name in swapped:
            seed(self.nodes[name])


def seed(node: DockerNode) -> bool:
    """Run a container's seed hook; returns whether it has one. Raises ContractBroken if the hook fails."""
    if node.get(HOOK) is None:
        return False
    try:
        code, output = node.container.exec_run([HOOK])
    except APIError as problem:
        raise EnvironmentBroken(f"the engine cannot run {HOOK}: {problem.explanation}") from problem
    if code != 0:
        lines = output.decode("utf-8", "replace").splitlines()
        raise ContractBroken(node.role, f"its seed hook {HOOK} ended with exit code {code}", lines[-12:])
    return True
