"""Parses GENURLAUTH, RESETKEY and URLFETCH (RFC 4467, 7; RFC 5524, 3.1).

    genurlauth = "GENURLAUTH" 1*(SP url-rump SP mechanism)
    resetkey   = "RESETKEY" [SP mailbox *(SP mechanism)]
    urlfetch   = "URLFETCH" 1*(SP (url / "(" url *(SP parameter) ")"))
    parameter  = "BODY" / "BINARY" / "BODYPARTSTRUCTURE"

URLs are astrings.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lemonade_imap.grammar.base import TICKET_HOLDERS, ParsedCommand, Reader, mailbox_name
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.lexer import Lexer

MAX_URLS = 100
_URLFETCH_PARAMS = {"BODY", "BINARY", "BODYPARTSTRUCTURE"}


@dataclass(frozen=True)
class ResetKey(ParsedCommand):
    """RESETKEY (RFC 4467, 7) for one mailbox, or for all the user's mailboxes if `mailbox` is None."""

    name = "RESETKEY"
    mailbox: str | None = None


@dataclass(frozen=True)
class GenUrlAuth(ParsedCommand):
    """GENURLAUTH (RFC 4467, 7): each rump exactly as received, with its mechanism."""

    name = "GENURLAUTH"
    requests: tuple[tuple[bytes, str], ...]


@dataclass(frozen=True)
class UrlFetchArgument:
    """One URL of URLFETCH exactly as received, with its parameters in capitals.

    Without parameters it is URLFETCH of RFC 4467, with the plain response.
    """

    url: bytes = field(repr=False)
    params: tuple[str, ...] = ()


@dataclass(frozen=True)
class UrlFetch(ParsedCommand):
    """URLFETCH (RFC 4467, 7), whose URLs may have parameters (RFC 5524, 3.1)."""

    name = "URLFETCH"
    legal_in = TICKET_HOLDERS
    arguments: tuple[UrlFetchArgument, ...]


def resetkey(lexer: Lexer) -> ParsedCommand:
    """Parse the arguments of RESETKEY (RFC 4467, 7); raises ImapParseError."""
    if not lexer.skip_spaces():
        return ResetKey()
    mailbox = mailbox_name(lexer)
    while lexer.skip_spaces() and not lexer.at_end:
        if lexer.atom().upper() != "INTERNAL":
            raise ImapParseError("INTERNAL is the only mechanism")
    return ResetKey(mailbox)


def genurlauth(lexer: Lexer) -> ParsedCommand:
    """Parse the arguments of GENURLAUTH (RFC 4467, 7); raises ImapParseError."""
    requests: list[tuple[bytes, str]] = []
    while lexer.skip_spaces() and not lexer.at_end:
        url = lexer.astring()
        lexer.space()
        requests.append((url, lexer.atom()))
        if len(requests) > MAX_URLS:
            raise ImapParseError(f"at most {MAX_URLS} URLs are taken at once")
    if not requests:
        raise ImapParseError("GENURLAUTH needs a URL and a mechanism")
    return GenUrlAuth(tuple(requests))


def urlfetch(lexer: Lexer) -> ParsedCommand:
    """Parse the arguments of URLFETCH (RFC 4467, 7; RFC 5524, 3.1); raises ImapParseError."""
    arguments: list[UrlFetchArgument] = []
    while lexer.skip_spaces() and not lexer.at_end:
        arguments.append(_urlfetch_argument(lexer))
        if len(arguments) > MAX_URLS:
            raise ImapParseError(f"at most {MAX_URLS} URLs are taken at once")
    if not arguments:
        raise ImapParseError("URLFETCH needs a URL")
    return UrlFetch(tuple(arguments))


def _urlfetch_argument(lexer: Lexer) -> UrlFetchArgument:
    if not lexer.take("("):
        return UrlFetchArgument(_echoable(lexer.astring()))
    # E-31: the draft's example has blanks behind "(" and before ")".
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
        raise ImapParseError("a parameter may be given only once, and BODY not together with BINARY")
    return UrlFetchArgument(url, tuple(params))


def _echoable(url: bytes) -> bytes:
    if any(octet < 0x20 or octet >= 0x7F for octet in url):
        raise ImapParseError("a URL must be printable ASCII")
    return url


READERS: dict[str, Reader] = {"RESETKEY": resetkey, "GENURLAUTH": genurlauth, "URLFETCH": urlfetch}
