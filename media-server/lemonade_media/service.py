"""What the two services of this server have in common: what they ask to be done, and what they are told.

A service is one call's logic, sans-IO. It returns actions, in order; whoever owns it carries them out and reports back.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from lemonade_media.failures import Failure
from lemonade_wire.mscml.response import Keypress, Response


@dataclass(frozen=True)
class Accept:
    """Answer the INVITE with 200."""


@dataclass(frozen=True)
class Refuse:
    """Answer the INVITE with what the failure stands for."""

    failure: Failure


@dataclass(frozen=True)
class HangUp:
    """Send BYE."""


@dataclass(frozen=True)
class FetchMedia:
    """Fetch this URL; `media_fetched` or `fetch_failed` answers. `content_type` overrides the content's own type.

    `locale` and `substitutions` are for provisioned content (RFC 4240 section 3).
    """

    url: str
    content_type: str = ""
    locale: str = ""
    substitutions: tuple[str, ...] = ()


@dataclass(frozen=True)
class CancelFetch:
    """The fetch is no longer wanted; no answer to it is wanted either."""


@dataclass(frozen=True)
class StartPlaying:
    """Play what these URLs gave, as one content, from an offset; `playing_ended` answers.

    It is played `plays` times in all (None: for ever) with `delay_ms` of silence in between, exact to a packet, for at
    most `limit_ms`, silence counted. `gains_db` says by how much each URL's part is made louder; empty: none is.
    """

    urls: tuple[str, ...]
    offset_ms: int
    limit_ms: int | None
    plays: int | None = 1
    delay_ms: int = 0
    gains_db: tuple[float, ...] = ()


@dataclass(frozen=True)
class PlayBeep:
    """Play the tone that goes before a recording; `playing_ended` answers."""


@dataclass(frozen=True)
class SkipBy:
    """Move in the content, not before its start; past its end playing ends."""

    by_ms: int


@dataclass(frozen=True)
class StopPlaying:
    """Stop playing; `playing_ended` answers."""


@dataclass(frozen=True)
class StartRecording:
    """Record what the caller sends to `path`; `recording_ended` answers once.

    It ends by itself after `limit_ms`, after `first_silence_ms` without any voice, or after `last_silence_ms` of
    silence behind a voice; None: not for that. `append`: behind what the file holds already.
    """

    path: Path
    append: bool = False
    limit_ms: float | None = None
    first_silence_ms: float | None = None
    last_silence_ms: float | None = None


@dataclass(frozen=True)
class StopRecording:
    """Stop recording; `recording_ended` answers."""


@dataclass(frozen=True)
class Respond:
    """Send this MSCML response in an INFO of its own."""

    response: Response


@dataclass(frozen=True)
class Notify:
    """Send this MSCML notification in an INFO of its own."""

    keypress: Keypress


Action = (
    Accept
    | Refuse
    | HangUp
    | FetchMedia
    | CancelFetch
    | StartPlaying
    | PlayBeep
    | SkipBy
    | StopPlaying
    | StartRecording
    | StopRecording
    | Respond
    | Notify
)
RecordingEnd = Literal["limit", "first-silence", "last-silence", "stopped", "error"]


class Service(Protocol):
    """One call's logic. `now` is in seconds, monotonic."""

    def start(self, now: float) -> list[Action]:
        """The INVITE is good and its codec is agreed."""
        ...

    def confirmed(self, now: float) -> list[Action]:
        """The ACK is here."""
        ...

    def media_fetched(self, length_ms: float, now: float) -> list[Action]:
        """The URL last asked for is here and plays so long."""
        ...

    def fetch_failed(self, failure: Failure, now: float) -> list[Action]:
        """The URL last asked for is not to be had."""
        ...

    def playing_ended(self, played_ms: float, offset_ms: float, now: float) -> list[Action]:
        """The player stopped, at its end or when told: how much was sent, and where it stands."""
        ...

    def recording_ended(self, recorded_ms: float, octets: int, why: RecordingEnd, now: float) -> list[Action]:
        """A recording is over: how long it is, how large its file, and what ended it."""
        ...

    def close(self) -> list[Action]:
        """The call is over: end everything, tell nobody."""
        ...

    def next_timer(self) -> float | None:
        """Return when `handle_timer` is to be called; None: nothing to wait for."""
        ...

    def handle_timer(self, now: float) -> list[Action]:
        """Do what is due."""
        ...
