"""Durations as written in scripts: `3 s`, `500 ms`, `10 min`, and `none` if a field allows it."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

_UNITS = {"ms": 1, "s": 1000, "min": 60_000}
# duration = ["-"] 1*9DIGIT ["." 1*6DIGIT] *SP ( "ms" / "s" / "min" ), or "0"
_DURATION = re.compile(r"(-?)([0-9]{1,9}(?:\.[0-9]{1,6})?) *(ms|s|min)", re.ASCII)
ALLOWED = "a duration such as 500 ms, 3 s or 10 min is expected"


def parse_duration(text: str, *, negative: bool = False) -> float:
    """Parse a duration; returns seconds. `0` needs no unit. Raises ValueError, whose text says what is allowed.

    `negative` allows a minus sign, for an expiry in the past.
    """
    if text == "0":
        return 0.0
    match = _DURATION.fullmatch(text)
    if match is None or (match[1] and not negative):
        raise ValueError(f"{text!r} is not a duration: {ALLOWED}")
    seconds = float(match[2]) * _UNITS[match[3]] / 1000
    return -seconds if match[1] else seconds


def format_duration(seconds: float) -> str:
    """Return a duration as text for `parse_duration`: whole seconds as `3 s`, any other in milliseconds."""
    if seconds == int(seconds):
        return f"{int(seconds)} s"
    return f"{seconds * 1000:.6f}".rstrip("0").rstrip(".") + " ms"


def _read(value: object) -> float:
    return value if isinstance(value, float) else parse_duration(str(value))


def _read_expiry(value: object) -> float | None:
    if value is None or isinstance(value, float):
        return value
    return None if value == "none" else parse_duration(str(value), negative=True)


def _write_expiry(value: float | None) -> str:
    return "none" if value is None else format_duration(value)


Seconds = Annotated[float, BeforeValidator(_read), PlainSerializer(format_duration)]
"""A pydantic field in seconds, written as a duration."""

Expiry = Annotated[float | None, BeforeValidator(_read_expiry), PlainSerializer(_write_expiry)]
"""A pydantic field in seconds from now, negative for the past; None is written `none`."""
