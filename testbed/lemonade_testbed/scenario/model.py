"""The content of a scenario, after its file was read and checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lemonade_testbed.ladder.model import Ladder
from lemonade_testbed.relay.rules import Plan
from lemonade_testbed.scenario.world import ONE_OF_EACH, ServerSetup, Smime, Tls, first_server
from lemonade_testbed.verdict import Place


@dataclass(frozen=True)
class Given:
    """The section `given` of a scenario: the mail, the accounts, and the setup of the nodes.

    The mail: `message` is a file beside the scenario, in a `fixtures` folder there or in the project's, or an absolute
    path. `mailbox` is the mailbox that gets it. `users` maps names to passwords; the first user owns the mailbox.

    The IMAP servers: `submit_users`, `applications`, `media_servers`, `fetch_users` and `anonymous_life` (seconds) are
    their settings. `tls` says how the other nodes use TLS with them, None for clear text only. `account` is the name of
    the IMAP server that has the mail.

    The media servers: `identity` is NAME and PASSWORD of their account at the IMAP server, None for no account.
    `services` are their services, empty for all. `trusted_caller` says whether they use their identity for the client's
    calls. `imap_idle` is the seconds for which they keep an IMAP connection, `imap_contact` is their administrator's
    mail address. `imap_fetch_time` (seconds) and `imap_max_part` (octets) bound a fetch, None for the defaults.

    All nodes: `smime` says which of them can encrypt MSCML. `wrong` maps a node to a fault that it has on purpose in
    this scenario, so that the reaction of the other nodes is judged. `servers` are the servers by name, each with the
    options that it has of its own.
    """

    message: str
    users: Mapping[str, str]
    mailbox: str = "INBOX"
    identity: tuple[str, str] | None = None
    submit_users: tuple[str, ...] = ()
    applications: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    media_servers: str = ""
    fetch_users: tuple[str, ...] = ()
    anonymous_life: int | None = None
    services: tuple[str, ...] = ()
    wrong: Mapping[str, str] = field(default_factory=dict)
    trusted_caller: bool = True
    imap_idle: int | None = None
    imap_contact: str = ""
    tls: Tls | None = None
    smime: Smime = "no"
    imap_fetch_time: float | None = None
    imap_max_part: int | None = None
    servers: tuple[ServerSetup, ...] = ONE_OF_EACH
    account: str = ""

    @property
    def kinds(self) -> Mapping[str, str]:
        """The role of each node by its name, with the client."""
        return {"client": "client"} | {server.name: server.kind for server in self.servers}

    def named(self, node: str) -> list[str]:
        """Return the names of the running nodes that have this name or role; empty if none has."""
        up = [server for server in self.servers if server.state == "up" and node in {server.name, server.kind}]
        return [node] if node in {"client", "relay"} else [server.name for server in up]

    def of(self, node: str) -> Given:
        """Return the setup with the options of one server: its own options replace those for all servers."""
        return replace(self, **next((server.options for server in self.servers if server.name == node), {}))

    def first(self, kind: str) -> ServerSetup:
        """Return the server of a role that the client is configured with."""
        return first_server(self.servers, kind, self.account)

    @property
    def owner(self) -> tuple[str, str]:
        """The first user's name and password."""
        return next(iter(self.users.items()))


@dataclass(frozen=True)
class NamedFault:
    """A fault of a reference node, and the places of the scenario that it must make fail.

    `role` is the node, by its name or its role; `kind` is its role; `line` is the line in the file. `clauses` maps each
    place to the clauses that the fault breaks there: those that the file has in brackets, or all that the place
    observes.
    """

    role: str
    name: str
    places: tuple[Place, ...]
    line: int
    clauses: Mapping[Place, tuple[str, ...]] = field(default_factory=dict)
    kind: str = ""


@dataclass(frozen=True)
class Scenario:
    """One scenario.

    `origin` is the file's key `from`. `needs` maps a role to capabilities that its node must have. `client` has the
    steps of the client's script as plain data (texts, lists, mappings). `checks` are the lines of the section `check`.
    `folders` are searched for the files that the scenario names. `relay` is None if the nodes reach each other
    directly. `profile` is the only protocol profile in which the scenario runs, None for any profile.
    """

    name: str
    title: str
    origin: str
    clauses: tuple[str, ...]
    needs: Mapping[str, tuple[str, ...]]
    given: Given
    client: tuple[Mapping[str, Any], ...]
    ladder: Ladder
    checks: tuple[str, ...]
    faults: tuple[NamedFault, ...]
    path: Path
    folders: tuple[Path, ...] = ()
    relay: Plan | None = None
    profile: str | None = None

    def file(self, name: str) -> Path:
        """Return the path of a file that the scenario names; raises FileNotFoundError."""
        return find_file(name, self.folders)

    def spoken(self) -> list[str]:
        """Return the names of the sound files that the client sends, by its steps `say`."""
        return [step["say"]["file"] for step in self.client if "say" in step]

    def message_path(self) -> Path:
        """Return the path of the mail; raises FileNotFoundError."""
        return self.file(self.given.message)


def find_file(name: str, folders: Iterable[Path]) -> Path:
    """Return the first file `name` in the folders; an absolute path is returned as it is. Raises FileNotFoundError."""
    tried = [folder / name for folder in folders]
    for path in tried:
        if path.is_file():
            return path
    raise FileNotFoundError(f"there is no file {name!r} in {', '.join(str(folder) for folder in folders)}")
