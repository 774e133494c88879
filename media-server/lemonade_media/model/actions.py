"""The actions that the services return, announcement and IVR: what is to be done in their call.

`CallControl` carries them out: those on SIP by the user agent, all others by commands
(`lemonade_media.model.commands`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lemonade_media.model.failures import Failure
from lemonade_wire.mscml.messages import Keypress, MscmlResponse


@dataclass(frozen=True)
class Accept:
    """Answer the INVITE with 200."""


@dataclass(frozen=True)
class Refuse:
    """Refuse the INVITE with the status, reason phrase and Warning of the failure."""

    failure: Failure


@dataclass(frozen=True)
class SendBye:
    """Send BYE: the service has ended the call."""


@dataclass(frozen=True)
class FetchMedia:
    """Fetch the content of this URL; `media_fetched` or `fetch_failed` takes the result.

    `content_type` overrides the content's own type. `locale` and `substitutions` (the values of `param1` and so on)
    are for provisioned content (RFC 4240 section 3).
    """

    url: str
    content_type: str = ""
    locale: str = ""
    substitutions: tuple[str, ...] = ()


@dataclass(frozen=True)
class CancelFetch:
    """Abort the fetch; its result is not reported."""


@dataclass(frozen=True)
class StartPlaying:
    """Play the content fetched from these URLs, one after the other, from an offset; `playing_ended` is called then.

    The whole is played `plays` times (None: without end) with `delay_ms` of silence before each repetition, exact to a
    packet, for at most `limit_ms`, the silence included (None: no limit). `gains_db` has the gain of each URL's
    content in dB; empty: no gain.
    """

    urls: tuple[str, ...]
    offset_ms: int
    limit_ms: int | None
    plays: int | None = 1
    delay_ms: int = 0
    gains_db: tuple[float, ...] = ()


@dataclass(frozen=True)
class PlayBeep:
    """Play the tone before a recording (RFC 5022 section 6.5.2); `playing_ended` is called then."""


@dataclass(frozen=True)
class SkipBy:
    """Skip in the content that is playing, by so many ms; negative: back.

    A skip stops at the content's start. A skip past its end ends the playing.
    """

    by_ms: int


@dataclass(frozen=True)
class StopPlaying:
    """Stop the playing; `playing_ended` is called then."""


@dataclass(frozen=True)
class StartRecording:
    """Record the caller's sound to the file `path`; `recording_ended` is called once, at the end.

    The recording ends after `limit_ms`, after `first_silence_ms` without a voice, or after `last_silence_ms` of silence
    that follows a voice; None: it does not end for that reason. `append`: the sound is added to the end of the file.
    """

    path: Path
    append: bool = False
    limit_ms: float | None = None
    first_silence_ms: float | None = None
    last_silence_ms: float | None = None


@dataclass(frozen=True)
class StopRecording:
    """Stop the recording; `recording_ended` is called then."""


@dataclass(frozen=True)
class Respond:
    """Send this MSCML response in an INFO (RFC 5022 section 4)."""

    response: MscmlResponse


@dataclass(frozen=True)
class Notify:
    """Send this MSCML notification of a key press in an INFO (RFC 5022 section 7)."""

    keypress: Keypress


Action = (
    Accept
    | Refuse
    | SendBye
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
