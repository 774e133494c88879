"""Opens a data folder: locks it, checks its index, and converts the tables of the index to the present version."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import IO

from lemonade_imap.store.base import StoreDamaged, StoreError
from lemonade_imap.store.mailbox_files import (
    MailboxFiles,
    lock_file,
    make_folder,
    make_private,
    private,
    sync_folder,
)

VERSION = 2

TABLES = (
    """CREATE TABLE mailbox (
       ident INTEGER PRIMARY KEY AUTOINCREMENT, user TEXT NOT NULL, name TEXT NOT NULL, uid_validity INTEGER NOT NULL,
       uid_next INTEGER NOT NULL DEFAULT 1, highest_modseq INTEGER NOT NULL DEFAULT 1,
       recent_from INTEGER NOT NULL DEFAULT 1, key BLOB, UNIQUE (user, name))""",
    """CREATE TABLE content (ident INTEGER PRIMARY KEY AUTOINCREMENT, parts TEXT NOT NULL)""",
    """CREATE TABLE message (
       ident INTEGER PRIMARY KEY AUTOINCREMENT, mailbox INTEGER NOT NULL REFERENCES mailbox, uid INTEGER NOT NULL,
       flags TEXT NOT NULL, received TEXT NOT NULL, size INTEGER NOT NULL, modseq INTEGER NOT NULL DEFAULT 1,
       content INTEGER NOT NULL REFERENCES content, UNIQUE (mailbox, uid))""",
    """CREATE INDEX message_content ON message (content)""",
    """CREATE TABLE past (
       user TEXT NOT NULL, name TEXT NOT NULL, uid_validity INTEGER NOT NULL,
       PRIMARY KEY (user, name)) WITHOUT ROWID""",
    """CREATE TABLE subscription (user TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (user, name)) WITHOUT ROWID""",
    """CREATE TABLE annotation (
       mailbox INTEGER NOT NULL, user TEXT NOT NULL, key TEXT NOT NULL, name TEXT NOT NULL, value BLOB NOT NULL,
       PRIMARY KEY (mailbox, user, key)) WITHOUT ROWID""",
    """CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL)""",
)
"""In `annotation`, mailbox 0 means the server, and user '' means a shared annotation.

`past` contains the greatest UIDVALIDITY that a mailbox of this name had before it was deleted or renamed. `content` is
the part index that a message shares with its copies.
"""
INDEX = "index.sqlite"


def prepare(db: sqlite3.Connection, files: MailboxFiles) -> None:
    """Make the tables of an empty index, or convert an index of version 1; raises ValueError for a later version."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise ValueError(f"its index has version {version}, this server knows {VERSION}")
    if version == VERSION:
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'mailbox'").fetchone():
            _from_version_1(db, files)
        else:
            _make(db)
        db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


def _make(db: sqlite3.Connection) -> None:
    for table in TABLES:
        db.execute(table)


def _from_version_1(db: sqlite3.Connection, files: MailboxFiles) -> None:
    """Convert an index of version 1, which kept all messages in one folder under random names, and flags as JSON.

    Each message file gets a second name (a hard link). `MailboxFiles.sweep` removes the first names after the commit,
    so that a crash before the commit leaves version 1 whole.
    """
    mailboxes = db.execute("SELECT ident, user, name, uid_validity, uid_next, key FROM mailbox").fetchall()
    messages = db.execute("SELECT ident, mailbox, uid, flags, received, size, parts, file FROM message").fetchall()
    counters = db.execute("SELECT name, value FROM counter").fetchall()
    for table in ("message", "mailbox", "counter"):
        db.execute(f"DROP TABLE {table}")
    _make(db)
    db.executemany("INSERT INTO counter VALUES (?, ?)", counters)
    db.executemany(
        """INSERT INTO mailbox (ident, user, name, uid_validity, uid_next, key, recent_from)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?5)""",
        mailboxes,
    )
    for ident, *_ in mailboxes:
        files.make(ident)
    for ident, mailbox, uid, flags, received, size, parts, name in messages:
        content = db.execute("INSERT INTO content (parts) VALUES (?)", (parts,)).lastrowid
        written = f" {' '.join(json.loads(flags))} "
        db.execute(
            """INSERT INTO message (ident, mailbox, uid, flags, received, size, content)
            VALUES (?, ?, ?, ?, ?, ?, ?)""",
            (ident, mailbox, uid, written, received, size, content),
        )
        _name_again(files.root / name, files.path(mailbox, uid), received)
    for ident, *_ in mailboxes:
        sync_folder(files.folder(ident))


