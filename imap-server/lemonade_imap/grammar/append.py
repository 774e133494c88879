"""Parses APPEND with its extensions (RFC 3501, 6.3.11; MULTIAPPEND: RFC 3502; literal8: RFC 3516; CATENATE: RFC 4469).

    append         = "APPEND" SP mailbox 1*append-message
    append-message = [SP flag-list] [SP date-time] SP append-data
    append-data    = literal / literal8 / "CATENATE" SP "(" cat-part *(SP cat-part) ")"
    cat-part       = "TEXT" SP literal / "URL" SP astring

A command does not contain the octets of its messages: they are written to the store while they are received. When a
literal is announced, an `AppendReader` tells whether it holds such octets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from lemonade_imap.grammar.base import ParsedCommand, Reader, mailbox_name, parenthesised, read_date_time
from lemonade_imap.grammar.flags import settable
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.framing import Announced, ImapLiteral, LogicalLine
from lemonade_wire.imap.lexer import Lexer

MAX_MESSAGES = 100
MAX_PARTS = 1000


@dataclass(frozen=True)
class TextPart:
    """A literal with octets of a message: `size` octets; `binary`: it is a literal8, which may contain NUL."""

    size: int
    binary: bool = False


@dataclass(frozen=True)
class UrlPart:
    """Octets that are copied from a stored message (RFC 4469); `url` is the URL exactly as received."""

    url: bytes = field(repr=False)


@dataclass(frozen=True)
class AppendMessage:
    """A message to be stored, which consists of the `parts` in their order; `received` is None without a date."""

    flags: tuple[str, ...]
    received: datetime | None
    parts: tuple[TextPart | UrlPart, ...]


@dataclass(frozen=True)
class Append(ParsedCommand):
    """APPEND (RFC 3501, 6.3.11) of one message, or of several of which all or none are stored (RFC 3502)."""

    name = "APPEND"
    mailbox: str
    messages: tuple[AppendMessage, ...]


class AppendReader:
    """Reads one APPEND while its literals are announced, each text between them once (RFC 3501, 4.3)."""

    def __init__(self) -> None:
        self._lexer: Lexer | None = None
        self._steps: Iterator[Append | None] = iter(())
        self._tag = ""

    def coming(self, announced: Announced) -> tuple[str, Append] | None:
        """Return tag and command up to and including this literal if it holds octets of a message, otherwise None.

        The literals of one line must be given in their order, to one reader.
        """
        line = _up_to(announced)
        try:
            if self._lexer is None:
                self._lexer = lexer = Lexer(line)
                self._tag = lexer.tag()
                lexer.space()
                self._steps = _steps(lexer) if lexer.atom().upper() == "APPEND" else iter(())
            else:
                self._lexer.go_on(line)
            for made in self._steps:
                if made is None or self._lexer.at_end:
                    return None if made is None else (self._tag, made)
        except ImapParseError:
            self._steps = iter(())
        return None


def why_bad(announced: Announced) -> str | None:
    """Return the syntax error in an APPEND before the announced literal, or None if there is none."""
    lexer = Lexer(_up_to(announced))
    try:
        lexer.tag()
        lexer.space()
        if lexer.atom().upper() == "APPEND":
            all(made is not None for made in _steps(lexer))
    except ImapParseError as problem:
        # An error at the end of the line only means that the rest was not received yet.
        return None if lexer.at_end else str(problem)
    return None


def _up_to(announced: Announced) -> LogicalLine:
    literal = ImapLiteral(b"", announced.size, announced.binary, announced.synchronising, kept=False)
    return LogicalLine((*announced.before, literal))


def _append(lexer: Lexer) -> Append:
    made = None
    for made in _steps(lexer):
        if made is None:
            raise ImapParseError("a literal without its octets is in the place of a string")
    if made is None:
        raise ImapParseError("APPEND takes a message")
    return made


def _steps(lexer: Lexer) -> Iterator[Append | None]:
    """Parse APPEND's arguments; yields the command so far behind each literal of a message, and then the whole command.

    Yields None in front of another literal whose octets are not there yet; the caller continues when they are.
    """
    lexer.space()
    while _awaits_octets(lexer):
        yield None
    mailbox = mailbox_name(lexer)
    messages: list[AppendMessage] = []
    while not messages or (lexer.skip_spaces() and not lexer.at_end):
        if not messages:
            lexer.space()
        flags, received = _flags_and_date(lexer)
        if lexer.peek() == "{":
            messages.append(AppendMessage(flags, received, (_text(lexer),)))
            yield Append(mailbox, tuple(messages))
        else:
            parts: list[TextPart | UrlPart] = []
            for text_read in _catenated(lexer, parts):
                so_far = AppendMessage(flags, received, tuple(parts))
                yield Append(mailbox, (*messages, so_far)) if text_read else None
            messages.append(AppendMessage(flags, received, tuple(parts)))
        if len(messages) > MAX_MESSAGES:
            raise ImapParseError(f"at most {MAX_MESSAGES} messages are taken at once")
    yield Append(mailbox, tuple(messages))


def _awaits_octets(lexer: Lexer) -> bool:
    return lexer.peek() == "{" and not lexer.peek_literal().kept


def _flags_and_date(lexer: Lexer) -> tuple[tuple[str, ...], datetime | None]:
    flags: list[str] = []
    received = None
    if lexer.peek() == "(":
        # Clients send the flags that a message had elsewhere. \Recent is ignored: only the server sets it.
        flags = [settable(flag) for flag in parenthesised(lexer, lexer.flag) if flag.lower() != "\\recent"]
        lexer.space()
    if lexer.peek() == '"':
        received = read_date_time(lexer.string())
        lexer.space()
    return tuple(flags), received


def _catenated(lexer: Lexer, parts: list[TextPart | UrlPart]) -> Iterator[bool]:
    """Parse CATENATE and its list into `parts`; yields True behind each literal of TEXT, False to wait for octets."""
    if lexer.peek().upper() != "C" or lexer.atom().upper() != "CATENATE":
        raise ImapParseError("APPEND takes its message as a literal, or CATENATE and a list")
    lexer.space()
    lexer.expect("(")
    lexer.skip_spaces()
    while True:
        word = lexer.atom().upper()
        lexer.space()
        if word == "TEXT":
            text = _text(lexer)
            if text.binary:
                # RFC 4469, 5: text-literal is a literal, not a literal8
                raise ImapParseError("CATENATE takes no literal8")
            parts.append(text)
            yield True
        elif word == "URL":
            while _awaits_octets(lexer):
                yield False
            parts.append(UrlPart(lexer.astring()))
        else:
            raise ImapParseError("CATENATE takes TEXT with a literal, and URL with a string")
        if len(parts) > MAX_PARTS:
            raise ImapParseError(f"at most {MAX_PARTS} parts are put together")
        spaced = lexer.skip_spaces()
        if lexer.take(")"):
            return
        if not spaced:
            raise ImapParseError("a space or ) is expected")


def _text(lexer: Lexer) -> TextPart:
    literal = lexer.literal()
    return TextPart(literal.size, literal.binary)


READERS: dict[str, Reader] = {"APPEND": _append}
