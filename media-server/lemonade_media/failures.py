"""What goes wrong with a URL or its media, and what the caller is told of it: one row per failure.

The mapping is ours (no document standardises it); RFC 4240 section 3.2 and LS-2.5-6 give the announcement's phrases.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from lemonade_wire.mscml.response import ErrorInfo

NOT_FOUND = "Announcement content not found"
NOT_RETRIEVED = "Announcement content could not be retrieved"


class FailureKind(Enum):
    """Why there is nothing to play."""

    BAD_URL = "bad-url"
    HOST_REFUSED = "host-refused"
    BUSY = "busy"
    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed-out"
    CONNECTION_LOST = "connection-lost"
    TLS_FAILED = "tls-failed"
    LOGIN_REFUSED = "login-refused"
    NO_BINARY = "no-binary"
    NOT_FOUND = "not-found"
    REFUSED = "refused"
    UNDECODABLE_ENCODING = "undecodable-encoding"
    TOO_LARGE = "too-large"
    UNPLAYABLE = "unplayable"
    NO_COMMON_CODEC = "no-common-codec"
    NOT_IMPLEMENTED = "not-implemented"


@dataclass(frozen=True)
class _Row:
    status: int
    reason: str
    warning: int | None
    code: int
    text: str
    remote: tuple[int, str] | None  # code and phrase of error_info; None: no retrieval error


_ROWS = {
    FailureKind.BAD_URL: _Row(404, NOT_FOUND, None, 400, "Bad Request", (400, "Bad Request")),
    FailureKind.HOST_REFUSED: _Row(403, "Content host not allowed", 399, 403, "Forbidden", (403, "Forbidden")),
    FailureKind.BUSY: _Row(503, "Too many fetches", 399, 500, "Server Error", (503, "Service Unavailable")),
    FailureKind.UNREACHABLE: _Row(400, NOT_RETRIEVED, 399, 500, "Server Error", (503, "Service Unavailable")),
    FailureKind.TIMED_OUT: _Row(400, NOT_RETRIEVED, 399, 500, "Server Error", (504, "Gateway Timeout")),
    FailureKind.CONNECTION_LOST: _Row(400, NOT_RETRIEVED, 399, 500, "Server Error", (503, "Service Unavailable")),
    FailureKind.TLS_FAILED: _Row(400, NOT_RETRIEVED, 399, 500, "Server Error", (503, "Service Unavailable")),
    FailureKind.LOGIN_REFUSED: _Row(400, NOT_RETRIEVED, 399, 500, "Server Error", (401, "Unauthorized")),
    FailureKind.NO_BINARY: _Row(400, NOT_RETRIEVED, 399, 500, "Server Error", (501, "Not Implemented")),
    FailureKind.NOT_FOUND: _Row(404, NOT_FOUND, None, 404, "Not Found", (404, "Not Found")),
    FailureKind.REFUSED: _Row(400, NOT_RETRIEVED, 399, 500, "Server Error", (500, "Server Error")),
    FailureKind.UNDECODABLE_ENCODING: _Row(400, NOT_RETRIEVED, 399, 500, "Server Error", (415, "Unsupported Media")),
    FailureKind.TOO_LARGE: _Row(400, NOT_RETRIEVED, 399, 500, "Server Error", (413, "Content Too Large")),
    FailureKind.UNPLAYABLE: _Row(488, "Not Acceptable Here", 305, 415, "Unsupported Media", None),
    FailureKind.NO_COMMON_CODEC: _Row(488, "Not Acceptable Here", 304, 488, "Not Acceptable Here", None),
    FailureKind.NOT_IMPLEMENTED: _Row(488, "Not Acceptable Here", 399, 501, "Not Implemented", None),
}


@dataclass(frozen=True)
class Failure:
    """One failure: its kind, and what happened in a few words (never a token)."""

    kind: FailureKind
    why: str

    @property
    def status(self) -> int:
        """Status that refuses an INVITE."""
        return _ROWS[self.kind].status

    @property
    def reason(self) -> str:
        """Reason phrase that refuses an INVITE."""
        return _ROWS[self.kind].reason

    def warning(self, host: str) -> tuple[tuple[str, str], ...]:
        """Return the Warning header (RFC 3261 section 20.43) for this host, or nothing."""
        code = _ROWS[self.kind].warning
        text = "".join(char if " " <= char <= "~" and char not in '"\\' else "'" for char in self.why)
        agent = f"[{host}]" if ":" in host else host
        return (("Warning", f'{code} {agent} "{text}"'),) if code else ()

    @property
    def code(self) -> int:
        """Code of the MSCML response."""
        return _ROWS[self.kind].code

    @property
    def text(self) -> str:
        """Text of the MSCML response."""
        return _ROWS[self.kind].text

    def error_info(self, url: str) -> ErrorInfo | None:
        """Return what `<error_info>` says, with the URL being fetched as context; None for no retrieval error."""
        remote = _ROWS[self.kind].remote
        return ErrorInfo(remote[0], remote[1], url) if remote else None


class FetchError(Exception):
    """A URL gives nothing to play; `failure` says what the caller is told."""

    def __init__(self, kind: FailureKind, why: str) -> None:
        super().__init__(why)
        self.failure = Failure(kind, why)
