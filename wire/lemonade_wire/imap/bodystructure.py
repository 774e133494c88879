"""BODY and BODYSTRUCTURE: reads and writes the tree of a message's parts (RFC 3501 section 7.4.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lemonade_wire.imap.command import Joined, join, nstring, text_string
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.lexer import Atom, ListValue, Value, as_nstring, as_number, as_text, decode_text

NIL = Atom("NIL")
Params = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class MailAddress:
    """One address of an envelope, in the four fields of IMAP; None stands for NIL."""

    name: str | None
    route: str | None
    local: str | None
    domain: str | None


@dataclass(frozen=True)
class Envelope:
    """The envelope of a message; None stands for NIL."""

    date: str | None = None
    subject: str | None = None
    from_: tuple[MailAddress, ...] | None = None
    sender: tuple[MailAddress, ...] | None = None
    reply_to: tuple[MailAddress, ...] | None = None
    to: tuple[MailAddress, ...] | None = None
    cc: tuple[MailAddress, ...] | None = None
    bcc: tuple[MailAddress, ...] | None = None
    in_reply_to: str | None = None
    message_id: str | None = None


@dataclass(frozen=True)
class Disposition:
    """A Content-Disposition: its type and parameters."""

    kind: str
    params: Params = ()


@dataclass(frozen=True)
class BodyStructure:
    """The structure of one part: a leaf, a multipart (with `parts`), or a message/rfc822 (with `envelope` and `body`).

    `size` is in octets as stored, or as returned in a BODYPARTSTRUCTURE with BINARY. `lines` is set for text and
    messages. `type`, `subtype` and `encoding` keep the peer's case: compare `content_type`, or compare without case.
    """

    type: str
    subtype: str
    params: Params = ()
    id: str | None = None
    description: str | None = None
    encoding: str = "7BIT"
    size: int = 0
    lines: int | None = None
    envelope: Envelope | None = None
    body: BodyStructure | None = None
    parts: tuple[BodyStructure, ...] = ()
    md5: str | None = None
    disposition: Disposition | None = None
    language: tuple[str, ...] = ()
    location: str | None = None

    @property
    def content_type(self) -> str:
        """`type/subtype` in lower case."""
        return f"{self.type}/{self.subtype}".lower()

    @property
    def is_multipart(self) -> bool:
        """Whether the type is multipart."""
        return self.type.lower() == "multipart"

    def param(self, name: str) -> str | None:
        """Return a parameter's value, None if it is absent; names compare without case."""
        return next((value for key, value in self.params if key.lower() == name.lower()), None)

    def walk(self) -> Iterator[tuple[str, BodyStructure]]:
        """Yield (part number, part), depth first, for the structure of a whole message (RFC 3501 section 6.4.5).

        A message that is not a multipart is part `1`. The children of multipart n are `n.1`, `n.2`; the parts of the
        message inside a message/rfc822 part n are numbered `n.1` and so on. The topmost multipart has no number and is
        not yielded.
        """
        yield from _walk_message(self, "")

    # RFC 3501 section 9:
    #   body             =  "(" ( body-type-1part / body-type-mpart ) ")"
    #   body-type-1part  =  ( basic / message / text ) [SP md5 extension]
    #   basic            =  media-type SP media-subtype SP body-fields
    #   message          =  DQUOTE "MESSAGE" DQUOTE SP DQUOTE "RFC822" DQUOTE SP body-fields
    #                       SP envelope SP body SP lines
    #   text             =  DQUOTE "TEXT" DQUOTE SP media-subtype SP body-fields SP lines
    #   body-fields      =  params SP id SP description SP encoding SP octets
    #   body-type-mpart  =  1*body SP media-subtype [SP params extension]
    #   extension        =  [SP disposition [SP language [SP location *(SP body-extension)]]]
    @classmethod
    def from_value(cls, value: Value) -> BodyStructure:
        """Make a structure from a parsed list; raises ImapParseError.

        Errors in the examples of the RFCs and the draft are accepted (E-9, E-10, E-33). A part of a multipart, or the
        body of a message, that cannot be read becomes `UNREADABLE`: the other parts keep their numbers.
        """
        if not isinstance(value, ListValue) or not value.items:
            raise ImapParseError("a body structure is a list in parentheses")
        if _begins_multipart(value.items):
            return _read_multipart(value.items)
        return _read_leaf(value.items)

    def write(self, *, extended: bool = True) -> Joined:
        """Write the structure as BODYSTRUCTURE (`extended`) or as BODY; a text that cannot be quoted is a literal."""
        return _write_multipart(self, extended) if self.is_multipart else _write_leaf(self, extended)


