"""Compares the index of a data folder with its message files, and rebuilds or repairs it (`lemonade-imap fsck`).

`StoreCheck` compares and repairs single entries; `Rebuilding` makes the whole index anew if it cannot be opened.

UIDs, UIDVALIDITY and URLAUTH keys are kept where `mailbox.json` has them: it contains a UID that is greater than all
that were used, so that no UID is used twice. Mod-sequences begin at the time in milliseconds, which is greater than
all that clients may know. A mailbox of which nothing can be read goes to the user `lost+found` with a new UIDVALIDITY.
Subscriptions and annotations are only in the index: they are kept as far as it can be read.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lemonade_imap.mail.mime import index
from lemonade_imap.store.base import StoreDamaged, StoredMailbox, StoreError
from lemonade_imap.store.index_json import to_json
from lemonade_imap.store.mailbox_files import Logged, MailboxFiles, Record, chunks_of, sync_folder
from lemonade_imap.store.opening import INDEX, connect_privately, hold_folder, open_index, prepare
from lemonade_imap.store.sqlite_reading import written_flags

LOST = "lost+found"
_SALVAGED = {
    "mailbox": ("ident", "user", "name", "uid_validity", "uid_next", "key"),
    "subscription": ("user", "name"),
    "annotation": ("mailbox", "user", "key", "name", "value"),
    "past": ("user", "name", "uid_validity"),
    "counter": ("name", "value"),
}
_MARGIN = 100_000
"""Distance of the next UIDVALIDITY from the greatest known one, since deleted mailboxes may have had greater ones."""


class Rebuilding:
    """Rebuilds the index of one data folder.

    `now`: seconds since 1970. `say`: is called with a line of text for everything that could not be kept as it was.
    """

    def __init__(self, folder: Path, files: MailboxFiles, now: float, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._files = files
        self._modseq = int(now * 1000)
        self._say = say
        self._old = salvage(folder / INDEX)
        known = [row[3] for row in self._old["mailbox"]] + [row[1] for row in self._old["counter"]]
        records = [record.uid_validity for ident in files.mailboxes() if (record := files.record(ident))]
        self._validity = max([int(now) & 0x7FFFFFFF, *known, *records]) + _MARGIN
        self._contents: dict[tuple[int, int], int] = {}

    def run(self) -> tuple[int, int]:
        """Replace the index, keep the old one as `index.sqlite.damaged`; returns the numbers of mailboxes, messages."""
        new = self._folder / (INDEX + ".new")
        new.unlink(missing_ok=True)
        self._move_loose_files()
        db = connect_privately(new)
        try:
            prepare(db, self._files)
            db.execute("BEGIN")
            idents = self._files.mailboxes()
            messages = sum(self._mailbox(db, ident) for ident in idents)
            self._rest(db, set(idents))
            db.execute("COMMIT")
        finally:
            db.close()
        for ending in ("", "-wal", "-shm"):
            path = self._folder / (INDEX + ending)
            if path.exists():
                path.rename(self._folder / f"{INDEX}.damaged{ending}")
        new.rename(self._folder / INDEX)
        sync_folder(self._folder)
        return len(idents), messages

    def _move_loose_files(self) -> None:
        """Move message files that are in no mailbox's folder into a new one: an index of version 1 kept them so."""
        loose = sorted((path for path in self._files.root.iterdir() if path.is_file()), key=_changed)
        if loose:
            ident = max([0, *self._files.mailboxes()]) + 1
            self._files.make(ident)
            for uid, path in enumerate(loose, 1):
                path.rename(self._files.path(ident, uid))
            sync_folder(self._files.folder(ident))

    def _mailbox(self, db: sqlite3.Connection, ident: int) -> int:
        uids = self._files.uids(ident)
        record = self._record(db, ident, uids)
        db.execute(
            """INSERT INTO mailbox (ident, user, name, uid_validity, uid_next, highest_modseq, recent_from, key)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?5, ?7)""",
            (
                ident,
                record.user,
                record.name,
                record.uid_validity,
                max([record.reserved, *(uid + 1 for uid in uids)]),
                self._modseq,
                bytes.fromhex(record.key) if record.key else None,
            ),
        )
        log = self._files.log(ident)
        for uid in uids:
            if uid not in log:
                self._say(f"{record.name!r} of {record.user!r}: message {uid}: its flags are lost")
            self._message(db, ident, uid, log.get(uid))
        return len(uids)

    def _record(self, db: sqlite3.Connection, ident: int, uids: list[int]) -> Record:
        record = self._files.record(ident)
        for number, user, name, validity, uid_next, key in self._old["mailbox"] if record is None else ():
            if number == ident:
                record = Record(user, name, validity, uid_next, key.hex() if key else None)
        if record is None:
            self._validity += 1
            record = Record(LOST, f"mailbox-{ident}", self._validity, max(uids, default=0) + 1)
            self._say(f"messages/{ident}: its mailbox is not known: it becomes {record.name!r} of {LOST!r}")
        if db.execute("SELECT 1 FROM mailbox WHERE (user, name) = (?, ?)", (record.user, record.name)).fetchone():
            taken, name = record.name, f"{record.name}-{ident}"
            record = Record(record.user, name, record.uid_validity, record.reserved, record.key)
            self._say(f"{taken!r} of {record.user!r} exists twice: one becomes {name!r}")
        return record

    def _message(self, db: sqlite3.Connection, ident: int, uid: int, logged: Logged | None) -> None:
        path = self._files.path(ident, uid)
        state = path.stat()
        where = (state.st_dev, state.st_ino)
        if where not in self._contents:
            made = db.execute("INSERT INTO content (parts) VALUES (?)", (parts_of(path),))
            self._contents[where] = made.lastrowid or 0
        if logged is None:
            logged = Logged(datetime.fromtimestamp(int(state.st_mtime), UTC), frozenset())
        db.execute(
            """INSERT INTO message (mailbox, uid, flags, received, size, modseq, content)
            VALUES (?, ?, ?, ?, ?, ?, ?)""",
            (
                ident,
                uid,
                written_flags(logged.flags),
                logged.received.isoformat(),
                state.st_size,
                self._modseq,
                self._contents[where],
            ),
        )

    def _rest(self, db: sqlite3.Connection, idents: set[int]) -> None:
        db.execute("INSERT INTO counter VALUES ('validity', ?)", (self._validity,))
        db.executemany("INSERT INTO past VALUES (?, ?, ?)", self._old["past"])
        db.executemany("INSERT INTO subscription VALUES (?, ?)", self._old["subscription"])
        kept = [row for row in self._old["annotation"] if row[0] == 0 or row[0] in idents]
        db.executemany("INSERT INTO annotation (mailbox, user, key, name, value) VALUES (?, ?, ?, ?, ?)", kept)
        self._say(f"{len(self._old['subscription'])} subscriptions and {len(kept)} annotations could be read")


