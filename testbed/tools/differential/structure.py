"""Turns the ENVELOPE and BODYSTRUCTURE of a FETCH response into facts, one for each field that is not NIL.

The fields are read strictly by their position (RFC 3501, 7.4.2), while the reader in `lemonade_wire` tolerates errors,
as a client should.

    body-type-1part = media-type SP media-subtype SP params SP id SP description SP encoding SP octets
                      [SP envelope SP body SP lines]   if it is MESSAGE/RFC822
                      [SP lines]                       if it is TEXT
                      [SP md5 [SP disposition [SP language [SP location]]]]
    body-type-mpart = 1*body SP media-subtype [SP params [SP disposition [SP language [SP location]]]]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.lexer import Atom, ListValue, Value, as_nstring, as_number

_ENVELOPE = ("date", "subject", "from", "sender", "reply-to", "to", "cc", "bcc", "in-reply-to", "message-id")
_PEOPLE = slice(2, 8)
_BASIC = ("id", "description", "encoding")
Show = Callable[[bytes | None], str]


def envelope_facts(value: Value, show: Show) -> list[str]:
    """Return a fact for each field of an envelope that is not NIL; raises ImapParseError.

    `show` returns a string, or NIL, as text.
    """
    items = _items(value)
    if len(items) != len(_ENVELOPE):
        raise ImapParseError(f"an envelope of {len(items)} fields")
    found = []
    for at, (name, item) in enumerate(zip(_ENVELOPE, items, strict=True)):
        if _is_nil(item):
            continue
        people = range(*_PEOPLE.indices(len(_ENVELOPE)))
        told = " ".join(_person(one, show) for one in _items(item)) if at in people else show(as_nstring(item))
        found.append(f"{name} {told or '()'}")
    return found


def _person(value: Value, show: Show) -> str:
    fields = _items(value)
    if len(fields) != 4:
        raise ImapParseError(f"an address of {len(fields)} fields")
    return f"({' '.join(show(as_nstring(field)) for field in fields)})"


def structure_facts(value: Value, show: Show, number: str = "") -> list[str]:
    """Return a fact for each field of each part, with the part's section number before it; raises ImapParseError.

    `number` is the section number of the part `value`, empty for the whole message.
    """
    items = list(_items(value))
    if items and isinstance(items[0], ListValue):
        return _multipart(items, show, number)
    return _leaf(items, show, number or "1")


def _multipart(items: list[Value], show: Show, number: str) -> list[str]:
    count = next((at for at, item in enumerate(items) if not isinstance(item, ListValue)), len(items))
    found = [
        fact
        for at, child in enumerate(items[:count], 1)
        for fact in structure_facts(child, show, f"{number}.{at}".lstrip("."))
    ]
    rest = items[count:]
    if not rest:
        raise ImapParseError("a multipart without a subtype")
    here = number or "whole"
    found.append(f"{here} type MULTIPART/{_word(rest[0])}")
    return found + [f"{here} {fact}" for fact in _extension(rest[1:], show, multipart=True)]


def _leaf(items: list[Value], show: Show, number: str) -> list[str]:
    if len(items) < 7:
        raise ImapParseError(f"a part of {len(items)} fields")
    kind = f"{_word(items[0])}/{_word(items[1])}"
    found = [f"type {kind}", *_params("parameter", items[2], show)]
    found += [
        f"{name} {show(as_nstring(item))}"
        for name, item in zip(_BASIC, items[3:6], strict=True)
        if name != "encoding" and not _is_nil(item)
    ]
    found += [f"encoding {_word(items[5])}", f"size {as_number(items[6])}"]
    rest = items[7:]
    inner: list[str] = []
    if kind == "MESSAGE/RFC822":
        if len(rest) < 3:
            raise ImapParseError("a message in a message without its fields")
        found += [f"envelope {fact}" for fact in envelope_facts(rest[0], show)]
        multipart = isinstance(_items(rest[1])[0], ListValue)
        inner = structure_facts(rest[1], show, number if multipart else f"{number}.1")
        rest = rest[2:]
    if kind == "MESSAGE/RFC822" or kind.startswith("TEXT/"):
        if not rest:
            raise ImapParseError("a text without its lines")
        found.append(f"lines {as_number(rest[0])}")
        rest = rest[1:]
    found += _extension(rest, show, multipart=False)
    return [f"{number} {fact}" for fact in found] + [f"{fact}" for fact in inner]


def _extension(rest: Sequence[Value], show: Show, *, multipart: bool) -> list[str]:
    found: list[str] = []
    if rest:
        found = _params("parameter", rest[0], show) if multipart else _unless_nil("md5", rest[0], show)
    if len(rest) > 1 and not _is_nil(rest[1]):
        kind, params = _items(rest[1])
        found += [f"disposition {_word(kind)}", *_params("disposition parameter", params, show)]
    if len(rest) > 2 and not _is_nil(rest[2]):
        tags = rest[2].items if isinstance(rest[2], ListValue) else (rest[2],)
        found.append(f"language {' '.join(show(as_nstring(tag)) for tag in tags)}")
    if len(rest) > 3:
        found += _unless_nil("location", rest[3], show)
    if rest:
        found.append(f"{min(len(rest), 4)} extension fields")
    return found


def _params(name: str, value: Value, show: Show) -> list[str]:
    if _is_nil(value):
        return []
    words = _items(value)
    if not words or len(words) % 2:
        raise ImapParseError("parameters that are no pairs")
    return [
        f"{name} {_word(key)} = {show(as_nstring(item))}" for key, item in zip(words[::2], words[1::2], strict=True)
    ]


def _unless_nil(name: str, value: Value, show: Show) -> list[str]:
    return [] if _is_nil(value) else [f"{name} {show(as_nstring(value))}"]


def _word(value: Value) -> str:
    octets = as_nstring(value)
    return "NIL" if octets is None else octets.decode("latin-1").upper()


def _is_nil(value: Value) -> bool:
    return isinstance(value, Atom) and value.is_nil


def _items(value: Value) -> tuple[Value, ...]:
    if not isinstance(value, ListValue):
        raise ImapParseError("a list is expected")
    return value.items
