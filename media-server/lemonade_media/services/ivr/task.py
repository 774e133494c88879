"""A running MSCML request: `Task` plays its prompt and makes its response; subclasses add what follows the prompt."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace

from lemonade_media.model.actions import Action, RecordingEnd
from lemonade_media.model.failures import Failure
from lemonade_media.services.ivr.leg import KeyPress
from lemonade_media.services.ivr.prompt import Phase, PromptPlayer
from lemonade_wire.mscml.messages import (
    MscmlResponse,
    PlayCollectRequest,
    PlayRecordRequest,
    PlayRequest,
    Prompt,
    request_name,
)

Buffer = deque[KeyPress]
"""The quarantine buffer of a call (RFC 5022 section 6.4.1): keys that no request has used yet, oldest first."""


class Task:
    """A running `<play>`, and the base class of all requests with a prompt. `response` is set when it is over."""

    def __init__(self, request: PlayRequest | PlayCollectRequest | PlayRecordRequest, buffer: Buffer) -> None:
        self._request = request
        self._buffer = buffer
        self._prompt = PromptPlayer(request.prompt or Prompt(()))
        self._reason: str | None = None  # the reason of its end, from `finish` on; the player may still be stopping
        self._after = False  # whether the prompt is over and `_after_prompt` was called
        self.response: MscmlResponse | None = None

    @property
    def phase(self) -> Phase:
        """The phase of the request."""
        return self._prompt.phase

    def begin(self, now: float) -> list[Action]:
        """Start the prompt."""
        return self._prompted(self._prompt.begin(), now)

    def media_fetched(self, length_ms: float, now: float) -> list[Action]:
        """Handle that the content of the last FetchMedia was fetched; it plays for `length_ms`."""
        return self._prompted(self._prompt.media_fetched(length_ms), now)

    def fetch_failed(self, failure: Failure, now: float) -> list[Action]:
        """Handle that the last FetchMedia failed."""
        return self._prompted(self._prompt.fetch_failed(failure), now)

    def playing_ended(self, played_ms: float, offset_ms: float, now: float) -> list[Action]:
        """Handle that the playing ended: it sent `played_ms` of sound, and stopped at `offset_ms` in the content."""
        self._prompt.playing_ended(played_ms, offset_ms)
        return self._prompted([], now)

    def recording_ended(self, recorded_ms: float, octets: int, why: RecordingEnd, now: float) -> list[Action]:
        """Do nothing: only `<playrecord>` records."""
        return []

    def key(self, press: KeyPress, now: float) -> list[Action]:
        """Handle a key: `<play>` uses none, and keeps it for a later request."""
        self._buffer.append(press)
        return []

    def lengthened(self, press: KeyPress, now: float) -> list[Action]:
        """Do nothing when the last key turns out to be a long one: only `<playcollect>` uses that."""
        return []

    def finish(self, reason: str, now: float) -> list[Action]:
        """End the request for this reason: at once, or when the player has reported its end.

        If it is called again, the first reason counts.
        """
        if self.response is not None or self._reason is not None:
            return []
        self._reason = reason
        return self._prompted(self._prompt.leave(), now)

    def close(self) -> list[Action]:
        """Handle the end of the call: return the action that aborts the fetch or stops the playing."""
        return self._prompt.close()

    def next_timer(self) -> float:
        """Return the time at which `handle_timer` must be called; infinite if no timer runs."""
        return math.inf

    def handle_timer(self, now: float) -> list[Action]:
        """Do nothing: the player measures the times of a prompt."""
        return []

    # -- for subclasses ----------------------------------------------------------------------------------------------

    def _prompted(self, actions: list[Action], now: float) -> list[Action]:
        """If the prompt is over, set the response if the request ends, else continue with what follows the prompt."""
        if self._prompt.phase is not Phase.OVER or self.response is not None:
            return actions
        if self._reason is not None:
            self.response = self._report(self._reason)
            return actions
        if (failure := self._prompt.failure) is not None:
            self.response = replace(self._report(None), code=failure.code, text=failure.text)
            return actions
        if self._after:
            return actions
        self._after = True
        return actions + self._after_prompt(now)

    def _after_prompt(self, now: float) -> list[Action]:
        return self.finish("EOF", now)

    def _report(self, reason: str | None) -> MscmlResponse:
        """Return the response with this reason, and with the durations and the error of the prompt."""
        return MscmlResponse(
            request=request_name(self._request),
            id=self._request.id,
            reason=reason,
            play_duration_ms=self._prompt.played_ms,
            play_offset_ms=self._prompt.position_ms,
            error_info=self._prompt.error_info,
        )
