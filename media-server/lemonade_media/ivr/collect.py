"""`<playcollect>`: a prompt with keys, then the collection of digits (RFC 5022 section 6.4)."""

from __future__ import annotations

import math
from dataclasses import replace

from lemonade_media.ivr.digits import Collector
from lemonade_media.ivr.leg import Press
from lemonade_media.ivr.phase import Phase
from lemonade_media.ivr.task import Buffer, Task
from lemonade_media.service import Action
from lemonade_wire.mscml.request import PlayCollect
from lemonade_wire.mscml.response import Response


class CollectTask(Task):
    """A running `<playcollect>`."""

    def __init__(self, request: PlayCollect, buffer: Buffer) -> None:
        super().__init__(request, buffer)
        self._asked = request
        self._collector = Collector(request)

    @property
    def phase(self) -> Phase:
        """Where the request stands."""
        return Phase.COLLECTING if self._after else super().phase

    def begin(self, now: float) -> list[Action]:
        """Begin with the prompt, or with what was typed ahead: it ends the prompt before it begins."""
        if self._asked.clear_digits or not self._asked.barge:
            self._buffer.clear()
        if self._buffer:
            return self._prompted([], now)
        return super().begin(now)

    def key(self, press: Press, now: float) -> list[Action]:
        """Take a key. While the player has not said what it played, a key belongs to what comes then."""
        asked = self._asked
        if self.phase is Phase.COLLECTING:
            return self._collect(press, now)
        if self.phase is not Phase.STOPPING:
            # The order of the tests is this project's reading: a seek key neither ends the prompt nor is a digit.
            if press.key == asked.ff_key:
                return self._prompt.skip(asked.skip_interval_ms)
            if press.key == asked.rw_key:
                return self._prompt.skip(-asked.skip_interval_ms)
            if press.key == asked.escape_key:
                return self.finish("escapekey", now)
            # Without barge nothing but the escape key ends a prompt: all else waits for the collection.
            if asked.barge and press.key == asked.return_key:
                return self.finish("returnkey", now)
        self._buffer.append(press)
        return self._prompted(self._prompt.leave(), now) if asked.barge else []

    def lengthened(self, press: Press, now: float) -> list[Action]:
        """Take note that the last key turned out to be a long one, for which a pattern may have waited."""
        reason = self._collector.lengthen(press, now) if self.phase is Phase.COLLECTING else None
        return self._collected(reason, now) if reason else []

    def next_timer(self) -> float:
        """Return when `handle_timer` is to be called."""
        return self._collector.deadline if self._after else math.inf

    def handle_timer(self, now: float) -> list[Action]:
        """End the collection if it is time."""
        if self._after and self.response is None and now >= self._collector.deadline:
            return self._collected(self._collector.on_deadline(), now)
        return []

    def _after_prompt(self, now: float) -> list[Action]:
        self._collector.begin(now)
        while self._buffer:  # what is there already is looked at before any timer is
            if reason := self._collector.press(self._buffer.popleft(), now):
                return self._collected(reason, now)
        return self.handle_timer(now)

    def _collect(self, press: Press, now: float) -> list[Action]:
        reason = self._collector.press(press, now)
        return self._collected(reason, now) if reason else self.handle_timer(now)

    def _collected(self, reason: str, now: float) -> list[Action]:
        # What did not belong to the digits any more is typed ahead for the next request.
        self._buffer.extendleft(reversed(self._collector.left_over))
        return self.finish(reason, now)

    def _report(self, reason: str | None) -> Response:
        collector = self._collector
        return replace(
            super()._report(reason),
            # An escape discards the digits (RFC 5022 section 6.4.2).
            digits="" if reason == "escapekey" else collector.digits,
            name=collector.pattern_name if reason == "match" else None,
        )
