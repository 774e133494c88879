"""The world of one scenario: its nodes with their addresses, accounts, certificates and folders."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from lemonade_testbed.relay.rules import Plan

Policy = Literal["required", "preferred", "never"]
Shown = Literal["own", "another-host", "another-authority", "none"]


@dataclass(frozen=True)
class Tls:
    """The settings of TLS with the IMAP server.

    `media` and `client` say whether the media server and the client use STARTTLS. `certificate` is the IMAP server's
    certificate: its own, one for another host name, or one of an authority that no node trusts; with `none` the server
    offers no STARTTLS.
    """

    media: Policy = "never"
    client: Policy = "never"
    certificate: Shown = "own"


SERVERS = ("imap", "media")
ROLES = (*SERVERS, "client")
_DOMAINS = {"imap": "example.com", "media": "example.net"}
FURTHER = 31
"""The last octet of the address of the first further server of a role; the others follow in the scenario's order."""
FRONT = 10
"""The difference between the last octets of a node's front (the relay's address for it) and of its own address."""
IMAP_PORT = 1143
SIP_PORT = 5060
Smime = Literal["no", "yes", "client-alone", "wrong-key"]
"""Whether MSCML can be encrypted: by no node, by both, by the client alone (the media server has no key), or by the
client for a key that is not the media server's.
"""
State = Literal["up", "dead", "refuses"]
"""The state of a server's host: the server runs; it drops every packet; its ports are closed."""


def host_name(name: str, kind: str) -> str:
    """Return the host name of a server, such as `ms1.example.net` for a media server; `kind` is its role."""
    return f"{name}.{_DOMAINS[kind]}"


IMAP_NAME = host_name("imap", "imap")
MEDIA_NAME = host_name("media", "media")


@dataclass(frozen=True)
class ServerSetup:
    """One server of a world: its name, its role (`kind`), its state, and the fields of `Setup` that differ for it."""

    name: str
    kind: str
    state: State = "up"
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def host(self) -> str:
        """The server's host name."""
        return host_name(self.name, self.kind)


def first_server(servers: Iterable[ServerSetup], kind: str, account: str) -> ServerSetup:
    """Return the server of a role with which the client is configured: the one called `account`, or the first one."""
    named = (server for server in servers if server.kind == kind)
    return next(server for server in named if kind != "imap" or account in {"", server.name})


ONE_OF_EACH = (ServerSetup("imap", "imap"), ServerSetup("media", "media"))
"""The servers of a scenario that mentions none: one of each role, named by its role."""


@dataclass(frozen=True)
class Setup:
    """The settings of a world, the same for every runtime; `folder` is the folder of the scenario's run.

    IMAP servers: `users` and `admins` map a name to a password. `submit_users` are the accounts that may use URLs with
    the access `submit+`. `applications` maps another access identifier to its accounts. `media_servers` is the value of
    the METADATA entry, None for no entry. `fetch_users` are the accounts whose URLFETCH is answered, empty for all.
    `anonymous_life` is the seconds for which anonymous URLs may be valid, None for no limit. `tls` says how the other
    nodes use TLS with them, None for clear text only. `account` is the name of the IMAP server that has the users'
    mail, empty for the first.

    Media servers: `identity` is the account at the IMAP server, None for none. `services` are those that they offer,
    empty for all. `trusted_caller` says whether they use their identity for the client's calls. `imap_idle` is the
    seconds for which they keep an IMAP connection, None for their default. `imap_contact` is their administrator's mail
    address, empty for none. `imap_fetch_time` (seconds) and `imap_max_part` (octets) bound a fetch, None for their
    defaults.

    All nodes: `smime` says which of them can encrypt MSCML. `profile` is the protocol profile, `salt` the salt of the
    fingerprints in traces. `faults` maps a node to its fault. `relay` has the rules of the relay, None if the nodes
    reach each other directly. `scenario` is the scenario's name, which the nodes get; empty for none. `servers` are the
    servers by name.
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
    servers: tuple[ServerSetup, ...] = ONE_OF_EACH
    account: str = ""

    def server(self, name: str) -> ServerSetup:
        """Return the server with a name."""
        return next(server for server in self.servers if server.name == name)

    def of(self, name: str) -> Setup:
        """Return the setup with the options of one server: its own options replace those for all servers."""
        return replace(self, **self.server(name).options)

    def first(self, kind: str) -> ServerSetup:
        """Return the server of a role with which the client is configured."""
        return first_server(self.servers, kind, self.account)

    def running(self, kind: str = "") -> list[str]:
        """Return the names of the servers that run, of all roles or of the role `kind`."""
        return [one.name for one in self.servers if one.state == "up" and kind in {"", one.kind}]

    def secret(self) -> Path:
        """Return the folder for files with tickets and passwords; it is made with mode 0700."""
        folder = self.folder / "secret"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def tls_policy(self, role: str) -> str:
        """Return whether a role uses STARTTLS (a `Policy`); `never` if the scenario does not set it."""
        return {"media": self.tls.media, "client": self.tls.client}[role] if self.tls else "never"


@dataclass(frozen=True)
class HostAddress:
    """The network address of a node: IP address and port, its host name in URLs, and further addresses.

    The first of `aliases` is the node's front: if there is a relay, peers reach the node by it. `kind` is the role of a
    node whose name is not its role.
    """

    address: str
    port: int
    name: str
    aliases: tuple[str, ...] = ()
    kind: str = ""

    def record(self) -> dict[str, Any]:
        """Return the node's entry for `world.json`."""
        record: dict[str, Any] = {"address": self.address, "port": self.port, "name": self.name}
        if self.kind:
            record["kind"] = self.kind
        return record | ({"aliases": list(self.aliases)} if self.aliases else {})