def salvage(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows that can be read from the small tables of a possibly damaged index, by table."""
    found: dict[str, list[tuple[Any, ...]]] = {table: [] for table in _SALVAGED}
    if path.exists():
        db = sqlite3.connect(path, isolation_level=None)
        for table, columns in _SALVAGED.items():
            found[table] += _readable(db, f"SELECT {', '.join(columns)} FROM {table}")  # noqa: S608  its own names
        db.close()
    return found


def _readable(db: sqlite3.Connection, query: str) -> Iterator[tuple[Any, ...]]:
    try:
        yield from db.execute(query)
    except sqlite3.Error:
        return


def parts_of(path: Path) -> str:
    """Return the part index of a message file in the JSON form of the index; raises OSError."""
    with path.open("rb") as file:
        return to_json(index(chunks_of(file, 0, os.fstat(file.fileno()).st_size)))


def _changed(path: Path) -> float:
    return path.stat().st_mtime


class StoreCheck:
    """One check of a data folder that no server uses.

    `repairs`: whether the check repairs what it finds. `now`: seconds since 1970. `say`: is called with each finding,
    one line of text. `found`: the number of findings.
    """

    def __init__(self, folder: Path, *, repairs: bool, now: float, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._repairs = repairs
        self._now = now
        self._say = say
        self.found = 0

    def run(self) -> None:
        """Check the folder; raises StoreBusy if a server uses it, or StoreError if it cannot be read."""
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
            for mailbox in (StoredMailbox(*row) for row in found):
                self._mailbox(db, files, mailbox)
        finally:
            db.close()

    def _mailbox(self, db: sqlite3.Connection, files: MailboxFiles, mailbox: StoredMailbox) -> None:
        where = f"{mailbox.name!r} of {mailbox.user!r}"
        if not files.folder(mailbox.ident).is_dir():
            self._find(f"{where}: its folder is missing")
            if not self._repairs:
                return
            files.make(mailbox.ident)
        record = files.record(mailbox.ident)
        if record is None or record.reserved < mailbox.uid_next:
            self._find(f"{where}: its mailbox.json is wrong; the next start writes it again")
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
                self._find(f"{where}: message {uid}: its index differs from its file")
                self._repair(db, "UPDATE content SET parts = ? WHERE ident = ?", present, content)
                self._repair(db, "UPDATE message SET size = ? WHERE ident = ?", path.stat().st_size, ident)
            there.discard(uid)
        for uid in sorted(there):
            self._say(f"{where}: file {uid} belongs to no message: the next start removes it")

    def _find(self, text: str) -> None:
        self.found += 1
        self._say(text)

    def _repair(self, db: sqlite3.Connection, statement: str, *values: object) -> None:
        if self._repairs:
            db.execute(statement, values)
