"""Response lines that the server sends: octets, literals, and literals that are read from the store while sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile

from lemonade_wire.imap.command import line_of
from lemonade_wire.imap.framing import ImapLiteral, LogicalLine


@dataclass(frozen=True)
class Body:
    """A literal whose octets are read from the store while they are sent.

    `size`: the octets that `chunks` must give; if they give fewer, the connection has to be closed. `binary`: literal8.
    """

    size: int
    chunks: Iterator[bytes] = field(repr=False)
    binary: bool = False

    @property
    def mark(self) -> bytes:
        """The octets that announce the literal: `{size}`, or `~{size}` for a literal8 (RFC 3516)."""
        return b"%s{%d}" % (b"~" if self.binary else b"", self.size)


Piece = bytes | ImapLiteral | Body


@dataclass(frozen=True)
class Reply:
    """One response line without its CRLF; the trace shows a `secret` line as `+ ***` only."""

    pieces: tuple[Piece, ...]
    secret: bool = False

    @classmethod
    def of(cls, *pieces: Piece) -> Reply:
        """Make a reply from its pieces."""
        return cls(pieces)

    @classmethod
    def join(cls, pieces: Iterable[Piece]) -> Reply:
        """Make a reply from an iterable of its pieces."""
        return cls(tuple(pieces))

    def edited(self, edit: Callable[[bytes], bytes | None]) -> Reply | None:
        """Return the reply with what comes before its first literal changed; None where that becomes None."""
        texts = list(takewhile(lambda piece: isinstance(piece, bytes), self.pieces))
        begun = edit(b"".join(piece for piece in texts if isinstance(piece, bytes)))
        return None if begun is None else replace(self, pieces=(begun, *self.pieces[len(texts) :]))

    @property
    def line(self) -> LogicalLine | None:
        """The whole line, or None if the reply has a `Body`, whose octets are not in memory."""
        parts = [piece for piece in self.pieces if not isinstance(piece, Body)]
        return line_of(parts) if len(parts) == len(self.pieces) else None

    @property
    def text(self) -> bytes:
        """The line with only the mark of each literal, without the literal's octets."""
        return b"".join(piece if isinstance(piece, bytes) else piece.mark for piece in self.pieces)


@dataclass(frozen=True)
class ReplyBatch:
    """Many response lines that are written together; each is given without its CRLF and has no literals."""

    lines: Sequence[bytes]
