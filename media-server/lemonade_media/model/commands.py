"""The commands of the core: what is to be done with sockets, streams, fetches, files and the log.

`lemonade_media.app` carries them out. There is no command for SIP: the core calls the UserAgent itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lemonade_media.decoding.decode import EncodedMedia, Law
from lemonade_media.model.plans import FetchPlan, ProvisionedPlan
from lemonade_wire.sdp.codec import Format


@dataclass(frozen=True)
class OpenMedia:
    """Bind a pair of RTP and RTCP ports for a call; `media_opened` or `media_refused` takes the result.

    `label` is the Call-ID, which names the call in the traces of all nodes.
    """

    call: str
    label: str


@dataclass(frozen=True)
class StartFetch:
    """Fetch content, decode it and encode it as `law`; `fetched` or `fetch_failed` takes the result for the `job`.

    `content_type` overrides the type of the content; empty: it does not. `caller` is the IP address of the caller,
    between whose fetches and those of others the decoding processes are shared.
    """

    job: int
    plan: FetchPlan | ProvisionedPlan
    content_type: str
    law: Law
    caller: str = ""


@dataclass(frozen=True)
class AbortFetch:
    """Abort a fetch; its result is not reported."""

    job: int


@dataclass(frozen=True)
class StartStream:
    """Start a call's RTP stream, to this address and ports, with this payload type and packet time.

    `formats` are the formats of the server's session description, which the caller may send. `burst`, `reset_on_seek`
    and `fault` are for faults.
    """

    call: str
    address: str
    port: int
    rtcp_port: int
    payload_type: int
    ptime_ms: int
    burst: int = 1
    reset_on_seek: bool = False
    fault: str = ""
    formats: tuple[Format, ...] = ()


@dataclass(frozen=True)
class ModifyStream:
    """Change a call's RTP stream as a re-INVITE has agreed. `held`: nothing is sent, and the playing is paused.

    `rtcp_port` None: no RTCP reports are sent. `formats` are the formats that the caller may send, as in StartStream.
    `media` is the content that is playing in another encoding, and replaces it (None: the encoding is the same).
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
    """Play these media as one content, as `actions.StartPlaying` says; `playing_ended` is called once, at its end."""

    call: str
    media: tuple[EncodedMedia, ...]
    offset_ms: int
    limit_ms: int | None
    plays: int | None = 1
    delay_ms: int = 0


@dataclass(frozen=True)
class SeekMedia:
    """Skip in the content that is playing, by so many ms; negative: back."""

    call: str
    by_ms: int


@dataclass(frozen=True)
class StopMedia:
    """Stop the playing; `playing_ended` is called then."""

    call: str


@dataclass(frozen=True)
class RecordMedia:
    """Record the caller's sound, as `actions.StartRecording` says; `recording_ended` is called once, at its end."""

    call: str
    path: Path
    append: bool
    limit_ms: float | None
    first_silence_ms: float | None
    last_silence_ms: float | None


@dataclass(frozen=True)
class StopRecordingMedia:
    """Stop the recording; `recording_ended` is called then."""

    call: str


@dataclass(frozen=True)
class CloseMedia:
    """Close a call's stream, recording and ports."""

    call: str


@dataclass(frozen=True)
class LogLine:
    """Write a line to the log. `raw`: tickets in it are not masked, which only a fault asks for."""

    text: str
    raw: bool = False


Command = (
    OpenMedia
    | StartFetch
    | AbortFetch
    | StartStream
    | ModifyStream
    | PlayMedia
    | SeekMedia
    | StopMedia
    | RecordMedia
    | StopRecordingMedia
    | CloseMedia
    | LogLine
)
