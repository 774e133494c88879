"""The prompt of a request: fetched, played, repeated, skipped in (RFC 5022 sections 6.1.1 and 6.4.2)."""

from __future__ import annotations

import math

from lemonade_media.failures import Failure, FailureKind
from lemonade_media.ivr.phase import Phase
from lemonade_media.service import Action, CancelFetch, FetchMedia, SkipBy, StartPlaying, StopPlaying
from lemonade_wire.mscml.request import Audio, Prompt
from lemonade_wire.mscml.response import ErrorInfo

# No codec or no support is told in any case (LS-2.6-6): without an answer a caller would wait for sound.
_NEVER_SILENT = frozenset({FailureKind.NO_COMMON_CODEC, FailureKind.NOT_IMPLEMENTED})


class PromptPlayer:
    """Plays one prompt; `phase` is OVER when it is over, and `failure` says why where that was an error.

    `played_ms` is the time that was played, `position_ms` the place in the sequence where it ended. Repetitions, the
    silence between them and the duration of the whole are the player's to keep; what fetching takes does not count.
    """

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt
        self._to_fetch = [item for item in prompt.items if isinstance(item, Audio)]
        self._fetched: list[Audio] = []
        self._length_ms = 0.0
        self.phase = Phase.OVER  # as long as nobody has begun it
        self.played_ms = 0.0
        self.position_ms = 0.0
        self.failure: Failure | None = None
        self.error_info: ErrorInfo | None = None

    def begin(self) -> list[Action]:
        """Fetch what is to be played; a prompt that is not to be played is over at once."""
        if len(self._to_fetch) != len(self._prompt.items):
            self.failure = Failure(FailureKind.NOT_IMPLEMENTED, "a prompt with variables is not played")
            return []
        if self._prompt.repeat == 0 or self._prompt.duration_ms <= 0:
            return []
        return self._fetch_or_play()

    def media_fetched(self, length_ms: float) -> list[Action]:
        """Take note that the piece last asked for is here and plays so long."""
        if self.phase is not Phase.FETCHING:
            return []
        self._length_ms += length_ms
        self._fetched.append(self._to_fetch.pop(0))
        return self._fetch_or_play()

    def fetch_failed(self, failure: Failure) -> list[Action]:
        """Take note that the piece last asked for is not to be had: an error, or the next piece in silence."""
        if self.phase is not Phase.FETCHING:
            return []
        self.error_info = failure.error_info(self._to_fetch.pop(0).url)
        if self._prompt.stop_on_error or failure.kind in _NEVER_SILENT:
            self.failure = failure
            self.phase = Phase.OVER
            return []
        return self._fetch_or_play()

    def playing_ended(self, played_ms: float, offset_ms: float) -> None:
        """Take note that the player stopped, at its end or when told: how much was sent, and where it stands."""
        if self.phase in {Phase.PLAYING, Phase.STOPPING}:
            self.played_ms, self.position_ms = played_ms, offset_ms
            self.phase = Phase.OVER

    def skip(self, by_ms: float) -> list[Action]:
        """Move in what is playing."""
        return [SkipBy(round(by_ms))] if self.phase is Phase.PLAYING else []

    def leave(self) -> list[Action]:
        """End the prompt: at once, or when the player has said what it played."""
        match self.phase:
            case Phase.PLAYING:
                self.phase = Phase.STOPPING
                return [StopPlaying()]
            case Phase.FETCHING:
                self.position_ms = self._prompt.offset_ms  # who resumes there begins where this was to begin
                self.phase = Phase.OVER
                return [CancelFetch()]
            case _:
                return []

    def close(self) -> list[Action]:
        """The call is over."""
        if self.phase is Phase.FETCHING:
            return [CancelFetch()]
        return [StopPlaying()] if self.phase in {Phase.PLAYING, Phase.STOPPING} else []

    def _fetch_or_play(self) -> list[Action]:
        if self._to_fetch:
            self.phase = Phase.FETCHING
            return [FetchMedia(self._to_fetch[0].url)]
        if not self._length_ms:
            self.phase = Phase.OVER
            return []
        self.phase = Phase.PLAYING
        prompt, gains_db = self._prompt, tuple(piece.gain_db for piece in self._fetched)
        return [
            StartPlaying(
                tuple(piece.url for piece in self._fetched),
                round(prompt.offset_ms % self._length_ms),  # an offset past the end wraps
                round(prompt.duration_ms) if math.isfinite(prompt.duration_ms) else None,
                prompt.repeat,
                round(prompt.delay_ms),
                gains_db if any(gains_db) else (),
            )
        ]
