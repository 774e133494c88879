"""`lemonade-imap import maildir` and `export maildir`: a user's mailboxes as Maildir++ folders and back.

The folder itself is INBOX or the mailbox that is named, `.a.b` in it the inferior `a/b`, in modified UTF-7; a dot
inside a name is written `&AC4-`. Flags stand behind `:2,`, keywords as letters that `dovecot-keywords` explains, as
Dovecot has them. INTERNALDATE is the file's time of change: the moment stays, its zone becomes UTC. Messages with bare
line feeds get the line ends of RFC 5322; what is exported is octet for octet what is stored.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from lemonade_imap.store.base import INBOX, SEPARATOR, Arriving, Mailbox, Message, StoreError, mailbox_key
from lemonade_imap.store.files import chunks_of
from lemonade_imap.store.names import is_inferior
from lemonade_imap.store.sqlite import SqliteStore
from lemonade_wire.imap import mutf7
from lemonade_wire.imap.errors import ImapParseError

_LETTERS = {"D": "\\Draft", "F": "\\Flagged", "P": "$Forwarded", "R": "\\Answered", "S": "\\Seen", "T": "\\Deleted"}
_KEYWORD_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_KEYWORDS = "dovecot-keywords"
_TOGETHER = 100  # messages that are kept in one piece


def import_maildir(options: argparse.Namespace) -> int:
    """Append what a Maildir holds to the user's mailboxes; those that are missing are made."""
    if not (options.folder / "cur").is_dir():
        raise StoreError(f"{options.folder} is no Maildir: it has no folder cur")
    store = SqliteStore(options.data)
    try:
        for folder, name in _folders(options.folder, mailbox_key(options.mailbox)):
            mailbox = store.mailbox(options.user, name) or store.create(options.user, name)
            count = _import_folder(store, folder, mailbox)
            sys.stdout.write(f"{name}: {count} messages\n")
    except OSError as problem:
        raise StoreError(f"cannot read the Maildir: {problem}") from problem
    finally:
        store.close()
    return 0


def _folders(root: Path, mailbox: str) -> Iterator[tuple[Path, str]]:
    """Yield each folder of a Maildir with the name of its mailbox; raises StoreError for a name that is none."""
    yield root, mailbox
    for folder in sorted(root.iterdir()):
        if folder.name.startswith(".") and (folder / "cur").is_dir():
            try:
                name = mutf7.decode(os.fsencode(folder.name[1:]).replace(b".", SEPARATOR.encode()))
            except ImapParseError as problem:
                raise StoreError(f"{folder}: {problem}") from problem
            # what lies below INBOX in a Maildir stands beside it (Maildir++), what lies below another below it
            yield folder, name if mailbox == INBOX else mailbox + SEPARATOR + name


def _import_folder(store: SqliteStore, folder: Path, mailbox: Mailbox) -> int:
    keywords = _keywords_of(folder)
    files = [*(folder / "cur").iterdir(), *((folder / "new").iterdir() if (folder / "new").is_dir() else ())]
    files = sorted((path for path in files if not path.name.startswith(".")), key=_order)
    for at in range(0, len(files), _TOGETHER):
        store.append(mailbox, [_arriving(store, path, keywords) for path in files[at : at + _TOGETHER]])
    return len(files)


def _arriving(store: SqliteStore, path: Path, keywords: dict[str, str]) -> Arriving:
    arrival = store.arrive()
    with path.open("rb") as file:
        state = os.fstat(file.fileno())
        bare = not file.readline().endswith(b"\r\n")
        for chunk in _with_crlf(chunks_of(file, 0, state.st_size)) if bare else chunks_of(file, 0, state.st_size):
            arrival.write(chunk)
    letters = path.name.rpartition(":2,")[2] if ":2," in path.name else ""
    known = {**keywords, **_LETTERS}
    flags = frozenset(known[letter] for letter in letters if letter in known)
    return Arriving(arrival, flags, datetime.fromtimestamp(int(state.st_mtime), UTC))


def _with_crlf(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield chunks whose line ends are CR and LF; a CR may stand at the end of one and its LF in the next."""
    last = b""
    for chunk in chunks:
        split = last == b"\r" and chunk.startswith(b"\n")
        yield b"\n" * split + chunk[split:].replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        last = chunk[-1:]


def _keywords_of(folder: Path) -> dict[str, str]:
    """Return the keyword of each letter."""
    try:
        lines = (folder / _KEYWORDS).read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    numbered = (line.partition(" ") for line in lines)
    return {
        _KEYWORD_LETTERS[int(number)]: keyword
        for number, _, keyword in numbered
        if number.isdecimal() and int(number) < len(_KEYWORD_LETTERS)
    }


def _order(path: Path) -> tuple[int, int, str]:
    """Order files as they came: by the seconds and the number in their names, as most programs write them."""
    seconds, _, rest = path.name.partition(".")
    number = rest.split(".")[0].split(",")[0].split(":")[0].lstrip("MUPRQV")
    return int(seconds) if seconds.isdecimal() else 0, int(number) if number.isdecimal() else 0, path.name


def export_maildir(options: argparse.Namespace) -> int:
    """Write the user's mailboxes, or one with its inferiors, into a folder that is new or empty."""
    if options.folder.exists() and any(options.folder.iterdir()):
        raise StoreError(f"{options.folder} is not empty")
    store = SqliteStore(options.data)
    try:
        top = mailbox_key(options.mailbox)
        for name in store.mailboxes(options.user):
            if top in {name, INBOX} or is_inferior(name, top):
                mailbox = store.mailbox(options.user, name)
                below = "" if name == top else name if top == INBOX else name[len(top) + 1 :]
                folder = options.folder / _folder_name(below) if below else options.folder
                if mailbox:
                    sys.stdout.write(f"{name}: {_export_folder(store, mailbox, folder)} messages\n")
    except OSError as problem:
        raise StoreError(f"cannot write the Maildir: {problem}") from problem
    finally:
        store.close()
    return 0


def _folder_name(name: str) -> str:
    return "." + mutf7.encode(name).replace(b".", b"&AC4-").replace(SEPARATOR.encode(), b".").decode("ascii")


def _export_folder(store: SqliteStore, mailbox: Mailbox, folder: Path) -> int:
    for part in ("cur", "new", "tmp"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    standard = {flag: letter for letter, flag in _LETTERS.items()}
    summaries = store.summaries(mailbox)
    keywords = sorted({flag for summary in summaries for flag in summary.flags} - standard.keys())
    if len(keywords) > len(_KEYWORD_LETTERS):
        sys.stderr.write(f"lemonade-imap: {mailbox.name}: keywords {', '.join(keywords[26:])} have no letter\n")
    letters = {**dict(zip(keywords, _KEYWORD_LETTERS, strict=False)), **standard}
    if keywords:
        text = "".join(f"{number} {keyword}\n" for number, keyword in enumerate(keywords[:26]))
        (folder / _KEYWORDS).write_text(text, encoding="utf-8")
    for summary in summaries:
        message = store.message(mailbox, summary.uid)
        if message:
            flags = "".join(sorted(letters[flag] for flag in message.flags if flag in letters))
            _export(store, message, folder, f"{int(message.received.timestamp())}.U{message.uid}:2,{flags}")
    return len(summaries)


def _export(store: SqliteStore, message: Message, folder: Path, name: str) -> None:
    path = folder / "tmp" / name
    with path.open("wb") as file:
        for chunk in store.read(message, 0, message.size):
            file.write(chunk)
    seconds = message.received.timestamp()
    os.utime(path, (seconds, seconds))
    path.rename(folder / "cur" / name)
