"""The SIP errors: one for what the peer sent, one for what the application called."""

from __future__ import annotations


class SipParseError(Exception):
    """The peer sent malformed SIP; a request is answered with the error's `status` and `reason`."""

    def __init__(self, reason: str, *, status: int = 400) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


class SipUsageError(Exception):
    """The application called an action that the state of a call or transaction does not allow."""
