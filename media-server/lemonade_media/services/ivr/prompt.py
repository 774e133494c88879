"""The prompt of a request: how it is fetched, played, repeated and skipped in (RFC 5022 sections 6.1.1 and 6.4.2)."""

from __future__ import annotations

import math
from enum import Enum

from lemonade_media.model.actions import Action, CancelFetch, FetchMedia, SkipBy, StartPlaying, StopPlaying
from lemonade_media.model.failures import Failure, FailureKind
from lemonade_wire.mscml.messages import Audio, Command, ErrorInfo, Prompt


# These failures are reported even if `stoponerror` is not set (LS-2.6-6): the caller would else wait for sound.
class Phase(Enum):
    """A phase of a running request; the package's docstring has the table of phases."""

    FETCHING = "fetching"
    PLAYING = "playing"
    STOPPING = "stopping"
    OVER = "over"
    COLLECTING = "collecting"
    BEEPING = "beeping"
    RECORDING = "recording"

    @property
    def command(self) -> Command:
        """The value of the attribute `command` in `<status>` for this phase."""
        if self is Phase.COLLECTING:
            return "collect"
        return "record" if self in {Phase.BEEPING, Phase.RECORDING} else "play"


_NEVER_SILENT = frozenset({FailureKind.NO_COMMON_CODEC, FailureKind.NOT_IMPLEMENTED})


class PromptPlayer:
    """Plays one prompt. `phase` is OVER when it is over; `failure` is the reason if it ended with an error.

    `played_ms` is the duration that was played, `position_ms` the position in the sequence where it ended. The player
    measures repetitions, the silence between them and the duration of the whole. The time of fetching does not count.
    """

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt
        self._to_fetch = [item for item in prompt.items if isinstance(item, Audio)]
        self._fetched: list[Audio] = []
        self._length_ms = 0.0
        self.phase = Phase.OVER  # until `begin`
        self.played_ms = 0.0
        self.position_ms = 0.0
        self.failure: Failure | None = None
        self.error_info: ErrorInfo | None = None

    def begin(self) -> list[Action]:
        """Return the first fetch. A prompt with repeat 0 or duration 0 is over at once; one with variables fails."""
        if len(self._to_fetch) != len(self._prompt.items):
            self.failure = Failure(FailureKind.NOT_IMPLEMENTED, "a prompt with variables is not played")
            return []
        if self._prompt.repeat == 0 or self._prompt.duration_ms <= 0:
            return []
        return self._fetch_or_play()

    def media_fetched(self, length_ms: float) -> list[Action]:
        """Handle that the piece of the last FetchMedia was fetched; it plays for `length_ms`."""
        if self.phase is not Phase.FETCHING:
            return []
        self._length_ms += length_ms
        self._fetched.append(self._to_fetch.pop(0))
        return self._fetch_or_play()

    def fetch_failed(self, failure: Failure) -> list[Action]:
        """Handle that the last FetchMedia failed: end with an error, or leave the piece out and go on."""
        if self.phase is not Phase.FETCHING:
            return []
        self.error_info = failure.error_info(self._to_fetch.pop(0).url)
        if self._prompt.stop_on_error or failure.kind in _NEVER_SILENT:
            self.failure = failure
            self.phase = Phase.OVER
            return []
        return self._fetch_or_play()

    def playing_ended(self, played_ms: float, offset_ms: float) -> None:
        """Handle that the playing ended: it sent `played_ms` of sound, and stopped at `offset_ms` in the sequence."""
        if self.phase in {Phase.PLAYING, Phase.STOPPING}:
            self.played_ms, self.position_ms = played_ms, offset_ms
            self.phase = Phase.OVER

    def skip(self, by_ms: float) -> list[Action]:
        """Return the action that skips in the playing by `by_ms`; nothing if the prompt is not playing."""
        return [SkipBy(round(by_ms))] if self.phase is Phase.PLAYING else []

    def leave(self) -> list[Action]:
        """End the prompt: at once while it is fetched, else when the player has reported what it played."""
        match self.phase:
            case Phase.PLAYING:
                self.phase = Phase.STOPPING
                return [StopPlaying()]
            case Phase.FETCHING:
                # A client that resumes at this position starts where this prompt would have started.
                self.position_ms = self._prompt.offset_ms
                self.phase = Phase.OVER
                return [CancelFetch()]
            case _:
                return []

    def close(self) -> list[Action]:
        """Handle the end of the call: return the action that aborts the fetch or stops the playing."""
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
                round(prompt.offset_ms % self._length_ms),  # an offset past the end counts on from the start
                round(prompt.duration_ms) if math.isfinite(prompt.duration_ms) else None,
                prompt.repeat,
                round(prompt.delay_ms),
                gains_db if any(gains_db) else (),
            )
        ]
