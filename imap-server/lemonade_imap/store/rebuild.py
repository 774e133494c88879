"""Makes an index anew of the message files, and of what can still be read of the index before.

UIDs, UIDVALIDITY and URLAUTH keys stay wherever `mailbox.json` tells of them: it names a UID that is greater than any
that was given, so that none is given twice. Mod-sequences start above all that may have been told: they are the time in
milliseconds. A mailbox of which nothing is known any more goes to the user `lost+found`, under a new UIDVALIDITY.
Subscriptions and annotations stand in the index alone: they are kept as far as it can be read.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lemonade_imap.mail.mime import index
from lemonade_imap.store.files import chunks_of, sync_folder
from lemonade_imap.store.index_json import to_json
from lemonade_imap.store.mailbox_files import Logged, MailboxFiles, Record
from lemonade_imap.store.migration import prepare
from lemonade_imap.store.opening import INDEX
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
"""How far the next UIDVALIDITY is set off from all that are known: deleted mailboxes may have had greater ones."""


class Rebuilding:
    """Makes one index anew; `say` takes a line for everything that could not be kept as it was."""

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
        """Put a new index in the old one's place, which is kept beside it; returns mailboxes and messages."""
        new = self._folder / (INDEX + ".new")
        new.unlink(missing_ok=True)
        self._house_strays()
        db = sqlite3.connect(new, isolation_level=None)
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

    def _house_strays(self) -> None:
        """Give message files that lie in no mailbox's folder one: indexes of version 1 kept them so."""
        strays = sorted((path for path in self._files.root.iterdir() if path.is_file()), key=_changed)
        if strays:
            ident = max([0, *self._files.mailboxes()]) + 1
            self._files.make(ident)
            for uid, path in enumerate(strays, 1):
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
                self._say(f"{record.name!r} of {record.user!r}: message {uid}: its flags are not known any more")
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
            self._say(f"messages/{ident}: whose mailbox it was is not known: it is {record.name!r} of {LOST!r} now")
        if db.execute("SELECT 1 FROM mailbox WHERE (user, name) = (?, ?)", (record.user, record.name)).fetchone():
            taken, name = record.name, f"{record.name}-{ident}"
            record = Record(record.user, name, record.uid_validity, record.reserved, record.key)
            self._say(f"{taken!r} of {record.user!r} was there twice: one is {name!r} now")
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
    """Return what can be read of the small tables of an index, whatever became of it."""
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
    """Return the part index of a message file as the index keeps it; raises OSError."""
    with path.open("rb") as file:
        return to_json(index(chunks_of(file, 0, os.fstat(file.fileno()).st_size)))


def _changed(path: Path) -> float:
    return path.stat().st_mtime
