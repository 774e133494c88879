"""The MSCML requests, responses and notifications as values (RFC 5022 sections 6, 7.1 and 10)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, Union

from lemonade_wire.mscml.grammar import Grammar

KEYS = "0123456789ABCD#*"
"""The keys of a telephone, as written in MSCML."""


@dataclass(frozen=True)
class Audio:
    """An audio file of a prompt: its absolute URL, and its `encoding` as written.

    `gain_db` is computed from gain and gaindelta of the prompt and of the file.
    """

    url: str
    encoding: str | None = None
    gain_db: float = 0


@dataclass(frozen=True)
class Variable:
    """A spoken variable of a prompt. It is parsed, but the media server does not play variables."""

    kind: str
    subtype: str | None
    value: str


@dataclass(frozen=True)
class Prompt:
    """The content to play. `repeat` None means without end, 0 means not at all; `duration_ms` may be `math.inf`."""

    items: tuple[Audio | Variable, ...]
    offset_ms: float = 0
    delay_ms: float = 0
    duration_ms: float = math.inf
    repeat: int | None = 1
    stop_on_error: bool = False
    locale: str | None = None


@dataclass(frozen=True)
class PlayRequest:
    """`<play>`: plays a prompt."""

    prompt: Prompt | None = None
    id: str | None = None


@dataclass(frozen=True)
class PlayCollectRequest:
    """`<playcollect>`: plays a prompt and collects keys.

    If `interdigit_critical_ms` is None, `interdigit_ms` is used instead.
    """

    prompt: Prompt | None = None
    id: str | None = None
    clear_digits: bool = False
    barge: bool = True
    escape_key: str = "*"
    return_key: str = "#"
    skip_interval_ms: float = 6000
    ff_key: str | None = None
    rw_key: str | None = None
    max_digits: int | None = None
    first_digit_ms: float = 5000
    interdigit_ms: float = 2000
    extra_digit_ms: float = 1000
    interdigit_critical_ms: float | None = None
    mask_digits: bool = False
    patterns: tuple[Grammar, ...] = ()


@dataclass(frozen=True)
class PlayRecordRequest:
    """`<playrecord>`: plays a prompt and a beep, and records. Each of `stop_keys` ends the recording.

    If `encoding` is None, the file name of the URL decides; if it does not, the encoding is ulaw.
    """

    record_url: str
    prompt: Prompt | None = None
    id: str | None = None
    clear_digits: bool = False
    barge: bool = True
    escape_key: str = "*"
    encoding: str | None = None
    append: bool = False
    limit_ms: float = math.inf
    beep: bool = True
    first_silence_ms: float = 3000
    last_silence_ms: float = 4000
    stop_keys: str = KEYS


@dataclass(frozen=True)
class StopRequest:
    """`<stop>`: ends the request that is being carried out."""

    id: str | None = None


Report = Literal["standard", "long", "both", "none"]


@dataclass(frozen=True)
class KeypressSubscription:
    """The key presses that are reported to the client: each one (`standard`), long ones, both, or none."""

    report: Report
    mask_digits: bool = False


@dataclass(frozen=True)
class ConfigureLeg:
    """`<configure_leg>`, limited to its subscriptions, which concern IVR. `signals` are (type, report)."""

    keypress: KeypressSubscription | None = None
    signals: tuple[tuple[str, bool], ...] = ()
    id: str | None = None


@dataclass(frozen=True)
class Unsupported:
    """A valid request of RFC 5022 that the media server does not support; only its name and id are kept."""

    name: str
    id: str | None = None


Request = Union[PlayRequest, PlayCollectRequest, PlayRecordRequest, StopRequest, ConfigureLeg, Unsupported]  # noqa: UP007  runtime alias

_NAMES = {
    PlayRequest: "play",
    PlayCollectRequest: "playcollect",
    PlayRecordRequest: "playrecord",
    StopRequest: "stop",
    ConfigureLeg: "configure_leg",
}


def request_name(request: Request) -> str:
    """Return the element name of a request, which a response repeats."""
    return request.name if isinstance(request, Unsupported) else _NAMES[type(request)]


@dataclass(frozen=True)
class ErrorInfo:
    """The error of a URL (`<error_info>`): status and phrase of its server, and the URL as `context`."""

    code: int
    text: str
    context: str


@dataclass(frozen=True)
class MscmlResponse:
    """The result of a request. None stands for an absent attribute. Durations are in milliseconds.

    `digits` may be secret (section 6.4.4), so that it is not in the repr.
    """

    request: str
    code: int = 200
    text: str | None = "OK"
    id: str | None = None
    reason: str | None = None
    play_duration_ms: float | None = None
    play_offset_ms: float | None = None
    digits: str | None = field(default=None, repr=False)
    name: str | None = None
    record_octets: int | None = None
    record_duration_ms: float | None = None
    error_info: ErrorInfo | None = None


Command = Literal["idle", "play", "collect", "record"]
Method = Literal["standard", "long", "double"]


@dataclass(frozen=True)
class Keypress:
    """A notification that a key was pressed. `command` is what the leg was doing then, and `command_ms` for how long.

    `method` says how the press was detected: `standard` for each press, `long` for a key that was held, `double` for a
    key that was pressed twice. `since_ms` is the time since the last notification, 0 in the first one.
    """

    digit: str = field(repr=False)
    method: Method = "standard"
    since_ms: float = 0
    command: Command = "idle"
    command_ms: float = 0

    @property
    def length(self) -> Literal["standard", "long"]:
        """The class of the press: `long` for the methods `long` and `double`."""
        return "standard" if self.method == "standard" else "long"
