"""APPEND with its extensions (RFC 3501, 6.3.11; RFC 3502 many messages; RFC 3516 literal8; RFC 4469 CATENATE).

The octets of messages are no part of a command: they are streamed to the store as they come. `coming` tells, of a line
that has come as far as a literal, whether that literal is such octets.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from lemonade_imap.grammar.arguments import mailbox_name, parenthesised
from lemonade_imap.grammar.command import Command, Reader
from lemonade_imap.grammar.dates import read_date_time
from lemonade_imap.grammar.flags import settable
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.framing import Announced, Literal, LogicalLine
from lemonade_wire.imap.lexer import Lexer

MAX_MESSAGES = 100
MAX_PARTS = 1000


@dataclass(frozen=True)
class TextPart:
    """Octets that the client sends: how many; `binary` where they came as a literal8, which may hold NUL."""

    size: int
    binary: bool = False


@dataclass(frozen=True)
class UrlPart:
    """Octets of a message that is here (RFC 4469), named by a URL exactly as received."""

    url: bytes = field(repr=False)


@dataclass(frozen=True)
class NewMessage:
    """A message to be kept: the parts that follow one another; `received` is None where the client gives no date."""

    flags: tuple[str, ...]
    received: datetime | None
    parts: tuple[TextPart | UrlPart, ...]


@dataclass(frozen=True)
class Append(Command):
    """APPEND (RFC 3501, 6.3.11) of one message or, all or none, of several (RFC 3502)."""

    name = "APPEND"
    mailbox: str
    messages: tuple[NewMessage, ...]


def coming(announced: Announced) -> tuple[str, Append] | None:
    """Return tag and command as far as they are here, this literal included, where it is octets of a message."""
    try:
        return _begun(_up_to(announced))
    except ImapParseError:
        return None


def why_bad(announced: Announced) -> str | None:
    """Return what is wrong with an APPEND before the literal that is announced, or None."""
    lexer = _up_to(announced)
    try:
        _begun(lexer)
    except ImapParseError as problem:
        # at the end nothing is wrong but that there is no more yet
        return None if lexer.at_end else str(problem)
    return None


def _up_to(announced: Announced) -> Lexer:
    literal = Literal(b"", announced.size, announced.binary, announced.synchronising, kept=False)
    return Lexer(LogicalLine((*announced.before, literal)))


def _begun(lexer: Lexer) -> tuple[str, Append] | None:
    tag = lexer.tag()
    lexer.space()
    return (tag, _append(lexer, cut=True)) if lexer.atom().upper() == "APPEND" else None


def _append(lexer: Lexer, *, cut: bool = False) -> Append:
    """Read APPEND's arguments; a `cut` line ends behind octets of a message, and nowhere else."""
    lexer.space()
    mailbox = mailbox_name(lexer)
    messages: list[NewMessage] = []
    while not messages or (lexer.skip_spaces() and not lexer.at_end):
        if not messages:
            lexer.space()
        messages.append(_message(lexer, cut=cut))
        if len(messages) > MAX_MESSAGES:
            raise ImapParseError(f"at most {MAX_MESSAGES} messages are taken at once")
    return Append(mailbox, tuple(messages))


def _message(lexer: Lexer, *, cut: bool) -> NewMessage:
    flags: list[str] = []
    received = None
    if lexer.peek() == "(":
        # clients give a message the flags it had elsewhere: \Recent among them is let pass, and is the server's to set
        flags = [settable(flag) for flag in parenthesised(lexer, lexer.flag) if flag.lower() != "\\recent"]
        lexer.space()
    if lexer.peek() == '"':
        received = read_date_time(lexer.string())
        lexer.space()
    if lexer.peek() == "{":
        return NewMessage(tuple(flags), received, (_text(lexer),))
    if lexer.peek().upper() != "C" or lexer.atom().upper() != "CATENATE":
        raise ImapParseError("APPEND takes its message as a literal, or CATENATE and a list")
    lexer.space()
    return NewMessage(tuple(flags), received, _catenated(lexer, cut=cut))


def _catenated(lexer: Lexer, *, cut: bool) -> tuple[TextPart | UrlPart, ...]:
    lexer.expect("(")
    lexer.skip_spaces()
    parts: list[TextPart | UrlPart] = []
    while True:
        word = lexer.atom().upper()
        lexer.space()
        if word == "TEXT":
            text = _text(lexer)
            if text.binary:
                # RFC 4469, 5: text-literal
                raise ImapParseError("CATENATE takes no literal8")
            parts.append(text)
            if cut and lexer.at_end:
                return tuple(parts)
        elif word == "URL":
            parts.append(UrlPart(lexer.astring()))
        else:
            raise ImapParseError("CATENATE takes TEXT with a literal, and URL with a string")
        if len(parts) > MAX_PARTS:
            raise ImapParseError(f"at most {MAX_PARTS} parts are put together")
        spaced = lexer.skip_spaces()
        if lexer.take(")"):
            return tuple(parts)
        if not spaced:
            raise ImapParseError("a space or ) is expected")


def _text(lexer: Lexer) -> TextPart:
    literal = lexer.literal()
    return TextPart(literal.size, literal.binary)


READERS: dict[str, Reader] = {"APPEND": _append}
