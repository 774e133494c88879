"""The interface of all stores, their errors, and the hierarchy of mailbox names (RFC 3501, 5.1.1).

A store is synchronous, and only one thread at a time may use it. `thread.StoreThread` runs its methods on a thread of
their own and returns awaitables; `thread.InlineRunner` runs them in the caller's thread, for tests without a reactor.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol

from lemonade_imap.store.values import (
    CHUNK,
    FIRST_MODSEQ,
    INBOX,
    SEPARATOR,
    Counts,
    IncomingMessage,
    NewMessage,
    Scope,
    StoredMailbox,
    StoredMessage,
    Summary,
    mailbox_key,
)

__all__ = [
    "CHUNK",
    "FIRST_MODSEQ",
    "INBOX",
    "SEPARATOR",
    "Counts",
    "IncomingMessage",
    "MailboxExists",
    "MailboxMissing",
    "NewMessage",
    "Scope",
    "Store",
    "StoreBusy",
    "StoreDamaged",
    "StoreError",
    "StoredMailbox",
    "StoredMessage",
    "Summary",
    "mailbox_key",
]


class StoreError(Exception):
    """The store cannot carry out an operation; the error's text may be sent to a client."""


class MailboxExists(StoreError):  # noqa: N818  named after what happened
    """CREATE or RENAME with the name of a mailbox that exists already."""


class MailboxMissing(StoreError):  # noqa: N818  the same
    """The mailbox does not exist, or was deleted."""


class StoreBusy(StoreError):  # noqa: N818  the same
    """Another process uses the data folder and has locked it."""


class StoreDamaged(StoreError):  # noqa: N818  the same
    """The index is missing or damaged; `lemonade-imap fsck` rebuilds it."""


