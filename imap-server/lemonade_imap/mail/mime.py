"""Indexes a message's MIME parts in one pass, in constant memory, when it is appended.

The index answers BODYSTRUCTURE, section and URLFETCH requests without the message being read again: every part has its
offsets and lengths, encoded and decoded. Broken MIME is indexed as what it still is: no message is refused for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from lemonade_imap.mail.decode import IDENTITY, Decoder, Undecodable, decoder_for
from lemonade_imap.mail.headers import EMPTY_HEADER, Header, envelope_of
from lemonade_wire.imap.bodystructure import Disposition, Envelope, Params

MAX_DEPTH = 32
MAX_PARTS = 1000
MAX_HEADER = 256 * 1024
_MAX_PIECE = 65536


@dataclass(frozen=True)
class Part:
    """One MIME part, or the message itself; offsets and lengths are octets of the stored message.

    `header_offset`, `header_length`: its header with the empty line that ends it. `body_offset`, `length`: its encoded
    content; `lines` that content's lines. `decoded_length`, `decoded_lines`, `has_nul`: the content without its
    encoding; `decoded_length` is None where it does not decode. Names of types and encodings are in upper case,
    parameter values as they stand. `envelope` belongs to a message (the root, or what a message/rfc822 part holds).
    `children`: the parts of a multipart, or the one message of a message/rfc822 part.
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
    children: tuple[Part, ...] = ()

    @property
    def is_multipart(self) -> bool:
        """Whether the children are the parts of a multipart."""
        return self.type == "MULTIPART"

    @property
    def is_message(self) -> bool:
        """Whether the one child is the message that this part holds."""
        return (self.type, self.subtype) == ("MESSAGE", "RFC822") and bool(self.children)


@dataclass
class _Open:
    """A part whose end has not been seen yet."""

    header_offset: int
    is_message: bool
    in_digest: bool = False
    head: bytearray = field(default_factory=bytearray)
    in_header: bool = True
    header: Header = EMPTY_HEADER
    body_offset: int = 0
    lines_before: int = 0
    boundary: bytes = b""
    parts_ended: bool = False
    decoder: Decoder | None = None
    undecoded: bytearray = field(default_factory=bytearray)
    decodes: bool = True
    decoded_length: int = 0
    decoded_lines: int = 0
    has_nul: bool = False
    children: list[Part] = field(default_factory=list)

    def media(self) -> tuple[str, str, Params]:
        """Return type, subtype and parameters."""
        return self.header.content_type(digest=self.in_digest)

    def take(self, decode: Callable[[], bytes]) -> None:
        """Count what `decode` gives; what does not decode is remembered as such."""
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
    """Takes a message in chunks of any size and gives its index."""

    def __init__(self) -> None:
        self._offset = 0
        self._newlines = 0
        self._parts = 1
        self._held = b""
        self._line_end = b""
        self._at_line_start = True
        self._open: list[_Open] = [_Open(0, is_message=True)]
        self._root = Part()

    def feed(self, chunk: bytes) -> None:
        """Take the next octets of the message."""
        *lines, self._held = (self._held + chunk).split(b"\n")
        for line in lines:
            self._line(line + b"\n")
        if len(self._held) > _MAX_PIECE:
            # the last octet may be the CR of a line end that is still on its way
            piece, self._held = self._held[:-1], self._held[-1:]
            self._line(piece)

    def close(self) -> Part:
        """Take the end of the message and return its index."""
        if self._held:
            self._line(self._held)
            self._held = b""
        self._flush_line_end()
        self._end_parts(0, self._offset)
        return self._root

    def _line(self, line: bytes) -> None:
        """Take a line with its end, or a piece of a very long one."""
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
        elif len(part.head) < MAX_HEADER:
            part.head += line

    def _boundary(self, line: bytes, start: int) -> bool:
        """Act on a boundary line: it ends all that is open inside its multipart. Tells whether it was one."""
        text = line.rstrip(b" \t\r\n")
        for depth in range(len(self._open) - 1, -1, -1):
            multipart = self._open[depth]
            boundary = multipart.boundary
            if not boundary or multipart.parts_ended or text not in {boundary, boundary + b"--"}:
                continue
            self._end_parts(depth + 1, start - len(self._line_end))
            # what ends the last boundary of a multipart may belong to the boundary of one around it
            self._line_end = line[len(line.rstrip(b"\r\n")) :] if text != boundary else b""
            multipart.parts_ended = text != boundary or self._parts >= MAX_PARTS
            if not multipart.parts_ended:
                in_digest = multipart.media()[1] == "DIGEST"
                self._push(_Open(start + len(line), is_message=False, in_digest=in_digest))
            return True
        return False

    def _push(self, part: _Open) -> None:
        self._parts += 1
        self._open.append(part)

    def _end_header(self, part: _Open, body_offset: int) -> None:
        part.in_header = False
        part.header = Header.parse(bytes(part.head))
        part.head.clear()
        part.body_offset = body_offset
        part.lines_before = self._newlines
        type_, subtype, params = part.media()
        encoding = part.header.encoding()
        deep = len(self._open) >= MAX_DEPTH
        if type_ == "MULTIPART" and not deep:
            if boundary := dict(params).get("BOUNDARY"):
                part.boundary = b"--" + boundary.encode("utf-8", "surrogateescape")
                return
        elif (type_, subtype) == ("MESSAGE", "RFC822") and encoding in IDENTITY and not deep:
            self._push(_Open(body_offset, is_message=True))
            return
        try:
            part.decoder = decoder_for(encoding)
        except Undecodable:
            part.decodes = False

    def _content(self, line: bytes) -> None:
        # the line end before a boundary belongs to the boundary (RFC 2046, 5.1.1): it waits for the next line
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
        """Close all parts from `depth` inwards at octet `end`; a part still in its header has an empty body."""
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
        """Return the lines of a part's body: its line ends are counted, as the example of RFC 3501, 7.4.2 does."""
        # the line end that waits is the boundary's, and no more of the body
        return self._newlines - part.lines_before - bool(self._line_end) if length else 0

    def _finish(self, part: _Open, end: int) -> Part:
        """Return the index of a part whose content ends at octet `end`."""
        decoder = part.decoder
        if decoder is not None:
            part.take(lambda: decoder.feed(bytes(part.undecoded)))
            part.take(decoder.close)
        header = part.header
        type_, subtype, params = part.media()
        encoding = header.encoding()
        if type_ == "MULTIPART" and not part.children:
            # no part was found: a Content-Type that means nothing is text/plain (RFC 2045, 5.2)
            type_, subtype, params = "TEXT", "PLAIN", (("CHARSET", "us-ascii"),)
        elif (type_, subtype) == ("MESSAGE", "RFC822") and not part.children:
            # encoded against RFC 2046, 5.2.1, or nested too deep: opaque
            type_, subtype = "APPLICATION", "OCTET-STREAM"
        length = max(0, end - part.body_offset)
        lines = self._lines_of(part, length)
        decoded_length: int | None = part.decoded_length
        decoded_lines = part.decoded_lines
        if decoder is None:
            decoded_length, decoded_lines = (length if encoding in IDENTITY else None), lines
        return Part(
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
            disposition=header.disposition(),
            md5=header.present("Content-MD5"),
            language=header.languages(),
            location=header.location(),
            envelope=envelope_of(header) if part.is_message else None,
            children=tuple(part.children),
        )


def index(chunks: Iterable[bytes]) -> Part:
    """Return the index of a whole message."""
    indexer = Indexer()
    for chunk in chunks:
        indexer.feed(chunk)
    return indexer.close()
