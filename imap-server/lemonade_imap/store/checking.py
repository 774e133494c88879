"""Checks an index against the message files, and puts right what is not so."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from lemonade_imap.store.base import Mailbox, StoreDamaged, StoreError
from lemonade_imap.store.mailbox_files import MailboxFiles
from lemonade_imap.store.opening import hold_folder, open_index
from lemonade_imap.store.rebuild import Rebuilding, parts_of


class Check:
    """One check of a data folder that no server uses; `say` takes its findings, a line each.

    `repairs`: whether what is found is put right. `found`: how many findings there were.
    """

    def __init__(self, folder: Path, *, repairs: bool, now: float, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._repairs = repairs
        self._now = now
        self._say = say
        self.found = 0

    def run(self) -> None:
        """Check; raises StoreBusy or StoreError where that is not possible."""
        if not self._folder.is_dir():
            raise StoreError(f"{self._folder} is no folder")
        lock, files = hold_folder(self._folder)
        try:
            self._check(files)
        except (OSError, sqlite3.Error) as problem:
            raise StoreError(f"data folder {self._folder}: {problem}") from problem
        finally:
            lock.close()

    def _check(self, files: MailboxFiles) -> None:
        try:
            db = open_index(self._folder, files)
        except StoreDamaged as damage:
            self._find(str(damage))
            if self._repairs:
                mailboxes, messages = Rebuilding(self._folder, files, self._now, self._say).run()
                self._say(f"the index is made anew: {mailboxes} mailboxes, {messages} messages")
            return
        try:
            found = db.execute(
                "SELECT ident, user, name, uid_validity, uid_next FROM mailbox ORDER BY ident"
            ).fetchall()
            for mailbox in (Mailbox(*row) for row in found):
                self._mailbox(db, files, mailbox)
        finally:
            db.close()

    def _mailbox(self, db: sqlite3.Connection, files: MailboxFiles, mailbox: Mailbox) -> None:
        where = f"{mailbox.name!r} of {mailbox.user!r}"
        if not files.folder(mailbox.ident).is_dir():
            self._find(f"{where}: its folder is gone")
            if not self._repairs:
                return
            files.make(mailbox.ident)
        record = files.record(mailbox.ident)
        if record is None or record.reserved < mailbox.uid_next:
            self._find(f"{where}: its mailbox.json is not what it should be; the next start writes it")
        there = set(files.uids(mailbox.ident))
        rows = db.execute(
            """SELECT message.ident, uid, size, content, parts FROM message JOIN content ON content.ident = content
            WHERE mailbox = ? ORDER BY uid""",
            (mailbox.ident,),
        )
        for ident, uid, size, content, parts in rows.fetchall():
            if uid not in there:
                self._find(f"{where}: message {uid} has no file: it is lost")
                self._repair(db, "DELETE FROM message WHERE ident = ?", ident)
                continue
            path = files.path(mailbox.ident, uid)
            present = parts_of(path)
            if path.stat().st_size != size or present != parts:
                self._find(f"{where}: message {uid} is not indexed as its file is")
                self._repair(db, "UPDATE content SET parts = ? WHERE ident = ?", present, content)
                self._repair(db, "UPDATE message SET size = ? WHERE ident = ?", path.stat().st_size, ident)
            there.discard(uid)
        for uid in sorted(there):
            self._say(f"{where}: file {uid} is no message's: the next start removes it")

    def _find(self, text: str) -> None:
        self.found += 1
        self._say(text)

    def _repair(self, db: sqlite3.Connection, statement: str, *values: object) -> None:
        if self._repairs:
            db.execute(statement, values)
