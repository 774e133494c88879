"""GENURLAUTH, RESETKEY and URLFETCH (RFC 4467, 7; RFC 5524, 3.1)."""

from __future__ import annotations

from dataclasses import dataclass, field

from lemonade_imap.grammar.arguments import mailbox_name
from lemonade_imap.grammar.command import Command, Reader
from lemonade_imap.state import TICKET_HOLDERS
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.lexer import Lexer

MAX_URLS = 100
_URLFETCH_PARAMS = {"BODY", "BINARY", "BODYPARTSTRUCTURE"}


@dataclass(frozen=True)
class ResetKey(Command):
    """RESETKEY (RFC 4467, 7): of one mailbox, or of all with None."""

    name = "RESETKEY"
    mailbox: str | None = None


@dataclass(frozen=True)
class GenUrlAuth(Command):
    """GENURLAUTH (RFC 4467, 7): rumps with their mechanisms."""

    name = "GENURLAUTH"
    requests: tuple[tuple[bytes, str], ...]


@dataclass(frozen=True)
class UrlFetchArgument:
    """One URL of URLFETCH, exactly as received, with the parameters asked for, in capitals (none: RFC 4467's form)."""

    url: bytes = field(repr=False)
    params: tuple[str, ...] = ()


@dataclass(frozen=True)
class UrlFetch(Command):
    """URLFETCH, plain or extended (RFC 4467, 7; RFC 5524, 3.1)."""

    name = "URLFETCH"
    legal_in = TICKET_HOLDERS
    arguments: tuple[UrlFetchArgument, ...]


def resetkey(lexer: Lexer) -> Command:
    """Read RESETKEY's arguments (RFC 4467, 7)."""
    if not lexer.skip_spaces():
        return ResetKey()
    mailbox = mailbox_name(lexer)
    while lexer.skip_spaces() and not lexer.at_end:
        if lexer.atom().upper() != "INTERNAL":
            raise ImapParseError("INTERNAL is the only mechanism")
    return ResetKey(mailbox)


def genurlauth(lexer: Lexer) -> Command:
    """Read GENURLAUTH's arguments (RFC 4467, 7)."""
    requests: list[tuple[bytes, str]] = []
    while lexer.skip_spaces() and not lexer.at_end:
        url = lexer.astring()
        lexer.space()
        requests.append((url, lexer.atom()))
        if len(requests) > MAX_URLS:
            raise ImapParseError(f"at most {MAX_URLS} URLs are taken at once")
    if not requests:
        raise ImapParseError("GENURLAUTH wants a URL and a mechanism")
    return GenUrlAuth(tuple(requests))


def urlfetch(lexer: Lexer) -> Command:
    """Read URLFETCH's arguments, plain or extended (RFC 5524, 3.1)."""
    arguments: list[UrlFetchArgument] = []
    while lexer.skip_spaces() and not lexer.at_end:
        arguments.append(_urlfetch_argument(lexer))
        if len(arguments) > MAX_URLS:
            raise ImapParseError(f"at most {MAX_URLS} URLs are taken at once")
    if not arguments:
        raise ImapParseError("URLFETCH wants a URL")
    return UrlFetch(tuple(arguments))


def _urlfetch_argument(lexer: Lexer) -> UrlFetchArgument:
    if not lexer.take("("):
        return UrlFetchArgument(_echoable(lexer.astring()))
    # E-31: the draft's example has blanks just inside the parentheses
    lexer.skip_spaces()
    url = _echoable(lexer.astring())
    params: list[str] = []
    while not lexer.take(")"):
        lexer.space()
        if lexer.peek() != ")":
            params.append(lexer.atom().upper())
    if not _URLFETCH_PARAMS.issuperset(params):
        raise ImapParseError("URLFETCH knows BODY, BINARY and BODYPARTSTRUCTURE")
    if len(set(params)) < len(params) or {"BODY", "BINARY"} <= set(params):
        raise ImapParseError("each parameter stands once, and BODY not beside BINARY")
    return UrlFetchArgument(url, tuple(params))


def _echoable(url: bytes) -> bytes:
    if any(octet < 0x20 or octet >= 0x7F for octet in url):
        raise ImapParseError("a URL holds printable ASCII alone")
    return url


READERS: dict[str, Reader] = {"RESETKEY": resetkey, "GENURLAUTH": genurlauth, "URLFETCH": urlfetch}
