"""What every store can do, and how it says that it cannot.

A store is synchronous and used by one thread at a time. `thread.StoreThread` gives awaitables over one thread of
its own; `runner.InlineRunner` runs it at once, for tests without a reactor.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol

from lemonade_imap.store.values import (
    CHUNK,
    FIRST_MODSEQ,
    INBOX,
    SEPARATOR,
    Arrival,
    Arriving,
    Counts,
    Mailbox,
    Message,
    Scope,
    Summary,
    mailbox_key,
)

__all__ = [
    "CHUNK",
    "FIRST_MODSEQ",
    "INBOX",
    "SEPARATOR",
    "Arrival",
    "Arriving",
    "Counts",
    "Mailbox",
    "MailboxExists",
    "MailboxMissing",
    "Message",
    "Scope",
    "Store",
    "StoreBusy",
    "StoreDamaged",
    "StoreError",
    "Summary",
    "mailbox_key",
]


class StoreError(Exception):
    """The store cannot do what was asked; the text may be shown to a client."""


class MailboxExists(StoreError):  # noqa: N818  reads as what happened, like FileExistsError's cause
    """CREATE or RENAME to the name of a mailbox that is there already."""


class MailboxMissing(StoreError):  # noqa: N818  the same
    """The mailbox is not there (any more)."""


class StoreBusy(StoreError):  # noqa: N818  the same
    """Another process holds the data folder."""


class StoreDamaged(StoreError):  # noqa: N818  the same
    """The index is missing or damaged: `lemonade-imap fsck` makes it anew."""


class Store(Protocol):
    """Mailboxes, messages, flags, annotations and URLAUTH keys of all accounts.

    Every change is durable when its call returns. Methods that take a `Mailbox` act on the mailbox of that `ident`,
    whatever it is called by now; one that is gone has no messages.
    """

    def mailboxes(self, user: str) -> list[str]:
        """Return the names of the user's mailboxes, INBOX first; INBOX is always there."""
        ...

    def mailbox(self, user: str, name: str) -> Mailbox | None:
        """Return the mailbox, or None."""
        ...

    def create(self, user: str, name: str) -> Mailbox:
        """Make a mailbox; raises MailboxExists. Its superiors are not made."""
        ...

    def delete(self, user: str, name: str) -> None:
        """Remove a mailbox with its messages, annotations and key; raises MailboxMissing.

        Its inferiors stay (RFC 3501, 6.3.4): the name lives on in theirs alone. A subscription stays too (6.3.6).
        """
        ...

    def rename(self, user: str, old: str, new: str) -> None:
        """Give a mailbox and its inferiors another name; raises MailboxMissing or MailboxExists, and changes nothing.

        INBOX stays, empty: its messages move to the new mailbox, its inferiors do not (RFC 3501, 6.3.5). A name that
        lives in its inferiors alone can be renamed. A mailbox keeps its UIDs, and its UIDVALIDITY unless one that
        had the new name before had a greater one.
        """
        ...

    def subscribe(self, user: str, name: str) -> None:
        """Put a name, of a mailbox or not, on the user's list."""
        ...

    def unsubscribe(self, user: str, name: str) -> None:
        """Take a name off the user's list; one that is not there is passed over."""
        ...

    def subscriptions(self, user: str) -> list[str]:
        """Return the names on the user's list, INBOX first where it is there."""
        ...

    def uids(self, mailbox: Mailbox) -> list[int]:
        """Return the UIDs in their order."""
        ...

    def summaries(self, mailbox: Mailbox, since_modseq: int = 0) -> list[Summary]:
        """Return what changed after a mod-sequence, by UID; cheap for mailboxes of many messages."""
        ...

    def counts(self, mailbox: Mailbox) -> Counts:
        """Return how many messages there are, and of which kind."""
        ...

    def messages(self, mailbox: Mailbox) -> list[Message]:
        """Return the messages in the order of their UIDs; all their part indexes are read."""
        ...

    def message(self, mailbox: Mailbox, uid: int) -> Message | None:
        """Return one message, or None."""
        ...

    def recent(self, mailbox: Mailbox) -> frozenset[int]:
        r"""Return the UIDs that no session has claimed as `\Recent` (RFC 3501, 2.3.2)."""
        ...

    def claim_recent(self, mailbox: Mailbox) -> frozenset[int]:
        """Return the same, claimed: nobody is told of them again."""
        ...

    def arrive(self) -> Arrival:
        """Begin to take a message in; raises StoreError."""
        ...

    def append(self, mailbox: Mailbox, arrivals: Sequence[Arriving]) -> list[Message]:
        """Keep messages, all or none, in their order; raises MailboxMissing or StoreError.

        On return their octets are on the disk. The arrivals are used up, if it raises too.
        """
        ...

    def change_flags(
        self,
        mailbox: Mailbox,
        uids: Collection[int],
        mode: str,
        flags: Collection[str],
        unchanged_since: int | None = None,
    ) -> tuple[list[Summary], list[int]]:
        """Add (`+`), remove (`-`) or replace (empty mode) flags of messages, in one piece.

        Returns the messages asked for as they are now, by UID, and the UIDs that changed after `unchanged_since` and
        were left alone (RFC 7162, 3.1.3). Messages whose flags stay as they were keep their mod-sequence; those that
        are gone are passed over.
        """
        ...

    def copy(self, mailbox: Mailbox, uids: Collection[int], target: Mailbox) -> list[tuple[int, int]]:
        """Put messages into another mailbox too, with flags and INTERNALDATE; raises MailboxMissing for the target.

        All or none. Returns the old and the new UID of each, by old UID; those that are gone are passed over.
        """
        ...

    def move(self, mailbox: Mailbox, uids: Collection[int], target: Mailbox) -> list[tuple[int, int]]:
        """Copy messages and remove them from the mailbox, in one piece (RFC 6851); else like `copy`."""
        ...

    def expunge(self, mailbox: Mailbox, uids: Collection[int]) -> list[int]:
        """Remove messages and return the UIDs of those that were there; others are passed over."""
        ...

    def read(self, message: Message, offset: int, length: int) -> Iterator[bytes]:
        """Return the `length` octets from `offset` in chunks of at most CHUNK; raises StoreError if they are gone.

        What has begun goes on to its end, though the message be expunged on the way.
        """
        ...

    def with_key(self, user: str, name: str) -> tuple[Mailbox, bytes | None] | None:
        """Return a mailbox and its URLAUTH key, or None, in one look; unlike `mailbox` it makes no INBOX."""
        ...

    def key(self, mailbox: Mailbox) -> bytes | None:
        """Return the URLAUTH key of the mailbox under its present UIDVALIDITY, or None where none was made."""
        ...

    def make_key(self, mailbox: Mailbox) -> bytes:
        """Return the mailbox's key, made now (256 random bits) where there was none; raises MailboxMissing."""
        ...

    def reset_keys(self, user: str, name: str | None = None) -> None:
        """Forget the URLAUTH keys of one mailbox, or of all the user's: tickets made with them are worth nothing."""
        ...

    def entries(self, scope: Scope) -> dict[str, bytes]:
        """Return annotations, by name; their names compare without case."""
        ...

    def set_entries(self, scope: Scope, entries: Mapping[str, bytes | None]) -> None:
        """Set annotations and remove those whose value is None, all or none; raises MailboxMissing."""
        ...

    def set_entries_of(self, changes: Mapping[Scope, Mapping[str, bytes | None]]) -> None:
        """Do the same for several scopes, all or none."""
        ...

    def close(self) -> None:
        """Let go of the data folder."""
        ...
