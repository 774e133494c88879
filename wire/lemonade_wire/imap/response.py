"""Parses the responses of an IMAP server into typed values (RFC 3501 section 7, RFC 4467, RFC 5524, RFC 5464).

A response of an unknown type becomes `Other`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from lemonade_wire.imap import mutf7
from lemonade_wire.imap.bodystructure import BodyStructure
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.framing import ImapLiteral, LogicalLine
from lemonade_wire.imap.lexer import (
    Atom,
    Lexer,
    ListValue,
    Value,
    as_nstring,
    as_number,
    as_octets,
    as_text,
    decode_text,
)

_STATUS = re.compile(
    r"(?P<tag>\S+) (?P<result>OK|NO|BAD|BYE|PREAUTH)(?: +\[(?P<code>[^\]]*)\])?(?: +(?P<text>.*))?\Z",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True)
class StatusResponse:
    """OK, NO, BAD, BYE or PREAUTH. `tag` is None if untagged; `code` is the text in brackets, as written."""

    tag: str | None
    result: str
    code: str | None
    text: str

    @property
    def code_name(self) -> str:
        """The code's first word in capitals, or ''."""
        return self.code.split(" ", 1)[0].upper() if self.code else ""

    @property
    def code_arguments(self) -> str:
        """The text after the code's first word, or ''."""
        return self.code.partition(" ")[2] if self.code else ""


@dataclass(frozen=True)
class Continuation:
    """A continuation request, `+`, with its text."""

    text: str


@dataclass(frozen=True)
class CapabilityResponse:
    """The server's capabilities, in capitals."""

    names: frozenset[str]


@dataclass(frozen=True)
class Exists:
    """The number of messages in the selected mailbox."""

    count: int


@dataclass(frozen=True)
class SearchResponse:
    """The message numbers or UIDs that a search found."""

    numbers: tuple[int, ...]


@dataclass(frozen=True)
class FetchResponse:
    """The data of one message: its sequence number, UID and structure if present, and all items by name."""

    number: int
    uid: int | None = None
    structure: BodyStructure | None = None
    items: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class GenUrlAuthResponse:
    """The authorised URLs, exactly as the server wrote them."""

    urls: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class FetchedUrl:
    """The result of URLFETCH for one URL.

    `refused`: the server returned NIL for the URL itself. `body`: the octets of a plain URLFETCH, or of BODY; `binary`:
    the octets without transfer encoding. Both are None if the element is NIL or absent; `body_came` and `binary_came`
    are true if it was present. `structure` is None if BODYPARTSTRUCTURE is NIL, absent or malformed. `too_large`: the
    literal was longer than the client accepts and was skipped.
    """

    url: str = field(repr=False)
    refused: bool = False
    body: bytes | None = field(default=None, repr=False)
    body_came: bool = False
    binary: bytes | None = field(default=None, repr=False)
    binary_came: bool = False
    structure: BodyStructure | None = None
    too_large: bool = False


@dataclass(frozen=True)
class UrlFetchResponse:
    """The results of one URLFETCH response; they are matched with requests by the URL's text, not by their order."""

    fetched: tuple[FetchedUrl, ...]


@dataclass(frozen=True)
class Metadata:
    """Annotations of a mailbox, or of the server if `mailbox` is '' (RFC 5464). Keys in lower case; None is NIL.

    An unsolicited response has only names of entries; they are in `changed`.
    """

    mailbox: str
    values: dict[str, bytes | None] = field(default_factory=dict)
    changed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listed:
    """A mailbox in a LIST or LSUB response."""

    mailbox: str
    delimiter: str | None
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Other:
    """Any other untagged response: its name in capitals (`FLAGS`, `RECENT`), its number if it has one, its values."""

    name: str
    number: int | None
    values: tuple[Value, ...]


Response = (
    StatusResponse
    | Continuation
    | CapabilityResponse
    | Exists
    | SearchResponse
    | FetchResponse
    | GenUrlAuthResponse
    | UrlFetchResponse
    | Metadata
    | Listed
    | Other
)


# RFC 3501 section 9, shortened; GENURLAUTH is RFC 4467, URLFETCH RFC 4467 and 5524, METADATA RFC 5464:
#   continue-req     =  "+" SP ( resp-text / base64 ) CRLF
#   response-tagged  =  tag SP ( "OK" / "NO" / "BAD" ) SP resp-text CRLF
#   response-data    =  "*" SP ( status / numbered / plain ) CRLF
#   status           =  ( "OK" / "NO" / "BAD" / "BYE" / "PREAUTH" ) SP resp-text
#   resp-text        =  ["[" resp-text-code "]" SP] text
#   numbered         =  number SP ( "EXISTS" / "RECENT" / "EXPUNGE" / "FETCH" SP msg-att )
#   msg-att          =  "(" name SP value *( SP name SP value ) ")"
#   plain            =  "CAPABILITY" 1*( SP capability ) / "SEARCH" *( SP nz-number )
#                       / ( "LIST" / "LSUB" ) SP "(" [flags] ")" SP ( quoted / nil ) SP mailbox
#                       / "GENURLAUTH" 1*( SP url-full )
#                       / "URLFETCH" 1*( SP url-full ( SP nstring / url-metadata ) )
#                       / "METADATA" SP mailbox SP ( entry-values / entry *( SP entry ) )
#   url-metadata     =  1*( SP "(" element ")" )
#   element          =  "BODYPARTSTRUCTURE" SP body / "BODY" SP nstring / "BINARY" SP ( nstring / literal8 )
#   entry-values     =  "(" entry SP value *( SP entry SP value ) ")"
def parse_response(line: LogicalLine) -> Response:
    """Parse one response; raises ImapParseError."""
    first = line.parts[0] if line.parts else b""
    text = decode_text(first) if isinstance(first, bytes) else ""
    if text.startswith("+"):
        return Continuation(text[1:].lstrip(" "))
    status = _STATUS.match(text)
    if status is not None:
        tag = None if status["tag"] == "*" else status["tag"]
        return StatusResponse(tag, status["result"].upper(), status["code"], status["text"] or "")
    lexer = Lexer(line)
    if not lexer.take("*"):
        raise ImapParseError("a response begins with *, + or a tag and its result")
    lexer.space()
    name = as_text(lexer.value()).upper()
    number = None
    if name.isascii() and name.isdigit():
        number = as_number(Atom(name))
        lexer.space()
        name = as_text(lexer.value()).upper()
    values = lexer.values()
    reader = _NUMBERED.get(name) if number is not None else None
    if reader is not None and number is not None:
        return reader(number, values)
    plain = _PLAIN.get(name) if number is None else None
    return plain(values) if plain is not None else Other(name, number, tuple(values))


