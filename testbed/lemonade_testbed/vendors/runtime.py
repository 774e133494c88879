"""The docker runtime with other peers in it: their overlays, their seed hooks, their folder of mail."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from docker.errors import APIError

from lemonade_testbed.runtime.base import ContractBroken, EnvironmentBroken
from lemonade_testbed.runtime.docker_node import DockerNode
from lemonade_testbed.runtime.docker_runtime import DockerRuntime
from lemonade_testbed.runtime.processes import ProcessTable
from lemonade_testbed.vendors.catalogue import CAPABILITIES, Vendor

HOOK = "/lemonade/seed"
"""The program of an image that the testbed runs in the container once it is ready, where the image has one."""

MAIL = "/lemonade/mail"
"""Where messages lie for a server, or its hook, that stores them itself."""


def overlay_of(vendor: Vendor, folder: Path) -> Path:
    """Return the compose file that puts a peer in its place; one of its image alone is written into `folder`."""
    if vendor.overlay is not None:
        return vendor.overlay
    path = folder / f"overlay-{vendor.role}-{vendor.name}.json"
    service = {"image": vendor.image, "cap_add": list(CAPABILITIES)}
    path.write_text(json.dumps({"services": {vendor.role: service}}) + "\n", encoding="utf-8")
    return path


class VendorRuntime(DockerRuntime):
    """Containers, some of them of other makers (see `Runtime`)."""

    def __init__(self, table: ProcessTable, vendors: Sequence[Vendor], mail: Mapping[str, Path] | None = None) -> None:
        """Put `vendors` in their places; `mail` (ACCOUNT/MAILBOX/name to file) is for a server that takes it itself."""
        super().__init__(table, [overlay_of(vendor, table.run) for vendor in vendors])
        self._mail = mail or {}
        self._vendors = {vendor.role: vendor for vendor in vendors}

    def start(self, roles: Sequence[str]) -> None:
        """Start servers, and run the seed hook of each swapped one that has one."""
        for role in roles:
            if role in self._vendors and self._vendors[role].mail != "append":
                self.nodes[role].put(MAIL, {name: path.read_bytes() for name, path in self._mail.items()})
        super().start(roles)
        for role in roles:
            if role in self._vendors:
                seed(self.nodes[role])


def seed(node: DockerNode) -> bool:
    """Run a container's seed hook; returns whether it has one. Raises ContractBroken where it fails."""
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