def _name_again(old: Path, new: Path, received: str) -> None:
    if old.exists():
        new.unlink(missing_ok=True)  # the link may exist from a conversion that a crash interrupted
        seconds = datetime.fromisoformat(received).timestamp()
        os.utime(old, (seconds, seconds))
        os.link(old, new)


def hold_folder(folder: Path) -> tuple[IO[bytes], MailboxFiles]:
    """Make the data folder if it does not exist, lock it, and return the lock and its files.

    Folders get mode 0700, the index and the files of keys 0600, whatever modes they had. Closing the lock releases the
    folder. Raises StoreBusy or StoreError.
    """
    files = MailboxFiles(folder)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(PermissionError):
            # A mounted folder may belong to another user; what is inside it is private all the same.
            make_private(folder)
        for path in (files.root, files.arriving):
            make_folder(path)
        lock = lock_file(folder / "lock")
    except OSError as problem:
        raise StoreError(f"data folder {folder}: {problem.strerror}") from problem
    try:
        for name in (INDEX, f"{INDEX}-wal", f"{INDEX}-shm", f"{INDEX}.damaged", "accounts.json", "secret"):
            make_private(folder / name)
        files.make_private()
    except OSError as problem:
        lock.close()
        raise StoreError(f"data folder {folder}: {problem.filename}: {problem.strerror}") from problem
    return lock, files


def open_folder(folder: Path) -> tuple[IO[bytes], sqlite3.Connection, MailboxFiles]:
    """Lock a data folder and open its index; returns the lock, the index and the message files.

    Raises StoreBusy, StoreDamaged or StoreError.
    """
    lock, files = hold_folder(folder)
    try:
        return lock, open_index(folder, files), files
    except StoreError:
        lock.close()
        raise


def connect_privately(path: Path, *, check_same_thread: bool = True) -> sqlite3.Connection:
    """Open an SQLite database that is made with mode 0600; SQLite gives its WAL the same mode.

    Raises StoreError.
    """
    try:
        open(path, "ab", opener=private).close()
    except OSError as problem:
        raise StoreError(f"{path}: {problem.strerror}") from problem
    return sqlite3.connect(path, check_same_thread=check_same_thread, isolation_level=None)


def open_index(folder: Path, files: MailboxFiles) -> sqlite3.Connection:
    """Open the index, check it, and convert it to the present version; raises StoreDamaged or StoreError."""
    path = folder / INDEX
    if not path.exists() and any(files.root.iterdir()):
        raise StoreDamaged(f"data folder {folder}: its index is missing; {_remedy(folder)}")
    db = connect_privately(path, check_same_thread=False)
    try:
        for setting in ("journal_mode=WAL", "synchronous=FULL"):
            db.execute(f"PRAGMA {setting}")
        (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(found)
        prepare(db, files)
        db.execute("PRAGMA foreign_keys=ON")
    except (sqlite3.OperationalError, OSError, ValueError) as problem:
        db.close()
        raise StoreError(f"data folder {folder}: {problem}") from problem
    except sqlite3.DatabaseError as problem:
        db.close()
        raise StoreDamaged(f"data folder {folder}: its index is damaged ({problem}); {_remedy(folder)}") from problem
    return db


def _remedy(folder: Path) -> str:
    return f"lemonade-imap fsck --data {folder} makes it anew"
