"""The two families of SIP errors: the peer's and our own."""

from __future__ import annotations


class SipParseError(Exception):
    """The peer sent something that is not SIP; `status` and `reason` are what a request would be answered with."""

    def __init__(self, reason: str, *, status: int = 400) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


class SipUsageError(Exception):
    """The application asked for something that the state of a call or transaction does not allow."""
