"""Responses to a request (RFC 3261 section 8.2.6)."""

from __future__ import annotations

from collections.abc import Iterable

from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.message.message import SipRequest, SipResponse

# Reason phrases: RFC 3261 section 21, RFC 4028 (422), 6086 (469) and 6665 (202, 489).
PHRASES = {
    100: "Trying",
    180: "Ringing",
    181: "Call Is Being Forwarded",
    182: "Queued",
    183: "Session Progress",
    200: "OK",
    202: "Accepted",
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Moved Temporarily",
    305: "Use Proxy",
    380: "Alternative Service",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    410: "Gone",
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    421: "Extension Required",
    422: "Session Interval Too Small",
    423: "Interval Too Brief",
    469: "Bad Info Package",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    485: "Ambiguous",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    491: "Request Pending",
    493: "Undecipherable",
    500: "Server Internal Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    513: "Message Too Large",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
}
_COPIED = ("Via", "From", "To", "Call-ID", "CSeq")


def respond_to(
    request: SipRequest,
    status: int,
    *,
    tag: str,
    reason: str = "",
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
) -> SipResponse:
    """Make a response to a request. An empty `reason` stands for the phrase of RFC 3261.

    `tag` is added to To unless To has a tag or `status` is 100. The request may have malformed headers: they are copied
    unchanged.
    """
    # Section 8.2.6.1: the 100 repeats the Timestamp. No delay is added to it, because the 100 is sent at once.
    kept = request.headers.only(*_COPIED, *(["Timestamp"] if status == 100 else []))
    if status != 100:
        try:
            to = request.to
        except SipParseError:
            pass
        else:
            kept = kept.with_set("To", str(to if to.tag else to.with_tag(tag)))
    return SipResponse(kept.with_added(*headers), body, status, reason or PHRASES.get(status, "Unknown"))
