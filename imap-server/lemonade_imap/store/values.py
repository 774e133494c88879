"""The values of the store: mailboxes, messages and changes, and the flags after a STORE command (RFC 3501, 6.4.6)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Protocol

from lemonade_imap.mail.mime import MimePart

CHUNK = 131072
INBOX = "INBOX"
SEPARATOR = "/"
FIRST_MODSEQ = 1
"""The mod-sequence of an empty mailbox; zero is not a valid mod-sequence (RFC 7162, 3.1.1)."""


def mailbox_key(name: str) -> str:
    """Return the name under which a mailbox is stored: INBOX for any letter case of it (RFC 3501, 5.1)."""
    return INBOX if name.upper() == INBOX else name


@dataclass(frozen=True)
class StoredMailbox:
    """The values of one mailbox at the time of the query.

    `ident`: the store's number of the mailbox; a mailbox that is made again under an old name has another number.
    `uid_validity`, `uid_next`: RFC 3501, 2.3.1.1; they never decrease, even if the server is started again.
    `highest_modseq`: increases with every change of the mailbox's messages, also with EXPUNGE (RFC 7162, 3.1.1).
    """

    ident: int
    user: str
    name: str
    uid_validity: int
    uid_next: int
    highest_modseq: int = FIRST_MODSEQ


@dataclass(frozen=True, slots=True)
class Summary:
    """A message without its part index.

    `received`: the INTERNALDATE with its time zone. `size`: the RFC822.SIZE in octets.
    """

    uid: int
    flags: frozenset[str]
    modseq: int
    received: datetime
    size: int


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One message without its octets.

    `ident`: the store's number of the message. `root`: the index of its MIME parts. The rest is as in `Summary`.
    """

    ident: int
    uid: int
    flags: frozenset[str]
    received: datetime
    size: int
    root: MimePart
    modseq: int = FIRST_MODSEQ


@dataclass(frozen=True)
class Counts:
    r"""Numbers of a mailbox's messages for STATUS.

    `messages`: all of them. `recent`: those that no session has claimed as `\Recent`. `unseen`: those without `\Seen`.
    """

    messages: int = 0
    recent: int = 0
    unseen: int = 0


@dataclass(frozen=True)
class Scope:
    """A set of annotations (RFC 5464, 3).

    `user`: the owner of private annotations, or None for the shared ones. `mailbox`: None for the server's annotations.
    """

    user: str | None = None
    mailbox: StoredMailbox | None = None


class IncomingMessage(Protocol):
    """A message that is being received: its octets are stored and its parts indexed as they come."""

    @property
    def parts(self) -> int:
        """The number of parts so far."""
        ...

    def write(self, chunk: bytes) -> None:
        """Add the next octets of the message; raises StoreError if the disk cannot be written."""
        ...

    def end(self) -> None:
        """Release what only `write` needs, such as a descriptor: all octets were written. Raises StoreError."""
        ...

    def discard(self) -> None:
        """Delete the message's octets. Has no effect if it was appended or discarded before."""
        ...


@dataclass(frozen=True)
class NewMessage:
    """A completely received message with the flags and the INTERNALDATE that it will have."""

    arrival: IncomingMessage
    flags: Iterable[str]
    received: datetime


@lru_cache(maxsize=4096)
def changed_flags(flags: frozenset[str], mode: str, given: frozenset[str]) -> frozenset[str]:
    """Return `flags` after the flags `given` were added (`+`), removed (`-`), or have replaced them (empty `mode`).

    Flags that differ only in letter case are equal (RFC 3501, 9); a message keeps the spelling that it had first.
    """
    present = {flag.lower(): flag for flag in sorted(flags, reverse=True)}
    wanted = {flag.lower(): flag for flag in sorted(given, reverse=True)}
    match mode:
        case "+":
            return frozenset((wanted | present).values())
        case "-":
            return frozenset(flag for key, flag in present.items() if key not in wanted)
        case _:
            return frozenset(present.get(key, flag) for key, flag in wanted.items())
