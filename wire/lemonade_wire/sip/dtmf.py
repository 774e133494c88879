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


@dataclass(frozen=True)
class DtmfRelay:
    """One key press."""

    key: str
    """0-9, *, #, A-D."""
    duration: int = 250
    """Milliseconds; 250 where the body does not say."""

    @classmethod
    def parse(cls, content_type: str, body: bytes) -> Self:
        """Read a body of either type (without its parameters); raises ValueError with what is wrong.

        Lines may end with CRLF, LF or CR, the last one with nothing; blanks around `=` are survived.
        """
        try:
            text = body.decode("ascii")
        except UnicodeDecodeError as problem:
            raise ValueError("a key press is ASCII") from problem
        lines = [line.strip() for line in re.split(r"\r\n|\n|\r", text) if line.strip()]
        if content_type.lower() == PLAIN_TYPE:
            if len(lines) == 1 and "=" not in lines[0]:
                return cls(_key(lines[0]))
        elif content_type.lower() != RELAY_TYPE:
            raise ValueError(f"{content_type!r} is not a key press: {RELAY_TYPE} or {PLAIN_TYPE} is expected")
        fields: dict[str, str] = {}
        for line in lines:
            name, equals, value = line.partition("=")
            if not equals or name.strip().lower() in fields:
                raise ValueError(f"bad line {line!r}: Signal=KEY and Duration=MS are expected once each")
            fields[name.strip().lower()] = value.strip()
        if "signal" not in fields:
            raise ValueError("no Signal line")
        duration = fields.get("duration")
        if duration is None:
            return cls(_key(fields["signal"]))
        if not re.fullmatch(r"[0-9]{1,5}", duration) or int(duration) > MAX_DURATION:
            raise ValueError(f"bad duration {duration!r}: 0 to {MAX_DURATION} ms is expected")
        return cls(_key(fields["signal"]), int(duration))

    def __bytes__(self) -> bytes:
        return f"Signal={self.key}\r\nDuration={self.duration}\r\n".encode()


def _key(text: str) -> str:
    key = text.upper()
    if re.fullmatch(r"1[0-5]", key):
        return KEYS[int(key)]
    if len(key) == 1 and key in KEYS:
        return key
    raise ValueError(f"bad key {text!r}: one of {KEYS} is expected")
