"""MSCML responses (RFC 5022 section 10)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ErrorInfo:
    """What went wrong with a URL: status and phrase of its server, and the URL as `context`."""

    code: int
    text: str
    context: str


@dataclass(frozen=True)
class Response:
    """The result of a request; what is None was absent or stays unsaid. Durations are milliseconds."""

    request: str
    code: int = 200
    text: str | None = "OK"
    id: str | None = None
    reason: str | None = None
    play_duration_ms: float | None = None
    play_offset_ms: float | None = None
    digits: str | None = None
    name: str | None = None
    error_info: ErrorInfo | None = None
