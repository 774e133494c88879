"""The world of one scenario: who has which address, which options the nodes get, and how they ended (`world.json`)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lemonade_testbed.relay.rules import Plan
from lemonade_testbed.runtime.tls import Tls

SERVERS = ("imap", "media")
ROLES = (*SERVERS, "client")
IMAP_NAME = "imap.example.com"
MEDIA_NAME = "media.example.net"
IMAP_PORT = 1143
SIP_PORT = 5060
Smime = Literal["no", "yes", "client-alone", "wrong-key"]
"""Who can encrypt: nobody, both, the client alone (the media server has no key), or the client for another's key."""


@dataclass(frozen=True)
class Setup:
    """What a scenario asks of its world; the same for every runtime.

    `users`, `admins`: name to password. `identity`: the media server's account at the IMAP server, None for none.
    `submit_users`: accounts that may use `submit+` tickets. `applications`: access identifier to its accounts.
    `media_servers`: value of the METADATA entry, None for no entry. `fetch_users`: the accounts whose URLFETCH is
    answered, empty for all. `anonymous_life`: seconds that anonymous URLs may live, None for no limit.
    `services`: those that the media server offers, empty for all. `trusted_caller`: whether the media server uses its
    identity for the client. `imap_idle`: seconds that it keeps an IMAP connection, None for its default.
    `imap_contact`: its administrator's address, empty for none. `imap_fetch_time` (seconds), `imap_max_part` (octets):
    the most that a fetch may take, None for its defaults. `faults`: role to the name of its fault. `smime`: who can
    encrypt. `tls`: how the IMAP server is spoken to, None for in the clear alone. `relay`: what happens between the
    nodes, None where they reach each other directly. `scenario`: its name, which the nodes are told; empty for none.
    """

    folder: Path
    users: Mapping[str, str]
    admins: Mapping[str, str] = field(default_factory=lambda: {"admin": "secret"})
    identity: tuple[str, str] | None = None
    submit_users: tuple[str, ...] = ()
    applications: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    media_servers: str | None = None
    fetch_users: tuple[str, ...] = ()
    anonymous_life: int | None = None
    services: tuple[str, ...] = ()
    trusted_caller: bool = True
    imap_idle: int | None = None
    imap_contact: str = ""
    smime: Smime = "no"
    imap_fetch_time: float | None = None
    imap_max_part: int | None = None
    profile: str = "draft-07"
    salt: str = ""
    seed: int = 1
    faults: Mapping[str, str] = field(default_factory=dict)
    tls: Tls | None = None
    relay: Plan | None = None
    scenario: str = ""

    def secret(self) -> Path:
        """Return the folder of what holds tickets and passwords, made for this user alone."""
        folder = self.folder / "secret"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def tls_policy(self, role: str) -> str:
        """Return whether a role uses STARTTLS: never, unless the scenario says so."""
        return {"media": self.tls.media, "client": self.tls.client}[role] if self.tls else "never"


@dataclass(frozen=True)
class Place:
    """Where a role is: its address and port, the name that URLs call it by, and other addresses that mean it.

    The first of those is its front: where a relay stands between the nodes, peers reach the role there.
    """

    address: str
    port: int
    name: str
    aliases: tuple[str, ...] = ()

    def record(self) -> dict[str, Any]:
        """Return what `world.json` says of it."""
        record: dict[str, Any] = {"address": self.address, "port": self.port, "name": self.name}
        return record | ({"aliases": list(self.aliases)} if self.aliases else {})


@dataclass
class World:
    """One scenario's world, as the judge reads it later.

    `exits`: exit codes (minus the signal's number when killed). `died`: the servers that ended by themselves after
    they were ready, or else a client that was not done in time: when, exit code, why, last log lines. Times are
    seconds since 1970; `media_length` seconds. `capture`: the counts of the packet capture, None where there is none;
    `lines`: how many each node's trace had when it was collected. `credentials`: role to option to the secret file that
    it names. `freshen` brings the log of a role up to date, where it is not written as it comes.
    """

    setup: Setup
    roles: dict[str, Place]
    exits: dict[str, int] = field(default_factory=dict)
    died: dict[str, dict[str, Any]] = field(default_factory=dict)
    started: float = field(default_factory=time.time)
    ended: float | None = None
    media_length: float | None = None
    runtime: str = "local"
    capture: dict[str, Any] | None = None
    lines: dict[str, int] = field(default_factory=dict)
    credentials: Mapping[str, Mapping[str, Path]] = field(default_factory=dict, repr=False)
    freshen: Callable[[str], None] = field(default=lambda _role: None, repr=False)

    def rules(self) -> list[str]:
        """Return the `--resolve` rules that lead the names in URLs to this world's addresses.

        Where a role has a front, they lead there, and from its own address too: Contact and SDP name that.
        """
        servers = [place for role, place in self.roles.items() if role in SERVERS]
        rules = [f"{place.name}={(*place.aliases, place.address)[0]}:{place.port}" for place in servers]
        return rules + [f"{place.address}={place.aliases[0]}" for place in self.roles.values() if place.aliases]

    def callers(self) -> list[str]:
        """Return the addresses of callers that the media server trusts: those that the client calls from, or none."""
        client = self.roles["client"]
        return [client.address, *client.aliases] if self.setup.trusted_caller else []

    def trace(self, role: str) -> Path:
        """Return where the trace of `role` is written."""
        return self.setup.folder / f"trace-{role}.jsonl"

    def log(self, role: str) -> Path:
        """Return where the log of `role` is written."""
        return self.setup.folder / f"{role}.log"

    def log_tail(self, role: str, lines: int = 12) -> list[str]:
        """Return the last lines of the log of `role`; empty where there is none."""
        self.freshen(role)
        path = self.log(role)
        if not path.exists():
            return []
        return path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]

    def write(self) -> None:
        """Write `world.json`."""
        record = {
            "roles": {role: place.record() for role, place in self.roles.items()},
            "runtime": self.runtime,
            "profile": self.setup.profile,
            "salt": self.setup.salt,
            "seed": self.setup.seed,
            "faults": dict(self.setup.faults),
            "exits": self.exits,
            "died": self.died,
            "started": self.started,
            "ended": self.ended,
            "media_length": self.media_length,
            "capture": self.capture,
            "lines": self.lines,
        }
        (self.setup.folder / "world.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
