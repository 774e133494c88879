"""What a scenario says, after reading and checking."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lemonade_testbed.ladder.model import Ladder
from lemonade_testbed.relay.rules import Plan
from lemonade_testbed.runtime.tls import Tls
from lemonade_testbed.runtime.world import Smime
from lemonade_testbed.verdict import Place


@dataclass(frozen=True)
class Given:
    """The world a scenario wants.

    `message`: a file beside the scenario, of a `fixtures` folder there or of the project's (or an absolute path);
    `mailbox`: where it is put; `users`: names and passwords, the first owns the mailbox; `identity`: NAME, PASSWORD
    of the media server at the IMAP server, None for a media server without one; `submit_users`, `applications`,
    `media_servers`, `fetch_users`, `anonymous_life` (seconds): settings of the IMAP server. `services`: those of the
    media server, empty for all; `trusted_caller`: whether it uses its identity for the client; `imap_idle`: seconds
    that it keeps an IMAP connection; `imap_contact`: its administrator's address; `imap_fetch_time` (seconds),
    `imap_max_part` (octets): the most that a fetch may take, None for its defaults; `smime`: who can encrypt MSCML;
    `tls`: how the IMAP server is spoken to, None for in the clear alone.
    `wrong`: role to a fault of its reference node that is part of this world: what the others make of it is judged.
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

    @property
    def owner(self) -> tuple[str, str]:
        """The first user's name and password."""
        return next(iter(self.users.items()))


@dataclass(frozen=True)
class NamedFault:
    """A fault of a reference node and the places that it must turn red."""

    role: str
    name: str
    places: tuple[Place, ...]
    line: int


@dataclass(frozen=True)
class Scenario:
    """One scenario.

    `origin` is the file's `from`; `needs` maps a role to capabilities; `client` are the steps of the client's script
    as plain data (texts, lists, mappings), ready to be written into one; `checks` are the check lines in words;
    `folders` are where a file that the scenario names is looked for; `relay` is None where the nodes reach each other
    directly.
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

    def file(self, name: str) -> Path:
        """Return the path of a file that the scenario names; raises FileNotFoundError."""
        return find_file(name, self.folders)

    def spoken(self) -> list[str]:
        """Return the names of the files that the client is to say."""
        return [step["say"]["file"] for step in self.client if "say" in step]

    def message_path(self) -> Path:
        """Return the path of the message; raises FileNotFoundError."""
        return self.file(self.given.message)


def find_file(name: str, folders: Iterable[Path]) -> Path:
    """Return the first file `name` among the folders (an absolute path as it is); raises FileNotFoundError."""
    tried = [folder / name for folder in folders]
    for path in tried:
        if path.is_file():
            return path
    raise FileNotFoundError(f"there is no file {name!r} in {', '.join(str(folder) for folder in folders)}")
