"""`lemonade-imap import maildir` and `export maildir`: copy a user's mailboxes from and to Maildir++ folders.

    MAILDIR                    INBOX, or the mailbox that `--mailbox` names
    MAILDIR/.a.b               the mailbox a/b, in modified UTF-7; a dot inside a name is written &AC4-
    .../cur/1795305600.U7:2,FS a message with its flags; lower-case letters stand for keywords
    .../dovecot-keywords       a number and a keyword in each line; 0 is the letter a

A name of more than 255 octets is exported shortened. INTERNALDATE is the file's modification time; its time zone
becomes UTC. On import, messages whose first line ends with a bare line feed get the line ends of RFC 5322, and files
with NUL are skipped. On export, files contain exactly the stored octets.
"""

from __future__ import annotations

import argparse
import errno
import os
import stat
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from lemonade_imap.serving.listing import MOST_LEVELS
from lemonade_imap.store.base import (
    INBOX,
    SEPARATOR,
    NewMessage,
    StoredMailbox,
    StoredMessage,
    StoreError,
    is_inferior,
    mailbox_key,
)
from lemonade_imap.store.mailbox_files import chunks_of, make_folder, private
from lemonade_imap.store.sqlite import SqliteStore
from lemonade_wire.imap import mutf7
from lemonade_wire.imap.errors import ImapParseError

_LETTERS = {"D": "\\Draft", "F": "\\Flagged", "P": "$Forwarded", "R": "\\Answered", "S": "\\Seen", "T": "\\Deleted"}
_KEYWORD_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_KEYWORDS = "dovecot-keywords"
_LONGEST_LINE = 65536  # octets that are read at once, of a message's first line or of the keywords
_LONGEST_FILE_NAME = 255  # octets that Linux allows
_TOGETHER = 100  # messages that are stored in one transaction


def import_maildir(options: argparse.Namespace) -> int:
    """Append the messages of a Maildir to the user's mailboxes, which are made if necessary; raises StoreError.

    A file or folder that cannot be read, or that is a link, a FIFO or a device, is skipped with a line on standard
    error. Returns 1 if there was one, otherwise 0.
    """
    if not (options.folder / "cur").is_dir():
        raise StoreError(f"{options.folder} is no Maildir: it has no folder cur")
    skipped = Skipped()
    store = SqliteStore(options.data)
    try:
        for folder, name in _folders(options.folder, mailbox_key(options.mailbox), skipped):
            mailbox = store.mailbox(options.user, name) or store.create(options.user, name)
            count = _import_folder(store, folder, mailbox, skipped)
            sys.stdout.write(f"{name}: {count} messages\n")
    except OSError as problem:
        raise StoreError(f"cannot read the Maildir: {problem}") from problem
    finally:
        store.close()
    return 1 if skipped.count else 0


class Skipped:
    """Counts what an import skips, and writes a line on standard error for each file or folder."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, path: Path, why: str) -> None:
        """Note that a file or folder was skipped."""
        self.count += 1
        shown = os.fsencode(path).decode("utf-8", "backslashreplace")
        sys.stderr.write(f"lemonade-imap: {shown!r} is skipped: {why}\n")


def _folders(root: Path, mailbox: str, skipped: Skipped) -> Iterator[tuple[Path, str]]:
    """Yield each folder of a Maildir with the name of its mailbox; links to folders are skipped."""
    yield root, mailbox
    for folder in sorted(root.iterdir()):
        if not folder.name.startswith(".") or not (folder / "cur").is_dir():
            continue
        if folder.is_symlink():
            skipped.add(folder, "a link is not followed")
            continue
        try:
            name = mutf7.decode(os.fsencode(folder.name[1:]).replace(b".", SEPARATOR.encode()))
        except ImapParseError as problem:
            skipped.add(folder, str(problem))
            continue
        # Folders of a Maildir for INBOX are mailboxes beside INBOX (Maildir++); others are below the named mailbox.
        name = name if mailbox == INBOX else mailbox + SEPARATOR + name
        if not name.isprintable() or "" in name.split(SEPARATOR) or name.count(SEPARATOR) >= MOST_LEVELS:
            skipped.add(folder, "no mailbox may have its name")
            continue
        yield folder, name


def _import_folder(store: SqliteStore, folder: Path, mailbox: StoredMailbox, skipped: Skipped) -> int:
    keywords = _keywords_of(folder)
    files = [*_names_in(folder / "cur", skipped), *_names_in(folder / "new", skipped)]
    files = sorted((path for path in files if not path.name.startswith(".")), key=_order)
    count = 0
    for at in range(0, len(files), _TOGETHER):
        arriving = [_arriving(store, path, keywords, skipped) for path in files[at : at + _TOGETHER]]
        messages = [message for message in arriving if message is not None]
        store.append(mailbox, messages)
        count += len(messages)
    return count


def _names_in(folder: Path, skipped: Skipped) -> list[Path]:
    """Return the files of a folder; none if it is missing, a link, or cannot be read."""
    try:
        if folder.is_symlink():
            skipped.add(folder, "a link is not followed")
            return []
        return list(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as problem:
        skipped.add(folder, problem.strerror or "it cannot be read")
        return []


def _open_regular(path: Path) -> IO[bytes]:
    """Open a file that is neither a link nor below a folder that is one; raises OSError for all but regular files.

    O_NONBLOCK: a FIFO without a writer is opened at once, and then refused.
    """
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        descriptor = os.open(path.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError as problem:
        if problem.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "a link is not followed") from None
        raise
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file")
    return os.fdopen(descriptor, "rb")


def _arriving(store: SqliteStore, path: Path, keywords: dict[str, str], skipped: Skipped) -> NewMessage | None:
    """Return the message of a file, or None if the file is skipped; raises StoreError if it cannot be stored."""
    try:
        file = _open_regular(path)
    except OSError as problem:
        skipped.add(path, problem.strerror or "it cannot be opened")
        return None
    arrival = store.arrive()
    with file:
        state = os.fstat(file.fileno())
        try:
            bare = not file.readline(_LONGEST_LINE).endswith(b"\r\n")
            chunks = chunks_of(file, 0, state.st_size)
            for chunk in _with_crlf(chunks) if bare else chunks:
                if b"\0" in chunk:
                    # RFC 3501, 9 (CHAR8): no literal holds NUL, so that the message could not be sent
                    raise OSError(errno.EINVAL, "it holds NUL")
                arrival.write(chunk)
        except OSError as problem:
            arrival.discard()
            skipped.add(path, problem.strerror or "it cannot be read")
            return None
    letters = path.name.rpartition(":2,")[2] if ":2," in path.name else ""
    known = {**keywords, **_LETTERS}
    flags = frozenset(known[letter] for letter in letters if letter in known)
    return NewMessage(arrival, flags, datetime.fromtimestamp(int(state.st_mtime), UTC))


def _with_crlf(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the chunks with CRLF at the end of each line; a CRLF may be divided between two chunks."""
    last = b""
    for chunk in chunks:
        split = last == b"\r" and chunk.startswith(b"\n")
        yield b"\n" * split + chunk[split:].replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        last = chunk[-1:]


