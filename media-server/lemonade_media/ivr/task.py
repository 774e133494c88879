"""One running request: its prompt, then what the request is for. `<play>` is a prompt and nothing else."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace

from lemonade_media.failures import Failure
from lemonade_media.ivr.leg import Press
from lemonade_media.ivr.phase import Phase
from lemonade_media.ivr.prompt import PromptPlayer
from lemonade_media.service import Action, RecordingEnd
from lemonade_wire.mscml.request import Play, PlayCollect, PlayRecord, Prompt, request_name
from lemonade_wire.mscml.response import Response

Buffer = deque[Press]
"""The quarantine buffer of a call (RFC 5022 section 6.4.1): keys that no request has used yet, oldest first."""


class Task:
    """A running `<play>`, and what all requests with a prompt have in common. `response` is set when it is over."""

    def __init__(self, request: Play | PlayCollect | PlayRecord, buffer: Buffer) -> None:
        self._request = request
        self._buffer = buffer
        self._prompt = PromptPlayer(request.prompt or Prompt(()))
        self._reason: str | None = None  # why it ends, while the player has not yet said what it played
        self._after = False  # whether what follows the prompt has begun
        self.response: Response | None = None

    @property
    def phase(self) -> Phase:
        """Where the request stands."""
        return self._prompt.phase

    def begin(self, now: float) -> list[Action]:
        """Begin with the prompt."""
        return self._prompted(self._prompt.begin(), now)

    def media_fetched(self, length_ms: float, now: float) -> list[Action]:
        """Take note that the URL last asked for is here and plays so long."""
        return self._prompted(self._prompt.media_fetched(length_ms), now)

    def fetch_failed(self, failure: Failure, now: float) -> list[Action]:
        """Take note that the URL last asked for is not to be had."""
        return self._prompted(self._prompt.fetch_failed(failure), now)

    def playing_ended(self, played_ms: float, offset_ms: float, now: float) -> list[Action]:
        """Take note that the player stopped."""
        self._prompt.playing_ended(played_ms, offset_ms)
        return self._prompted([], now)

    def recording_ended(self, recorded_ms: float, octets: int, why: RecordingEnd, now: float) -> list[Action]:
        """Take note that the recorder stopped: only `<playrecord>` has one."""
        return []

    def key(self, press: Press, now: float) -> list[Action]:
        """Take a key: for `<play>` it waits for a later request."""
        self._buffer.append(press)
        return []

    def lengthened(self, press: Press, now: float) -> list[Action]:
        """Take note that the last key turned out to be a long one."""
        return []

    def finish(self, reason: str, now: float) -> list[Action]:
        """End for this reason: at once, or when the player has said what it played. The first reason counts."""
        if self.response is not None or self._reason is not None:
            return []
        self._reason = reason
        return self._prompted(self._prompt.leave(), now)

    def close(self) -> list[Action]:
        """The call is over."""
        return self._prompt.close()

    def next_timer(self) -> float:
        """Return when `handle_timer` is to be called; infinite: nothing to wait for."""
        return math.inf

    def handle_timer(self, now: float) -> list[Action]:
        """Do what is due: a prompt's times are the player's to keep."""
        return []

    # -- for those who do more ---------------------------------------------------------------------------------------

    def _prompted(self, actions: list[Action], now: float) -> list[Action]:
        """Go on if the prompt is over: with the response where the request ends, else with what follows the prompt."""
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

    def _report(self, reason: str | None) -> Response:
        """Return the response, with what can be said of the prompt."""
        return Response(
            request=request_name(self._request),
            id=self._request.id,
            reason=reason,
            play_duration_ms=self._prompt.played_ms,
            play_offset_ms=self._prompt.position_ms,
            error_info=self._prompt.error_info,
        )
