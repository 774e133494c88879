"""How an index of an earlier version becomes one of today's."""

from __future__ import annotations

import json
import os
import sqlite3
from datetime import datetime
from pathlib import Path

from lemonade_imap.store.files import sync_folder
from lemonade_imap.store.mailbox_files import MailboxFiles
from lemonade_imap.store.schema import TABLES, VERSION


def prepare(db: sqlite3.Connection, files: MailboxFiles) -> None:
    """Make the tables where there are none, and today's of those of version 1; raises ValueError for later ones."""
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
    """Version 1 kept all messages in one folder under random names, and flags as JSON.

    The files get a second name; their first goes at the sweep after this is committed.
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
        new.unlink(missing_ok=True)  # of a migration that did not come to its end
        seconds = datetime.fromisoformat(received).timestamp()
        os.utime(old, (seconds, seconds))
        os.link(old, new)
