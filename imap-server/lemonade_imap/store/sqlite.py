"""The store on disk: an SQLite database for the index, flags, keys and UIDs, and one file for each message.

A change survives `kill -9` and a loss of power once its call has returned: SQLite runs in WAL mode with
`synchronous=FULL`. A message's file is written under a temporary name, synced and renamed, and its folder is synced,
before its row is committed. A file without a row, which a crash leaves, belongs to a call that never returned; the
next start removes it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from pathlib import Path

from lemonade_imap.store.base import (
    INBOX,
    MailboxMissing,
    NewMessage,
    StoredMailbox,
    StoredMessage,
    StoreError,
    Summary,
    mailbox_key,
    renamed,
)
from lemonade_imap.store.index_json import to_json
from lemonade_imap.store.mailbox_files import FileArrival, Logged, link_or_copy
from lemonade_imap.store.opening import open_folder
from lemonade_imap.store.sqlite_annotations import SqliteAnnotations, SqliteSubscriptions
from lemonade_imap.store.sqlite_mailboxes import SqliteMailboxes
from lemonade_imap.store.sqlite_reading import SqliteReader, written_flags
from lemonade_imap.store.transactions import Transactions
from lemonade_imap.store.values import changed_flags

_INSERT = "INSERT INTO message (mailbox, uid, flags, received, size, modseq, content) VALUES (?, ?, ?, ?, ?, ?, ?)"
_COPY = """INSERT INTO message (mailbox, uid, flags, received, size, modseq, content)
    SELECT ?, ?, flags, received, size, ?, content FROM message WHERE mailbox = ? AND uid = ?"""
_UNUSED = "DELETE FROM content WHERE ident = ?1 AND NOT EXISTS (SELECT 1 FROM message WHERE content = ?1)"


class SqliteStore:
    """A `Store` in one data folder; the methods are described in `base.Store`.

    It writes messages, and holds parts for mailboxes, annotations, subscriptions and reading. A method of the contract
    that one part carries out alone is the part's own. Raises StoreBusy if another process uses the folder, StoreDamaged
    if its index is missing or damaged, StoreError if it cannot be used.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._lock, self._db, self._files = open_folder(folder)
        self.transactions = Transactions(self._db)
        self._mailboxes = SqliteMailboxes(self._db, self._files, self.transactions, clock)
        self._annotations = SqliteAnnotations(self._db, self.transactions, self._mailboxes)
        self._reader = SqliteReader(self._db, self._files, self.transactions)
        subscriptions = SqliteSubscriptions(self._db, self.transactions)
        self.mailboxes, self.mailbox = self._mailboxes.mailboxes, self._mailboxes.mailbox
        self.create = self._mailboxes.create
        self.with_key, self.key = self._mailboxes.with_key, self._mailboxes.key
        self.make_key, self.reset_keys = self._mailboxes.make_key, self._mailboxes.reset_keys
        self.entries = self._annotations.entries
        self.set_entries, self.set_entries_of = self._annotations.set_entries, self._annotations.set_entries_of
        self.subscribe, self.unsubscribe = subscriptions.subscribe, subscriptions.unsubscribe
        self.subscriptions = subscriptions.subscriptions
        self.uids, self.summaries, self.counts = self._reader.uids, self._reader.summaries, self._reader.counts
        self.messages, self.message, self.read = self._reader.messages, self._reader.message, self._reader.read
        self.recent, self.claim_recent = self._reader.recent, self._reader.claim_recent
        try:
            self._make_good()
        except OSError as problem:
            self.close()
            raise StoreError(f"data folder {folder}: {problem.strerror}") from problem

    def _make_good(self) -> None:
        """Remove the files that a crash left over, and write `mailbox.json` and logs that it left unwritten."""
        mailboxes = [
            StoredMailbox(*row)
            for row in self._db.execute("SELECT ident, user, name, uid_validity, uid_next FROM mailbox")
        ]
        rows = self._db.execute("SELECT mailbox, uid FROM message")
        known: dict[int, set[int]] = {mailbox.ident: set() for mailbox in mailboxes}
        for ident, uid in rows:
            known[ident].add(uid)
        for mailbox in mailboxes:
            self._files.make(mailbox.ident)
        self._files.sweep(known)
        for mailbox in mailboxes:
            self._mailboxes.describe(mailbox)
            if self._files.log_is_long(mailbox.ident, len(known[mailbox.ident])):
                self._files.rewrite_log(mailbox.ident, map(_logged, self.summaries(mailbox)))
                self._reader.forget(mailbox)

    def delete(self, user: str, name: str) -> None:
        """Remove a mailbox; raises MailboxMissing."""
        with self.transactions.write():
            mailbox = self.mailbox(user, name)
            if mailbox is None:
                raise MailboxMissing(f"no mailbox {name!r}")
            self._remove_rows(mailbox, self.uids(mailbox))
            self._annotations.remove(mailbox)
            self._mailboxes.remove(mailbox)

    def rename(self, user: str, old: str, new: str) -> None:
        """Rename a mailbox and those below it; for INBOX, move its messages. Raises MailboxMissing or MailboxExists."""
        old, new = mailbox_key(old), mailbox_key(new)
        if old == INBOX:
            self._empty_inbox(user, new)
        else:
            self._mailboxes.rename(user, old, new)

    def _empty_inbox(self, user: str, new: str) -> None:
        with self.transactions.write():
            renamed(self.mailboxes(user), INBOX, new)
            target, inbox = self.create(user, new), self.mailbox(user, INBOX)
            if inbox:
                self.move(inbox, self.uids(inbox), target)

    def arrive(self) -> FileArrival:
        """Begin to receive a new message; raises StoreError if the disk cannot be written."""
        return FileArrival(self._files.arriving)

    def append(self, mailbox: StoredMailbox, arrivals: Sequence[NewMessage]) -> list[StoredMessage]:
        """Add messages to a mailbox; raises MailboxMissing, or StoreError if the disk cannot be written."""
        try:
            with self.transactions.write():
                uid, modseq = self._mailboxes.take_uids(mailbox, len(arrivals))
                made = [self._add(mailbox, uid + number, modseq, arriving) for number, arriving in enumerate(arrivals)]
                known = self._reader.known_for_change(mailbox)
                known.update((new.uid, summary_of(new)) for new in made)
                self._note(mailbox, [known[new.uid] for new in made])
                self.transactions.sync(self._files.folder(mailbox.ident))
        finally:
            for arriving in arrivals:
                arriving.arrival.discard()
        return made

    def _add(self, mailbox: StoredMailbox, uid: int, modseq: int, arriving: NewMessage) -> StoredMessage:
        arrival = arriving.arrival
        if not isinstance(arrival, FileArrival):
            raise TypeError("the new message belongs to another store")
        size, root = arrival.finish(arriving.received)
        self._name_file(arrival.path.rename, mailbox, uid)
        content = self._db.execute("INSERT INTO content (parts) VALUES (?)", (to_json(root),)).lastrowid
        flags, received = frozenset(arriving.flags), arriving.received
        row = (mailbox.ident, uid, written_flags(flags), received.isoformat(), size, modseq, content)
        return StoredMessage(self._db.execute(_INSERT, row).lastrowid or 0, uid, flags, received, size, root, modseq)

    def _name_file(self, give: Callable[[Path], object], mailbox: StoredMailbox, uid: int) -> None:
        """Give a message file its final name by `give`, and remove the name if the transaction fails."""
        path = self._files.path(mailbox.ident, uid)
        give(path)
        self.transactions.when_rolled_back(partial(path.unlink, missing_ok=True))

    def _note(self, mailbox: StoredMailbox, changed: Iterable[Summary]) -> None:
        """Write new or changed messages to the mailbox's log after the commit."""
        self.transactions.when_committed(partial(self._files.note, mailbox.ident, [_logged(one) for one in changed]))

    def change_flags(
        self,
        mailbox: StoredMailbox,
        uids: Collection[int],
        mode: str,
        flags: Collection[str],
        unchanged_since: int | None = None,
    ) -> tuple[list[Summary], list[int]]:
        """Change the flags of messages; returns their summaries and the UIDs that were left unchanged."""
        known, given = self._reader.known(mailbox), frozenset(flags)
        asked = [known[uid] for uid in sorted(known.keys() & set(uids))]
        failed = [old.uid for old in asked if unchanged_since is not None and old.modseq > unchanged_since]
        left = set(failed)
        found = [old for old in asked if old.uid not in left]
        new = [(old, changed_flags(old.flags, mode, given)) for old in found]
        if any(old.flags != wanted for old, wanted in new):
            with self.transactions.write():
                known, modseq = self._reader.known_for_change(mailbox), self._mailboxes.raise_modseq(mailbox)
                changed = [
                    Summary(old.uid, wanted, modseq, old.received, old.size)
                    for old, wanted in new
                    if old.flags != wanted
                ]
                self._db.executemany(
                    "UPDATE message SET flags = ?, modseq = ? WHERE mailbox = ? AND uid = ?",
                    [(written_flags(one.flags), modseq, mailbox.ident, one.uid) for one in changed],
                )
                known.update((one.uid, one) for one in changed)
                self._note(mailbox, changed)
        return [known[old.uid] for old in found], failed

    def copy(self, mailbox: StoredMailbox, uids: Collection[int], target: StoredMailbox) -> list[tuple[int, int]]:
        """Copy messages to another mailbox; raises MailboxMissing, or StoreError if the disk cannot be written."""
        with self.transactions.write():
            source = self._reader.known(mailbox)
            wanted = [source[uid] for uid in sorted(source.keys() & set(uids))]
            first, modseq = self._mailboxes.take_uids(target, len(wanted))
            known = self._reader.known_for_change(target)
            for new, old in enumerate(wanted, first):
                self._name_file(partial(link_or_copy, self._files.path(mailbox.ident, old.uid)), target, new)
                self._db.execute(_COPY, (target.ident, new, modseq, mailbox.ident, old.uid))
                known[new] = Summary(new, old.flags, modseq, old.received, old.size)
            self._note(target, [known[new] for new in range(first, first + len(wanted))])
            self.transactions.sync(self._files.folder(target.ident))
        return [(old.uid, new) for new, old in enumerate(wanted, first)]

    def move(self, mailbox: StoredMailbox, uids: Collection[int], target: StoredMailbox) -> list[tuple[int, int]]:
        """Move messages to another mailbox; raises MailboxMissing, or StoreError if the disk cannot be written."""
        with self.transactions.write():
            pairs = self.copy(mailbox, uids, target)
            self.expunge(mailbox, [old for old, _ in pairs])
        return pairs

    def expunge(self, mailbox: StoredMailbox, uids: Collection[int]) -> list[int]:
        """Remove messages, and return the UIDs of those that existed.

        The rows are removed before the files, so that a row never names a file that does not exist.
        """
        gone = sorted(self._reader.known(mailbox).keys() & set(uids))
        if gone:
            with self.transactions.write():
                self._mailboxes.raise_modseq(mailbox)
                self._remove_rows(mailbox, gone)
                for uid in gone:
                    path = self._files.path(mailbox.ident, uid)
                    self.transactions.when_committed(partial(path.unlink, missing_ok=True))
        return gone

    def _remove_rows(self, mailbox: StoredMailbox, uids: Collection[int]) -> None:
        known = self._reader.known_for_change(mailbox)
        for uid in uids:
            rows = self._db.execute(
                "DELETE FROM message WHERE mailbox = ? AND uid = ? RETURNING content", (mailbox.ident, uid)
            )
            self._db.execute(_UNUSED, rows.fetchall()[0])
            del known[uid]

    def close(self) -> None:
        """Close the database and release the data folder."""
        self._db.close()
        self._lock.close()


def summary_of(message: StoredMessage) -> Summary:
    """Return a message's summary, which lacks the part index."""
    return Summary(message.uid, message.flags, message.modseq, message.received, message.size)


def _logged(summary: Summary) -> tuple[int, Logged]:
    return summary.uid, Logged(summary.received, summary.flags)
