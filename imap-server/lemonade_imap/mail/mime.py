"""Indexes the MIME parts of a message in one pass and in constant memory, while the message is received.

With the index the server answers requests for BODYSTRUCTURE, sections and URLFETCH without parsing the message again:
it has offset and length of every part, and the decoded length. Invalid MIME is indexed as far as it can be understood;
no message is refused because of it. The structure of a multipart (RFC 2046, 5.1.1):

    dash-boundary     = "--" boundary
    multipart-body    = [preamble CRLF] dash-boundary CRLF part *(delimiter CRLF part) close-delimiter [CRLF epilogue]
    delimiter         = CRLF dash-boundary
    close-delimiter   = delimiter "--"
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from lemonade_imap.mail.decode import IDENTITY, Base64Decoder, Decoder, Undecodable, decoder_for
from lemonade_imap.mail.headers import EMPTY_HEADER, Header, decoded_parameter, envelope_of
from lemonade_wire.imap.bodystructure import Disposition, Envelope, Params

MAX_DEPTH = 32
MAX_PARTS = 1000
MAX_HEADER = 256 * 1024
"""Octets of one header that are read."""
MAX_HEADERS = 4 * 1024 * 1024
"""Octets of all headers of a message that are read; a part behind them counts as one without a header."""
MAX_ITEMS = 20_000
"""Parameters, language tags and addresses of a message that are kept; a part behind them counts likewise."""
_INDEXED = frozenset(
    {
        *("content-type", "content-transfer-encoding", "content-disposition", "content-language", "content-location"),
        *("content-id", "content-description", "content-md5"),
        *("date", "subject", "from", "sender", "reply-to", "to", "cc", "bcc", "in-reply-to", "message-id"),
    }
)
"""Names of the fields that the index needs; no others are kept in memory."""
_MAX_PIECE = 65536


@dataclass(frozen=True)
class MimePart:
    """One MIME part, or the message itself; offsets and lengths are octets of the stored message.

    `header_offset`, `header_length`: the header, including the empty line at its end. `body_offset`, `length`: the
    encoded content; `lines`: the number of its lines. `decoded_length`, `decoded_lines`, `has_nul`: octets and lines of
    the decoded content, and whether it contains NUL; `decoded_length` is None if the content cannot be decoded.
    `irregular`: the content is decoded although it is not to the letter. Types and encodings are in upper case,
    parameter values as written. `envelope`: only of a message, which is the root or the child of a message/rfc822 part.
    `children`: the parts of a multipart, or the one message of a message/rfc822 part. `incomplete`: there are parts
    inside that the index lacks, because the message has more than MAX_PARTS, or they are deeper than MAX_DEPTH.
    """

    header_offset: int = 0
    header_length: int = 0
    body_offset: int = 0
    length: int = 0
    lines: int = 0
    decoded_length: int | None = 0
    decoded_lines: int = 0
    has_nul: bool = False
    type: str = "TEXT"
    subtype: str = "PLAIN"
    params: Params = ()
    ident: str | None = None
    description: str | None = None
    encoding: str = "7BIT"
    disposition: Disposition | None = None
    md5: str | None = None
    language: tuple[str, ...] = ()
    location: str | None = None
    envelope: Envelope | None = None
    children: tuple[MimePart, ...] = ()
    irregular: bool = False
    incomplete: bool = False

    @property
    def is_multipart(self) -> bool:
        """Whether the children are the parts of a multipart."""
        return self.type == "MULTIPART"

    @property
    def is_message(self) -> bool:
        """Whether this is a message/rfc822 part, whose one child is the enclosed message."""
        return (self.type, self.subtype) == ("MESSAGE", "RFC822") and bool(self.children)


@dataclass
class _Open:
    """A part whose end was not received yet."""

    header_offset: int
    is_message: bool
    in_digest: bool = False
    head: bytearray = field(default_factory=bytearray)
    in_header: bool = True
    header: Header = EMPTY_HEADER
    media: tuple[str, str, Params] = ("TEXT", "PLAIN", ())
    body_offset: int = 0
    lines_before: int = 0
    boundary: bytes = b""
    last_boundaries: tuple[bytes, ...] = ()
    parts_ended: bool = False
    incomplete: bool = False
    decoder: Decoder | None = None
    undecoded: bytearray = field(default_factory=bytearray)
    decodes: bool = True
    decoded_length: int = 0
    decoded_lines: int = 0
    has_nul: bool = False
    children: list[MimePart] = field(default_factory=list)

    def take(self, decode: Callable[[], bytes]) -> None:
        """Count the decoded octets that `decode` returns; note if it raises Undecodable, and then decode no more."""
        if not self.decodes:
            return
        try:
            octets = decode()
        except Undecodable:
            self.decodes = False
            return
        if octets:
            self.decoded_length += len(octets)
            self.decoded_lines += octets.count(b"\n")
            self.has_nul = self.has_nul or b"\0" in octets


class Indexer:
    """Makes the part index of a message that is given in chunks of any size."""

    def __init__(self) -> None:
        self._offset = 0
        self._newlines = 0
        self._parts = 1
        self._headers_left = MAX_HEADERS
        self._items_left = MAX_ITEMS
        self._held = b""
        self._line_end = b""
        self._at_line_start = True
        self._open: list[_Open] = [_Open(0, is_message=True)]
        self._root = MimePart()

    @property
    def parts(self) -> int:
        """The number of parts that have begun."""
        return self._parts

    def feed(self, chunk: bytes) -> None:
        """Index the next octets of the message."""
        *lines, self._held = (self._held + chunk).split(b"\n")
        for line in lines:
            self._line(line + b"\n")
        if len(self._held) > _MAX_PIECE:
            # The last octet may be the CR of a line end whose LF is not received yet.
            piece, self._held = self._held[:-1], self._held[-1:]
            self._line(piece)

    def close(self) -> MimePart:
        """Note the end of the message and return its root part."""
        if self._held:
            self._line(self._held)
            self._held = b""
        self._flush_line_end()
        self._end_parts(0, self._offset)
        return self._root

    def _line(self, line: bytes) -> None:
        """Index a line with its line end, or a piece of a very long line."""
        starts, self._at_line_start = self._at_line_start, line.endswith(b"\n")
        start = self._offset
        if starts and line.startswith(b"--") and self._boundary(line, start):
            self._offset += len(line)
            self._newlines += self._at_line_start
            return
        self._flush_line_end()
        self._offset += len(line)
        self._newlines += self._at_line_start
        part = self._open[-1]
        if not part.in_header:
            self._content(line)
        elif starts and line in {b"\r\n", b"\n"}:
            self._end_header(part, self._offset)
        elif len(part.head) < min(MAX_HEADER, self._headers_left) and self._items_left > 0:
            part.head += line

    def _boundary(self, line: bytes, start: int) -> bool:
        """If the line is a boundary, end all open parts inside its multipart; returns whether it is a boundary."""
        text = line.rstrip(b" \t\r\n")
        for depth in range(len(self._open) - 1, -1, -1):
            multipart = self._open[depth]
            boundary = multipart.boundary
            if not boundary or multipart.parts_ended or text not in (boundary, *multipart.last_boundaries):
                continue
            self._end_parts(depth + 1, start - len(self._line_end))
            # The line end after a close-delimiter may belong to the delimiter of an outer multipart.
            self._line_end = line[len(line.rstrip(b"\r\n")) :] if text != boundary else b""
            ended = text != boundary
            multipart.parts_ended = ended or self._parts >= MAX_PARTS
            multipart.incomplete = multipart.parts_ended and not ended
            if not multipart.parts_ended:
                in_digest = multipart.media[1] == "DIGEST"
                self._push(_Open(start + len(line), is_message=False, in_digest=in_digest))
            return True
        return False

    def _push(self, part: _Open) -> None:
        self._parts += 1
        self._open.append(part)

    def _end_header(self, part: _Open, body_offset: int) -> None:
        part.in_header = False
        part.header = Header.parse(bytes(part.head), _INDEXED)
        part.media = part.header.content_type(digest=part.in_digest)
        self._headers_left -= len(part.head)
        self._items_left -= len(part.media[2])
        part.head.clear()
        part.body_offset = body_offset
        part.lines_before = self._newlines
        type_, subtype, params = part.media
        encoding = part.header.encoding()
        deep = len(self._open) >= MAX_DEPTH
        part.incomplete = deep and (type_ == "MULTIPART" or (type_, subtype) == ("MESSAGE", "RFC822"))
        if type_ == "MULTIPART" and not deep:
            written = decoded_parameter(params, "BOUNDARY") or ""
            # RFC 2046, 5.1.1: a boundary has no blank at its end, and those at the end of a delimiter are removed too.
            if boundary := written.rstrip(" \t"):
                part.boundary = b"--" + boundary.encode("utf-8", "surrogateescape")
                with_blanks = b"--" + written.encode("utf-8", "surrogateescape")
                part.last_boundaries = (part.boundary + b"--", with_blanks + b"--")
                return
        elif (type_, subtype) == ("MESSAGE", "RFC822") and encoding in IDENTITY and not deep:
            self._push(_Open(body_offset, is_message=True))
            return
        try:
            part.decoder = decoder_for(encoding)
        except Undecodable:
            part.decodes = False

    def _content(self, line: bytes) -> None:
        # A line end before a boundary belongs to the boundary (RFC 2046, 5.1.1): it is kept until the next line is
        # known.
        bare = line
        if line.endswith(b"\n"):
            bare = line[:-2] if line.endswith(b"\r\n") else line[:-1]
        self._line_end = line[len(bare) :]
        self._decode(bare)

    def _flush_line_end(self) -> None:
        if self._line_end:
            self._decode(self._line_end)
            self._line_end = b""

    def _decode(self, octets: bytes) -> None:
        part = self._open[-1]
        decoder = part.decoder
        if decoder is not None:
            part.undecoded += octets
            if len(part.undecoded) >= _MAX_PIECE:
                part.take(lambda: decoder.feed(bytes(part.undecoded)))
                part.undecoded.clear()
        if b"\0" in octets:
            for outer in self._open:
                outer.has_nul = outer.has_nul or outer.decoder is None

    def _end_parts(self, depth: int, end: int) -> None:
        """End all open parts from `depth` inwards at octet `end`; a part whose header is incomplete has no body."""
        while len(self._open) > depth:
            part = self._open[-1]
            if part.in_header:
                self._end_header(part, end)
                continue
            self._open.pop()
            finished = self._finish(part, end)
            if self._open:
                self._open[-1].children.append(finished)
            else:
                self._root = finished

    def _lines_of(self, part: _Open, length: int) -> int:
        """Return the number of line ends in a part's body, which are its lines (RFC 3501, 7.4.2: the example)."""
        # The line end that is kept belongs to the boundary and not to the body.
        return self._newlines - part.lines_before - bool(self._line_end) if length else 0

    def _finish(self, part: _Open, end: int) -> MimePart:
        """Return the index of a part whose content ends at octet `end`."""
        decoder = part.decoder
        if decoder is not None:
            part.take(lambda: decoder.feed(bytes(part.undecoded)))
            part.take(decoder.close)
        header = part.header
        type_, subtype, params = part.media
        encoding = header.encoding()
        if type_ == "MULTIPART" and not part.children and part.incomplete:
            type_, subtype, params = "APPLICATION", "OCTET-STREAM", ()
        elif type_ == "MULTIPART" and not part.children:
            # A multipart without parts is invalid, and an invalid Content-Type means text/plain (RFC 2045, 5.2).
            type_, subtype, params = "TEXT", "PLAIN", (("CHARSET", "us-ascii"),)
        elif (type_, subtype) == ("MESSAGE", "RFC822") and not part.children:
            # A message that is encoded, which RFC 2046, 5.2.1 forbids, or nested too deep, is opaque data.
            type_, subtype = "APPLICATION", "OCTET-STREAM"
        envelope = envelope_of(header) if part.is_message else None
        disposition, languages = header.disposition(), header.languages()
        self._items_left -= _items_of(envelope) + len(languages) + len(disposition.params if disposition else ())
        length = max(0, end - part.body_offset)
        lines = self._lines_of(part, length)
        decoded_length: int | None = part.decoded_length
        decoded_lines = part.decoded_lines
        if decoder is None:
            decoded_length, decoded_lines = (length if encoding in IDENTITY else None), lines
        return MimePart(
            header_offset=part.header_offset,
            header_length=part.body_offset - part.header_offset,
            body_offset=part.body_offset,
            length=length,
            lines=lines,
            decoded_length=decoded_length if part.decodes else None,
            decoded_lines=decoded_lines,
            has_nul=part.has_nul,
            type=type_,
            subtype=subtype,
            params=params,
            ident=header.present("Content-ID"),
            description=header.present("Content-Description"),
            encoding=encoding,
            disposition=disposition,
            md5=header.present("Content-MD5"),
            language=languages,
            location=header.location(),
            envelope=envelope,
            children=tuple(part.children),
            irregular=isinstance(decoder, Base64Decoder) and decoder.irregular and part.decodes,
            incomplete=part.incomplete,
        )


def _items_of(envelope: Envelope | None) -> int:
    """Return the number of addresses of an envelope."""
    if envelope is None:
        return 0
    lists = (envelope.from_, envelope.sender, envelope.reply_to, envelope.to, envelope.cc, envelope.bcc)
    return sum(len(found or ()) for found in lists)


def index(chunks: Iterable[bytes]) -> MimePart:
    """Return the root part of the index of a whole message."""
    indexer = Indexer()
    for chunk in chunks:
        indexer.feed(chunk)
    return indexer.close()
