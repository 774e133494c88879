"""MSCML responses and notifications (RFC 5022 sections 7.1 and 10)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class ErrorInfo:
    """What went wrong with a URL: status and phrase of its server, and the URL as `context`."""

    code: int
    text: str
    context: str


@dataclass(frozen=True)
class Response:
    """The result of a request; what is None was absent or stays unsaid. Durations are milliseconds.

    Digits may be secret (section 6.4.4), so that a repr leaves them out.
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
    """A notification: a key was pressed. `command` is what the leg was doing, for `command_ms` already.

    `method` says how it was detected: each press is `standard`; a `long` one was held, or pressed twice (`double`).
    `since_ms` is the time since the last notification, 0 in the first.
    """

    digit: str = field(repr=False)
    method: Method = "standard"
    since_ms: float = 0
    command: Command = "idle"
    command_ms: float = 0

    @property
    def length(self) -> Literal["standard", "long"]:
        """The class of the press."""
        return "standard" if self.method == "standard" else "long"
