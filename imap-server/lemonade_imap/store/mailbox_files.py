"""The message files of the store: received, synced to the disk, replaced atomically, and read in chunks.

    messages/7/12            octets of the message with UID 12; the modification time is the INTERNALDATE
    messages/7/mailbox.json  the mailbox's user, name, UIDVALIDITY, URLAUTH key, and the reserved UIDs
    messages/7/log           a line for each new message and each change of flags; the last line of a UID is valid

    log-line = uid SP internaldate *(SP flag) LF     internaldate is in ISO 8601

A copied message is a hard link. `mailbox.json` is on the disk before the server answers with what it contains. The
log is written after each change but not synced: after a loss of power its last lines may be missing.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import stat
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import IO

from lemonade_imap.mail.mime import Indexer, MimePart
from lemonade_imap.store.base import CHUNK, StoreBusy, StoredMailbox, StoreError

RESERVED = 1000
"""Number of UIDs that one change of `mailbox.json` reserves, so that it is not written for each message."""
_LOG_LINE = 200


def sync_folder(folder: Path) -> None:
    """Sync a folder to the disk, so that new and changed names in it survive a loss of power; raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_private(path: Path) -> None:
    """Take a file or folder that exists from all but its owner: mode 0600 or 0700; a symbolic link is left alone.

    Raises OSError, for instance if the file belongs to another user.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    wanted = 0o700 if stat.S_ISDIR(mode) else 0o600
    if not stat.S_ISLNK(mode) and stat.S_IMODE(mode) != wanted:
        path.chmod(wanted)


def make_folder(path: Path) -> None:
    """Make a folder with mode 0700 whatever the umask, with those above it; raises OSError."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    make_private(path)


def private(path: str, flags: int) -> int:
    """Open a file that is made with mode 0600 whatever the umask; an `opener` of `open`. Raises OSError."""
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    if flags & os.O_CREAT:
        os.fchmod(descriptor, 0o600)
    return descriptor


