"""Time values of MSCML (RFC 5022 section 4.2.1): `5000`, `5000ms`, `1.5s`, `immediate`, `infinite`."""

from __future__ import annotations

import math
import re

_TIME = re.compile(r"(?P<number>[0-9]{1,9}(\.[0-9]{1,9})?|\.[0-9]{1,9})(?P<unit>ms|s)?")


def parse_time(text: str, *, infinite: bool = False) -> float:
    """Return milliseconds (`math.inf` for `infinite`, 0 for `immediate` and any zero, E-20); raises ValueError.

    `infinite` says whether that word is allowed here. CSS2, to which RFC 5022 refers, allows decimals.
    """
    if text == "infinite" and infinite:
        return math.inf
    if text == "immediate":
        return 0
    match = _TIME.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is no time value (5000, 5000ms and 5s are)")
    return float(match["number"]) * (1000 if match["unit"] == "s" else 1)


def write_time(ms: float) -> str:
    """Return a time with its unit, whole milliseconds; `math.inf` is `infinite`."""
    return "infinite" if math.isinf(ms) else f"{round(ms)}ms"
