"""MSCML requests as value objects with the defaults of RFC 5022 section 6. Times are milliseconds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Union


@dataclass(frozen=True)
class Audio:
    """A piece of a prompt: its URL, behind the prompt's `baseurl` where it is relative; `encoding` as it stands."""

    url: str
    encoding: str | None = None


@dataclass(frozen=True)
class Variable:
    """A spoken variable of a prompt: known, not played here."""

    kind: str
    subtype: str | None
    value: str | None


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
class Regex:
    """A digit pattern (RFC 5022 section 6.4.4) and its name."""

    value: str
    name: str | None = None


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
    patterns: tuple[Regex, ...] = ()


@dataclass(frozen=True)
class Stop:
    """`<stop>`: ends the running request."""

    id: str | None = None


@dataclass(frozen=True)
class Unsupported:
    """A request of RFC 5022 that this server does not carry out: answered with 501."""

    name: str
    id: str | None = None


Request = Union[Play, PlayCollect, Stop, Unsupported]  # noqa: UP007  runtime alias


def request_name(request: Request) -> str:
    """Return the element's name, which a response repeats."""
    return request.name if isinstance(request, Unsupported) else type(request).__name__.lower()
