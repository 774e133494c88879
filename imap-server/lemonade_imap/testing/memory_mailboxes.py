"""The parts of the store in memory that do not concern messages: mailboxes with keys, annotations, subscriptions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lemonade_imap.store.base import (
    FIRST_MODSEQ,
    INBOX,
    MailboxExists,
    MailboxMissing,
    Scope,
    StoredMailbox,
    StoredMessage,
    mailbox_key,
    renamed,
    sorted_names,
)
from lemonade_imap.urlauth import new_key


@dataclass
class Box:
    r"""A mailbox with its messages; `recent_from` is the first UID that no session has claimed as `\Recent`."""

    ident: int
    user: str
    name: str
    uid_validity: int
    uid_next: int = 1
    highest_modseq: int = FIRST_MODSEQ
    recent_from: int = 1
    key: bytes | None = None
    messages: dict[int, StoredMessage] = field(default_factory=dict)

    def value(self) -> StoredMailbox:
        """Return the mailbox's present values."""
        return StoredMailbox(self.ident, self.user, self.name, self.uid_validity, self.uid_next, self.highest_modseq)


class MemoryMailboxes:
    """Mailboxes and keys in dictionaries; methods without details are described in `base.Store`."""

    def __init__(self) -> None:
        self.boxes: dict[int, Box] = {}
        self._past: dict[tuple[str, str], int] = {}
        self._last = 0
        self._validity = 0

    def next_ident(self) -> int:
        """Return a number that no mailbox and no message has had."""
        self._last += 1
        return self._last

    def _next_validity(self) -> int:
        self._validity += 1
        return self._validity

    def _find(self, user: str, name: str) -> Box | None:
        return next((box for box in self.boxes.values() if (box.user, box.name) == (user, name)), None)

    def present(self, mailbox: StoredMailbox) -> Box:
        """Return the mailbox as it is now; raises MailboxMissing."""
        box = self.boxes.get(mailbox.ident)
        if box is None:
            raise MailboxMissing(f"no mailbox {mailbox.name!r}")
        return box

    def mailboxes(self, user: str) -> list[str]:
        """Return the names of the user's mailboxes, INBOX first."""
        return sorted_names({INBOX, *(box.name for box in self.boxes.values() if box.user == user)})

    def mailbox(self, user: str, name: str) -> StoredMailbox | None:
        """Return the mailbox or None; INBOX is made if it does not exist yet."""
        name = mailbox_key(name)
        box = self._find(user, name)
        if box is None:
            return self.create(user, name) if name == INBOX else None
        return box.value()

    def create(self, user: str, name: str) -> StoredMailbox:
        """Make a mailbox; raises MailboxExists."""
        name = mailbox_key(name)
        if self._find(user, name):
            raise MailboxExists(f"mailbox {name!r} exists")
        ident = self.next_ident()
        self.boxes[ident] = Box(ident, user, name, self._next_validity())
        return self.boxes[ident].value()

    def remove(self, mailbox: StoredMailbox) -> None:
        """Remove an empty mailbox."""
        self._leave_name(self.boxes.pop(mailbox.ident))

    def _leave_name(self, box: Box) -> None:
        past = self._past.get((box.user, box.name), 0)
        self._past[box.user, box.name] = max(past, box.uid_validity)

    def rename(self, user: str, old: str, new: str) -> None:
        """Rename a mailbox other than INBOX, and those below it; raises MailboxMissing, MailboxExists or StoreError."""
        changes = renamed(self.mailboxes(user), old, new)
        boxes = [box for box in self.boxes.values() if box.user == user and box.name in changes]
        for box in boxes:
            self._leave_name(box)
        for box in boxes:
            box.name = changes[box.name]
            if self._past.get((user, box.name), 0) > box.uid_validity:
                box.uid_validity = self._next_validity()
                box.key = None

    def with_key(self, user: str, name: str) -> tuple[StoredMailbox, bytes | None] | None:
        """Return a mailbox and its URLAUTH key, or None."""
        box = self._find(user, mailbox_key(name))
        return None if box is None else (box.value(), box.key)

    def key(self, mailbox: StoredMailbox) -> bytes | None:
        """Return the mailbox's URLAUTH key or None."""
        box = self.boxes.get(mailbox.ident)
        return box.key if box else None

    def make_key(self, mailbox: StoredMailbox) -> bytes:
        """Return the mailbox's URLAUTH key; make one if it has none. Raises MailboxMissing."""
        box = self.present(mailbox)
        box.key = box.key or new_key()
        return box.key

    def reset_keys(self, user: str, name: str | None = None) -> None:
        """Delete the URLAUTH key of one mailbox, or of all the user's mailboxes."""
        for box in self.boxes.values():
            if box.user == user and name in {None, box.name}:
                box.key = None


class MemoryAnnotations:
    """Annotations of the server and of mailboxes in dictionaries; the methods are described in `base.Store`."""

    def __init__(self, mailboxes: MemoryMailboxes) -> None:
        self._mailboxes = mailboxes
        self._entries: dict[tuple[str | None, int | None], dict[str, tuple[str, bytes]]] = {}

    def entries(self, scope: Scope) -> dict[str, bytes]:
        """Return the annotations of a scope as a mapping from name to value."""
        kept = self._entries.get(self._scope(scope), {})
        return {name: value for _, (name, value) in sorted(kept.items())}

    def set_entries(self, scope: Scope, entries: Mapping[str, bytes | None]) -> None:
        """Set and remove annotations of one scope; raises MailboxMissing."""
        if scope.mailbox:
            self._mailboxes.present(scope.mailbox)
        kept = self._entries.setdefault(self._scope(scope), {})
        for name, value in entries.items():
            if value is None:
                kept.pop(name.lower(), None)
            else:
                kept[name.lower()] = (name, value)

    def set_entries_of(self, changes: Mapping[Scope, Mapping[str, bytes | None]]) -> None:
        """Set and remove annotations of several scopes; raises MailboxMissing."""
        for scope in changes:
            if scope.mailbox:
                self._mailboxes.present(scope.mailbox)
        for scope, entries in changes.items():
            self.set_entries(scope, entries)

    def remove(self, mailbox: StoredMailbox) -> None:
        """Remove all annotations of a mailbox."""
        for scope in [scope for scope in self._entries if scope[1] == mailbox.ident]:
            del self._entries[scope]

    @staticmethod
    def _scope(scope: Scope) -> tuple[str | None, int | None]:
        return scope.user, scope.mailbox.ident if scope.mailbox else None


class MemorySubscriptions:
    """Lists of subscriptions in sets; the methods are described in `base.Store`."""

    def __init__(self) -> None:
        self._subscribed: dict[str, set[str]] = {}

    def subscribe(self, user: str, name: str) -> None:
        """Add a name to the user's list of subscriptions."""
        self._subscribed.setdefault(user, set()).add(mailbox_key(name))

    def unsubscribe(self, user: str, name: str) -> None:
        """Remove a name from the user's list of subscriptions."""
        self._subscribed.get(user, set()).discard(mailbox_key(name))

    def subscriptions(self, user: str) -> list[str]:
        """Return the names in the user's list of subscriptions."""
        return sorted_names(self._subscribed.get(user, set()))
