"""Makes the containers of one world with Docker Compose.

The project consists of compose/compose.yaml, the overlays of other makers' nodes, and a file that is made for the run.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

# The reaper of testcontainers is an image that cannot be pulled everywhere; here labels tell which containers were left
# (see docker_engine). testcontainers reads the variable when it is imported.
os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")

from testcontainers.compose import DockerCompose

from lemonade_testbed.errors import EnvironmentBroken
from lemonade_testbed.runtime import silent
from lemonade_testbed.runtime.docker_network import Bridge
from lemonade_testbed.runtime.settings import EVIDENCE, variables_of
from lemonade_testbed.scenario.world import ServerSetup, World

CAPTURE = "capture"
KEY_LOG = "tls-keys.log"
"""The file below EVIDENCE into which a node writes the secrets of its TLS sessions."""
RELAY_FILE = "relay.json"
_COMPOSE = Path(__file__).resolve().parents[3] / "compose"

# testcontainers logs the whole output of a failed command; the exception has it too
logging.getLogger("testcontainers").setLevel(logging.CRITICAL)


class Project(DockerCompose):
    """The containers of one world: they are made here, and the runtime starts them one after the other."""

    def __init__(
        self,
        world: World,
        bridge: Bridge,
        labels: Mapping[str, str],
        overlays: Sequence[Path] = (),
        wanted: Sequence[str] | None = None,
    ) -> None:
        """Write the run's own file into the folder `secret`, because it holds passwords. Raises EnvironmentBroken.

        `wanted` are the services that are made (by default those of the world, and the capture).
        """
        secret = world.setup.secret()
        layer = secret / "compose.json"
        with os.fdopen(os.open(layer, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as sink:
            json.dump(run_file(world, bridge, labels), sink, indent=1)
        files = [_COMPOSE / "compose.yaml", *overlays, layer]
        super().__init__(
            _COMPOSE,
            [str(path.resolve()) for path in files],
            wait=False,
            services=[*(wanted or (*services(world), CAPTURE))],
            profiles=["client", "relay", CAPTURE],
        )

    def create(self) -> None:
        """Make the network and the containers; raises EnvironmentBroken with the last line of compose's output."""
        self._compose("create", "--no-build", "--pull", "never", *(self.services or ()))

    def _compose(self, *words: str) -> None:
        try:
            self._run_command([*self.docker_compose_command(), *words])
        except CalledProcessError as problem:
            said = [line for line in problem.stderr.decode(errors="replace").splitlines() if line.strip()]
            raise EnvironmentBroken(f"docker compose {words[0]}: {said[-1].strip() if said else problem}") from problem
        except OSError as problem:
            raise EnvironmentBroken(f"docker compose cannot be run ({problem.strerror}); `make images`") from problem


def services(world: World) -> list[str]:
    """Return the names of the services of a world, without the capture."""
    servers = [server.name for server in world.setup.servers]
    return [*servers, "client", *(["relay"] if world.setup.relay is not None else [])]


def run_file(world: World, bridge: Bridge, labels: Mapping[str, str]) -> dict[str, Any]:
    """Return the run's own compose file, which extends compose.yaml: addresses, options, labels and the network."""
    made: dict[str, dict[str, Any]] = {
        name: {
            "labels": dict(labels),
            "environment": _literal(environment(world, name)),
            "networks": {"lemonade": {"ipv4_address": world.roles[name].address}},
            # The testbed asks from its own address if a node is ready. A health check inside the container would use
            # the node's address, and so be taken for a message of the node.
            "healthcheck": {"disable": True},
        }
        for name in (*(server.name for server in world.setup.servers), "client")
    }
    for server in world.setup.servers:
        if server.name != server.kind or server.state != "up":
            made[server.name] |= _further(world, server)
    if world.setup.relay is not None:
        made["relay"] = {
            "labels": dict(labels),
            "environment": _literal(environment(world, "relay")),
            "networks": {"lemonade": {"ipv4_address": bridge.relay}},
            "command": ["--config", f"{EVIDENCE}/{RELAY_FILE}"],
        }
    made[CAPTURE] = {"labels": dict(labels), "command": ["-i", bridge.name]}
    network = {
        "labels": dict(labels),
        "driver": "bridge",
        "driver_opts": {"com.docker.network.bridge.name": bridge.name},
        "ipam": {"config": [{"subnet": str(bridge.subnet), "gateway": world.roles["testbed"].address}]},
    }
    return {"name": bridge.project, "services": made, "networks": {"lemonade": network}}


def _further(world: World, server: ServerSetup) -> dict[str, Any]:
    """Return the definition of a service that compose.yaml does not have: a further server, or one that is down."""
    place = world.roles[server.name]
    if server.state == "up":
        return _service(server.kind)
    program = ["python3", "-c", Path(silent.__file__).read_text("utf-8").replace("$", "$$")]
    return _service("client") | {
        "entrypoint": program,
        "command": [server.state, f"{place.address}:{place.port}"],
        "environment": {},
    }


def _service(name: str) -> dict[str, Any]:
    return {"extends": {"file": str(_COMPOSE / "compose.yaml"), "service": name}}


def _literal(values: Mapping[str, str]) -> dict[str, str]:
    """Return values with each `$` doubled, so that compose does not replace variables in them."""
    return {name: value.replace("$", "$$") for name, value in values.items()}


def environment(world: World, node: str) -> dict[str, str]:
    """Return the environment variables of a node that depend on the run.

    Raises EnvironmentBroken for a value with white space that is to be part of a list.
    """
    values = variables_of(world, node)
    if world.kind_of(node) != node:
        values["LEMONADE_TRACE"] = f"{EVIDENCE}/{world.trace(node).name}"
    if world.setup.tls is not None and node in world.credentials:
        values["LEMONADE_TLS_KEYLOG"] = f"{EVIDENCE}/{KEY_LOG}"  # tshark decrypts the capture with it
    return values
