"""How a command or response stands in a trace: its text without secrets, and a digest of every literal."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from lemonade_wire.imap.framing import Literal, LogicalLine
from lemonade_wire.trace import Json

SHORT = 512
STARS = "***"

_NOBODY = re.compile(r"\S+ +LOGIN +(?:anonymous|\"anonymous\") ", re.IGNORECASE)
_LOGIN = re.compile(r'(\S+ +LOGIN +(?:"(?:[^"\\]|\\.)*"|[^\s"]+))(?: .*)?\Z', re.IGNORECASE | re.DOTALL)
_AUTHENTICATE = re.compile(r"(\S+ +AUTHENTICATE +\S+)( +.*)?\Z", re.IGNORECASE | re.DOTALL)
_SECRET = re.compile(r"\S+ +(?:LOGIN|AUTHENTICATE)\b", re.IGNORECASE)

ImapTracer = Callable[[str, str, list[Json]], None]
"""Called with (way: `sent` or `received`, text, literals) for every complete command and response."""


@dataclass
class LiteralTally:
    """The trace form of a literal that passes by in pieces."""

    size: int = 0
    _digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    _start: bytes = b""

    def update(self, data: bytes) -> None:
        """Count some octets of it."""
        self.size += len(data)
        self._digest.update(data)
        if len(self._start) <= SHORT:
            self._start += data[: SHORT + 1]

    def form(self) -> Json:
        """Return `size`, `sha256`, and `text` where it is short and text."""
        form: dict[str, Json] = {"size": self.size, "sha256": self._digest.hexdigest()}
        if self.size <= SHORT and b"\0" not in self._start:
            try:
                form["text"] = self._start.decode("utf-8")
            except UnicodeDecodeError:
                return form
        return form


def literal_form(literal: Literal) -> Json:
    """Return a literal's trace form; one that was streamed past or skipped has its size alone."""
    if not literal.kept:
        return {"size": literal.size}
    tally = LiteralTally()
    tally.update(literal.data)
    return tally.form()


def trace_form(line: LogicalLine) -> tuple[str, list[Json]]:
    """Return the text and the literals of a command or response, as a trace holds them.

    LOGIN's password (unless it is nobody's: that of `anonymous`) and AUTHENTICATE's initial response become `***`, and
    no literal of the two is shown. What a client sends upon AUTHENTICATE's `+` looks like any line: who traces must
    leave it out. Tickets are the Trace's to redact.
    """
    text = line.text.decode("utf-8", "backslashreplace")
    if _SECRET.match(text):
        return _without_secret(text), []
    return text, [literal_form(literal) for literal in line.literals]


def _without_secret(text: str) -> str:
    if _NOBODY.match(text) is not None:  # RFC 5092, 3.2: what stands there is an address to write to
        return text
    if (login := _LOGIN.match(text)) is not None:
        return f"{login[1]} {STARS}"
    if (authenticate := _AUTHENTICATE.match(text)) is not None:
        return f"{authenticate[1]} {STARS}" if authenticate[2] else authenticate[1]
    return " ".join([*text.split()[:2], STARS])
