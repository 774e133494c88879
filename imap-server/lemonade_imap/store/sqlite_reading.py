"""Reads messages from the SQLite index: it keeps summaries in memory and reads part indexes when they are needed."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Collection, Iterator
from datetime import datetime
from functools import lru_cache, partial

from lemonade_imap.mail.mime import MimePart
from lemonade_imap.store.base import Counts, StoredMailbox, StoredMessage, StoreError, Summary
from lemonade_imap.store.index_json import from_json
from lemonade_imap.store.mailbox_files import MailboxFiles, chunks_of
from lemonade_imap.store.transactions import Transactions

_SUMMARY = "SELECT uid, flags, modseq, received, size FROM message WHERE mailbox = ? ORDER BY uid"
_MESSAGE = """SELECT message.ident, uid, flags, received, size, modseq, content, parts
    FROM message JOIN content ON content.ident = content WHERE mailbox = ?"""
_RECENT = "SELECT uid FROM message JOIN mailbox ON mailbox.ident = mailbox WHERE mailbox = ? AND uid >= recent_from"
_COUNTS = r"""SELECT count(*), ifnull(sum(uid >= recent_from), 0), ifnull(sum(instr(flags, ' \Seen ') = 0), 0)
    FROM message JOIN mailbox ON mailbox.ident = mailbox WHERE mailbox = ?"""
_MOST_CACHED = 250_000
"""Number of summaries kept in memory, of the mailboxes used last; about 200 octets each."""


class SqliteReader:
    """Reads messages of the store on disk; methods without details are described in `base.Store`."""

    def __init__(self, db: sqlite3.Connection, files: MailboxFiles, transactions: Transactions) -> None:
        self._db = db
        self._files = files
        self._transactions = transactions
        self._cached: OrderedDict[int, dict[int, Summary]] = OrderedDict()
        self._root = lru_cache(maxsize=1024)(_read_root)

    def known(self, mailbox: StoredMailbox) -> dict[int, Summary]:
        """Return a mailbox's summaries by ascending UID; to change them, call `known_for_change` instead."""
        ident = mailbox.ident
        if ident in self._cached:
            self._cached.move_to_end(ident)
            return self._cached[ident]
        known = {row[0]: _summary(row) for row in self._db.execute(_SUMMARY, (ident,))}
        self._cached[ident] = known
        total = sum(map(len, self._cached.values()))
        while total > _MOST_CACHED and len(self._cached) > 1:
            total -= len(self._cached.popitem(last=False)[1])
        return known

    def known_for_change(self, mailbox: StoredMailbox) -> dict[int, Summary]:
        """Return the summaries for a change within a transaction; if it is rolled back, they are read again."""
        self._transactions.when_rolled_back(partial(self.forget, mailbox))
        return self.known(mailbox)

    def forget(self, mailbox: StoredMailbox) -> None:
        """Drop the summaries of a mailbox from memory; they are read again when they are needed."""
        self._cached.pop(mailbox.ident, None)

    def uids(self, mailbox: StoredMailbox) -> list[int]:
        """Return the UIDs, ascending."""
        return list(self.known(mailbox))

    def summaries(self, mailbox: StoredMailbox, since_modseq: int = 0) -> list[Summary]:
        """Return the messages that changed after a mod-sequence, without their part indexes."""
        known = self.known(mailbox).values()
        return [summary for summary in known if summary.modseq > since_modseq] if since_modseq else list(known)

    def counts(self, mailbox: StoredMailbox) -> Counts:
        """Return the numbers of messages that STATUS reports."""
        return Counts(*self._db.execute(_COUNTS, (mailbox.ident,)).fetchone())

    def messages(self, mailbox: StoredMailbox) -> list[StoredMessage]:
        """Return all messages by ascending UID."""
        rows = self._db.execute(f"{_MESSAGE} ORDER BY uid", (mailbox.ident,))
        return [self._message(row) for row in rows]

    def message(self, mailbox: StoredMailbox, uid: int) -> StoredMessage | None:
        """Return the message with this UID, or None."""
        row = self._db.execute(f"{_MESSAGE} AND uid = ?", (mailbox.ident, uid)).fetchone()
        return None if row is None else self._message(row)

    def _message(self, row: tuple[int, int, str, str, int, int, int, str]) -> StoredMessage:
        ident, uid, flags, received, size, modseq, content, parts = row
        root = self._root(content, parts)
        return StoredMessage(ident, uid, flags_in(flags), datetime.fromisoformat(received), size, root, modseq)

    def recent(self, mailbox: StoredMailbox) -> frozenset[int]:
        r"""Return the UIDs that no session has claimed as `\Recent`."""
        return frozenset(uid for (uid,) in self._db.execute(_RECENT, (mailbox.ident,)))

    def claim_recent(self, mailbox: StoredMailbox) -> frozenset[int]:
        r"""Return the UIDs that no session has claimed as `\Recent`, and claim them."""
        claimed = self.recent(mailbox)
        if claimed:
            with self._transactions.write():
                self._db.execute("UPDATE mailbox SET recent_from = uid_next WHERE ident = ?", (mailbox.ident,))
        return claimed

    def read(self, message: StoredMessage, offset: int, length: int) -> Iterator[bytes]:
        """Return octets of a message in chunks; raises StoreError if the message was expunged or cannot be read.

        The file is opened before the method returns: an open file can be read after it was removed.
        """
        row = self._db.execute("SELECT mailbox, uid FROM message WHERE ident = ?", (message.ident,)).fetchone()
        if row is None:
            raise StoreError("the message was expunged")
        try:
            file = self._files.path(*row).open("rb")
        except OSError as problem:
            raise StoreError(f"cannot read the message: {problem.strerror}") from problem
        return chunks_of(file, offset, length)


def _summary(row: tuple[int, str, int, str, int]) -> Summary:
    uid, flags, modseq, received, size = row
    return Summary(uid, flags_in(flags), modseq, datetime.fromisoformat(received), size)


def _read_root(_content: int, parts: str) -> MimePart:
    return from_json(parts)


@lru_cache(maxsize=1024)
def flags_in(text: str) -> frozenset[str]:
    """Return the flags in a text that `written_flags` wrote."""
    return frozenset(text.split())


def written_flags(flags: Collection[str]) -> str:
    """Return flags as text in which each has a blank on both sides, so that SQL can search for one."""
    return f" {' '.join(sorted(flags))} "
