"""What the media server and its RTP sender say to each other: one datagram per message, descriptors beside it.

Both ends are of one version and trust each other, so a message is a JSON list: the name of its class, then its fields.
`serial` numbers the commands to streams, so that it is known what a dead sender had still carried out.
"""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass
from typing import Any, Union, get_args


@dataclass(frozen=True)
class LoadContent:
    """Take media, whose descriptor comes along: `octets` long, `unit_octets` for every `unit_ms` of sound."""

    content: int
    octets: int
    unit_octets: int = 8
    unit_ms: int = 1


@dataclass(frozen=True)
class DropContent:
    """Forget media once no stream plays them any more."""

    content: int


@dataclass(frozen=True)
class AddStream:
    """Take a stream, whose RTP and RTCP descriptors come along; it is silent until told to play.

    `sequence`, `timestamp` and `ssrc` are where it begins. `burst` > 1 sends so many packets at once,
    `reset_on_seek` sets the timestamp back at a seek: both are faults. `resume` takes a dead sender's row as it is.
    `rtcp_destination` None: no reports.
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
    resume: bool = False


@dataclass(frozen=True)
class Play:
    """Play content from an offset, `plays` times in all (None: for ever); what was playing is stopped first.

    `delay_ms` of silence lie before every repetition, which begins at the content's start. The whole, silence
    counted, ends after `limit_ms` (None: no limit).
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
    """Move in the content by so many ms, not before its beginning; past its end the playing is finished."""

    stream: int
    serial: int
    by_ms: int


@dataclass(frozen=True)
class Stop:
    """Stop playing; the stream stays."""

    stream: int
    serial: int


@dataclass(frozen=True)
class ChangeStream:
    """Go on elsewhere, or as something else, with the same SSRC, sequence and timestamps.

    `held`: what is playing stands still, and a play that comes waits, until a change without it. `content` takes the
    place of what is playing, at the same offset (None: no other). `rtcp_destination` None: no reports.
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
    """Forget a stream, with RTCP BYE if it ever sent."""

    stream: int


Command = Union[LoadContent, DropContent, AddStream, Play, Seek, Stop, ChangeStream, RemoveStream]  # noqa: UP007


@dataclass(frozen=True)
class Started:
    """The first packet of a playing was sent. `serial` is that of the Play command."""

    stream: int
    serial: int


@dataclass(frozen=True)
class Sought:
    """A playing moved in its content."""

    stream: int
    serial: int
    from_ms: int
    offset_ms: int


@dataclass(frozen=True)
class Finished:
    """A playing came to its end or its limit: `played_ms` of sound were sent, `offset_ms` is where it stands.

    Repetitions are one playing, and the silence between them is no sound.
    """

    stream: int
    serial: int
    played_ms: int
    offset_ms: int


@dataclass(frozen=True)
class Stopped:
    """A playing was stopped before its end, by Stop, another Play or RemoveStream."""

    stream: int
    serial: int
    played_ms: int
    offset_ms: int


Event = Union[Started, Sought, Finished, Stopped]  # noqa: UP007  runtime alias
Message = Union[Command, Event]  # noqa: UP007  runtime alias

MAX_MESSAGE = 4096
_CLASSES: dict[str, Any] = {known.__name__: known for known in get_args(Message)}


def encode(message: Message) -> bytes:
    """Return a message as octets, fewer than MAX_MESSAGE."""
    return json.dumps([type(message).__name__, *astuple(message)], separators=(",", ":")).encode()


def decode(octets: bytes) -> Message:
    """Return the message of octets that `encode` made; raises ValueError."""
    try:
        name, *values = json.loads(octets)
        message: Message = _CLASSES[name](*(tuple(value) if isinstance(value, list) else value for value in values))
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        raise ValueError("no message of the sender's protocol") from error
    return message
