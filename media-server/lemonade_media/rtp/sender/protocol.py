"""The messages between the media server and its RTP sender: commands to the sender, and its events.

Each message is one datagram, which can carry file descriptors. Its octets are a JSON list: the name of the message's
class, then its fields in order. Both ends have the same version and trust each other. `serial` numbers the commands for
streams; the shared table holds the last one carried out, also after the death of a sender.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from typing import Any, Union, get_args


@dataclass(frozen=True)
class LoadContent:
    """Load a content of `octets` from the file descriptor sent along; `unit_octets` are `unit_ms` of its sound."""

    content: int
    octets: int
    unit_octets: int = 8
    unit_ms: int = 1


@dataclass(frozen=True)
class DropContent:
    """Remove a content, once no stream plays it any more."""

    content: int


@dataclass(frozen=True)
class AddStream:
    """Add a stream, with its RTP and RTCP sockets as file descriptors; it sends nothing until it is told to play.

    `sequence` and `timestamp` are those of the first packet. `payload_type`, `clock` (ticks of the timestamp a second)
    and `ptime_ms` are those of all packets. `cname` is for RTCP. `rtcp_destination` None: no reports are sent.

    For faults: `burst` > 1 sends so many packets at once, `reset_on_seek` resets the timestamp at a seek, `fault` names
    one of `STREAM_FAULTS`. `resume`: the stream continues from the row in the table that a dead sender left.
    """

    stream: int
    ssrc: int
    sequence: int
    timestamp: int
    payload_type: int
    destination: tuple[str, int]
    rtcp_destination: tuple[str, int] | None
    cname: str
    clock: int = 8000
    ptime_ms: int = 20
    burst: int = 1
    reset_on_seek: bool = False
    fault: str = ""
    resume: bool = False


@dataclass(frozen=True)
class PlayContent:
    """Play a content from an offset, `plays` times (None: without end); a playing that runs is stopped first.

    There are `delay_ms` of silence before each repetition, which begins at the content's start. The whole playing,
    silence included, ends after `limit_ms` (None: no limit).
    """

    stream: int
    serial: int
    content: int
    offset_ms: int = 0
    limit_ms: int | None = None
    plays: int | None = 1
    delay_ms: int = 0


@dataclass(frozen=True)
class Seek:
    """Skip in the content by `by_ms` (negative: back), at most to its start; a skip past its end ends the playing."""

    stream: int
    serial: int
    by_ms: int


@dataclass(frozen=True)
class StopContent:
    """Stop the playing of a stream; the stream is not removed."""

    stream: int
    serial: int


@dataclass(frozen=True)
class ChangeStream:
    """Change a stream's destination or format; its SSRC, sequence numbers and timestamps continue.

    `held`: the playing is paused, and a new one does not start, until a change without `held`. `content` replaces the
    content that is playing, at the same offset (None: it is not replaced). `rtcp_destination` None: no reports are
    sent.
    """

    stream: int
    serial: int
    payload_type: int
    ptime_ms: int
    destination: tuple[str, int]
    rtcp_destination: tuple[str, int] | None
    held: bool
    content: int | None = None


@dataclass(frozen=True)
class RemoveStream:
    """Remove a stream; an RTCP BYE is sent if it has sent any packet."""

    stream: int


Command = Union[LoadContent, DropContent, AddStream, PlayContent, Seek, StopContent, ChangeStream, RemoveStream]  # noqa: UP007


@dataclass(frozen=True)
class ContentStarted:
    """The first packet of a playing was sent. `serial` is that of the PlayContent command."""

    stream: int
    serial: int


@dataclass(frozen=True)
class ContentSought:
    """A playing skipped in its content, from `from_ms` to `offset_ms`."""

    stream: int
    serial: int
    from_ms: int
    offset_ms: int


@dataclass(frozen=True)
class ContentFinished:
    """A playing ended, at the content's end or its limit: it sent `played_ms` of sound, and ended at `offset_ms`.

    All repetitions are one playing. The silence between them does not count in `played_ms`.
    """

    stream: int
    serial: int
    played_ms: int
    offset_ms: int


@dataclass(frozen=True)
class ContentStopped:
    """A playing was stopped before its end, by StopContent, another PlayContent or RemoveStream."""

    stream: int
    serial: int
    played_ms: int
    offset_ms: int


@dataclass(frozen=True)
class ReportSent:
    """A compound RTCP packet was sent.

    `kinds` are the types of the packets in it, such as SR, SDES and BYE, and `values` what a trace shows of them
    (`lemonade_wire.rtp.rtcp.traced_values`).
    """

    source: tuple[str, int]
    destination: tuple[str, int]
    kinds: tuple[str, ...]
    values: Mapping[str, Any] = field(default_factory=dict)


Event = Union[ContentStarted, ContentSought, ContentFinished, ContentStopped]  # noqa: UP007  runtime alias
Message = Union[Command, Event, ReportSent]  # noqa: UP007  runtime alias

MAX_MESSAGE = 4096
_CLASSES: dict[str, Any] = {known.__name__: known for known in get_args(Message)}


def encode(message: Message) -> bytes:
    """Return the octets of a message, which are fewer than MAX_MESSAGE."""
    return json.dumps([type(message).__name__, *astuple(message)], separators=(",", ":")).encode()


def decode(octets: bytes) -> Message:
    """Return the message that `encode` has encoded; raises ValueError for other octets."""
    try:
        name, *values = json.loads(octets)
        message: Message = _CLASSES[name](*(tuple(value) if isinstance(value, list) else value for value in values))
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        raise ValueError("no message of the sender's protocol") from error
    return message
