"""The faults of the media server in MSCML: its responses, its notifications, and how it carries out requests."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from lemonade_wire.faults import FaultRow
from lemonade_wire.sip.message import SipRequest


@dataclass(frozen=True)
class _DocumentEdit(FaultRow):
    """A fault that replaces the first `count` matches of the regular expression `pattern` in a document; 0: all.

    `text` is a template as for `re.sub`, or a function of the match.
    """

    pattern: bytes
    text: bytes | Callable[[re.Match[bytes]], bytes] = b""
    count: int = 0

    def rewrite(self, document: bytes) -> bytes:
        """Return the document as it is sent."""
        return re.sub(self.pattern, self.text, document, count=self.count)


class ResponseEdit(_DocumentEdit):
    """A fault that replaces text in every MSCML response."""


class NotificationEdit(_DocumentEdit):
    """A fault that replaces text in every MSCML notification of a key."""


WRONG_SKIP = FaultRow("wrong-skip", "skips by half of skipinterval", ("LS-2.7-7",))
WRONG_OFFSET = FaultRow("wrong-offset", "reports playoffset two seconds too high", ("LS-2.7-13",))
NO_RESPONSE_INFO = FaultRow("no-response-info", "sends no INFO with the response", ("LS-2.7-12", "LS-2.7-13"))
NO_ERROR_INFO = FaultRow("no-error-info", "leaves <error_info> out of responses", ("LS-2.7-16", "LS-2.8-12"))
RESPONSE_BEFORE_INFO_OK = FaultRow(
    "response-before-info-ok",  # no other response is sent when the request ends
    "sends the response before the 200 to the request's INFO",
    ("LS-2.7-12",),
)
RESPONSE_TWICE = FaultRow("response-twice", "sends each response in two INFOs", ("RFC5022-4.1-2",))
RESPONSE_LATE = FaultRow("response-late", "sends responses 2.5 seconds after the end of the media", ("LS-2.7-6",))
STOP_IGNORED = FaultRow(
    "stop-ignored", "answers <stop> and the escape key with their response, and plays on", ("LS-2.7-15",)
)
END_SILENCE_TRIPLED = FaultRow(
    "end-silence-tripled", "ends recordings after three times endsilence", ("RFC5022-6.5.2-2",)
)
KEYS_COUNT_TWICE = FaultRow(
    "keys-count-twice", "takes a key that comes by RTP and by INFO for two presses", ("LS-2.7-7",)
)
RTP_KEYS_IGNORED = FaultRow(
    "rtp-keys-ignored", "agrees to telephone-event and takes no notice of the keys", ("LS-2.7-7",)
)
KEYPRESS_UNTOLD = FaultRow(
    "keypress-untold", "sends no notification of keys, though the leg subscribed to them", ("RFC5022-7.1-3",)
)
BASE64_REFUSED = FaultRow("base64-refused", "refuses MSCML in base64 with 415", ("SM-3-1",))
ANSWERS_IN_CLEAR = FaultRow("answers-in-clear", "answers encrypted MSCML in the clear", ("LS-3-5",))
UNDECIPHERABLE_PASSED_OVER = FaultRow(
    "undecipherable-passed-over",
    "answers 200 to an encrypted body that it cannot decipher",
    ("LS-2.9-2",),  # another answer than the 493 of RFC 3261 section 23.2
)
DRAFT_RESPONSE = ResponseEdit(
    "draft-response",
    "sends responses without text, and with playduration for playoffset too (E-26, E-27)",
    ("LS-2.7-13",),
    rb' text="OK"',
)


def has_transfer_encoding(request: SipRequest) -> bool:
    """Return whether the body of an INFO has a transfer encoding, as `BASE64_REFUSED` refuses it."""
    return request.headers.get("Content-Transfer-Encoding") not in {None, "binary"}


def _double_length(found: re.Match[bytes]) -> bytes:
    return b'reclength="%d"' % (2 * int(found[1]))


def _shorten_duration(found: re.Match[bytes]) -> bytes:
    return b'playduration="%dms"' % (int(found[1]) - 500)


MSCML_FAULTS: tuple[FaultRow, ...] = (
    WRONG_SKIP,
    WRONG_OFFSET,
    NO_RESPONSE_INFO,
    NO_ERROR_INFO,
    RESPONSE_BEFORE_INFO_OK,
    RESPONSE_TWICE,
    RESPONSE_LATE,
    STOP_IGNORED,
    END_SILENCE_TRIPLED,
    KEYS_COUNT_TWICE,
    RTP_KEYS_IGNORED,
    KEYPRESS_UNTOLD,
    BASE64_REFUSED,
    ANSWERS_IN_CLEAR,
    UNDECIPHERABLE_PASSED_OVER,
    DRAFT_RESPONSE,
    ResponseEdit(
        "id-not-echoed", "leaves the request's id out of responses", ("RFC5022-10.2",), rb' id="[^"]*"', count=1
    ),
    ResponseEdit("text-missing", "leaves text out of responses", ("RFC5022-10.2-2",), rb' text="[^"]*"', count=1),
    ResponseEdit(
        "request-misnamed",
        "names playcollect in a response as play",
        ("RFC5022-10.2-2",),
        b'request="playcollect"',
        b'request="play"',
    ),
    ResponseEdit(
        "digits-invented",
        "reports the digits 789 where none were collected",
        ("LS-2.7-13",),
        b'digits=""',
        b'digits="789"',
    ),
    ResponseEdit("digits-missing", "leaves digits out of responses", ("RFC5022-10.5",), rb' digits="[^"]*"'),
    ResponseEdit(
        "reason-wrong",
        "gives returnkey as the reason of every response",
        ("RFC5022-10.5-2",),
        rb' reason="[^"]*"',
        b' reason="returnkey"',
    ),
    ResponseEdit("context-missing", "leaves the URL out of <error_info>", ("LS-2.7-16",), rb' context="[^"]*"'),
    ResponseEdit(
        "recording-untold", "leaves recduration out of responses", ("RFC5022-10.6",), rb' recduration="[^"]*"'
    ),
    ResponseEdit(
        "recording-too-long",
        "reports recduration ten times too high",
        ("RFC5022-10.6-2",),
        rb'recduration="(\d+)ms"',
        rb'recduration="\g<1>0ms"',
    ),
    ResponseEdit(
        "recording-length-doubled",
        "reports a reclength of twice the recording",
        ("RFC5022-10.6-3",),
        rb'reclength="([0-9]+)"',
        _double_length,
    ),
    ResponseEdit(
        "lengths-missing",
        "leaves playduration and playoffset out of responses",
        ("RFC5022-10.4",),
        rb' play(?:duration|offset)="[^"]*"',
    ),
    ResponseEdit(
        "duration-too-short",
        "reports playduration half a second too low",
        ("LS-2.7-13",),
        rb'playduration="(\d+)ms"',
        _shorten_duration,
    ),
    ResponseEdit(
        "time-with-blank",
        "writes playduration and playoffset with a blank before their unit",
        ("RFC5022-4.2.1",),
        rb'(play(?:duration|offset)="[0-9]+)ms',
        rb"\1 ms",
    ),
    ResponseEdit(
        "mscml-other-version",
        "writes version 2.0 into MediaServerControl",
        ("RFC5022-4.1",),
        rb'(<MediaServerControl[^>]*version=")1\.0',
        rb"\g<1>2.0",
    ),
    NotificationEdit(
        "interdigit-wrong",
        "reports in notifications that the event before was 5 seconds ago",
        ("RFC5022-7.1-2",),
        rb'interdigittime="[^"]*"',
        b'interdigittime="5000ms"',
    ),
    NotificationEdit(
        "keypress-method-missing", "leaves method out of notifications", ("RFC5022-7.1",), rb' method="[^"]*"'
    ),
)
