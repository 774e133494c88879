"""The mailboxes of the store on disk, with their URLAUTH keys: rows of the table `mailbox` and folders of files."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial

from lemonade_imap.store.base import (
    INBOX,
    MailboxExists,
    MailboxMissing,
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


class SqliteMailboxes:
    """Mailboxes and keys in SQLite, without the messages; methods without details are described in `base.Store`.

    `clock`: seconds since 1970, from which a UIDVALIDITY is made.
    """

    def __init__(
        self, db: sqlite3.Connection, files: MailboxFiles, transactions: Transactions, clock: Callable[[], float]
    ) -> None:
        self._db = db
        self._files = files
        self._transactions = transactions
        self._clock = clock

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

    def present(self, mailbox: StoredMailbox) -> StoredMailbox:
        """Return the mailbox's values as they are now; raises MailboxMissing."""
        row = self._db.execute(f"{_MAILBOX} WHERE ident = ?", (mailbox.ident,)).fetchone()
        if row is None:
            raise MailboxMissing(f"no mailbox {mailbox.name!r}")
        return StoredMailbox(*row)

    def create(self, user: str, name: str) -> StoredMailbox:
        """Make a mailbox; raises MailboxExists."""
        name = mailbox_key(name)
        with self._transactions.write():
            validity = self._next_validity()
            try:
                made = self._db.execute(
                    "INSERT INTO mailbox (user, name, uid_validity) VALUES (?, ?, ?)", (user, name, validity)
                )
            except sqlite3.IntegrityError:
                raise MailboxExists(f"mailbox {name!r} exists") from None
            mailbox = StoredMailbox(made.lastrowid or 0, user, name, validity, 1)
            self._transactions.when_rolled_back(partial(self._files.remove, mailbox.ident))
            self._files.make(mailbox.ident)
            self.describe(mailbox)
        return mailbox

    def _next_validity(self) -> int:
        # No UIDVALIDITY is used twice, even if the clock goes back (RFC 3501, 2.3.1.1).
        (last,) = self._db.execute("SELECT ifnull(max(value), 0) FROM counter WHERE name = 'validity'").fetchone()
        validity = max(last + 1, int(self._clock()) & 0x7FFFFFFF)
        self._db.execute("REPLACE INTO counter VALUES ('validity', ?)", (validity,))
        return int(validity)

    def describe(self, mailbox: StoredMailbox) -> None:
        """Bring the mailbox's `mailbox.json` up to date with the index."""
        self._files.describe(self.present(mailbox), self.key(mailbox))

    def remove(self, mailbox: StoredMailbox) -> None:
        """Remove an empty mailbox within a transaction, and its folder after the commit."""
        self._db.execute(_LEAVE, (mailbox.ident,))
        self._db.execute("DELETE FROM mailbox WHERE ident = ?", (mailbox.ident,))
        self._transactions.when_committed(partial(self._files.remove, mailbox.ident))

    def rename(self, user: str, old: str, new: str) -> None:
        """Rename a mailbox other than INBOX, and those below it; raises MailboxMissing, MailboxExists or StoreError."""
        with self._transactions.write():
            changes = renamed(self.mailboxes(user), old, new)
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
        self._transactions.when_committed(partial(self.describe, mailbox))

    def take_uids(self, mailbox: StoredMailbox, count: int) -> tuple[int, int]:
        """Reserve `count` new UIDs; returns the first of them and the mod-sequence of this change."""
        present = self.present(mailbox)
        modseq = self.raise_modseq(mailbox) if count else present.highest_modseq
        self._db.execute("UPDATE mailbox SET uid_next = uid_next + ? WHERE ident = ?", (count, mailbox.ident))
        self.describe(mailbox)
        return present.uid_next, modseq

    def raise_modseq(self, mailbox: StoredMailbox) -> int:
        """Raise the mailbox's highest mod-sequence by one, and return it."""
        rows = self._db.execute(
            "UPDATE mailbox SET highest_modseq = highest_modseq + 1 WHERE ident = ? RETURNING highest_modseq",
            (mailbox.ident,),
        )
        return int(rows.fetchall()[0][0])

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
            with self._transactions.write():
                self.present(mailbox)
                self._db.execute("UPDATE mailbox SET key = ? WHERE ident = ?", (key, mailbox.ident))
                self._describe_later(mailbox)
        return key

    def reset_keys(self, user: str, name: str | None = None) -> None:
        """Delete the URLAUTH key of one mailbox, or of all the user's mailboxes."""
        with self._transactions.write():
            rows = self._db.execute(f"{_MAILBOX} WHERE user = ? AND name = ifnull(?, name)", (user, name)).fetchall()
            for mailbox in (StoredMailbox(*row) for row in rows):
                self._db.execute("UPDATE mailbox SET key = NULL WHERE ident = ?", (mailbox.ident,))
                self._describe_later(mailbox)