UNREADABLE = BodyStructure("", "", encoding="")
"""Stands for a part whose structure a server wrote so that it cannot be read; it has no type, and matches none."""


def _walk_message(part: BodyStructure, prefix: str) -> Iterator[tuple[str, BodyStructure]]:
    """Yield the parts of a message's body; `prefix` is the part number before them, with its dot."""
    if part.is_multipart:
        for number, child in enumerate(part.parts, 1):
            yield from _walk_part(child, f"{prefix}{number}")
    else:
        yield from _walk_part(part, f"{prefix}1")


def _walk_part(part: BodyStructure, number: str) -> Iterator[tuple[str, BodyStructure]]:
    yield number, part
    if part.is_multipart:
        yield from _walk_message(part, f"{number}.")
    elif part.body is not None:
        yield from _walk_message(part.body, f"{number}.")


def _begins_multipart(items: tuple[Value, ...]) -> bool:
    """Tell whether a list begins with parts: lists, or NIL in the place of a part that is followed by one."""
    return isinstance(next((item for item in items if not _is_nil(item)), None), ListValue)


def _is_nil(value: Value) -> bool:
    return isinstance(value, Atom) and value.is_nil


def _read_part(value: Value) -> BodyStructure:
    try:
        return BodyStructure.from_value(value)
    except ImapParseError:
        return UNREADABLE


def _read_multipart(items: tuple[Value, ...]) -> BodyStructure:
    count = next(
        (index for index, item in enumerate(items) if not isinstance(item, ListValue) and not _is_nil(item)), len(items)
    )
    if not count or count == len(items):
        # E-9: without a subtype, the first NIL stands where the subtype should.
        count = next((index for index, item in enumerate(items) if index and _is_nil(item)), len(items))
    parts = tuple(_read_part(item) for item in items[:count])
    if all(part is UNREADABLE for part in parts):
        raise ImapParseError("no part of a multipart can be read")
    rest = items[count:]
    # E-9: a multipart in the draft's example has no subtype.
    subtype = _text(rest[0]) if rest and as_nstring(rest[0]) else None
    return BodyStructure(
        "MULTIPART",
        subtype or "MIXED",
        _params(rest[1]) if len(rest) > 1 else (),
        encoding="",
        parts=parts,
        disposition=_disposition(rest[2]) if len(rest) > 2 else None,
        language=_language(rest[3]) if len(rest) > 3 else (),
        location=_text(rest[4]) if len(rest) > 4 else None,
    )


def _read_leaf(items: tuple[Value, ...]) -> BodyStructure:
    # E-10: the draft's examples have one NIL too few, so that the size is in the place of the encoding.
    if len(items) >= 6 and _is_number(items[5]) and not _is_number(items[4]):
        items = (*items[:4], NIL, *items[4:])
    if len(items) < 7:
        raise ImapParseError("a part's structure has type, subtype, parameters, id, description, encoding and size")
    kind, subtype = _text(items[0]) or "", _text(items[1]) or ""
    if not kind or not subtype:
        raise ImapParseError("a part has a type and a subtype")
    rest = items[7:]
    envelope, body, lines = None, None, None
    if _has_message(kind, subtype, rest):
        envelope, body = _envelope(rest[0]), _read_part(rest[1])
        rest = rest[2:]
    if rest and _is_number(rest[0]):
        lines = as_number(rest[0])
        rest = rest[1:]
    return BodyStructure(
        kind,
        subtype,
        _params(items[2]),
        _text(items[3]),
        _text(items[4]),
        _text(items[5]) or "7BIT",
        as_number(items[6]),
        lines,
        envelope,
        body,
        md5=_text(rest[0]) if rest else None,
        disposition=_disposition(rest[1]) if len(rest) > 1 else None,
        language=_language(rest[2]) if len(rest) > 2 else (),
        location=_text(rest[3]) if len(rest) > 3 else None,
    )


def _has_message(kind: str, subtype: str, rest: tuple[Value, ...]) -> bool:
    """Tell whether envelope, body and lines follow the size of a part.

    They always do for message/rfc822 (RFC 3501 section 7.4.2). A message/global is opaque in IMAP4rev1, where MD5 or
    NIL and the disposition follow; newer servers send it like a message/rfc822 (RFC 9051 section 7.5.2).
    """
    if kind.lower() != "message" or len(rest) < 3 or not _is_number(rest[2]):
        return False
    return subtype.lower() == "rfc822" or (subtype.lower() == "global" and isinstance(rest[1], ListValue))


def _is_number(value: Value) -> bool:
    return isinstance(value, Atom) and value.text.isascii() and value.text.isdigit()