def replace_file(path: Path, octets: bytes) -> None:
    """Replace a file's content atomically; only its owner may read it (mode 0600). Raises OSError.

    After a crash the file has either its old or its whole new content.
    """
    new = path.with_name(path.name + ".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)
    sync_folder(path.parent)


def link_or_copy(old: Path, new: Path) -> None:
    """Make a hard link to a file, or copy it if the file system allows no more links; raises OSError."""
    try:
        os.link(old, new)
    except OSError as problem:
        if problem.errno not in {errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP}:
            raise
        shutil.copy2(old, new)
        make_private(new)
        with new.open("rb") as file:
            os.fsync(file.fileno())


def lock_file(path: Path) -> IO[bytes]:
    """Lock a file until it is closed or this process ends; raises StoreBusy if it is locked already, or OSError."""
    file = os.fdopen(private(str(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise StoreBusy(f"data folder {path.parent} is in use by another server") from None
    return file


def chunks_of(file: IO[bytes], offset: int, length: int) -> Iterator[bytes]:
    """Yield `length` octets from `offset` in chunks of at most CHUNK octets, then close the file."""
    with file:
        file.seek(offset)
        while length > 0 and (chunk := file.read(min(CHUNK, length))):
            length -= len(chunk)
            yield chunk


class FileArrival:
    """An `IncomingMessage` in a file of the folder `arriving`; raises StoreError if the file cannot be written."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / uuid.uuid4().hex
        self._indexer = Indexer()
        try:
            self._file = os.fdopen(private(str(self.path), os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb")
        except OSError as problem:
            raise StoreError(f"cannot keep a message: {problem.strerror}") from problem

    def write(self, chunk: bytes) -> None:
        """Write the next octets of the message; raises StoreError."""
        try:
            self._file.write(chunk)
        except OSError as problem:
            raise StoreError(f"cannot keep the message: {problem.strerror}") from problem
        self._indexer.feed(chunk)

    @property
    def parts(self) -> int:
        """The number of parts so far."""
        return self._indexer.parts

    def end(self) -> None:
        """Close the file, so that a command with many messages keeps one descriptor; raises StoreError."""
        try:
            self._file.close()
        except OSError as problem:
            raise StoreError(f"cannot keep the message: {problem.strerror}") from problem

    def finish(self, received: datetime) -> tuple[int, MimePart]:
        """Sync the file to the disk and return the message's size in octets and its part index; raises OSError.

        The file's modification time becomes the INTERNALDATE, so that the index can be rebuilt from the files.
        """
        self._file.close()
        with open(self.path, "rb", opener=private) as file:
            size = os.fstat(file.fileno()).st_size
            seconds = received.timestamp()
            os.utime(file.fileno(), (seconds, seconds))
            os.fsync(file.fileno())
        return size, self._indexer.close()

    def discard(self) -> None:
        """Remove the file, unless it was renamed to a message of a mailbox."""
        self._file.close()
        self.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Record:
    """The content of `mailbox.json`.

    `reserved`: a rebuilt index gives new messages UIDs from this one on, since lower ones may have been used. `key`:
    the URLAUTH key in hexadecimal, or None.
    """

    user: str
    name: str
    uid_validity: int
    reserved: int
    key: str | None = None


@dataclass(frozen=True)
class Logged:
    """The log entry of a message: its INTERNALDATE and its flags."""

    received: datetime
    flags: frozenset[str]

    def line(self, uid: int) -> str:
        """Return the log line for the message with this UID."""
        return " ".join([str(uid), self.received.isoformat(), *sorted(self.flags)]) + "\n"


class MailboxFiles:
    """The message files of one data folder; the methods raise OSError if the disk cannot be read or written."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "messages"
        self.arriving = folder / "arriving"
        self._records: dict[int, Record] = {}

    def folder(self, mailbox: int) -> Path:
        """Return the path of a mailbox's folder; `mailbox` is its `ident`."""
        return self.root / str(mailbox)

    def path(self, mailbox: int, uid: int) -> Path:
        """Return the path of a message's file."""
        return self.folder(mailbox) / str(uid)

    def mailboxes(self) -> list[int]:
        """Return the `ident` of each mailbox that has a folder, ascending."""
        return sorted(int(path.name) for path in self.root.iterdir() if path.name.isdecimal() and path.is_dir())

    def uids(self, mailbox: int) -> list[int]:
        """Return the UIDs that have a file in a mailbox's folder, ascending."""
        return sorted(int(name) for name in os.listdir(self.folder(mailbox)) if name.isdecimal())

    def make(self, mailbox: int) -> None:
        """Make a mailbox's folder if it does not exist, and sync it to the disk."""
        make_folder(self.folder(mailbox))
        sync_folder(self.root)

    def make_private(self) -> None:
        """Take from other users what an earlier version or a copy let them read: folders, keys and logs."""
        for folder in (self.root, self.arriving, *map(self.folder, self.mailboxes())):
            for path in (folder, folder / "mailbox.json", folder / "log"):
                make_private(path)

    def remove(self, mailbox: int) -> None:
        """Remove a mailbox's folder with all its files."""
        shutil.rmtree(self.folder(mailbox), ignore_errors=True)
        self._records.pop(mailbox, None)

    def record(self, mailbox: int) -> Record | None:
        """Return the content of a mailbox's `mailbox.json`, or None if it cannot be read."""
        try:
            kept = json.loads((self.folder(mailbox) / "mailbox.json").read_bytes())
            record = Record(**kept)
            return replace(record, uid_validity=int(record.uid_validity), reserved=int(record.reserved))
        except (OSError, ValueError, TypeError):
            return None

    def describe(self, mailbox: StoredMailbox, key: bytes | None) -> None:
        """Bring `mailbox.json` up to date; it is written only if its content changes."""
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
        """Append a line to the mailbox's log for each new or changed message, which `changes` gives with its UID."""
        path = self.folder(mailbox) / "log"
        with open(path, "a", encoding="utf-8", errors="surrogateescape", opener=private) as file:
            file.writelines(logged.line(uid) for uid, logged in changes)

    def log_is_long(self, mailbox: int, messages: int) -> bool:
        """Tell whether the log is missing, or much longer than this number of messages needs."""
        try:
            return (self.folder(mailbox) / "log").stat().st_size > 10 * _LOG_LINE * (messages + 100)
        except FileNotFoundError:
            return messages > 0

    def rewrite_log(self, mailbox: int, messages: Iterable[tuple[int, Logged]]) -> None:
        """Replace the log by one with a single line for each message."""
        text = "".join(logged.line(uid) for uid, logged in messages)
        replace_file(self.folder(mailbox) / "log", text.encode("utf-8", "surrogateescape"))

    def log(self, mailbox: int) -> dict[int, Logged]:
        """Return the last log entry of each UID; lines that cannot be read are ignored."""
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
        """Remove files and folders that the index does not contain; `known` maps each mailbox to its messages' UIDs.

        Such files belong to changes that a crash interrupted before their answer, or to messages that were expunged.
        """
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
