"""What is read from the index of messages: summaries kept in memory, part indexes read when they are asked for."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from functools import lru_cache, partial

from lemonade_imap.mail.mime import Part
from lemonade_imap.store.base import Counts, Mailbox, Message, StoreError, Summary
from lemonade_imap.store.files import chunks_of
from lemonade_imap.store.index_json import from_json
from lemonade_imap.store.mailbox_files import MailboxFiles
from lemonade_imap.store.sqlite_names import SqliteNames

_SUMMARY = "SELECT uid, flags, modseq, received, size FROM message WHERE mailbox = ? ORDER BY uid"
_MESSAGE = """SELECT message.ident, uid, flags, received, size, modseq, content, parts
    FROM message JOIN content ON content.ident = content WHERE mailbox = ?"""
_RECENT = "SELECT uid FROM message JOIN mailbox ON mailbox.ident = mailbox WHERE mailbox = ? AND uid >= recent_from"
_COUNTS = r"""SELECT count(*), ifnull(sum(uid >= recent_from), 0), ifnull(sum(instr(flags, ' \Seen ') = 0), 0),
    ifnull(sum(instr(flags, ' \Deleted ') > 0), 0), ifnull(sum(size), 0)
    FROM message JOIN mailbox ON mailbox.ident = mailbox WHERE mailbox = ?"""
_REMEMBERED = 250_000
"""Summaries kept in memory, of the mailboxes used last; about 200 octets each."""


class SqliteReading(SqliteNames):
    """Reads messages."""

    def __init__(self, db: sqlite3.Connection, files: MailboxFiles, clock: Callable[[], float]) -> None:
        super().__init__(db, files, clock)
        self._remembered: OrderedDict[int, dict[int, Summary]] = OrderedDict()
        self._root = lru_cache(maxsize=1024)(_read_root)

    def _known(self, mailbox: Mailbox) -> dict[int, Summary]:
        """Return a mailbox's summaries by UID, in their order; whoever changes one calls `_changing` first."""
        ident = mailbox.ident
        if ident in self._remembered:
            self._remembered.move_to_end(ident)
            return self._remembered[ident]
        known = {row[0]: _summary(row) for row in self._db.execute(_SUMMARY, (ident,))}
        self._remembered[ident] = known
        total = sum(map(len, self._remembered.values()))
        while total > _REMEMBERED and len(self._remembered) > 1:
            total -= len(self._remembered.popitem(last=False)[1])
        return known

    def _changing(self, mailbox: Mailbox) -> dict[int, Summary]:
        """Return the summaries to be changed; they are read anew if the transaction under way is rolled back."""
        self.transactions.when_rolled_back(partial(self._forget, mailbox))
        return self._known(mailbox)

    def _forget(self, mailbox: Mailbox) -> None:
        self._remembered.pop(mailbox.ident, None)

    def uids(self, mailbox: Mailbox) -> list[int]:
        """Return the UIDs in their order."""
        return list(self._known(mailbox))

    def summaries(self, mailbox: Mailbox, since_modseq: int = 0) -> list[Summary]:
        """Return what changed after a mod-sequence."""
        known = self._known(mailbox).values()
        return [summary for summary in known if summary.modseq > since_modseq] if since_modseq else list(known)

    def counts(self, mailbox: Mailbox) -> Counts:
        """Return how many messages there are."""
        return Counts(*self._db.execute(_COUNTS, (mailbox.ident,)).fetchone())

    def messages(self, mailbox: Mailbox) -> list[Message]:
        """Return the messages by UID."""
        rows = self._db.execute(f"{_MESSAGE} ORDER BY uid", (mailbox.ident,))
        return [self._message(row) for row in rows]

    def message(self, mailbox: Mailbox, uid: int) -> Message | None:
        """Return one message or None."""
        row = self._db.execute(f"{_MESSAGE} AND uid = ?", (mailbox.ident, uid)).fetchone()
        return None if row is None else self._message(row)

    def _message(self, row: tuple[int, int, str, str, int, int, int, str]) -> Message:
        ident, uid, flags, received, size, modseq, content, parts = row
        root = self._root(content, parts)
        return Message(ident, uid, flags_in(flags), datetime.fromisoformat(received), size, root, modseq)

    def recent(self, mailbox: Mailbox) -> frozenset[int]:
        r"""Return the UIDs not claimed as `\Recent`."""
        return frozenset(uid for (uid,) in self._db.execute(_RECENT, (mailbox.ident,)))

    def claim_recent(self, mailbox: Mailbox) -> frozenset[int]:
        """Claim them."""
        claimed = self.recent(mailbox)
        if claimed:
            with self.transactions.write():
                self._db.execute("UPDATE mailbox SET recent_from = uid_next WHERE ident = ?", (mailbox.ident,))
        return claimed

    def read(self, message: Message, offset: int, length: int) -> Iterator[bytes]:
        """Return the octets in chunks; raises StoreError where the message is gone.

        The file is opened now: an open file outlives its name.
        """
        row = self._db.execute("SELECT mailbox, uid FROM message WHERE ident = ?", (message.ident,)).fetchone()
        if row is None:
            raise StoreError("the message is gone")
        try:
            file = self._files.path(*row).open("rb")
        except OSError as problem:
            raise StoreError(f"cannot read the message: {problem.strerror}") from problem
        return chunks_of(file, offset, length)


def _summary(row: tuple[int, str, int, str, int]) -> Summary:
    uid, flags, modseq, received, size = row
    return Summary(uid, flags_in(flags), modseq, datetime.fromisoformat(received), size)


def _read_root(_content: int, parts: str) -> Part:
    return from_json(parts)


@lru_cache(maxsize=1024)
def flags_in(text: str) -> frozenset[str]:
    """Read flags as `written_flags` writes them."""
    return frozenset(text.split())


def written_flags(flags: Collection[str]) -> str:
    """Write flags so that each stands between blanks."""
    return f" {' '.join(sorted(flags))} "
