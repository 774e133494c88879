"""Opens a data folder: one process at a time, and only with an index that can be trusted."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import IO

from lemonade_imap.store.base import StoreDamaged, StoreError
from lemonade_imap.store.files import lock_file
from lemonade_imap.store.mailbox_files import MailboxFiles
from lemonade_imap.store.migration import prepare

INDEX = "index.sqlite"


def hold_folder(folder: Path) -> tuple[IO[bytes], MailboxFiles]:
    """Make a data folder where there is none, and lock it; raises StoreBusy or StoreError."""
    files = MailboxFiles(folder)
    try:
        for path in (folder, files.root, files.arriving):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return lock_file(folder / "lock"), files
    except OSError as problem:
        raise StoreError(f"data folder {folder}: {problem.strerror}") from problem


def open_folder(folder: Path) -> tuple[IO[bytes], sqlite3.Connection, MailboxFiles]:
    """Return a folder's lock, index and files; raises StoreBusy, StoreDamaged or StoreError."""
    lock, files = hold_folder(folder)
    try:
        return lock, open_index(folder, files), files
    except StoreError:
        lock.close()
        raise


def open_index(folder: Path, files: MailboxFiles) -> sqlite3.Connection:
    """Return the index, today's and whole; raises StoreDamaged or StoreError."""
    path = folder / INDEX
    if not path.exists() and any(files.root.iterdir()):
        raise StoreDamaged(f"data folder {folder}: its index is missing; {_remedy(folder)}")
    db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
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
