"""What the server sends: lines of octets, literals, and bodies that are still to be read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from lemonade_wire.imap.framing import Literal, LogicalLine
from lemonade_wire.imap.writing import line_of


@dataclass(frozen=True)
class Body:
    """A literal whose octets come from the store as they are sent; `size` of them, or the connection breaks."""

    size: int
    chunks: Iterator[bytes] = field(repr=False)
    binary: bool = False

    @property
    def mark(self) -> bytes:
        """The announcement, `{n}` or `~{n}`."""
        return b"%s{%d}" % (b"~" if self.binary else b"", self.size)


Piece = bytes | Literal | Body


@dataclass(frozen=True)
class Reply:
    """One response line without its CRLF; a `secret` one does not stand in a trace."""

    pieces: tuple[Piece, ...]
    secret: bool = False

    @classmethod
    def of(cls, *pieces: Piece) -> Reply:
        """Make a reply of its pieces."""
        return cls(pieces)

    @classmethod
    def join(cls, pieces: Iterable[Piece]) -> Reply:
        """The same, of an iterable."""
        return cls(tuple(pieces))

    @property
    def line(self) -> LogicalLine | None:
        """The line where all of it is here, None where a body is still to be read."""
        parts = [piece for piece in self.pieces if not isinstance(piece, Body)]
        return line_of(parts) if len(parts) == len(self.pieces) else None

    @property
    def text(self) -> bytes:
        """The line with each literal as its mark alone."""
        return b"".join(piece if isinstance(piece, bytes) else piece.mark for piece in self.pieces)


@dataclass(frozen=True)
class Batch:
    """Many lines without literals, each without its CRLF, that are written together."""

    lines: Sequence[bytes]
