"""The part of the store on disk that does not concern messages: mailboxes, subscriptions, annotations and keys."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial

from lemonade_imap.store.base import (
    INBOX,
    MailboxExists,
    MailboxMissing,
    Scope,
    StoredMailbox,
    mailbox_key,
    renamed,
    sorted_names,
)
from lemonade_imap.store.mailbox_files import MailboxFiles
from lemonade_imap.store.transactions import Transactions
from lemonade_imap.urlauth import new_key

_MAILBOX = "SELECT ident, user, name, uid_validity, uid_next, highest_modseq FROM mailbox"
_MAILBOX_AND_KEY = _MAILBOX.replace(" FROM", ", key FROM") + " WHERE user = ? AND name = ?"
_LEAVE = """INSERT INTO past SELECT user, name, uid_validity FROM mailbox WHERE ident = ?
    ON CONFLICT DO UPDATE SET uid_validity = max(uid_validity, excluded.uid_validity)"""


class SqliteNames(ABC):
    """Mailboxes, subscriptions, annotations and keys in SQLite; the methods are described in `base.Store`."""

    def __init__(self, db: sqlite3.Connection, files: MailboxFiles, clock: Callable[[], float]) -> None:
        self._db = db
        self._files = files
        self._clock = clock
        self.transactions = Transactions(db)

    def mailboxes(self, user: str) -> list[str]:
        """Return the names of the user's mailboxes, INBOX first."""
        rows = self._db.execute("SELECT name FROM mailbox WHERE user = ?", (user,))
        return sorted_names({INBOX, *(name for (name,) in rows)})

    def mailbox(self, user: str, name: str) -> StoredMailbox | None:
        """Return the mailbox or None; INBOX is made if it does not exist yet."""
        name = mailbox_key(name)
        row = self._db.execute(f"{_MAILBOX} WHERE user = ? AND name = ?", (user, name)).fetchone()
        if row is None:
            return self.create(user, name) if name == INBOX else None
        return StoredMailbox(*row)

    def _present(self, mailbox: StoredMailbox) -> StoredMailbox:
        row = self._db.execute(f"{_MAILBOX} WHERE ident = ?", (mailbox.ident,)).fetchone()
        if row is None:
            raise MailboxMissing(f"no mailbox {mailbox.name!r}")
        return StoredMailbox(*row)

    def create(self, user: str, name: str) -> StoredMailbox:
        """Make a mailbox; raises MailboxExists."""
        name = mailbox_key(name)
        with self.transactions.write():
            validity = self._next_validity()
            try:
                made = self._db.execute(
                    "INSERT INTO mailbox (user, name, uid_validity) VALUES (?, ?, ?)", (user, name, validity)
                )
            except sqlite3.IntegrityError:
                raise MailboxExists(f"mailbox {name!r} exists") from None
            mailbox = StoredMailbox(made.lastrowid or 0, user, name, validity, 1)
            self.transactions.when_rolled_back(partial(self._files.remove, mailbox.ident))
            self._files.make(mailbox.ident)
            self._describe(mailbox)
        return mailbox

    def _next_validity(self) -> int:
        # No UIDVALIDITY is used twice, even if the clock goes back (RFC 3501, 2.3.1.1).
        (last,) = self._db.execute("SELECT ifnull(max(value), 0) FROM counter WHERE name = 'validity'").fetchone()
        validity = max(last + 1, int(self._clock()) & 0x7FFFFFFF)
        self._db.execute("REPLACE INTO counter VALUES ('validity', ?)", (validity,))
        return int(validity)

    def _describe(self, mailbox: StoredMailbox) -> None:
        """Bring the mailbox's `mailbox.json` up to date with the index."""
        self._files.describe(self._present(mailbox), self.key(mailbox))

    def delete(self, user: str, name: str) -> None:
        """Remove a mailbox; raises MailboxMissing."""
        with self.transactions.write():
            mailbox = self.mailbox(user, name)
            if mailbox is None:
                raise MailboxMissing(f"no mailbox {name!r}")
            self._empty(mailbox)
            self._db.execute(_LEAVE, (mailbox.ident,))
            self._db.execute("DELETE FROM annotation WHERE mailbox = ?", (mailbox.ident,))
            self._db.execute("DELETE FROM mailbox WHERE ident = ?", (mailbox.ident,))
            self.transactions.when_committed(partial(self._files.remove, mailbox.ident))

    @abstractmethod
    def _empty(self, mailbox: StoredMailbox) -> None:
        """Remove all messages of a mailbox from the index."""

    def rename(self, user: str, old: str, new: str) -> None:
        """Rename a mailbox and those below it; for INBOX, move its messages. Raises MailboxMissing or MailboxExists."""
        old, new = mailbox_key(old), mailbox_key(new)
        with self.transactions.write():
            changes = renamed(self.mailboxes(user), old, new)
            if old == INBOX:
                self._empty_inbox(user, new)
                return
            rows = self._db.execute(f"{_MAILBOX} WHERE user = ?", (user,)).fetchall()
            mailboxes = [mailbox for mailbox in (StoredMailbox(*row) for row in rows) if mailbox.name in changes]
            for mailbox in mailboxes:
                self._db.execute(_LEAVE, (mailbox.ident,))
                # A new name may be another mailbox's old one; interim names keep each name unique during the change.
                self._db.execute("UPDATE mailbox SET name = '/' || ident WHERE ident = ?", (mailbox.ident,))
            for mailbox in mailboxes:
                self._rename(mailbox, changes[mailbox.name])

    def _rename(self, mailbox: StoredMailbox, name: str) -> None:
        self._db.execute("UPDATE mailbox SET name = ? WHERE ident = ?", (name, mailbox.ident))
        past = self._db.execute("SELECT uid_validity FROM past WHERE user = ? AND name = ?", (mailbox.user, name))
        if (row := past.fetchone()) and row[0] > mailbox.uid_validity:
            self._db.execute(
                "UPDATE mailbox SET uid_validity = ?, key = NULL WHERE ident = ?",
                (self._next_validity(), mailbox.ident),
            )
        self._describe_later(mailbox)

    def _describe_later(self, mailbox: StoredMailbox) -> None:
        self.transactions.when_committed(partial(self._describe, mailbox))

    @abstractmethod
    def _empty_inbox(self, user: str, new: str) -> None:
        """Make the mailbox `new` and move the messages of INBOX into it."""

    def subscribe(self, user: str, name: str) -> None:
        """Add a name to the user's list of subscriptions."""
        with self.transactions.write():
            self._db.execute("INSERT OR IGNORE INTO subscription VALUES (?, ?)", (user, mailbox_key(name)))

    def unsubscribe(self, user: str, name: str) -> None:
        """Remove a name from the user's list of subscriptions."""
        with self.transactions.write():
            self._db.execute("DELETE FROM subscription WHERE user = ? AND name = ?", (user, mailbox_key(name)))

    def subscriptions(self, user: str) -> list[str]:
        """Return the names in the user's list of subscriptions."""
        return sorted_names(
            [name for (name,) in self._db.execute("SELECT name FROM subscription WHERE user = ?", (user,))]
        )

    def with_key(self, user: str, name: str) -> tuple[StoredMailbox, bytes | None] | None:
        """Return a mailbox and its URLAUTH key, or None."""
        row = self._db.execute(_MAILBOX_AND_KEY, (user, mailbox_key(name))).fetchone()
        return None if row is None else (StoredMailbox(*row[:-1]), row[-1])

    def key(self, mailbox: StoredMailbox) -> bytes | None:
        """Return the mailbox's URLAUTH key or None."""
        row = self._db.execute("SELECT key FROM mailbox WHERE ident = ?", (mailbox.ident,)).fetchone()
        return row[0] if row else None

    def make_key(self, mailbox: StoredMailbox) -> bytes:
        """Return the mailbox's URLAUTH key; make one if it has none. Raises MailboxMissing."""
        key = self.key(mailbox)
        if key is None:
            key = new_key()
            with self.transactions.write():
                self._present(mailbox)
                self._db.execute("UPDATE mailbox SET key = ? WHERE ident = ?", (key, mailbox.ident))
                self._describe_later(mailbox)
        return key

    def reset_keys(self, user: str, name: str | None = None) -> None:
        """Delete the URLAUTH key of one mailbox, or of all the user's mailboxes."""
        with self.transactions.write():
            rows = self._db.execute(f"{_MAILBOX} WHERE user = ? AND name = ifnull(?, name)", (user, name)).fetchall()
            for mailbox in (StoredMailbox(*row) for row in rows):
                self._db.execute("UPDATE mailbox SET key = NULL WHERE ident = ?", (mailbox.ident,))
                self._describe_later(mailbox)

    def entries(self, scope: Scope) -> dict[str, bytes]:
        """Return the annotations of a scope as a mapping from name to value."""
        rows = self._db.execute(
            "SELECT name, value FROM annotation WHERE mailbox = ? AND user = ? ORDER BY key", _at(scope)
        )
        return dict(rows.fetchall())

    def set_entries(self, scope: Scope, entries: Mapping[str, bytes | None]) -> None:
        """Set and remove annotations of one scope; raises MailboxMissing."""
        with self.transactions.write():
            if scope.mailbox:
                self._present(scope.mailbox)
            for name, value in entries.items():
                if value is None:
                    self._db.execute(
                        "DELETE FROM annotation WHERE mailbox = ? AND user = ? AND key = ?", (*_at(scope), name.lower())
                    )
                else:
                    self._db.execute(
                        "REPLACE INTO annotation (mailbox, user, key, name, value) VALUES (?, ?, ?, ?, ?)",
                        (*_at(scope), name.lower(), name, value),
                    )

    def set_entries_of(self, changes: Mapping[Scope, Mapping[str, bytes | None]]) -> None:
        """Set and remove annotations of several scopes; raises MailboxMissing."""
        with self.transactions.write():
            for scope, entries in changes.items():
                self.set_entries(scope, entries)


def _at(scope: Scope) -> tuple[int, str]:
    return scope.mailbox.ident if scope.mailbox else 0, scope.user or ""
