"""Splits the octets of TCP connections into SIP messages (RFC 3261, 18.3), or into IMAP lines and literals.

This is part of the second reader, and shares no code with the nodes but what hides secrets. SIP is split in one
direction:

    message        = start-line *header CRLF [body]               the body has as many octets as Content-Length says
    Content-Length = ( "Content-Length" / "l" ) HCOLON 1*DIGIT    RFC 3261, section 25.1

IMAP is split in both directions at once, because a literal may have to wait for the server. The time of a command or
response is that of its first octet. Passwords, SASL data and lines that are no command are replaced here; the caller
must redact the tokens of URLs.

    literal  = "{" number "}" CRLF *CHAR8             the client waits for the server's "+" before the octets
    literal+ = "{" number "+" "}" CRLF *CHAR8         the client does not wait (RFC 7888)
    literal8 = "~{" number ["+"] "}" CRLF *OCTET      may hold NUL (RFC 3516)
    tagged   = tag SP ("OK" / "NO" / "BAD") SP text   ends a command
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from lemonade_wire.imap.shown_command import shown_command
from lemonade_wire.redaction import STARS

_LENGTH = re.compile(rb"^(?:content-length|l)[ \t]*:[ \t]*([0-9]+)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_SHORT = 512
"""Octets: of a longer literal the text is not kept."""
_LITERAL = re.compile(rb"~?\{([0-9]+)([+-]?)\}\Z")
_STATUS = rb"(?:\*|[^\s+*(){%\"\\]+) +(?:OK|NO|BAD|BYE|PREAUTH)\b"
_NO_LITERAL = re.compile(rb"\+|" + _STATUS, re.IGNORECASE)
_ANEW = re.compile(rb"\* |" + _STATUS, re.IGNORECASE)
_TAGGED = re.compile(r"([^\s+*(){%\"\\]+) +(OK|NO|BAD)\b", re.IGNORECASE)
_COMMAND = re.compile(r"(\S+) +(AUTHENTICATE|STARTTLS)\b", re.IGNORECASE)
_LOGIN = re.compile(r"\S+ +LOGIN\b", re.IGNORECASE)


def split_sip(chunks: Iterable[tuple[float, int, bytes]]) -> Iterator[tuple[float, int, bytes]]:
    """Yield each whole message as (time, packet, octets), with the time and packet number of its first octet.

    `chunks` are the octets of the connection in order, as (time, packet, octets).
    """
    buffer = b""
    began: tuple[float, int] | None = None
    for t, number, data in chunks:
        buffer += data
        while True:
            buffer = buffer.lstrip(b"\r\n")  # RFC 3261, 7.5: empty lines before a start line
            if not buffer:
                began = None
                break
            began = began or (t, number)
            end = _end(buffer)
            if end is None or len(buffer) < end:
                break
            yield (*began, buffer[:end])
            buffer, began = buffer[end:], None


def _end(buffer: bytes) -> int | None:
    """Return the octet behind the first message, or None if its header section is not complete yet."""
    head, blank, _ = buffer.partition(b"\r\n\r\n")
    if not blank:
        return None
    length = _LENGTH.search(head)
    return len(head) + 4 + (_size(length[1]) if length else 0)


def _size(digits: bytes) -> int:
    """Return the number that digits are; of more than 18 of them, one that is greater than any capture all the same."""
    return int(digits.lstrip(b"0")[:18] or b"0")


@dataclass(frozen=True)
class CapturedLiteral:
    """A literal: its size in octets, its SHA-256 in hexadecimal, and its text if it is UTF-8 of at most 512 octets."""

    size: int
    sha256: str
    text: str | None


@dataclass(frozen=True)
class CapturedLine:
    """A whole command or response.

    `t` is the time of its first octet in seconds since 1970; `text` is its lines without the literals and line ends.
    """

    t: float
    from_client: bool
    text: str
    literals: tuple[CapturedLiteral, ...] = ()


@dataclass
class _Half:
    """One direction of a connection: the octets of the command or response that is not whole yet."""

    from_client: bool
    buffer: bytearray = field(default_factory=bytearray)
    text: bytearray = field(default_factory=bytearray)
    literals: list[CapturedLiteral] = field(default_factory=list)
    began: float | None = None
    left: int | None = None
    """The octets of the current literal that have not come yet; None outside of a literal."""
    waits: int | None = None
    """The size of a literal that the client announced; it waits for the server's "+" before it sends the octets."""
    size: int = 0
    start: bytes = b""
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def begin(self, size: int) -> None:
        self.left, self.size, self.start, self.digest = size, size, b"", hashlib.sha256()
        self.waits = None

    def take(self) -> bool:
        """Move octets of the current literal out of the buffer; returns whether the literal is whole."""
        assert self.left is not None  # noqa: S101  the caller checks that there is a literal
        piece = bytes(self.buffer[: self.left])
        del self.buffer[: self.left]
        self.left -= len(piece)
        self.digest.update(piece)
        self.start += piece[: _SHORT - len(self.start)]
        if self.left:
            return False
        self.left = None
        self.literals.append(CapturedLiteral(self.size, self.digest.hexdigest(), _short_text(self.size, self.start)))
        return True

    def whole(self, t: float) -> CapturedLine:
        line = CapturedLine(
            t if self.began is None else self.began,
            self.from_client,
            self.text.decode("utf-8", "backslashreplace"),
            tuple(self.literals),
        )
        self.text, self.literals, self.began = bytearray(), [], None
        return line