def capability_names(text: str) -> frozenset[str]:
    """Return the names in a list of capabilities, in capitals."""
    return frozenset(text.upper().split())


def _capability(values: list[Value]) -> Response:
    return CapabilityResponse(capability_names(" ".join(as_text(value) for value in values)))


def _exists(number: int, values: list[Value]) -> Response:
    if values:
        raise ImapParseError("EXISTS takes a number alone")
    return Exists(number)


def _search(values: list[Value]) -> Response:
    # CONDSTORE (RFC 7162) adds the list (MODSEQ n) at the end; it is ignored.
    return SearchResponse(tuple(as_number(value) for value in values if not isinstance(value, ListValue)))


def _fetch(number: int, values: list[Value]) -> Response:
    if len(values) != 1 or not isinstance(values[0], ListValue):
        raise ImapParseError("FETCH data is one list in parentheses")
    pairs = values[0].items
    items = {as_text(key).upper(): value for key, value in zip(pairs[::2], pairs[1::2], strict=False)}
    written = items.get("BODYSTRUCTURE", items.get("BODY"))
    structure = None if written is None else _described(written)
    return FetchResponse(number, as_number(items["UID"]) if "UID" in items else None, structure, items)


def _genurlauth(values: list[Value]) -> Response:
    return GenUrlAuthResponse(tuple(as_text(value) for value in values))


def _urlfetch(values: list[Value]) -> Response:
    fetched: list[FetchedUrl] = []
    at = 0
    while at < len(values):
        url = as_text(values[at])
        at += 1
        elements: list[Value] = []
        while at < len(values) and isinstance(element := values[at], ListValue):
            # RFC 5524 has one list per element; Dovecot 2.3 has one list for all. Both are names and values in turn.
            elements += element.items
            at += 1
        if elements:
            fetched.append(_elements(url, elements))
        elif at < len(values):
            value = values[at]
            at += 1
            octets, too_large = _content(value)
            fetched.append(FetchedUrl(url, octets is None and not too_large, octets, True, too_large=too_large))
        else:
            raise ImapParseError("URLFETCH data has a URL without its value")
    return UrlFetchResponse(tuple(fetched))


def _elements(url: str, elements: list[Value]) -> FetchedUrl:
    found: dict[str, Value] = {
        as_text(key).upper(): value for key, value in zip(elements[::2], elements[1::2], strict=False)
    }
    nil = Atom("NIL")
    body, body_large = _content(found.get("BODY", nil))
    binary, binary_large = _content(found.get("BINARY", nil))
    structure = _described(found.get("BODYPARTSTRUCTURE", nil))
    return FetchedUrl(
        url, False, body, "BODY" in found, binary, "BINARY" in found, structure, body_large or binary_large
    )


def _described(written: Value) -> BodyStructure | None:
    """Return a structure; None if it is malformed, because the rest of the response is usable without it."""
    try:
        return BodyStructure.from_value(written)
    except ImapParseError:
        return None


def _content(value: Value) -> tuple[bytes | None, bool]:
    """Return the octets (None for NIL), and whether the literal was too large and was skipped."""
    if isinstance(value, ImapLiteral) and not value.kept:
        return None, True
    return as_nstring(value), False


def _metadata(values: list[Value]) -> Response:
    if not values:
        raise ImapParseError("METADATA names a mailbox")
    mailbox = mutf7.decode(as_octets(values[0]))
    rest = values[1:]
    if len(rest) == 1 and isinstance(rest[0], ListValue):
        pairs = rest[0].items
        entries = {as_text(k).lower(): as_nstring(v) for k, v in zip(pairs[::2], pairs[1::2], strict=False)}
        return Metadata(mailbox, entries)
    return Metadata(mailbox, {}, tuple(as_text(value).lower() for value in rest))


def _list(values: list[Value]) -> Response:
    if len(values) < 3 or not isinstance(values[0], ListValue):
        raise ImapParseError("LIST data is flags, delimiter and mailbox")
    delimiter = as_nstring(values[1])
    flags = tuple(as_text(flag) for flag in values[0].items)
    return Listed(mutf7.decode(as_octets(values[2])), None if delimiter is None else decode_text(delimiter), flags)


_NUMBERED: dict[str, Callable[[int, list[Value]], Response]] = {"EXISTS": _exists, "FETCH": _fetch}
_PLAIN: dict[str, Callable[[list[Value]], Response]] = {
    "CAPABILITY": _capability,
    "SEARCH": _search,
    "GENURLAUTH": _genurlauth,
    "URLFETCH": _urlfetch,
    "METADATA": _metadata,
    "LIST": _list,
    "LSUB": _list,
}
