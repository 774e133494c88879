"""The failures of a URL or its media, and the SIP status and MSCML response that report each of them: one row each.

RFC 4240 section 3.2 and LS-2.5-6 give the reason phrases for announcements. No document maps the failures to the other
values; the mapping is this project's choice (docs/design.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from lemonade_wire.mscml.messages import ErrorInfo
from lemonade_wire.sdp.offer import IncompatibleAddress, NotAcceptable

NOT_FOUND = "Announcement content not found"
NOT_RETRIEVED = "Announcement content could not be retrieved"


class FailureKind(Enum):
    """The reasons why a URL gives nothing to play."""

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
    OTHER_NETWORK = "other-network"
    NO_ADDRESS = "no-address"
    NOT_IMPLEMENTED = "not-implemented"


@dataclass(frozen=True)
class _Row:
    status: int
    reason: str
    warning: int | None
    code: int
    text: str
    remote: tuple[int, str] | None  # code and text of error_info; None: the failure is not one of the retrieval


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
    FailureKind.OTHER_NETWORK: _Row(488, "Not Acceptable Here", 300, 488, "Not Acceptable Here", None),
    FailureKind.NO_ADDRESS: _Row(488, "Not Acceptable Here", 301, 488, "Not Acceptable Here", None),
    FailureKind.NOT_IMPLEMENTED: _Row(488, "Not Acceptable Here", 399, 501, "Not Implemented", None),
}


@dataclass(frozen=True)
class Failure:
    """One failure: its kind, and the reason in a few words; the text never contains a URL's token."""

    kind: FailureKind
    why: str

    @property
    def status(self) -> int:
        """The SIP status that refuses an INVITE for this failure."""
        return _ROWS[self.kind].status

    @property
    def reason(self) -> str:
        """The SIP reason phrase that refuses an INVITE for this failure."""
        return _ROWS[self.kind].reason

    def warning(self, host: str) -> tuple[tuple[str, str], ...]:
        """Return the Warning header (RFC 3261 section 20.43) with this host as its agent; empty if there is none."""
        code = _ROWS[self.kind].warning
        text = "".join(char if " " <= char <= "~" and char not in '"\\' else "'" for char in self.why)
        agent = f"[{host}]" if ":" in host else host
        return (("Warning", f'{code} {agent} "{text}"'),) if code else ()

    @property
    def code(self) -> int:
        """The code of the MSCML response for this failure."""
        return _ROWS[self.kind].code

    @property
    def text(self) -> str:
        """The text of the MSCML response for this failure."""
        return _ROWS[self.kind].text

    def error_info(self, url: str) -> ErrorInfo | None:
        """Return the `<error_info>` of the response, with the URL as context; None if the retrieval did not fail."""
        remote = _ROWS[self.kind].remote
        return ErrorInfo(remote[0], remote[1], url) if remote else None


def negotiation_failure(problem: NotAcceptable) -> Failure:
    """Return the failure that refuses an offer which this side cannot accept (RFC 3261 section 21.4.26)."""
    kind = FailureKind.NO_COMMON_CODEC
    if isinstance(problem, IncompatibleAddress):
        kind = FailureKind.OTHER_NETWORK if problem.warning == 300 else FailureKind.NO_ADDRESS
    return Failure(kind, str(problem))


class FetchError(Exception):
    """A URL gives nothing to play; `failure` holds the status and response that report it to the caller."""

    def __init__(self, kind: FailureKind, why: str) -> None:
        super().__init__(why)
        self.failure = Failure(kind, why)
