"""The form of IMAP commands and responses in a trace: the text without secrets, and a digest of each literal."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from lemonade_wire.imap.framing import ImapLiteral, LogicalLine
from lemonade_wire.imap.shown_command import shown_command
from lemonade_wire.trace import Json

SHORT = 512
_LOGIN = re.compile(r"\S+ +LOGIN\b", re.IGNORECASE)

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


def command_form(line: LogicalLine) -> tuple[str, list[Json]]:
    """Return the text and the literals of a client's line for a trace.

    What may be a secret becomes `***` (`shown_command`), and the literals of such a line are left out. The caller must
    not trace the client's answers to the `+` of AUTHENTICATE: they cannot be recognised here. `Trace` redacts tickets.
    """
    text, literals = response_form(line)
    shown = shown_command(text)
    return (text, literals) if shown == text and not _LOGIN.match(text) else (shown, [])


def response_form(line: LogicalLine) -> tuple[str, list[Json]]:
    """Return the text and the literals of a server's line for a trace; `Trace` redacts the tickets."""
    return line.text.decode("utf-8", "backslashreplace"), [literal_form(literal) for literal in line.literals]