def _text(value: Value) -> str | None:
    octets = as_nstring(value)
    return None if octets is None else decode_text(octets)


def _is_string(value: Value) -> bool:
    return not isinstance(value, ListValue) and not _is_nil(value)


def _params(value: Value) -> Params:
    if not isinstance(value, ListValue):  # NIL, or an invalid value, which counts as no parameters
        return ()
    pairs = zip(value.items[::2], value.items[1::2], strict=False)
    # A value or a name that is NIL, or a list, spoils this parameter and not the part.
    return tuple((as_text(key), as_text(word)) for key, word in pairs if _is_string(key) and _is_string(word))


def _disposition(value: Value) -> Disposition | None:
    if not isinstance(value, ListValue) or not value.items:
        return None
    return Disposition(as_text(value.items[0]), _params(value.items[1]) if len(value.items) > 1 else ())


def _language(value: Value) -> tuple[str, ...]:
    """Read one language or a list of languages (body-fld-lang in RFC 3501 section 9)."""
    if isinstance(value, ListValue):
        return tuple(as_text(item) for item in value.items if not isinstance(item, ListValue))
    text = _text(value)
    return () if text is None else (text,)


# RFC 3501 section 9:
#   envelope  =  "(" date SP subject SP from SP sender SP reply-to SP to SP cc SP bcc SP in-reply-to SP message-id ")"
#   address   =  "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")"
def _envelope(value: Value) -> Envelope | None:
    if not isinstance(value, ListValue):
        return None
    items = [*value.items, *[NIL] * 10][:10]
    from_, sender, reply_to, to, cc, bcc = (_addresses(item) for item in items[2:8])
    date, subject, in_reply_to, message_id = (_text(item) for item in (*items[:2], *items[8:]))
    return Envelope(date, subject, from_, sender, reply_to, to, cc, bcc, in_reply_to, message_id)


def _addresses(value: Value) -> tuple[MailAddress, ...] | None:
    if not isinstance(value, ListValue):
        return None
    return tuple(
        MailAddress(*(_text(field) for field in (*item.items, NIL, NIL, NIL, NIL)[:4]))
        for item in value.items
        if isinstance(item, ListValue)
    )


def _write_params(params: Params) -> Joined:
    if not params:
        return [b"NIL"]  # E-33: an empty list is written NIL, not `()`
    return join(b"(", [text_string(word) for pair in params for word in pair], b")")


def _write_extension(part: BodyStructure) -> list[Joined]:
    """Write the extension fields: disposition, language and location."""
    place = part.disposition
    written: Joined = [b"NIL"]
    if place is not None:
        written = join(b"(", [text_string(place.kind), _write_params(place.params)], b")")
    language: Joined = [b"NIL"]
    if part.language:
        language = join(b"(", [text_string(tag) for tag in part.language], b")")
    return [written, language, nstring(part.location)]


def _write_multipart(part: BodyStructure, extended: bool) -> Joined:
    fields: list[Joined] = [text_string(part.subtype)]
    if extended:
        fields += [_write_params(part.params), *_write_extension(part)]
    children = [piece for child in part.parts for piece in child.write(extended=extended)]
    return [b"(", *children, b" ", *join(b"", fields, b")")]


def _write_leaf(part: BodyStructure, extended: bool) -> Joined:
    fields: list[Joined] = [
        text_string(part.type),
        text_string(part.subtype),
        _write_params(part.params),
        nstring(part.id),
        nstring(part.description),
        text_string(part.encoding),
        [b"%d" % part.size],
    ]
    if part.body is not None:
        fields += [write_envelope(part.envelope or Envelope()), part.body.write(extended=extended)]
    if part.lines is not None or part.body is not None or part.type.lower() == "text":
        fields.append([b"%d" % (part.lines or 0)])
    if extended:
        fields += [nstring(part.md5), *_write_extension(part)]
    return join(b"(", fields, b")")


def write_envelope(envelope: Envelope) -> Joined:
    """Write an envelope; missing fields are NIL."""
    people = (envelope.from_, envelope.sender, envelope.reply_to, envelope.to, envelope.cc, envelope.bcc)
    fields = [nstring(envelope.date), nstring(envelope.subject), *map(_write_addresses, people)]
    return join(b"(", [*fields, nstring(envelope.in_reply_to), nstring(envelope.message_id)], b")")


def _write_addresses(addresses: tuple[MailAddress, ...] | None) -> Joined:
    if not addresses:
        return [b"NIL"]
    written: Joined = [b"("]
    for who in addresses:
        written += join(b"(", [nstring(field) for field in (who.name, who.route, who.local, who.domain)], b")")
    return [*written, b")"]
