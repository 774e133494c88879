"""What the server keeps, as values: mailboxes, messages, their summaries, and where an annotation belongs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from lemonade_imap.mail.mime import Part

CHUNK = 131072
INBOX = "INBOX"
SEPARATOR = "/"
FIRST_MODSEQ = 1
"""The mod-sequence of an empty mailbox: zero is none (RFC 7162, 3.1.1)."""


def mailbox_key(name: str) -> str:
    """Return the name under which a mailbox is kept: INBOX in any case is INBOX (RFC 3501, 5.1), others as they are."""
    return INBOX if name.upper() == INBOX else name


@dataclass(frozen=True)
class Mailbox:
    """One mailbox as it was when asked for.

    `ident`: the store's own number; a mailbox made again under an old name has another.
    `uid_validity`, `uid_next`: RFC 3501, 2.3.1.1; neither ever goes back, over restarts too.
    `highest_modseq`: grows with every change of its messages, EXPUNGE too (RFC 7162, 3.1.1).
    """

    ident: int
    user: str
    name: str
    uid_validity: int
    uid_next: int
    highest_modseq: int = FIRST_MODSEQ


@dataclass(frozen=True, slots=True)
class Summary:
    """A message without its parts: `received` is the INTERNALDATE with its zone, `size` RFC822.SIZE in octets."""

    uid: int
    flags: frozenset[str]
    modseq: int
    received: datetime
    size: int


@dataclass(frozen=True, slots=True)
class Message:
    """One message: everything but its octets; `root` is the index of its MIME parts, the rest as in `Summary`."""

    ident: int
    uid: int
    flags: frozenset[str]
    received: datetime
    size: int
    root: Part
    modseq: int = FIRST_MODSEQ


@dataclass(frozen=True)
class Counts:
    r"""What STATUS tells of a mailbox's messages: how many, without `\Seen`, with `\Deleted`, and all their octets.

    `recent`: those that no session has claimed yet.
    """

    messages: int = 0
    recent: int = 0
    unseen: int = 0
    deleted: int = 0
    size: int = 0


@dataclass(frozen=True)
class Scope:
    """Whose annotations, and of what: `user` None means the shared ones, `mailbox` None the server (RFC 5464, 3)."""

    user: str | None = None
    mailbox: Mailbox | None = None


class Arrival(Protocol):
    """A message on its way in: its octets are kept and its parts indexed as they come, in constant memory."""

    def write(self, chunk: bytes) -> None:
        """Take the next octets; raises StoreError where the disk refuses."""
        ...

    def discard(self) -> None:
        """Forget it: the message was not wanted after all. What was appended or discarded before stays as it is."""
        ...


@dataclass(frozen=True)
class Arriving:
    """An arrival that is whole, with the flags and the INTERNALDATE that it is to have."""

    arrival: Arrival
    flags: Iterable[str]
    received: datetime
