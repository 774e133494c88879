"""The announcement service of one call (RFC 4240 section 3, LS-2.5), without I/O.

Its stages: FETCHING the content -> OFFERED (200 sent, ACK awaited) -> PLAYING, with all repetitions -> OVER (BYE sent).
"""

from __future__ import annotations

from enum import Enum

from lemonade_media.model.actions import (
    Accept,
    Action,
    CancelFetch,
    FetchMedia,
    RecordingEnd,
    Refuse,
    SendBye,
    StartPlaying,
    StopPlaying,
)
from lemonade_media.model.failures import Failure
from lemonade_wire.sip.netann import AnnouncementUri


class Stage(Enum):
    """The stages of an announcement; the module's docstring has their order."""

    FETCHING = "fetching"
    OFFERED = "offered"
    PLAYING = "playing"
    OVER = "over"


class Announcement:
    """Plays one content with its repetitions, then sends BYE. `uri` is the Request-URI, which holds all parameters.

    `limit_ms` is the longest duration of the whole announcement, so that `repeat=forever` ends. `accept_early` is for a
    fault: the 200 is sent before the content is fetched.
    """

    def __init__(self, uri: AnnouncementUri, limit_ms: int = 3_600_000, *, accept_early: bool = False) -> None:
        self.uri = uri
        self._limit_ms = limit_ms if uri.duration is None else min(limit_ms, uri.duration)
        self._stage = Stage.FETCHING
        self._accept_early = accept_early
        self._confirmed = False

    def start(self, now: float) -> list[Action]:
        """Return the fetch of the content: it must be complete before the 200 is sent (LS-2.5-5)."""
        early: list[Action] = [Accept()] if self._accept_early else []
        uri = self.uri
        return [*early, FetchMedia(uri.play, uri.content_type, uri.locale, uri.substitutions)]

    def confirmed(self, now: float) -> list[Action]:
        """Handle the ACK: start to play, which must not begin before it (RFC 4240 section 3.2)."""
        self._confirmed = True
        return self._play() if self._stage is Stage.OFFERED else []

    def media_fetched(self, length_ms: float, now: float) -> list[Action]:
        """Handle that the content was fetched: answer the INVITE with 200."""
        if self._stage is not Stage.FETCHING:
            return []
        self._stage = Stage.OFFERED
        if self._accept_early:
            return self._play() if self._confirmed else []
        return [Accept()]

    def fetch_failed(self, failure: Failure, now: float) -> list[Action]:
        """Handle that the fetch failed: refuse the INVITE."""
        if self._stage is not Stage.FETCHING:
            return []
        self._stage = Stage.OVER
        return [SendBye()] if self._accept_early else [Refuse(failure)]

    def playing_ended(self, played_ms: float, offset_ms: float, now: float) -> list[Action]:
        """Handle that the playing ended, with all repetitions or at its limit: send BYE."""
        return self._over() if self._stage is Stage.PLAYING else []

    def recording_ended(self, recorded_ms: float, octets: int, why: RecordingEnd, now: float) -> list[Action]:
        """Do nothing: an announcement records nothing."""
        return []

    def close(self) -> list[Action]:
        """Handle that the caller has hung up or cancelled: abort the fetch or stop the playing."""
        stage, self._stage = self._stage, Stage.OVER
        if stage is Stage.FETCHING:
            return [CancelFetch()]
        return [StopPlaying()] if stage is Stage.PLAYING else []

    def next_timer(self) -> float | None:
        """Return None: the player measures the duration, and there is no other timer."""
        return None

    def handle_timer(self, now: float) -> list[Action]:
        """Do nothing: there is no timer."""
        return []

    def _play(self) -> list[Action]:
        if not self._limit_ms:
            return self._over()
        self._stage = Stage.PLAYING
        return [StartPlaying((self.uri.play,), 0, self._limit_ms, self.uri.repeat, self.uri.delay)]

    def _over(self) -> list[Action]:
        self._stage = Stage.OVER
        return [SendBye()]
