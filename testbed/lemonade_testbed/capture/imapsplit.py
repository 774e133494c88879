"""Splits both directions of an IMAP connection into commands and responses, aware of literals.

The second reader's own: it shares no code with the nodes. A message's time is that of its first octet. Passwords and
SASL data are left out here already; tickets are the caller's to redact.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

STARS = "***"
_SHORT = 512
_LITERAL = re.compile(rb"~?\{([0-9]+)([+-]?)\}\Z")
_STATUS = rb"(?:\*|[^\s+*(){%\"\\]+) +(?:OK|NO|BAD|BYE|PREAUTH)\b"
_NO_LITERAL = re.compile(rb"\+|" + _STATUS, re.IGNORECASE)
_ANEW = re.compile(rb"\* |" + _STATUS, re.IGNORECASE)
_TAGGED = re.compile(r"([^\s+*(){%\"\\]+) +(OK|NO|BAD)\b", re.IGNORECASE)
_NOBODY = re.compile(r"(?:anonymous|\"anonymous\") ", re.IGNORECASE)
_COMMAND = re.compile(r"(\S+) +(AUTHENTICATE|LOGIN|STARTTLS)\b *(.*)", re.IGNORECASE | re.DOTALL)
_NAME = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s"{]+')


@dataclass(frozen=True)
class Literal:
    """A literal: its octets' count and SHA-256 in hexadecimal, and its text where it is short text."""

    size: int
    sha256: str
    text: str | None


@dataclass(frozen=True)
class Line:
    """A command or a response, whole: by whom, when its first octet was sent, its text, and its literals."""

    t: float
    from_client: bool
    text: str
    literals: tuple[Literal, ...] = ()


@dataclass
class _Half:
    """One direction: what has come of the message that is not whole yet."""

    from_client: bool
    buffer: bytearray = field(default_factory=bytearray)
    text: bytearray = field(default_factory=bytearray)
    literals: list[Literal] = field(default_factory=list)
    began: float | None = None
    left: int | None = None
    """Octets that the literal still lacks; None outside one."""
    waits: int | None = None
    """Octets of a literal for which the client waits to be asked."""
    size: int = 0
    start: bytes = b""
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def begin(self, size: int) -> None:
        self.left, self.size, self.start, self.digest = size, size, b"", hashlib.sha256()
        self.waits = None

    def take(self) -> bool:
        """Move octets of a literal out of the buffer; tells whether it is whole."""
        assert self.left is not None  # noqa: S101  asked inside a literal alone
        piece = bytes(self.buffer[: self.left])
        del self.buffer[: self.left]
        self.left -= len(piece)
        self.digest.update(piece)
        self.start += piece[: _SHORT - len(self.start)]
        if self.left:
            return False
        self.left = None
        self.literals.append(Literal(self.size, self.digest.hexdigest(), _short_text(self.size, self.start)))
        return True

    def whole(self, t: float) -> Line:
        line = Line(
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
    """One connection. Octets go in as they were captured, in the order of both directions; lines come out.

    `encrypted` is set once STARTTLS was accepted: what follows is not read.
    """

    encrypted: bool = False
    _client: _Half = field(default_factory=lambda: _Half(True))
    _server: _Half = field(default_factory=lambda: _Half(False))
    _authenticating: str | None = None
    _starting_tls: str | None = None

    def feed(self, t: float, from_client: bool, data: bytes) -> list[Line]:
        """Take octets that were sent at `t`; returns the lines that they make whole."""
        half = self._client if from_client else self._server
        half.buffer += data
        if half.waits is not None and data:  # the client did not wait to be asked
            half.begin(half.waits)
        return [line for raw in self._split(half, t) for line in (*self._refused(raw), self._secretly(raw))]

    def _split(self, half: _Half, t: float) -> Iterator[Line]:
        while not self.encrypted and half.waits is None:
            if half.began is None and half.buffer:
                half.began = t
            if half.left is not None and not half.take():
                return
            line, end, rest = half.buffer.partition(b"\n")
            if not end:
                return
            if not half.from_client and half.literals and not half.literals[-1].size and _ANEW.match(line):
                yield half.whole(t)  # a server that ends its response with the empty literal
                continue
            half.buffer = rest
            line = line.removesuffix(b"\r")
            half.text += line
            literal = _LITERAL.search(line)
            if literal is None or (not half.from_client and _NO_LITERAL.match(half.text)):
                yield half.whole(t)
            elif half.from_client and not literal[2] and not rest:
                half.waits = int(literal[1])
            else:
                half.begin(int(literal[1]))

    def _refused(self, line: Line) -> Iterator[Line]:
        """Let a server's line say whether the client may go on with its literal; yield the command that may not."""
        client = self._client
        if line.from_client or client.waits is None:
            return
        tagged = _TAGGED.match(line.text)
        if line.text.startswith("+"):
            client.begin(client.waits)
        elif tagged and client.text.startswith(tagged[1].encode() + b" "):
            client.waits = None
            yield self._secretly(client.whole(line.t))

    def _secretly(self, line: Line) -> Line:
        if not line.from_client:
            return self._server_line(line)
        if self._authenticating is not None:
            return Line(line.t, True, STARS)
        command = _COMMAND.fullmatch(line.text)
        if command is None:
            return line
        tag, name, rest = command.groups()
        if name.upper() == "STARTTLS":
            self._starting_tls = tag
            return line
        if name.upper() == "AUTHENTICATE":
            self._authenticating = tag
        if name.upper() == "LOGIN" and _NOBODY.match(rest):  # what stands for its password is an address
            return Line(line.t, True, line.text)
        first = _NAME.match(rest)
        head = line.text[: line.text.index(name) + len(name)]
        shown = [head, first[0]] if first else [head]
        if name.upper() == "LOGIN" or len(rest.split()) > 1:
            shown.append(STARS)
        return Line(line.t, True, " ".join(shown))

    def _server_line(self, line: Line) -> Line:
        if line.text.startswith("+"):
            secret = self._authenticating is not None and line.text.strip("+ ")
            return Line(line.t, False, f"+ {STARS}") if secret else line
        tagged = _TAGGED.match(line.text)
        if tagged and tagged[1] == self._authenticating:
            self._authenticating = None
        if tagged and tagged[1] == self._starting_tls:
            self.encrypted, self._starting_tls = tagged[2].upper() == "OK", None
        return line