class Store(Protocol):
    """The mailboxes, messages, flags, annotations and URLAUTH keys of all accounts.

    Every change is durable when its call returns. Methods that take a `StoredMailbox` act on the mailbox with that
    `ident`, even if it was renamed since; a mailbox that was deleted has no messages.
    """

    def mailboxes(self, user: str) -> list[str]:
        """Return the names of the user's mailboxes, INBOX first; INBOX always exists."""
        ...

    def mailbox(self, user: str, name: str) -> StoredMailbox | None:
        """Return the user's mailbox of this name, or None. INBOX is made if it does not exist yet."""
        ...

    def create(self, user: str, name: str) -> StoredMailbox:
        """Make a mailbox, but not the mailboxes above it in the hierarchy; raises MailboxExists."""
        ...

    def delete(self, user: str, name: str) -> None:
        """Remove a mailbox with its messages, annotations and key; raises MailboxMissing.

        Mailboxes below it stay (RFC 3501, 6.3.4): the name then remains only as a part of their names. A subscription
        to it stays too (6.3.6).
        """
        ...

    def rename(self, user: str, old: str, new: str) -> None:
        """Rename a mailbox and the mailboxes below it.

        INBOX stays and becomes empty: its messages move to the new mailbox, the mailboxes below it do not (RFC 3501,
        6.3.5). A name that exists only as a part of the names below it can be renamed. A mailbox keeps its UIDs. It
        keeps its UIDVALIDITY too, unless an earlier mailbox of the new name had a greater one: then it gets a new
        UIDVALIDITY. Raises MailboxMissing, MailboxExists or StoreError; then nothing has changed.
        """
        ...

    def subscribe(self, user: str, name: str) -> None:
        """Add a name to the user's list of subscriptions; no mailbox of that name has to exist."""
        ...

    def unsubscribe(self, user: str, name: str) -> None:
        """Remove a name from the user's list of subscriptions; a name that is not in the list is ignored."""
        ...

    def subscriptions(self, user: str) -> list[str]:
        """Return the names in the user's list of subscriptions, INBOX first if it is subscribed."""
        ...

    def uids(self, mailbox: StoredMailbox) -> list[int]:
        """Return the UIDs of the mailbox's messages, ascending."""
        ...

    def summaries(self, mailbox: StoredMailbox, since_modseq: int = 0) -> list[Summary]:
        """Return the messages that changed after a mod-sequence, by ascending UID, without their part indexes.

        Much cheaper than `messages` for a mailbox with many messages.
        """
        ...

    def counts(self, mailbox: StoredMailbox) -> Counts:
        """Return the numbers of messages that STATUS reports."""
        ...

    def messages(self, mailbox: StoredMailbox) -> list[StoredMessage]:
        """Return all messages by ascending UID; this reads the part index of each."""
        ...

    def message(self, mailbox: StoredMailbox, uid: int) -> StoredMessage | None:
        """Return the message with this UID, or None."""
        ...

    def recent(self, mailbox: StoredMailbox) -> frozenset[int]:
        r"""Return the UIDs that no session has claimed as `\Recent` (RFC 3501, 2.3.2)."""
        ...

    def claim_recent(self, mailbox: StoredMailbox) -> frozenset[int]:
        r"""Return the same UIDs as `recent` and claim them: no later session gets them as `\Recent`."""
        ...

    def arrive(self) -> IncomingMessage:
        """Begin to receive a new message; raises StoreError."""
        ...

    def append(self, mailbox: StoredMailbox, arrivals: Sequence[NewMessage]) -> list[StoredMessage]:
        """Add messages to a mailbox in the given order, all or none; raises MailboxMissing or StoreError.

        When it returns, the octets are on the disk. The arrivals cannot be used again, even if it raises.
        """
        ...

    def change_flags(
        self,
        mailbox: StoredMailbox,
        uids: Collection[int],
        mode: str,
        flags: Collection[str],
        unchanged_since: int | None = None,
    ) -> tuple[list[Summary], list[int]]:
        """Add (`+`), remove (`-`) or replace (empty `mode`) flags of messages in one transaction.

        Returns the messages in `uids` after the change, by UID, and the UIDs of messages that had changed after
        `unchanged_since` and were therefore not changed (RFC 7162, 3.1.3). A message whose flags stay the same keeps
        its mod-sequence; UIDs of messages that do not exist are ignored.
        """
        ...

    def copy(self, mailbox: StoredMailbox, uids: Collection[int], target: StoredMailbox) -> list[tuple[int, int]]:
        """Copy messages with their flags and INTERNALDATE into another mailbox, all or none.

        Returns the old and the new UID of each, by ascending old UID; UIDs of messages that do not exist are ignored.
        Raises MailboxMissing if the target does not exist.
        """
        ...

    def move(self, mailbox: StoredMailbox, uids: Collection[int], target: StoredMailbox) -> list[tuple[int, int]]:
        """Copy messages like `copy` and remove them from the mailbox, in one transaction (RFC 6851)."""
        ...

    def expunge(self, mailbox: StoredMailbox, uids: Collection[int]) -> list[int]:
        """Remove messages and return the UIDs of those that existed; other UIDs are ignored."""
        ...

    def read(self, message: StoredMessage, offset: int, length: int) -> Iterator[bytes]:
        """Return `length` octets of a message from `offset` in chunks of at most CHUNK octets.

        The chunks can be read to their end even if the message is expunged meanwhile. Raises StoreError if the message
        was expunged before the call or cannot be read.
        """
        ...

    def with_key(self, user: str, name: str) -> tuple[StoredMailbox, bytes | None] | None:
        """Return a mailbox and its URLAUTH key (None if it has none), or None if there is no such mailbox.

        Takes a single query of the store. Unlike `mailbox` it does not make INBOX.
        """
        ...

    def key(self, mailbox: StoredMailbox) -> bytes | None:
        """Return the mailbox's URLAUTH key for its present UIDVALIDITY, or None if it has none."""
        ...

    def make_key(self, mailbox: StoredMailbox) -> bytes:
        """Return the mailbox's URLAUTH key; make one of 256 random bits if it has none. Raises MailboxMissing."""
        ...

    def reset_keys(self, user: str, name: str | None = None) -> None:
        """Delete the URLAUTH key of one mailbox, or of all the user's mailboxes: their tickets become invalid."""
        ...

    def entries(self, scope: Scope) -> dict[str, bytes]:
        """Return the annotations of a scope as a mapping from name to value; names are equal in any letter case."""
        ...

    def set_entries(self, scope: Scope, entries: Mapping[str, bytes | None]) -> None:
        """Set annotations, and remove those whose value is None, in one transaction; raises MailboxMissing."""
        ...

    def set_entries_of(self, changes: Mapping[Scope, Mapping[str, bytes | None]]) -> None:
        """Set and remove annotations of several scopes in one transaction; raises MailboxMissing."""
        ...

    def close(self) -> None:
        """Close the store and release its data folder."""
        ...


def is_inferior(name: str, superior: str) -> bool:
    """Tell whether `name` is below `superior` in the hierarchy, at any depth."""
    return name.startswith(superior + SEPARATOR)


def sorted_names(names: Collection[str]) -> list[str]:
    """Return the names sorted, INBOX first."""
    return sorted(names, key=lambda name: (name != INBOX, name))


def renamed(present: Collection[str], old: str, new: str) -> dict[str, str]:
    """Return the new name of each mailbox that RENAME of `old` to `new` renames, by its old name.

    RENAME of INBOX does not rename the mailboxes below it. `present`: the names of the user's mailboxes. Raises
    MailboxMissing, MailboxExists, or StoreError for a mailbox that would become a part of itself.
    """
    wanted = {name for name in present if name == old or (old != INBOX and is_inferior(name, old))}
    if not wanted:
        raise MailboxMissing(f"no mailbox {old!r}")
    if old != INBOX and is_inferior(new, old):
        raise StoreError(f"mailbox {old!r} cannot become its own inferior")
    changes = {name: new + name[len(old) :] for name in wanted}
    taken = (set(present) - (wanted - {INBOX})) | {INBOX}
    for name in [new, *changes.values()]:
        if name in taken or name == old:
            raise MailboxExists(f"mailbox {name!r} exists")
    return changes
