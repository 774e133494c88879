"""Parses GETMETADATA and SETMETADATA (RFC 5464, 4 and 5).

    getmetadata  = "GETMETADATA" [SP getmetadata-options] SP mailbox SP entries
    entries      = entry / "(" entry *(SP entry) ")"
    setmetadata  = "SETMETADATA" SP mailbox SP "(" entry-value *(SP entry-value) ")"
    entry-value  = entry SP (nstring / literal8)

The options are `MAXSIZE number` and `DEPTH 0`, `1` or `infinity`, in parentheses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lemonade_imap.grammar.base import TICKET_HOLDERS, ParsedCommand, Reader, mailbox_name, parenthesised
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.lexer import Lexer

MAX_ENTRIES = 100
_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)


@dataclass(frozen=True)
class GetMetadata(ParsedCommand):
    """GETMETADATA (RFC 5464, 4.2).

    `mailbox`: empty for the server's entries. `max_size`: octets of the largest value to send, or None. `depth`: `0`,
    `1` or `INFINITY`.
    """

    name = "GETMETADATA"
    legal_in = TICKET_HOLDERS
    mailbox: str
    entries: tuple[str, ...]
    max_size: int | None = None
    depth: str = "0"


@dataclass(frozen=True)
class SetMetadata(ParsedCommand):
    """SETMETADATA (RFC 5464, 4.3); `mailbox` is empty for the server's entries; a value of None removes the entry."""

    name = "SETMETADATA"
    mailbox: str
    entries: tuple[tuple[str, bytes | None], ...]


def getmetadata(lexer: Lexer) -> ParsedCommand:
    """Parse the arguments of GETMETADATA (RFC 5464, 4.2 and 5); raises ImapParseError."""
    lexer.space()
    options = _options(parenthesised(lexer, lexer.text)) if lexer.peek() == "(" else None
    if options is not None:
        lexer.space()
    mailbox = mailbox_name(lexer)
    lexer.space()
    listed = _entries(lexer)
    # The RFC's examples have the options behind the mailbox (erratum 2785): both positions are accepted.
    if options is None and listed and not listed[0].startswith("/") and lexer.skip_spaces():
        options, listed = _options(listed), _entries(lexer)
    if not listed or len(listed) > MAX_ENTRIES:
        raise ImapParseError("GETMETADATA needs the name of an entry, or some in parentheses")
    for entry in listed:
        _check_entry(entry)
    max_size, depth = options or (None, "0")
    return GetMetadata(mailbox, tuple(listed), max_size, depth)


def _entries(lexer: Lexer) -> list[str]:
    """Parse one name, or several with or without parentheses (the RFC's examples lack them; erratum 3868)."""
    if lexer.peek() == "(":
        return parenthesised(lexer, lexer.text)
    found = [lexer.text()]
    while lexer.skip_spaces() and not lexer.at_end:
        found.append(lexer.text())
    return found


def _options(words: list[str]) -> tuple[int | None, str]:
    """Return the values of MAXSIZE and DEPTH; raises ImapParseError for other options."""
    found = dict(zip([word.upper() for word in words[::2]], [word.upper() for word in words[1::2]], strict=False))
    size, depth = found.get("MAXSIZE"), found.get("DEPTH", "0")
    known = words and found.keys() <= {"MAXSIZE", "DEPTH"} and 2 * len(found) == len(words)
    if not known or depth not in {"0", "1", "INFINITY"} or (size is not None and not _NUMBER.fullmatch(size)):
        raise ImapParseError("GETMETADATA knows the options MAXSIZE number and DEPTH 0, 1 or infinity")
    return None if size is None else int(size), depth


def _check_entry(entry: str) -> None:
    """Raise ImapParseError for a name that RFC 5464, 3.2 does not allow; the scope is checked elsewhere (E-1)."""
    bad = any(char in "*%" or not " " <= char < "\x7f" for char in entry)
    if bad or not entry.startswith("/") or entry.endswith("/") or "//" in entry:
        raise ImapParseError("the name of an entry, such as /shared/mediaServers, is expected")


def setmetadata(lexer: Lexer) -> ParsedCommand:
    """Parse the arguments of SETMETADATA (RFC 5464, 4.3 and 5); raises ImapParseError."""
    lexer.space()
    mailbox = mailbox_name(lexer)
    lexer.space()
    lexer.expect("(")
    lexer.skip_spaces()
    entries: list[tuple[str, bytes | None]] = []
    while not entries or not lexer.take(")"):
        name = lexer.text()
        _check_entry(name)
        lexer.space()
        entries.append((name, lexer.nstring()))
        if len(entries) > MAX_ENTRIES:
            raise ImapParseError(f"at most {MAX_ENTRIES} entries are taken at once")
        if not lexer.skip_spaces() and lexer.peek() != ")":
            raise ImapParseError("a space or ) is expected")
    if len({name.lower() for name, _ in entries}) < len(entries):
        raise ImapParseError("an entry may be named only once")
    return SetMetadata(mailbox, tuple(entries))


READERS: dict[str, Reader] = {"GETMETADATA": getmetadata, "SETMETADATA": setmetadata}