def places_of(
    servers: Iterable[ServerSetup], address: Callable[[int], str], numbers: Mapping[str, int], ports: Mapping[str, int]
) -> dict[str, HostAddress]:
    """Return the address of each node of a network by its name, the servers first.

    `address` makes an IP address of its last octet. `numbers` has the last octets for the first server of each role,
    the client and the testbed. `ports` has the port at which the nodes of each role listen.
    """
    free, further = dict(numbers), itertools.count(FURTHER)
    places = {}
    for server in servers:
        number = free.pop(server.kind, None) or next(further)
        kind = "" if server.name == server.kind else server.kind
        places[server.name] = HostAddress(address(number), ports[server.kind], server.host, kind=kind)
    return places | {
        name: HostAddress(address(numbers[name]), ports.get(name, 0), name) for name in ("client", "testbed")
    }


@dataclass
class World:
    """The world of one scenario: its setup and addresses, and what happened to its nodes; the judge reads it later.

    `exits` has the nodes' exit codes, -N after the signal N. `died` has the servers that ended by themselves after they
    were ready, or else a client that was not done in time: with time, exit code, reason and last log lines. `started`
    and `ended` are in seconds since 1970, `media_length` is in seconds. `capture` has the counts of the packet capture,
    None without one. `lines` has the number of events in each node's trace when it was collected. `credentials` maps a
    node and an option to the secret file that the option names. `freshen` updates the log of a node, if the runtime
    does not write it continuously.
    """

    setup: Setup
    roles: dict[str, HostAddress]
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
        """Return the `--resolve` rules that map the host names in URLs to this world's addresses.

        The name of a node with a front is mapped to the front. So is the node's own address, which it writes into its
        Contact and its session descriptions.
        """
        servers = [self.roles[server.name] for server in self.setup.servers]
        rules = [f"{place.name}={(*place.aliases, place.address)[0]}:{place.port}" for place in servers]
        return rules + [f"{place.address}={place.aliases[0]}" for place in self.roles.values() if place.aliases]

    def kind_of(self, node: str) -> str:
        """Return the role of a node by the node's name."""
        return self.roles[node].kind or node if node in self.roles else node

    def imap_hosts(self) -> list[str]:
        """Return the host names of the IMAP servers, from which a media server may fetch."""
        return [server.host for server in self.setup.servers if server.kind == "imap"]

    def stopping_order(self) -> list[list[str]]:
        """Return the nodes in groups, in the order in which they are stopped.

        IMAP servers are stopped after media servers and client, so that these can log out.
        """
        imap, media = ([one.name for one in self.setup.servers if one.kind == kind] for kind in SERVERS)
        return [["client", *media], imap, ["relay"]]

    def callers(self, node: str) -> list[str]:
        """Return the addresses of callers that a media server trusts: the client's and its front's, or none."""
        client = self.roles["client"]
        return [client.address, *client.aliases] if self.setup.of(node).trusted_caller else []

    def trace(self, node: str) -> Path:
        """Return the path of a node's trace."""
        return self.setup.folder / f"trace-{node}.jsonl"

    def log(self, node: str) -> Path:
        """Return the path of a node's log."""
        return self.setup.folder / f"{node}.log"

    def log_tail(self, node: str, lines: int = 12) -> list[str]:
        """Return the last lines of a node's log; empty if it has none."""
        self.freshen(node)
        path = self.log(node)
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
