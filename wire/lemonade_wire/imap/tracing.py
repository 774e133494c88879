"""The form of IMAP commands and responses in a trace: the text without secrets, and a digest of each literal."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from lemonade_wire.imap.framing import ImapLiteral, LogicalLine
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
    """Computes the trace form of a literal that is received in chunks."""

    size: int = 0
    _digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    _start: bytes = b""

    def update(self, data: bytes) -> None:
        """Add octets of the literal."""
        self.size += len(data)
        self._digest.update(data)
        if len(self._start) <= SHORT:
            self._start += data[: SHORT + 1]

    def form(self) -> Json:
        """Return `size` in octets, `sha256`, and `text` if the literal is UTF-8 of at most 512 octets without NUL."""
        form: dict[str, Json] = {"size": self.size, "sha256": self._digest.hexdigest()}
        if self.size <= SHORT and b"\0" not in self._start:
            try:
                form["text"] = self._start.decode("utf-8")
            except UnicodeDecodeError:
                return form
        return form


def literal_form(literal: ImapLiteral) -> Json:
    """Return the trace form of a literal; a literal that was not kept has only its size."""
    if not literal.kept:
        return {"size": literal.size}
    tally = LiteralTally()
    tally.update(literal.data)
    return tally.form()


def trace_form(line: LogicalLine) -> tuple[str, list[Json]]:
    """Return the text and the literals of a command or response for a trace.

    The password of LOGIN and the initial response of AUTHENTICATE become `***`, and the literals of both commands are
    left out; the password of the user `anonymous` is kept, because it is no secret. The caller must not trace the
    client's answers to the `+` of AUTHENTICATE: they cannot be recognised here. `Trace` redacts the tickets.
    """
    text = line.text.decode("utf-8", "backslashreplace")
    if _SECRET.match(text):
        return _without_secret(text), []
    return text, [literal_form(literal) for literal in line.literals]


def _without_secret(text: str) -> str:
    if _NOBODY.match(text) is not None:  # RFC 5092 section 3.2: the password of `anonymous` is a mail address
        return text
    if (login := _LOGIN.match(text)) is not None:
        return f"{login[1]} {STARS}"
    if (authenticate := _AUTHENTICATE.match(text)) is not None:
        return f"{authenticate[1]} {STARS}" if authenticate[2] else authenticate[1]
    return " ".join([*text.split()[:2], STARS])
