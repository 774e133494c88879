"""Collecting digits after a prompt (RFC 5022 section 6.4): timers, the return key, the digit count, patterns."""

from __future__ import annotations

import math

from lemonade_media.ivr.leg import Press
from lemonade_wire.mscml.grammar import Walk
from lemonade_wire.mscml.request import PlayCollect

MAX_DIGITS = 64


class Collector:
    """Collects the digits of one `<playcollect>`; at `deadline` (seconds) `on_deadline` gives the reason of the end.

    The longest match of a pattern counts. It is told as soon as no further key could make a longer one, else when no
    key came in time; keys behind it are in `left_over`, for the request to come, and so is the one that ends a count.
    """

    def __init__(self, request: PlayCollect) -> None:
        self._request = request
        self._walks: list[tuple[Walk, str | None]] = [(one.value.walk(), one.name) for one in request.patterns]
        self._presses: list[Press] = []
        self._matched: tuple[int, str | None] | None = None  # how many presses matched, and the pattern's name
        self._full = False
        self.deadline = math.inf
        self.left_over: list[Press] = []

    @property
    def digits(self) -> str:
        """What was collected so far, without what is left over."""
        return "".join(press.key for press in self._presses)

    @property
    def pattern_name(self) -> str | None:
        """The name of the pattern that matched."""
        return self._matched[1] if self._matched else None

    def begin(self, now: float) -> None:
        """Wait for the first digit from now on."""
        self.deadline = now + self._request.first_digit_ms / 1000

    def press(self, press: Press, now: float) -> str | None:
        """Take a key; return the reason if collecting ends with it."""
        request = self._request
        if press.key == request.escape_key:
            return "escapekey"
        if press.key == request.return_key:
            return "returnkey"
        if self._full or len(self._presses) >= MAX_DIGITS:
            self.left_over = [press]
            return self.on_deadline()
        self._presses.append(press)
        for walk, _ in self._walks:
            walk.press(press.key, long=press.long, double=press.double)
        if request.max_digits is not None and len(self._presses) >= request.max_digits:
            # All digits are here: what may still come is the return key, which then belongs to them.
            self._full = True
            self.deadline = now + request.extra_digit_ms / 1000
            return None
        return self._compare(now)

    def lengthen(self, press: Press, now: float) -> str | None:
        """Take note that the key pressed last was a long one; return the reason if collecting ends with it."""
        if not self._walks or not self._presses or self._presses[-1].key != press.key:
            return None
        for walk, _ in self._walks:
            walk.lengthen(press.key)
        return self._compare(now)

    def _compare(self, now: float) -> str | None:
        """See what the patterns say."""
        request = self._request
        self._look()
        if self._matched and not any(walk.can_go_on for walk, _ in self._walks):
            return self.on_deadline()
        critical = request.interdigit_critical_ms if any(walk.critical for walk, _ in self._walks) else None
        self.deadline = now + (request.interdigit_ms if critical is None else critical) / 1000
        return None

    def _look(self) -> None:
        """Take note of a match."""
        matching = [name for walk, name in self._walks if walk.matches]
        if matching:
            self._matched = len(self._presses), matching[0]

    def on_deadline(self) -> str:
        """Return the reason of the end when no further digit comes in time."""
        if self._presses:
            for walk, _ in self._walks:
                walk.expire()
            self._look()
        if self._matched:
            count = self._matched[0]
            self.left_over = self._presses[count:] + self.left_over
            self._presses = self._presses[:count]
            return "match"
        return "match" if self._full else "timeout"
