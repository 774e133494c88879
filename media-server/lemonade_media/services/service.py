"""The interface of the two services, announcement and IVR: the events that they take, and that they return actions.

A service is the logic of one call, without I/O. Its methods return actions (`lemonade_media.model.actions`) in the
order in which to carry them out; `CallControl` does so, and calls the service again with the results.
"""

from __future__ import annotations

from typing import Protocol

from lemonade_media.model.actions import Action, RecordingEnd
from lemonade_media.model.failures import Failure


class CallService(Protocol):
    """The logic of one call. `now` is the time in seconds of a monotonic clock, in every method."""

    def start(self, now: float) -> list[Action]:
        """Handle that the INVITE is acceptable, its codec is agreed on, and RTP ports are bound."""
        ...

    def confirmed(self, now: float) -> list[Action]:
        """Handle the ACK: from now on the service may play."""
        ...

    def media_fetched(self, length_ms: float, now: float) -> list[Action]:
        """Handle that the content of the last FetchMedia was fetched; it plays for `length_ms`."""
        ...

    def fetch_failed(self, failure: Failure, now: float) -> list[Action]:
        """Handle that the last FetchMedia failed."""
        ...

    def playing_ended(self, played_ms: float, offset_ms: float, now: float) -> list[Action]:
        """Handle that the playing ended: it sent `played_ms` of sound, and stopped at `offset_ms` in the content."""
        ...

    def recording_ended(self, recorded_ms: float, octets: int, why: RecordingEnd, now: float) -> list[Action]:
        """Handle that the recording ended: its length in ms, the size of its file in octets, and the reason."""
        ...

    def close(self) -> list[Action]:
        """Handle the end of the call: return the actions that end what runs; no response is sent any more."""
        ...

    def next_timer(self) -> float | None:
        """Return the time at which `handle_timer` must be called; None if no timer runs."""
        ...

    def handle_timer(self, now: float) -> list[Action]:
        """Handle all timers that have expired at `now`."""
        ...
