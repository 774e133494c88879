"""What the core asks the world to do. The SIP side needs none of these: the core acts on the UserAgent itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lemonade_media.decode import EncodedMedia, Law
from lemonade_media.fetch import FetchPlan
from lemonade_media.provisioned import ProvisionedPlan
from lemonade_wire.sdp.codec import Format


@dataclass(frozen=True)
class OpenMedia:
    """Bind a pair of RTP and RTCP ports for the call; `media_opened` or `media_refused` answers.

    `label` is the Call-ID, by which traces of other nodes know the call.
    """

    call: str
    label: str


@dataclass(frozen=True)
class StartFetch:
    """Fetch, decode and encode; `fetched` or `fetch_failed` answers with the job's number."""

    job: int
    plan: FetchPlan | ProvisionedPlan
    content_type: str
    law: Law


@dataclass(frozen=True)
class AbortFetch:
    """Give a fetch up; no answer is wanted."""

    job: int


@dataclass(frozen=True)
class AddStream:
    """The call's stream may now send: where to, and as what. `burst` and `reset_on_seek` are for faults.

    `formats` is what our description says that the caller may send.
    """

    call: str
    address: str
    port: int
    rtcp_port: int
    payload_type: int
    ptime_ms: int
    burst: int = 1
    reset_on_seek: bool = False
    formats: tuple[Format, ...] = ()


@dataclass(frozen=True)
class ChangeStream:
    """The call's stream goes on as said here. `held`: nothing is sent, and what is playing stands still.

    `rtcp_port` None: no reports either. `formats` is what the caller may send, as in AddStream. `media` takes the place
    of what is playing, in another encoding (None: none).
    """

    call: str
    address: str
    port: int
    rtcp_port: int | None
    payload_type: int
    ptime_ms: int
    held: bool
    formats: tuple[Format, ...] = ()
    media: tuple[EncodedMedia, ...] | None = None


@dataclass(frozen=True)
class PlayMedia:
    """Play these media as one content, as `service.StartPlaying` says; `playing_ended` answers once."""

    call: str
    media: tuple[EncodedMedia, ...]
    offset_ms: int
    limit_ms: int | None
    plays: int | None = 1
    delay_ms: int = 0


@dataclass(frozen=True)
class SeekMedia:
    """Move in what is playing."""

    call: str
    by_ms: int


@dataclass(frozen=True)
class StopMedia:
    """Stop what is playing; `playing_ended` answers."""

    call: str


@dataclass(frozen=True)
class RecordMedia:
    """Record what the call's caller sends, as `service.StartRecording` says; `recording_ended` answers once."""

    call: str
    path: Path
    append: bool
    limit_ms: float | None
    first_silence_ms: float | None
    last_silence_ms: float | None


@dataclass(frozen=True)
class StopRecordingMedia:
    """Stop recording; `recording_ended` answers."""

    call: str


@dataclass(frozen=True)
class CloseMedia:
    """Forget the call's stream and ports."""

    call: str


@dataclass(frozen=True)
class LogLine:
    """An event of note, in English. `raw` leaves tickets in: a fault."""

    text: str
    raw: bool = False


Command = (
    OpenMedia
    | StartFetch
    | AbortFetch
    | AddStream
    | ChangeStream
    | PlayMedia
    | SeekMedia
    | StopMedia
    | RecordMedia
    | StopRecordingMedia
    | CloseMedia
    | LogLine
)