def _short_text(size: int, start: bytes) -> str | None:
    if size > _SHORT or b"\0" in start:
        return None
    try:
        return start.decode("utf-8")
    except UnicodeDecodeError:
        return None


@dataclass
class ImapSplitter:
    """Splits one connection: takes captured octets of both directions in order, and returns commands and responses.

    `encrypted` becomes True when the server accepts STARTTLS; the octets after that are not read.
    """

    encrypted: bool = False
    _client: _Half = field(default_factory=lambda: _Half(True))
    _server: _Half = field(default_factory=lambda: _Half(False))
    _authenticating: str | None = None
    _starting_tls: str | None = None

    def feed(self, t: float, from_client: bool, data: bytes) -> list[CapturedLine]:
        """Take octets that were sent at `t` (seconds since 1970); returns the commands and responses that they end."""
        half = self._client if from_client else self._server
        half.buffer += data
        if half.waits is not None and data:  # the client sent the literal without waiting for "+"
            half.begin(half.waits)
        return [line for raw in self._split(half, t) for line in (*self._refused(raw), self._secretly(raw))]

    def _split(self, half: _Half, t: float) -> Iterator[CapturedLine]:
        while not self.encrypted and half.waits is None:
            if half.began is None and half.buffer:
                half.began = t
            if half.left is not None and not half.take():
                return
            line, end, rest = half.buffer.partition(b"\n")
            if not end:
                return
            if not half.from_client and half.literals and not half.literals[-1].size and _ANEW.match(line):
                yield half.whole(t)  # the server sent no CRLF after an empty literal
                continue
            half.buffer = rest
            line = line.removesuffix(b"\r")
            half.text += line
            literal = _LITERAL.search(line)
            if literal is None or (not half.from_client and _NO_LITERAL.match(half.text)):
                yield half.whole(t)
            elif half.from_client and not literal[2] and not rest:
                half.waits = _size(literal[1])
            else:
                half.begin(_size(literal[1]))

    def _refused(self, line: CapturedLine) -> Iterator[CapturedLine]:
        """Read a server's line while the client waits to send a literal: `+` allows it, a tagged response refuses it.

        Yields the client's command as far as it was sent, if the literal is refused (RFC 3501, section 7.5).
        """
        client = self._client
        if line.from_client or client.waits is None:
            return
        tagged = _TAGGED.match(line.text)
        if line.text.startswith("+"):
            client.begin(client.waits)
        elif tagged and client.text.startswith(tagged[1].encode() + b" "):
            client.waits = None
            yield self._secretly(client.whole(line.t))

    def _secretly(self, line: CapturedLine) -> CapturedLine:
        if not line.from_client:
            return self._server_line(line)
        if self._authenticating is not None:
            return CapturedLine(line.t, True, STARS)
        command = _COMMAND.match(line.text)
        if command and command[2].upper() == "STARTTLS":
            self._starting_tls = command[1]
        elif command:
            self._authenticating = command[1]
        shown = shown_command(line.text)
        return line if shown == line.text and not _LOGIN.match(shown) else CapturedLine(line.t, True, shown)

    def _server_line(self, line: CapturedLine) -> CapturedLine:
        if line.text.startswith("+"):
            secret = self._authenticating is not None and line.text.strip("+ ")
            return CapturedLine(line.t, False, f"+ {STARS}") if secret else line
        tagged = _TAGGED.match(line.text)
        if tagged and tagged[1] == self._authenticating:
            self._authenticating = None
        if tagged and tagged[1] == self._starting_tls:
            self.encrypted, self._starting_tls = tagged[2].upper() == "OK", None
        return line
