"""Collecting digits after a prompt (RFC 5022 section 6.4): timers, the return key, the digit count, patterns."""

from __future__ import annotations

import math
import re

from lemonade_wire.mscml.request import PlayCollect

MAX_DIGITS = 64
MAX_INTERVALS = 4
_ITEM = re.compile(
    r"(?P<key>[0-9A-Da-d#*])|(?P<any>\.)|(?P<x>x)|(?P<set>\[[0-9A-Da-d#*-]+\])|(?P<interval>\{[0-9,]+\})"
)


class Collector:
    """Collects the digits of one `<playcollect>`; at `deadline` (seconds) `on_deadline` gives the reason of the end."""

    def __init__(self, request: PlayCollect) -> None:
        self._request = request
        self._patterns = [(dregex(pattern.value), pattern.name) for pattern in request.patterns]
        self._full = False
        self._matched = False
        self.digits = ""
        self.deadline = math.inf
        self.pattern_name: str | None = None

    def begin(self, now: float) -> None:
        """Wait for the first digit from now on."""
        self.deadline = now + self._request.first_digit_ms / 1000

    def digit(self, digit: str, now: float) -> str | None:
        """Take a digit; return the reason if collecting ends with it."""
        request = self._request
        if digit == request.escape_key:
            return "escapekey"
        if digit == request.return_key:
            return "returnkey"
        if self._full or len(self.digits) >= MAX_DIGITS:
            return self.on_deadline()
        self.digits += digit
        matching = [name for pattern, name in self._patterns if pattern and pattern.fullmatch(self.digits)]
        self._matched = bool(matching)
        self.pattern_name = matching[0] if matching else None
        wait = request.interdigit_ms
        if matching and request.interdigit_critical_ms is not None:
            wait = request.interdigit_critical_ms
        if request.max_digits is not None and len(self.digits) >= request.max_digits:
            # All digits are here: what may still come is the return key, which then belongs to them.
            self._full = True
            wait = request.extra_digit_ms if request.return_key else 0
        self.deadline = now + wait / 1000
        return None

    def on_deadline(self) -> str:
        """Return the reason of the end when no further digit comes in time."""
        return "match" if self._full or self._matched else "timeout"


def dregex(text: str) -> re.Pattern[str] | None:
    """Read a digit pattern (RFC 5022 appendix A); None, which never matches, where it is none.

    Long digits (`L`) are not detected here, and more than four intervals are not tried: both never match.
    """
    items = list(_ITEM.finditer(text))
    intervals = [item for item in items if item["interval"]]
    if not items or "".join(item[0] for item in items) != text or len(intervals) > MAX_INTERVALS:
        return None
    written = ""
    for item in items:
        written += (
            (item["any"] and "[0-9A-D#*]")
            or (item["x"] and "[0-9]")
            or item["set"]
            or item["interval"]
            or re.escape(item["key"])
        )
    try:
        return re.compile(written, re.IGNORECASE)
    except (re.error, OverflowError):
        return None
