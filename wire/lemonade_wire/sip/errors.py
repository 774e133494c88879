"""The two families of SIP errors: the peer's and our own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lemonade_wire.sip.message import Request


class SipParseError(Exception):
    """The peer sent something that is not SIP.

    `request` is set where the octets were a request with enough of its headers to be answered;
    `status` and `reason` are that answer; `fatal` means that a stream has lost its framing and must be closed.
    """

    def __init__(self, reason: str, *, status: int = 400, request: Request | None = None, fatal: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.request = request
        self.fatal = fatal


class SipUsageError(Exception):
    """The application asked for something that the state of a call or transaction does not allow."""
