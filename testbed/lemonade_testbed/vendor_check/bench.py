"""A bench for one container image: a bridge on which the image runs with the environment of the vendor contract."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from ipaddress import IPv4Network
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import docker
from docker.errors import APIError, ImageNotFound

from lemonade_testbed.containers import engine as docker_engine
from lemonade_testbed.errors import EnvironmentBroken
from lemonade_testbed.runtime.docker_compose import environment
from lemonade_testbed.runtime.docker_network import Bridge, claim
from lemonade_testbed.runtime.docker_node import DockerNode
from lemonade_testbed.runtime.readiness import greeting_seen, options_answered
from lemonade_testbed.runtime.settings import EVIDENCE, fixed_variables
from lemonade_testbed.scenario.world import Setup, World
from lemonade_testbed.vendor_check.findings import READY, STOP, ContractVerdict
from lemonade_testbed.vendors.catalogue import CAPABILITIES
from lemonade_wire.redaction import Redactor
from lemonade_wire.trace import Trace

USER, PASSWORD = "joe", "secret"
_LOOK = 0.05
SCENARIO = "announcement-service"
"""The name of the scenario that nodes get; the check of a client gives other names too."""


class Bench:
    """A bridge and its containers, as a context manager that removes them at the end."""

    def __init__(self, folder: Path) -> None:
        """Keep logs in `folder`, which must exist."""
        self.folder = folder
        self._stack = ExitStack()
        self._bridge: Bridge | None = None
        self._client: docker.DockerClient | None = None
        self.world = World(Setup(folder, {}), {})
        self.trace = Trace("testbed", None, Redactor(""))

    def __enter__(self) -> Self:
        """Make the bridge; raises EnvironmentBroken."""
        client = self._client = docker_engine.connect()
        self._stack.callback(client.close)
        bridge = self._bridge = claim(_taken(client))
        self._stack.callback(bridge.release)
        setup = Setup(
            self.folder,
            {USER: PASSWORD, "mediaserver": "secret"},
            identity=("mediaserver", "secret"),
            submit_users=("mediaserver",),
            media_servers="<sip:media.example.net>:submit+",
            salt="bench",
            scenario=SCENARIO,
        )
        self.world = World(setup, bridge.places(), runtime="docker")
        self._stack.callback(docker_engine.remove, client, str(self.folder))
        ipam = docker.types.IPAMConfig(
            pool_configs=[
                docker.types.IPAMPool(str(bridge.subnet), gateway=self.world.roles["testbed"].address),
            ]
        )
        try:
            client.networks.create(
                bridge.project,
                driver="bridge",
                ipam=ipam,
                labels=docker_engine.labels(self.folder),
                options={"com.docker.network.bridge.name": bridge.name},
            )
        except APIError as problem:
            self._stack.close()
            raise EnvironmentBroken(f"the engine makes no bridge: {problem.explanation}") from problem
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def node(
        self, role: str, image: str, extra: Mapping[str, str] | None = None, program: Sequence[str] | None = None
    ) -> DockerNode:
        """Make a container of `image` with the address and the environment of `role`, without starting it.

        `extra` are further environment variables; `program` replaces the image's entrypoint. Raises EnvironmentBroken.
        """
        if self._client is None or self._bridge is None:
            raise RuntimeError("the bench is used as a context manager")
        place, api = self.world.roles[role], self._client.api
        values = fixed_variables(role) | environment(self.world, role) | dict(extra or {})
        end = api.create_endpoint_config(ipv4_address=place.address, aliases=[place.name])
        host = api.create_host_config(
            init=True,
            cap_drop=["ALL"],
            cap_add=list(CAPABILITIES),
            security_opt=["no-new-privileges"],
            sysctls={"net.ipv4.ip_unprivileged_port_start": "0"},
            network_mode=self._bridge.project,
            tmpfs={"/store": "mode=1777"} if role == "imap" else {},
        )
        try:
            made = api.create_container(
                image,
                entrypoint=list(program) if program else None,
                environment=values,
                labels=docker_engine.labels(self.folder),
                host_config=host,
                networking_config=api.create_networking_config({self._bridge.project: end}),
            )
        except ImageNotFound as problem:
            raise EnvironmentBroken(f"there is no image {image}: `docker pull` or `docker load` it") from problem
        except APIError as problem:
            raise EnvironmentBroken(f"the engine makes no container of {image}: {problem.explanation}") from problem
        node = DockerNode(role, self._client.containers.get(made["Id"]))
        node.put(EVIDENCE, {})  # the contract: the folder is there before the start
        return node

    def keep_log(self, node: DockerNode) -> str:
        """Return a node's log, and write it into the folder with the tokens of URLs removed."""
        log = node.log().decode("utf-8", "replace")
        (self.folder / f"{node.role}.log").write_bytes(self.trace.redactor.text(log).encode())
        return log

    def start(self, node: DockerNode) -> tuple[bool, str]:
        """Start a server and wait until it answers; returns whether it did in time, and the time or what it did."""
        node.start()
        began = time.monotonic()
        probe = greeting_seen if node.role == "imap" else options_answered
        while not probe(self.world, self.trace):
            took = time.monotonic() - began
            code = node.ended(_LOOK)
            if code is not None or took > READY:
                why = f"ended with exit code {code}" if code is not None else "no answer"
                return False, f"{why} after {took:.1f} s"
        return True, f"{time.monotonic() - began:.1f} s"


def note_stop(node: DockerNode, verdict: ContractVerdict) -> None:
    """Send SIGTERM to a node, and note whether it ends in time; if it does not, it is killed."""
    began = time.monotonic()
    node.signal("SIGTERM")
    done = node.ended(STOP) is not None
    took = time.monotonic() - began
    if not done:
        node.kill()
        node.ended(STOP)
    verdict.note("stop", done, f"{took:.1f} s" if done else f"still there after {STOP:.0f} s, and killed")


def _taken(client: docker.DockerClient) -> Sequence[IPv4Network]:
    found = []
    for network in client.networks.list():
        configs: list[dict[str, Any]] = (network.attrs.get("IPAM") or {}).get("Config") or []
        found += [IPv4Network(config["Subnet"]) for config in configs if ":" not in config.get("Subnet", ":")]
    return found
