"""A server's responses, typed (RFC 3501 7, 4467 7, 5524 3, 5464 4.4). What is not known comes as Other."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from lemonade_wire.imap import mutf7
from lemonade_wire.imap.bodystructure import BodyStructure
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.framing import Literal, LogicalLine
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
class Status:
    """OK, NO, BAD, BYE or PREAUTH. `tag` is None where untagged; `code` is what stood in brackets, as written."""

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
        """What follows the code's first word."""
        return self.code.partition(" ")[2] if self.code else ""


@dataclass(frozen=True)
class Continuation:
    """The server's `+`, with its text."""

    text: str


@dataclass(frozen=True)
class Capability:
    """The server's capabilities, in capitals."""

    names: frozenset[str]


@dataclass(frozen=True)
class Exists:
    """The number of messages in the selected mailbox."""

    count: int


@dataclass(frozen=True)
class Search:
    """Numbers that a search found."""

    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Fetch:
    """Data of one message: `number` in the mailbox, UID and structure where they came, all items by name."""

    number: int
    uid: int | None = None
    structure: BodyStructure | None = None
    items: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class GenUrlAuth:
    """Authorised URLs, exactly as the server wrote them."""

    urls: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class FetchedUrl:
    """What one URL gave. `refused` is NIL for the URL itself; an element is None where it is NIL or did not come,
    and `structure` where it cannot be read.

    `body`: a plain URLFETCH's octets, or those of BODY. `binary`: the decoded octets. `binary_came` and
    `body_came` tell NIL from absence. `too_large`: the literal passed this client's cap and was skipped.
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
class UrlFetch:
    """The URLs of one URLFETCH response: match them by their text, not by their order."""

    fetched: tuple[FetchedUrl, ...]


@dataclass(frozen=True)
class Metadata:
    """Annotations of a mailbox, or of the server where that is ''. Keys in lower case; None is NIL.

    A response that lists names alone (unsolicited) has them in `changed`.
    """

    mailbox: str
    values: dict[str, bytes | None] = field(default_factory=dict)
    changed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listed:
    """A mailbox of LIST or LSUB."""

    mailbox: str
    delimiter: str | None
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Other:
    """Any other untagged response: its name in capitals (`FLAGS`, `RECENT`, `EXPUNGE`), number if any, values."""

    name: str
    number: int | None
    values: tuple[Value, ...]


Response = (
    Status | Continuation | Capability | Exists | Search | Fetch | GenUrlAuth | UrlFetch | Metadata | Listed | Other
)


def parse_response(line: LogicalLine) -> Response:
    """Read one response; raises ImapParseError."""
    first = line.parts[0] if line.parts else b""
    text = decode_text(first) if isinstance(first, bytes) else ""
    if text.startswith("+"):
        return Continuation(text[1:].lstrip(" "))
    status = _STATUS.match(text)
    if status is not None:
        tag = None if status["tag"] == "*" else status["tag"]
        return Status(tag, status["result"].upper(), status["code"], status["text"] or "")
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
    """Read a list of capabilities."""
    return frozenset(text.upper().split())


def _capability(values: list[Value]) -> Response:
    return Capability(capability_names(" ".join(as_text(value) for value in values)))


def _exists(number: int, values: list[Value]) -> Response:
    if values:
        raise ImapParseError("EXISTS takes a number alone")
    return Exists(number)


def _search(values: list[Value]) -> Response:
    # CONDSTORE adds (MODSEQ n) at the end.
    return Search(tuple(as_number(value) for value in values if not isinstance(value, ListValue)))


def _fetch(number: int, values: list[Value]) -> Response:
    if len(values) != 1 or not isinstance(values[0], ListValue):
        raise ImapParseError("FETCH data is one list in parentheses")
    pairs = values[0].items
    items = {as_text(key).upper(): value for key, value in zip(pairs[::2], pairs[1::2], strict=False)}
    written = items.get("BODYSTRUCTURE", items.get("BODY"))
    structure = None if written is None else BodyStructure.from_value(written)
    return Fetch(number, as_number(items["UID"]) if "UID" in items else None, structure, items)


def _genurlauth(values: list[Value]) -> Response:
    return GenUrlAuth(tuple(as_text(value) for value in values))


def _urlfetch(values: list[Value]) -> Response:
    fetched: list[FetchedUrl] = []
    at = 0
    while at < len(values):
        url = as_text(values[at])
        at += 1
        elements: list[Value] = []
        while at < len(values) and isinstance(element := values[at], ListValue):
            # Dovecot 2.3 merges the elements into one list; RFC 5524 gives each its own: both are pairs in a row.
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
    return UrlFetch(tuple(fetched))


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
    """Return what describes the content; it may be written as nobody can read it, and the content is as good."""
    try:
        return BodyStructure.from_value(written)
    except ImapParseError:
        return None


def _content(value: Value) -> tuple[bytes | None, bool]:
    """Return the octets, and whether the literal was skipped as too large."""
    if isinstance(value, Literal) and not value.kept:
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
