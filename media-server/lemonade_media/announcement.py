"""The announcement service of one call (RFC 4240 section 3, LS-2.5), sans-IO.

fetching -> offered (200 sent) -> playing, as often as asked -> over (BYE)
"""

from __future__ import annotations

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
    OVER = "over"


class Announcement:
    """Plays one content as often as asked, then hangs up. `uri` says what and how.

    `limit_ms` bounds the whole announcement, so that `repeat=forever` ends. `accept_early` is the seam of a fault:
    200 goes out before the content is here.
    """

    def __init__(self, uri: AnnouncementUri, limit_ms: int = 3_600_000, *, accept_early: bool = False) -> None:
        self.uri = uri
        self._limit_ms = limit_ms if uri.duration is None else min(limit_ms, uri.duration)
        self._stage = Stage.FETCHING
        self._accept_early = accept_early
        self._confirmed = False

    def start(self, now: float) -> list[Action]:
        """Fetch: LS-2.5-5 wants the content here before the 200."""
        early: list[Action] = [Accept()] if self._accept_early else []
        uri = self.uri
        return [*early, FetchMedia(uri.play, uri.content_type, uri.locale, uri.substitutions)]

    def confirmed(self, now: float) -> list[Action]:
        """Play: never before the ACK (RFC 4240 section 3.2)."""
        self._confirmed = True
        return self._play() if self._stage is Stage.OFFERED else []

    def media_fetched(self, length_ms: float, now: float) -> list[Action]:
        """Answer the INVITE."""
        if self._stage is not Stage.FETCHING:
            return []
        self._stage = Stage.OFFERED
        if self._accept_early:
            return self._play() if self._confirmed else []
        return [Accept()]

    def fetch_failed(self, failure: Failure, now: float) -> list[Action]:
        """Refuse the INVITE."""
        if self._stage is not Stage.FETCHING:
            return []
        self._stage = Stage.OVER
        return [HangUp()] if self._accept_early else [Refuse(failure)]

    def playing_ended(self, played_ms: float, offset_ms: float, now: float) -> list[Action]:
        """Hang up: it was played as often and as long as asked."""
        return self._over() if self._stage is Stage.PLAYING else []

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
        """Return None: whoever plays keeps the time."""
        return None

    def handle_timer(self, now: float) -> list[Action]:
        """Do nothing."""
        return []

    def _play(self) -> list[Action]:
        if not self._limit_ms:
            return self._over()
        self._stage = Stage.PLAYING
        return [StartPlaying((self.uri.play,), 0, self._limit_ms, self.uri.repeat, self.uri.delay)]

    def _over(self) -> list[Action]:
        self._stage = Stage.OVER
        return [HangUp()]
