"""A compose project for one world: compose/compose.yaml, the overlays of swapped peers, and a file made for the run."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

# Its reaper is an image that cannot be pulled everywhere; labels do its work here. Read when it is imported.
os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")

from testcontainers.compose import DockerCompose

from lemonade_testbed.runtime.base import EnvironmentBroken
from lemonade_testbed.runtime.docker_network import Bridge
from lemonade_testbed.runtime.local import CLIENT_RTP_PORTS, MEDIA_RTP_PORTS
from lemonade_testbed.runtime.world import ROLES, World

CAPTURE = "capture"
EVIDENCE = "/evidence"
"""The folder in every container that its traces and recordings are written to."""
KEY_LOG = "tls-keys.log"
"""The file below EVIDENCE into which a node writes the secrets of its TLS sessions."""
RELAY_FILE = "relay.json"
_COMPOSE = Path(__file__).resolve().parents[3] / "compose"

# it writes whole outputs of failed commands on the terminal; they are in the exception as well
logging.getLogger("testcontainers").setLevel(logging.CRITICAL)


class Project(DockerCompose):
    """The containers of one world, made but not yet started: who starts when is the runtime's affair."""

    def __init__(
        self,
        world: World,
        bridge: Bridge,
        labels: Mapping[str, str],
        overlays: Sequence[Path] = (),
        wanted: Sequence[str] | None = None,
    ) -> None:
        """Write the run's own file into its secret folder: it holds passwords. Raises EnvironmentBroken.

        `wanted`: the services that are made (default: those of the world, and the capture).
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
        """Make the network and the containers; raises EnvironmentBroken with what compose says."""
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
    """Return the services that are started and stopped in a world, besides the capture."""
    return [*ROLES, *(["relay"] if world.setup.relay is not None else [])]


def run_file(world: World, bridge: Bridge, labels: Mapping[str, str]) -> dict[str, Any]:
    """Return what the run lays over the compose file."""
    made: dict[str, dict[str, Any]] = {
        role: {
            "labels": dict(labels),
            "environment": _literal(environment(world, role)),
            "networks": {"lemonade": {"ipv4_address": world.roles[role].address}},
            # the testbed asks from its own address: what a node asks itself would be a message of its role
            "healthcheck": {"disable": True},
        }
        for role in ROLES
    }
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


def _literal(values: Mapping[str, str]) -> dict[str, str]:
    """Return values that compose takes as they are: it replaces what follows a dollar."""
    return {name: value.replace("$", "$$") for name, value in values.items()}


def environment(world: World, role: str) -> dict[str, str]:
    """Return the options of a node that change from run to run; raises EnvironmentBroken for what cannot be said."""
    setup = world.setup
    values = {"PROFILE": setup.profile, "TRACE_SALT": setup.salt}
    if role in world.roles:
        values["LISTEN"] = f"{world.roles[role].address}:{world.roles[role].port}"
    if setup.scenario:
        values["SCENARIO"] = setup.scenario
    if role in setup.faults:
        values["FAULT"] = setup.faults[role]
    for option, path in world.credentials.get(role, {}).items():
        values[option.replace("-", "_").upper()] = f"{EVIDENCE}/{path.name}"
    if setup.tls is not None and role in world.credentials:
        values["TLS_KEYLOG"] = f"{EVIDENCE}/{KEY_LOG}"  # what a capture is read with
    return {f"LEMONADE_{name}": value for name, value in (values | _OPTIONS.get(role, _none)(world)).items()}


def _imap(world: World) -> dict[str, str]:
    setup = world.setup
    values = {
        "NAME": world.roles["imap"].name,
        "USER": _words(":".join(account) for account in setup.users.items()),
        "ADMIN": _words(":".join(account) for account in setup.admins.items()),
        "SUBMIT_USER": _words(setup.submit_users),
        "APPLICATION": _words(f"{name}={','.join(users)}" for name, users in setup.applications.items()),
    }
    if setup.media_servers is not None:
        values["MEDIA_SERVERS"] = setup.media_servers
    if setup.fetch_users:
        values["FETCH_USER"] = _words(setup.fetch_users)
    if setup.anonymous_life is not None:
        values["ANONYMOUS_LIFE"] = str(setup.anonymous_life)
    return values


def _media(world: World) -> dict[str, str]:
    values = {
        "RTP_PORTS": MEDIA_RTP_PORTS,
        "ALLOW_IMAP": world.roles["imap"].name,
        "RESOLVE": _words(world.rules()),
        "IMAP_TLS": world.setup.tls_policy("media"),
        "IMAP_CLEARTEXT_LOGIN": "never" if world.setup.tls else "allowed",
    }
    if world.setup.imap_idle is not None:
        values["IMAP_IDLE"] = str(world.setup.imap_idle)
    if world.setup.imap_contact:
        values["IMAP_CONTACT"] = world.setup.imap_contact
    if world.setup.imap_fetch_time is not None:
        values["IMAP_FETCH_TIME"] = f"{world.setup.imap_fetch_time:g}"
    if world.setup.imap_max_part is not None:
        values["IMAP_MAX_PART"] = str(world.setup.imap_max_part)
    if world.setup.services:
        values["SERVICE"] = _words(world.setup.services)
    if callers := world.callers():
        values["TRUST_CALLER"] = _words(callers)
    return values | ({"IMAP_USER": ":".join(world.setup.identity)} if world.setup.identity else {})


def _client(world: World) -> dict[str, str]:
    values = {"RTP_PORTS": CLIENT_RTP_PORTS, "RESOLVE": _words(world.rules())}
    return values | {"IMAP_TLS": world.setup.tls_policy("client")}


def _none(_world: World) -> dict[str, str]:
    return {}


def _words(items: Any) -> str:  # noqa: ANN401  any iterable of texts
    texts = list(items)
    if any(len(text.split()) != 1 for text in texts):
        raise EnvironmentBroken("an account with a blank in it cannot be told to a node in a container")
    return " ".join(texts)


_OPTIONS = {"imap": _imap, "media": _media, "client": _client}
