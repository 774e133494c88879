"""The annotations of the store on disk (RFC 5464), and each user's list of subscriptions (RFC 3501, 6.3.6)."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from lemonade_imap.store.base import Scope, StoredMailbox, mailbox_key, sorted_names
from lemonade_imap.store.sqlite_mailboxes import SqliteMailboxes
from lemonade_imap.store.transactions import Transactions


class SqliteAnnotations:
    """Annotations of the server and of mailboxes in SQLite; the methods are described in `base.Store`."""

    def __init__(self, db: sqlite3.Connection, transactions: Transactions, mailboxes: SqliteMailboxes) -> None:
        self._db = db
        self._transactions = transactions
        self._mailboxes = mailboxes

    def entries(self, scope: Scope) -> dict[str, bytes]:
        """Return the annotations of a scope as a mapping from name to value."""
        rows = self._db.execute(
            "SELECT name, value FROM annotation WHERE mailbox = ? AND user = ? ORDER BY key", _at(scope)
        )
        return dict(rows.fetchall())

    def set_entries(self, scope: Scope, entries: Mapping[str, bytes | None]) -> None:
        """Set and remove annotations of one scope; raises MailboxMissing."""
        with self._transactions.write():
            if scope.mailbox:
                self._mailboxes.present(scope.mailbox)
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
        with self._transactions.write():
            for scope, entries in changes.items():
                self.set_entries(scope, entries)

    def remove(self, mailbox: StoredMailbox) -> None:
        """Remove all annotations of a mailbox, within a transaction."""
        self._db.execute("DELETE FROM annotation WHERE mailbox = ?", (mailbox.ident,))


class SqliteSubscriptions:
    """Lists of subscriptions in SQLite; the methods are described in `base.Store`."""

    def __init__(self, db: sqlite3.Connection, transactions: Transactions) -> None:
        self._db = db
        self._transactions = transactions

    def subscribe(self, user: str, name: str) -> None:
        """Add a name to the user's list of subscriptions."""
        with self._transactions.write():
            self._db.execute("INSERT OR IGNORE INTO subscription VALUES (?, ?)", (user, mailbox_key(name)))

    def unsubscribe(self, user: str, name: str) -> None:
        """Remove a name from the user's list of subscriptions."""
        with self._transactions.write():
            self._db.execute("DELETE FROM subscription WHERE user = ? AND name = ?", (user, mailbox_key(name)))

    def subscriptions(self, user: str) -> list[str]:
        """Return the names in the user's list of subscriptions."""
        return sorted_names(
            [name for (name,) in self._db.execute("SELECT name FROM subscription WHERE user = ?", (user,))]
        )


def _at(scope: Scope) -> tuple[int, str]:
    return scope.mailbox.ident if scope.mailbox else 0, scope.user or ""
