"""Collects the digits of `<playcollect>` after its prompt (RFC 5022 section 6.4): count, return key, patterns, timers.

| timer | started by | reason of the end when it expires |
|---|---|---|
| `firstdigittimer` | the end of the prompt | `timeout` |
| `interdigittimer` | a digit | `match` if a pattern has matched, else `timeout` |
| `interdigitcriticaltimer` | a digit after which a pattern matches, and a longer match is possible | as above |
| `extradigittimer` | the last digit of `maxdigits` | `match` |
"""

from __future__ import annotations

import math
from dataclasses import replace

from lemonade_media.model.actions import Action
from lemonade_media.services.ivr.leg import KeyPress
from lemonade_media.services.ivr.prompt import Phase
from lemonade_media.services.ivr.task import Buffer, Task
from lemonade_wire.mscml.grammar import Walk
from lemonade_wire.mscml.messages import MscmlResponse, PlayCollectRequest

MAX_DIGITS = 64


class Collector:
    """Collects the digits of one `<playcollect>`. At `deadline` (seconds) `on_deadline` returns the reason of the end.

    The longest match of a pattern is taken. The collection ends as soon as no further key can make a longer match, or
    when a timer expires. `left_over` has the keys after the match, for the next request, and a key that comes after
    `maxdigits` digits.
    """

    def __init__(self, request: PlayCollectRequest) -> None:
        self._request = request
        self._walks: list[tuple[Walk, str | None]] = [(one.value.walk(), one.name) for one in request.patterns]
        self._presses: list[KeyPress] = []
        self._matched: tuple[int, str | None] | None = None  # how many presses matched, and the pattern's name
        self._full = False
        self.deadline = math.inf
        self.left_over: list[KeyPress] = []

    @property
    def digits(self) -> str:
        """The digits collected so far, without the keys of `left_over`."""
        return "".join(press.key for press in self._presses)

    @property
    def pattern_name(self) -> str | None:
        """The name of the pattern that matched, None if none has matched or it has no name."""
        return self._matched[1] if self._matched else None

    def begin(self, now: float) -> None:
        """Start the timer for the first digit."""
        self.deadline = now + self._request.first_digit_ms / 1000

    def press(self, press: KeyPress, now: float) -> str | None:
        """Handle a key; return the reason if the collection ends with it, else None."""
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
            # All digits have come. A return key that follows in time still belongs to them.
            self._full = True
            self.deadline = now + request.extra_digit_ms / 1000
            return None
        return self._compare(now)

    def lengthen(self, press: KeyPress, now: float) -> str | None:
        """Handle that the last key was held for long; return the reason if the collection ends with it, else None."""
        if not self._walks or not self._presses or self._presses[-1].key != press.key:
            return None
        for walk, _ in self._walks:
            walk.lengthen(press.key)
        return self._compare(now)

    def _compare(self, now: float) -> str | None:
        """Compare the keys with the patterns: return the reason if the collection ends, else start the next timer."""
        request = self._request
        self._look()
        if self._matched and not any(walk.can_go_on for walk, _ in self._walks):
            return self.on_deadline()
        critical = request.interdigit_critical_ms if any(walk.critical for walk, _ in self._walks) else None
        self.deadline = now + (request.interdigit_ms if critical is None else critical) / 1000
        return None

    def _look(self) -> None:
        """Store the match if the keys so far match a pattern."""
        matching = [name for walk, name in self._walks if walk.matches]
        if matching:
            self._matched = len(self._presses), matching[0]

    def on_deadline(self) -> str:
        """Return the reason of the end when no further key has come in time; keys after a match become `left_over`."""
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


class CollectTask(Task):
    """A running `<playcollect>`."""

    def __init__(self, request: PlayCollectRequest, buffer: Buffer) -> None:
        super().__init__(request, buffer)
        self._asked = request
        self._collector = Collector(request)

    @property
    def phase(self) -> Phase:
        """The phase of the request."""
        return Phase.COLLECTING if self._after else super().phase

    def begin(self, now: float) -> list[Action]:
        """Start the prompt; if keys were typed ahead, skip the prompt and start the collection (section 6.4.1)."""
        if self._asked.clear_digits or not self._asked.barge:
            self._buffer.clear()
        if self._buffer:
            return self._prompted([], now)
        return super().begin(now)

    def key(self, press: KeyPress, now: float) -> list[Action]:
        """Handle a key. While the player is being stopped, a key is kept for the collection or the next request."""
        asked = self._asked
        if self.phase is Phase.COLLECTING:
            return self._collect(press, now)
        if self.phase is not Phase.STOPPING:
            # RFC 5022 leaves the order of these tests open. Here a key that skips neither ends the prompt nor is a
            # digit.
            if press.key == asked.ff_key:
                return self._prompt.skip(asked.skip_interval_ms)
            if press.key == asked.rw_key:
                return self._prompt.skip(-asked.skip_interval_ms)
            if press.key == asked.escape_key:
                return self.finish("escapekey", now)
            # Without barge only the escape key ends a prompt; all other keys are kept for the collection.
            if asked.barge and press.key == asked.return_key:
                return self.finish("returnkey", now)
        self._buffer.append(press)
        return self._prompted(self._prompt.leave(), now) if asked.barge else []

    def lengthened(self, press: KeyPress, now: float) -> list[Action]:
        """Handle that the last key was held for long, which a pattern may ask for."""
        reason = self._collector.lengthen(press, now) if self.phase is Phase.COLLECTING else None
        return self._collected(reason, now) if reason else []

    def next_timer(self) -> float:
        """Return the time at which `handle_timer` must be called; infinite if no timer runs."""
        return self._collector.deadline if self._after else math.inf

    def handle_timer(self, now: float) -> list[Action]:
        """End the collection if its timer has expired."""
        if self._after and self.response is None and now >= self._collector.deadline:
            return self._collected(self._collector.on_deadline(), now)
        return []

    def _after_prompt(self, now: float) -> list[Action]:
        self._collector.begin(now)
        while self._buffer:  # keys typed ahead are collected before a timer can expire
            if reason := self._collector.press(self._buffer.popleft(), now):
                return self._collected(reason, now)
        return self.handle_timer(now)

    def _collect(self, press: KeyPress, now: float) -> list[Action]:
        reason = self._collector.press(press, now)
        return self._collected(reason, now) if reason else self.handle_timer(now)

    def _collected(self, reason: str, now: float) -> list[Action]:
        # Keys that were pressed after the digits are kept for the next request.
        self._buffer.extendleft(reversed(self._collector.left_over))
        return self.finish(reason, now)

    def _report(self, reason: str | None) -> MscmlResponse:
        collector = self._collector
        return replace(
            super()._report(reason),
            # The escape key discards the digits collected (RFC 5022 section 6.4.2).
            digits="" if reason == "escapekey" else collector.digits,
            name=collector.pattern_name if reason == "match" else None,
        )
