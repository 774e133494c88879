"""The announcement service of one call (RFC 4240 section 3, LS-2.5), sans-IO.

fetching -> offered (200 sent) -> playing -> (pausing -> playing)* -> over (BYE)
"""

from __future__ import annotations

import math
from enum import Enum

from lemonade_media.failures import Failure
from lemonade_media.service import (
    Accept,
    Action,
    CancelFetch,
    FetchMedia,
    HangUp,
    RecordingEnd,
    Refuse,
    StartPlaying,
    StopPlaying,
)
from lemonade_wire.sip.netann import AnnouncementUri


class Stage(Enum):
    """Where the announcement stands."""

    FETCHING = "fetching"
    OFFERED = "offered"
    PLAYING = "playing"
    PAUSING = "pausing"
    OVER = "over"


class Announcement:
    """Plays one URL as often as asked, then hangs up.

    `limit_ms` bounds the whole announcement, so that `repeat=forever` ends. `accept_early` is the seam of a fault:
    200 goes out before the content is here.
    """

    def __init__(self, uri: AnnouncementUri, limit_ms: float = 3_600_000, *, accept_early: bool = False) -> None:
        self._uri = uri
        self._left_ms = limit_ms if uri.duration is None else min(limit_ms, uri.duration)
        self._plays = math.inf if uri.repeat is None else max(1, uri.repeat)
        self._stage = Stage.FETCHING
        self._accept_early = accept_early
        self._confirmed = False
        self._resume_at = math.inf

    def start(self, now: float) -> list[Action]:
        """Fetch: LS-2.5-5 wants the content here before the 200."""
        early: list[Action] = [Accept()] if self._accept_early else []
        return [*early, FetchMedia(self._uri.play, self._uri.content_type)]

    def confirmed(self, now: float) -> list[Action]:
        """Play: never before the ACK (RFC 4240 section 3.2)."""
        self._confirmed = True
        return self._play(now) if self._stage is Stage.OFFERED else []

    def media_fetched(self, length_ms: float, now: float) -> list[Action]:
        """Answer the INVITE."""
        if self._stage is not Stage.FETCHING:
            return []
        self._stage = Stage.OFFERED
        if self._accept_early:
            return self._play(now) if self._confirmed else []
        return [Accept()]

    def fetch_failed(self, failure: Failure, now: float) -> list[Action]:
        """Refuse the INVITE."""
        if self._stage is not Stage.FETCHING:
            return []
        self._stage = Stage.OVER
        return [HangUp()] if self._accept_early else [Refuse(failure)]

    def playing_ended(self, played_ms: float, offset_ms: float, now: float) -> list[Action]:
        """Play again, after the delay, or hang up."""
        if self._stage is not Stage.PLAYING:
            return []
        self._plays -= 1
        self._left_ms -= played_ms
        if self._plays < 1 or self._left_ms <= 0 or not played_ms:
            return self._over()
        self._left_ms -= self._uri.delay
        self._stage, self._resume_at = Stage.PAUSING, now + self._uri.delay / 1000
        return self.handle_timer(now)

    def recording_ended(self, recorded_ms: float, octets: int, why: RecordingEnd, now: float) -> list[Action]:
        """Do nothing: nothing is recorded."""
        return []

    def close(self) -> list[Action]:
        """The caller has hung up or cancelled."""
        stage, self._stage = self._stage, Stage.OVER
        if stage is Stage.FETCHING:
            return [CancelFetch()]
        return [StopPlaying()] if stage is Stage.PLAYING else []

    def next_timer(self) -> float | None:
        """Return when the next repetition begins."""
        return self._resume_at if self._stage is Stage.PAUSING else None

    def handle_timer(self, now: float) -> list[Action]:
        """Begin the next repetition if it is time."""
        return self._play(now) if self._stage is Stage.PAUSING and now >= self._resume_at else []

    def _play(self, now: float) -> list[Action]:
        if self._left_ms <= 0:
            return self._over()
        self._stage = Stage.PLAYING
        return [StartPlaying((self._uri.play,), 0, round(self._left_ms))]

    def _over(self) -> list[Action]:
        self._stage = Stage.OVER
        return [HangUp()]
