"""The message files: a folder for each mailbox, a file for each message, and what the index could be made of again.

    messages/7/12            octets of the message with UID 12, its time of change the INTERNALDATE
    messages/7/mailbox.json  whose mailbox it is, its name, its UIDVALIDITY, its key, and UIDs that may be given
    messages/7/log           a line for each message and each change of its flags; the last one counts

A copied message is a hard link. `mailbox.json` is always on the disk before what it tells is answered; the log is
written after each change, but not synced: after a loss of power it may lack the last moments.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from lemonade_imap.store.base import Mailbox
from lemonade_imap.store.files import replace_file, sync_folder

RESERVED = 1000
"""UIDs for which `mailbox.json` speaks at a time."""
_LOG_LINE = 200


@dataclass(frozen=True)
class Record:
    """What `mailbox.json` tells: no UID below `reserved` may be given to a new message again. `key` is hexadecimal."""

    user: str
    name: str
    uid_validity: int
    reserved: int
    key: str | None = None


@dataclass(frozen=True)
class Logged:
    """What a mailbox's log tells of a message."""

    received: datetime
    flags: frozenset[str]

    def line(self, uid: int) -> str:
        """Return the line of the message with this UID."""
        return " ".join([str(uid), self.received.isoformat(), *sorted(self.flags)]) + "\n"


class MailboxFiles:
    """The message files of one data folder; everything raises OSError where the disk refuses."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "messages"
        self.arriving = folder / "arriving"
        self._records: dict[int, Record] = {}

    def folder(self, mailbox: int) -> Path:
        """Return a mailbox's folder."""
        return self.root / str(mailbox)

    def path(self, mailbox: int, uid: int) -> Path:
        """Return a message's file."""
        return self.folder(mailbox) / str(uid)

    def mailboxes(self) -> list[int]:
        """Return the mailboxes that have a folder."""
        return sorted(int(path.name) for path in self.root.iterdir() if path.name.isdecimal() and path.is_dir())

    def uids(self, mailbox: int) -> list[int]:
        """Return the UIDs that have a file."""
        return sorted(int(name) for name in os.listdir(self.folder(mailbox)) if name.isdecimal())

    def make(self, mailbox: int) -> None:
        """Make a mailbox's folder."""
        self.folder(mailbox).mkdir(mode=0o700, exist_ok=True)
        sync_folder(self.root)

    def remove(self, mailbox: int) -> None:
        """Remove a mailbox's folder with all that is in it."""
        shutil.rmtree(self.folder(mailbox), ignore_errors=True)
        self._records.pop(mailbox, None)

    def record(self, mailbox: int) -> Record | None:
        """Return what is told of a mailbox, or None where that cannot be read."""
        try:
            kept = json.loads((self.folder(mailbox) / "mailbox.json").read_bytes())
            record = Record(**kept)
            return replace(record, uid_validity=int(record.uid_validity), reserved=int(record.reserved))
        except (OSError, ValueError, TypeError):
            return None

    def describe(self, mailbox: Mailbox, key: bytes | None) -> None:
        """Have `mailbox.json` tell what is so now; it is written only where that is news."""
        known = self._records.get(mailbox.ident) or self.record(mailbox.ident)
        reserved = known.reserved if known else 0
        if reserved < mailbox.uid_next:
            reserved = mailbox.uid_next + RESERVED
        hexadecimal = key.hex() if key else None
        record = Record(mailbox.user, mailbox.name, mailbox.uid_validity, reserved, hexadecimal)
        if record != known:
            replace_file(self.folder(mailbox.ident) / "mailbox.json", json.dumps(asdict(record)).encode("utf-8"))
        self._records[mailbox.ident] = record

    def note(self, mailbox: int, changes: Iterable[tuple[int, Logged]]) -> None:
        """Write what became of messages into the log."""
        with (self.folder(mailbox) / "log").open("a", encoding="utf-8", errors="surrogateescape") as file:
            file.writelines(logged.line(uid) for uid, logged in changes)

    def log_is_long(self, mailbox: int, messages: int) -> bool:
        """Tell whether the log is missing, or much longer than these messages need."""
        try:
            return (self.folder(mailbox) / "log").stat().st_size > 10 * _LOG_LINE * (messages + 100)
        except FileNotFoundError:
            return messages > 0

    def rewrite_log(self, mailbox: int, messages: Iterable[tuple[int, Logged]]) -> None:
        """Write the log anew."""
        text = "".join(logged.line(uid) for uid, logged in messages)
        replace_file(self.folder(mailbox) / "log", text.encode("utf-8", "surrogateescape"))

    def log(self, mailbox: int) -> dict[int, Logged]:
        """Return what the log tells, by UID; lines that cannot be read are passed over."""
        found: dict[int, Logged] = {}
        try:
            text = (self.folder(mailbox) / "log").read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return found
        for line in text.split("\n")[:-1]:
            uid, _, rest = line.partition(" ")
            received, _, flags = rest.partition(" ")
            try:
                found[int(uid)] = Logged(datetime.fromisoformat(received), frozenset(flags.split()))
            except ValueError:
                continue
        return found

    def sweep(self, known: Mapping[int, Collection[int]]) -> None:
        """Remove what no mailbox and no message names: it was never answered, or has been expunged."""
        for path in self.arriving.iterdir():
            path.unlink()
        for path in self.root.iterdir():
            if not path.name.isdecimal() and path.is_file():
                path.unlink()
        for mailbox in self.mailboxes():
            if mailbox not in known:
                self.remove(mailbox)
                continue
            for uid in set(self.uids(mailbox)).difference(known[mailbox]):
                self.path(mailbox, uid).unlink()
