"""What the relay reads of what it passes on: the kind of a datagram, and a SIP message's start line and CSeq."""

from __future__ import annotations

import re
from dataclasses import dataclass

_REQUEST = re.compile(rb"([A-Z]+) \S+ SIP/2\.0\r?\n")
_STATUS = re.compile(rb"SIP/2\.0 ([1-6][0-9]{2})(?: [^\r\n]*)?\r?\n")
_CSEQ = re.compile(rb"^CSeq[ \t]*:\s*[0-9]+\s+([A-Z]+)", re.IGNORECASE | re.MULTILINE)
_FIRST_RTCP, _LAST_RTCP = 192, 223


@dataclass(frozen=True)
class Message:
    """A datagram or a piece of a stream: `kind` is SIP, RTP, RTCP, UDP (any other datagram) or TCP (octets).

    `status` and `method` are a SIP message's; `sequence` the RTP packet's; `stream`: it comes over TCP.
    """

    kind: str
    status: str = ""
    method: str = ""
    sequence: int | None = None
    stream: bool = False

    @property
    def label(self) -> str:
        """As a rule names it: `SIP 200 INVITE`, `RTP`."""
        return " ".join(word for word in (self.kind, self.status, self.method) if word)


STREAM = Message("TCP", stream=True)


def read_datagram(data: bytes) -> Message:
    """Tell what a datagram is; raises nothing. RTCP is told from RTP by its packet type (RFC 5761, 4)."""
    if found := _REQUEST.match(data):
        return Message("SIP", method=found[1].decode())
    if found := _STATUS.match(data):
        answers = _CSEQ.search(data.partition(b"\r\n\r\n")[0])
        return Message("SIP", found[1].decode(), answers[1].decode() if answers else "")
    if len(data) >= 8 and data[0] >> 6 == 2:
        if _FIRST_RTCP <= data[1] <= _LAST_RTCP:
            return Message("RTCP")
        if len(data) >= 12:
            return Message("RTP", sequence=int.from_bytes(data[2:4], "big"))
    return Message("UDP")
