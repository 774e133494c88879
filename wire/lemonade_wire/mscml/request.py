"""MSCML requests as value objects with the defaults of RFC 5022 sections 6 to 8. Times are milliseconds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Union

from lemonade_wire.mscml.grammar import Grammar

KEYS = "0123456789ABCD#*"
"""The keys of a telephone, as MSCML writes them."""


@dataclass(frozen=True)
class Audio:
    """A piece of a prompt: its URL, behind the prompt's `baseurl` where it is relative; `encoding` as it stands.

    `gain_db` is what gain and gaindelta of prompt and piece come to.
    """

    url: str
    encoding: str | None = None
    gain_db: float = 0


@dataclass(frozen=True)
class Variable:
    """A spoken variable of a prompt: known, not played here."""

    kind: str
    subtype: str | None
    value: str


@dataclass(frozen=True)
class Prompt:
    """What is played. `repeat` None means for ever, 0 means not at all; `duration_ms` may be `math.inf`."""

    items: tuple[Audio | Variable, ...]
    offset_ms: float = 0
    delay_ms: float = 0
    duration_ms: float = math.inf
    repeat: int | None = 1
    stop_on_error: bool = False
    locale: str | None = None


@dataclass(frozen=True)
class Play:
    """`<play>`: a prompt without digits."""

    prompt: Prompt | None = None
    id: str | None = None


@dataclass(frozen=True)
class PlayCollect:
    """`<playcollect>`: a prompt with keys. `interdigit_critical_ms` None means as `interdigit_ms`."""

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
class PlayRecord:
    """`<playrecord>`: a prompt, a beep, a recording. `stop_keys` (of KEYS, in its order) end the recording.

    `encoding` None: as the URL's name says, else ulaw.
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
class Stop:
    """`<stop>`: ends the running request."""

    id: str | None = None


Report = Literal["standard", "long", "both", "none"]


@dataclass(frozen=True)
class KeypressSubscription:
    """Which key presses a leg wants to be told: each (`standard`), long ones, both, or no more."""

    report: Report
    mask_digits: bool = False


@dataclass(frozen=True)
class ConfigureLeg:
    """`<configure_leg>`, as far as it concerns an IVR leg: its subscriptions. `signals` are (type, report)."""

    keypress: KeypressSubscription | None = None
    signals: tuple[tuple[str, bool], ...] = ()
    id: str | None = None


@dataclass(frozen=True)
class Unsupported:
    """A request of RFC 5022 that is known, well made, and not carried out by anyone here; all but this is dropped."""

    name: str
    id: str | None = None


Request = Union[Play, PlayCollect, PlayRecord, Stop, ConfigureLeg, Unsupported]  # noqa: UP007  runtime alias

_NAMES = {
    Play: "play",
    PlayCollect: "playcollect",
    PlayRecord: "playrecord",
    Stop: "stop",
    ConfigureLeg: "configure_leg",
}


def request_name(request: Request) -> str:
    """Return the element's name, which a response repeats."""
    return request.name if isinstance(request, Unsupported) else _NAMES[type(request)]