def _keywords_of(folder: Path) -> dict[str, str]:
    """Return the keyword of each letter, from the folder's `dovecot-keywords`; empty if the file cannot be read."""
    try:
        with _open_regular(folder / _KEYWORDS) as file:
            lines = file.read(_LONGEST_LINE).decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    numbered = (line.partition(" ") for line in lines)
    return {
        _KEYWORD_LETTERS[int(number)]: keyword
        for number, _, keyword in numbered
        if number.isdecimal() and int(number) < len(_KEYWORD_LETTERS)
    }


def _order(path: Path) -> tuple[int, int, str]:
    """Return a sort key for the order of arrival: the seconds and the number that most programs put into file names."""
    seconds, _, rest = path.name.partition(".")
    number = rest.split(".")[0].split(",")[0].split(":")[0].lstrip("MUPRQV")
    return int(seconds) if seconds.isdecimal() else 0, int(number) if number.isdecimal() else 0, path.name


def export_maildir(options: argparse.Namespace) -> int:
    """Write all the user's mailboxes, or one and those below it, into a new or empty folder; raises StoreError."""
    if options.folder.exists() and any(options.folder.iterdir()):
        raise StoreError(f"{options.folder} is not empty")
    store = SqliteStore(options.data)
    try:
        top = mailbox_key(options.mailbox)
        taken: set[str] = set()
        for name in store.mailboxes(options.user):
            if top in {name, INBOX} or is_inferior(name, top):
                mailbox = store.mailbox(options.user, name)
                below = "" if name == top else name if top == INBOX else name[len(top) + 1 :]
                folder = options.folder / _folder_name(below, taken) if below else options.folder
                if mailbox:
                    sys.stdout.write(f"{name}: {_export_folder(store, mailbox, folder)} messages\n")
    except OSError as problem:
        raise StoreError(f"cannot write the Maildir: {problem}") from problem
    finally:
        store.close()
    return 0


def _folder_name(name: str, taken: set[str]) -> str:
    """Return the name of a mailbox's folder, which no other mailbox has, and add it to `taken`.

    A name that is longer than file systems allow is shortened, gets a number, and is told on standard error.
    """
    folder, number = _written_name(name), 0
    while len(folder) > _LONGEST_FILE_NAME or folder in taken:
        number += 1
        short = name
        while len(folder := f"{_written_name(short)}-{number}") > _LONGEST_FILE_NAME:
            short = short[:-1].rstrip(SEPARATOR)
    if number:
        sys.stderr.write(f"lemonade-imap: the name of {name[:60]!r}... is too long for a file: it becomes {folder}\n")
    taken.add(folder)
    return folder


def _written_name(name: str) -> str:
    return "." + mutf7.encode(name).replace(b".", b"&AC4-").replace(SEPARATOR.encode(), b".").decode("ascii")


def _export_folder(store: SqliteStore, mailbox: StoredMailbox, folder: Path) -> int:
    for part in ("cur", "new", "tmp"):
        make_folder(folder / part)
    standard = {flag: letter for letter, flag in _LETTERS.items()}
    summaries = store.summaries(mailbox)
    keywords = sorted({flag for summary in summaries for flag in summary.flags} - standard.keys())
    if len(keywords) > len(_KEYWORD_LETTERS):
        sys.stderr.write(f"lemonade-imap: {mailbox.name}: keywords {', '.join(keywords[26:])} have no letter\n")
    letters = {**dict(zip(keywords, _KEYWORD_LETTERS, strict=False)), **standard}
    if keywords:
        text = "".join(f"{number} {keyword}\n" for number, keyword in enumerate(keywords[:26]))
        with open(folder / _KEYWORDS, "w", encoding="utf-8", opener=private) as file:
            file.write(text)
    for summary in summaries:
        message = store.message(mailbox, summary.uid)
        if message:
            flags = "".join(sorted(letters[flag] for flag in message.flags if flag in letters))
            _export(store, message, folder, f"{int(message.received.timestamp())}.U{message.uid}:2,{flags}")
    return len(summaries)


def _export(store: SqliteStore, message: StoredMessage, folder: Path, name: str) -> None:
    path = folder / "tmp" / name
    with open(path, "wb", opener=private) as file:
        for chunk in store.read(message, 0, message.size):
            file.write(chunk)
    seconds = message.received.timestamp()
    os.utime(path, (seconds, seconds))
    path.rename(folder / "cur" / name)
