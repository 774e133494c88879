"""The two INFO bodies that carry a DTMF key: application/dtmf-relay (Cisco's convention) and application/dtmf."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

RELAY_TYPE = "application/dtmf-relay"
PLAIN_TYPE = "application/dtmf"
KEYS = "0123456789*#ABCD"
"""The keys in the order of their event codes in RFC 4733. Some peers write the code: 10 is `*`, 11 is `#`."""
MAX_DURATION = 60_000
"""Milliseconds; a longer duration is ignored."""
_FIELD = re.compile(r"([A-Za-z][A-Za-z-]*)[ \t]*([=:])(.*)")
_DURATION = re.compile(r"[0-9]{1,9}")
_QUOTES = re.compile(r'"(.*)"')


_NAMES = {"star": "*", "pound": "#", "hash": "#"}
_FLASH = frozenset({"16", "!"})


@dataclass(frozen=True)
class DtmfRelay:
    """One key press in an INFO body."""

    key: str
    """0-9, *, #, A-D."""
    duration: int = 250
    """Milliseconds; 250 if the body has no valid duration."""

    # No RFC defines the two types. The usual form of application/dtmf-relay:
    #   Signal=5 CRLF
    #   Duration=160 CRLF
    # The usual form of application/dtmf is the key alone.
    @classmethod
    def parse(cls, content_type: str, body: bytes) -> Self | None:
        """Parse a body of either type (`content_type` without parameters); None for a hook flash, which is no key.

        No standard defines the syntax, so that every known form is accepted if it means one key: lines that end with
        CRLF, LF, CR or nothing, blanks around `=`, `:` instead of `=`, quotes around a value, event codes and names of
        keys, the key alone, and further lines. An invalid duration counts as absent. Raises ValueError with the error
        as its text.
        """
        lines = [line.strip(" \t\0") for line in re.split(r"\r\n|\n|\r", body.decode("latin-1"))]
        lines = [line for line in lines if line]
        kind = content_type.lower()
        if kind not in {RELAY_TYPE, PLAIN_TYPE}:
            raise ValueError(f"{content_type!r} is not a key press: {RELAY_TYPE} or {PLAIN_TYPE} is expected")
        split = [(name.strip().lower(), value.strip()) for name, mark, value in map(_split, lines) if mark]
        fields = [(name, _QUOTES.sub(r"\1", value)) for name, value in split]
        signals = [value for name, value in fields if name == "signal"]
        if not fields and len(lines) == 1:
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
    """Return the name, the `=` or `:`, and the value of a line; three empty texts if it has no such form."""
    match = _FIELD.fullmatch(line)
    return (match[1], match[2], match[3]) if match else ("", "", "")


def _key(text: str) -> str:
    key = _NAMES.get(text.lower(), text.upper())
    if re.fullmatch(r"1[0-5]", key):
        return KEYS[int(key)]
    if len(key) == 1 and key in KEYS:
        return key
    raise ValueError(f"bad key: one of {KEYS} is expected")
