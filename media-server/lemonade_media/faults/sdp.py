"""The faults of the media server in its SDP answers."""

from __future__ import annotations

import re

from lemonade_wire.faults import FaultRow
from lemonade_wire.sip.message.fault import MessageEdit, change_body

ANSWER_DROPS_REJECTED_LINE = FaultRow(
    "answer-drops-rejected-line", "leaves a rejected m-line out of the SDP answer", ("LS-2.6-1",)
)
ANSWER_DROPS_KEYS = FaultRow("answer-drops-keys", "leaves telephone-event out of the SDP answer", ("LS-2.6-1",))
CODEC_NOT_OFFERED = FaultRow("codec-not-offered", "sends a payload type that was not offered", ("LS-2.6-2",))
DRAFT_ANSWER = FaultRow(
    "draft-answer",
    "answers as the draft: no rejected line, no direction, a format that was not offered (E-16 to E-18)",
    ("LS-2.6-1",),
)


def payload_type_not_offered(offered: tuple[str, ...]) -> int:
    """Return a static audio payload type outside the offer, for `CODEC_NOT_OFFERED`."""
    return next(number for number in (8, 0, 3, 18, 9) if str(number) not in offered)


def drop_keys(description: str) -> str:
    """Return an answer as `ANSWER_DROPS_KEYS` sends it: without its format for keys (RFC 4733)."""
    number = re.search(r"a=rtpmap:(\d+) telephone-event", description)
    if number is None:
        return description
    without = re.sub(rf"^a=(?:rtpmap|fmtp):{number[1]} .*\r\n", "", description, flags=re.MULTILINE)
    return re.sub(rf"^(m=audio .*) {number[1]}\b", r"\1", without, flags=re.MULTILINE)


def write_draft_answer(description: str) -> str:
    """Return an answer as `DRAFT_ANSWER` sends it: without its direction, with G.729 and a flash key not offered."""
    lines = [line for line in description.split("\r\n") if line not in {"a=sendonly", "a=sendrecv"}]
    for at, line in enumerate(lines):
        if line.startswith("m=audio "):
            lines[at] += " 18"
        elif line.startswith("a=fmtp:") and line.endswith(" 0-15"):
            lines[at] = line.removesuffix("15") + "16"
    return "\r\n".join([*lines[:-1], "a=rtpmap:18 G729/8000", "a=fmtp:18 annexb=no", ""])


def _edit(name: str, summary: str, clause: str, pattern: str, text: str = "") -> MessageEdit:
    """Return the fault that replaces each match of `pattern` in the answer of a 200 to INVITE by `text`."""
    return MessageEdit(name, summary, (clause,), "200 INVITE", change_body(pattern, text))


SDP_FAULTS = (
    ANSWER_DROPS_REJECTED_LINE,
    ANSWER_DROPS_KEYS,
    CODEC_NOT_OFFERED,
    DRAFT_ANSWER,
    _edit(
        "answer-without-direction",
        "leaves the direction out of the SDP answer, which then is sendrecv",
        "RFC3264-6.1",
        r"^a=sendonly\r\n",
    ),
    _edit(
        "answer-other-transport",
        "answers RTP/AVP by RTP/AVPF",
        "RFC3264-6",
        "RTP/AVP ",
        "RTP/AVPF ",
    ),
    _edit(
        "answer-other-format",
        "answers with payload type 18 alone, whatever was offered",
        "RFC3264-6-2",
        r"^(m=audio \d+ RTP/AVP) .*\r$",
        "\\1 18\r",
    ),
    _edit(
        "answer-odd-port",
        "names an odd RTP port in the SDP answer",
        "RFC3550-11",
        r"^m=audio (\d*)\d ",
        r"m=audio \g<1>1 ",
    ),
    _edit(
        "answer-long-ptime",
        "names a ptime of 2000 ms in the SDP answer",
        "RFC4566-6",
        r"^a=sendonly\r\n",
        "a=ptime:2000\r\na=sendonly\r\n",
    ),
    _edit(
        "answer-without-connection",
        "leaves c= out of the SDP answer",
        "RFC4566-5.7",
        r"^c=.*\r\n",
    ),
    _edit(
        "answer-without-time",
        "leaves t= out of the SDP answer",
        "RFC4566-5",
        r"^t=.*\r\n",
    ),
    _edit(
        "answer-other-time",
        "answers with another t= than the offer's",
        "RFC3264-6-3",
        r"^t=.*\r$",
        "t=3970000000 0\r",
    ),
    _edit(
        "answer-two-directions",
        "names two directions in the SDP answer",
        "RFC3264-5",
        r"^a=sendonly\r\n",
        "a=sendonly\r\na=sendrecv\r\n",
    ),
    _edit(
        "answer-inactive",
        "answers inactive, and sends RTP",
        "RFC3264-5.1-3",
        r"^a=sendonly\r$",
        "a=inactive\r",
    ),
    _edit(
        "answer-elsewhere",
        "names another host's address in c= of the SDP answer",
        "RFC4566-5.7-2",
        r"^c=IN IP4 .*\r$",
        "c=IN IP4 192.0.2.1\r",
    ),
    _edit(
        "answer-rejects-all",
        "answers 200 with port 0 for every m-line",
        "LS-2.6-5",
        r"^m=(\w+) [0-9]+ ",
        r"m=\1 0 ",
    ),
    _edit(
        "answer-without-name",
        "leaves the session name in s= of the SDP answer empty",
        "RFC4566-5.3",
        r"^s=.*\r$",
        "s=\r",
    ),
    _edit(
        "answer-other-clock",
        "answers the payload type of keys with another clock rate than the offer's",
        "RFC3264-8.3.2",
        "telephone-event/8000",
        "telephone-event/16000",
    ),
    _edit(
        "version-stuck",
        "never raises the version in o=",
        "RFC3264-8",
        r"^(o=\S+ \d+) \d+ ",
        r"\1 1 ",
    ),
)
