"""The two INFO bodies that carry a key: application/dtmf-relay (Cisco's convention) and application/dtmf."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

RELAY_TYPE = "application/dtmf-relay"
PLAIN_TYPE = "application/dtmf"
KEYS = "0123456789*#ABCD"
"""In the order of the event codes of RFC 4733, which some peers write instead: 10 is `*`, 11 is `#`."""
MAX_DURATION = 60_000
_FIELD = re.compile(r"([A-Za-z][A-Za-z-]*)[ \t]*([=:])(.*)")
_DURATION = re.compile(r"[0-9]{1,9}")


_NAMES = {"star": "*", "pound": "#", "hash": "#"}
_FLASH = frozenset({"16", "!"})


@dataclass(frozen=True)
class DtmfRelay:
    """One key press."""

    key: str
    """0-9, *, #, A-D."""
    duration: int = 250
    """Milliseconds; 250 where the body does not say."""

    @classmethod
    def parse(cls, content_type: str, body: bytes) -> Self | None:
        """Read a body of either type (without its parameters); None for a hook flash, which is no key.

        No standard says how they are written, so all that peers write is taken that can mean one key alone: lines that
        end with CRLF, LF, CR or nothing, blanks around `=`, `:` for it, event codes and names for keys, further lines.
        A duration that cannot be read counts as absent. Raises ValueError with what is wrong.
        """
        lines = [line.strip(" \t\0") for line in re.split(r"\r\n|\n|\r", body.decode("latin-1"))]
        lines = [line for line in lines if line]
        kind = content_type.lower()
        if kind not in {RELAY_TYPE, PLAIN_TYPE}:
            raise ValueError(f"{content_type!r} is not a key press: {RELAY_TYPE} or {PLAIN_TYPE} is expected")
        fields = [(name.strip().lower(), value.strip()) for name, mark, value in map(_split, lines) if mark]
        signals = [value for name, value in fields if name == "signal"]
        if kind == PLAIN_TYPE and not signals and len(lines) == 1:
            signals = lines
        if len(signals) != 1:
            raise ValueError(f"{len(signals)} keys: one line Signal=KEY is expected")
        if signals[0] in _FLASH:
            return None
        durations = [int(value) for name, value in fields if name == "duration" and _DURATION.fullmatch(value)]
        fitting = [duration for duration in durations if duration <= MAX_DURATION]
        return cls(_key(signals[0]), *fitting[:1])

    def __bytes__(self) -> bytes:
        return f"Signal={self.key}\r\nDuration={self.duration}\r\n".encode()


def _split(line: str) -> tuple[str, str, str]:
    """Return a line's name, its `=` (or `:`), and its value; empty texts where it is no such line."""
    match = _FIELD.fullmatch(line)
    return (match[1], match[2], match[3]) if match else ("", "", "")


def _key(text: str) -> str:
    key = _NAMES.get(text.lower(), text.upper())
    if re.fullmatch(r"1[0-5]", key):
        return KEYS[int(key)]
    if len(key) == 1 and key in KEYS:
        return key
    raise ValueError(f"bad key: one of {KEYS} is expected")
