"""Reads what the relay's rules need: the messages in a TCP stream, their kind, and the fields that identify them.

An RTP packet begins with (RFC 3550, section 5.1; an RTCP packet has its type in the second octet, section 6.4.1):

    octet 0       version (2 bits, 2), padding, extension, CSRC count
    octet 1       marker (1 bit), payload type (7 bits)
    octets 2-3    sequence number
    octets 4-7    timestamp
    octets 8-11   SSRC

    message        = start-line *header CRLF [body]               the body has as many octets as Content-Length says
    Content-Length = ( "Content-Length" / "l" ) HCOLON 1*DIGIT    RFC 3261, section 25.1

No octet is changed or dropped: the pieces that were returned and the octets that are still held are the whole input.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

_REQUEST = re.compile(rb"([A-Z]+) \S+ SIP/2\.0\r?\n")
_STATUS = re.compile(rb"SIP/2\.0 ([1-6][0-9]{2})(?: [^\r\n]*)?\r?\n")
_CSEQ = re.compile(rb"^CSeq[ \t]*:\s*([0-9]+)\s+([A-Z]+)", re.IGNORECASE | re.MULTILINE)
_CALL = re.compile(rb"^(?:Call-ID|i)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_FIRST_RTCP, _LAST_RTCP = 192, 223  # the packet types that RFC 5761, section 4 keeps for RTCP
MAX_HEAD = 65536
"""Octets: input without the end of a header section within so many is not split any further."""
_EMPTY_LINES = re.compile(rb"[\r\n]+")
_END = re.compile(rb"\r?\n\r?\n")
_LENGTH = re.compile(rb"^(?:Content-Length|l)[ \t]*:[ \t]*([0-9]{1,9})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class RelayedMessage:
    """A datagram or a piece of a stream; `kind` is SIP, RTP, RTCP, UDP (any other datagram) or TCP (octets).

    `status`, `method` and `request` are fields of a SIP message; `request` is its Call-ID and CSeq number, which all
    copies of a message share. `sequence`, `ssrc`, `payload_type` and `marker` are fields of an RTP packet. `stream` is
    True if it came over TCP.
    """

    kind: str
    status: str = ""
    method: str = ""
    request: str = ""
    sequence: int | None = None
    ssrc: int = 0
    payload_type: int = 0
    marker: bool = False
    stream: bool = False

    @property
    def label(self) -> str:
        """The message's name as rules write it, such as `SIP 200 INVITE` or `RTP`."""
        return " ".join(word for word in (self.kind, self.status, self.method) if word)


STREAM = RelayedMessage("TCP", stream=True)


def read_datagram(data: bytes) -> RelayedMessage:
    """Return what a datagram is; any octets are valid. RTCP is told from RTP by its packet type (RFC 5761, 4)."""
    if found := _REQUEST.match(data):
        return RelayedMessage("SIP", method=found[1].decode(), request=_request(data)[0])
    if found := _STATUS.match(data):
        request, method = _request(data)
        return RelayedMessage("SIP", found[1].decode(), method, request)
    if len(data) >= 8 and data[0] >> 6 == 2:
        if _FIRST_RTCP <= data[1] <= _LAST_RTCP:
            return RelayedMessage("RTCP")
        if len(data) >= 12:
            return RelayedMessage(
                "RTP",
                sequence=int.from_bytes(data[2:4], "big"),
                ssrc=int.from_bytes(data[8:12], "big"),
                payload_type=data[1] & 0x7F,
                marker=data[1] >> 7 == 1,
            )
    return RelayedMessage("UDP")


def _request(data: bytes) -> tuple[str, str]:
    """Return Call-ID and CSeq number in one text, and the method of the CSeq; a missing one is left out."""
    head = data.partition(b"\r\n\r\n")[0]
    call, cseq = _CALL.search(head), _CSEQ.search(head)
    number, method = (cseq[1].decode(), cseq[2].decode()) if cseq else ("", "")
    return f"{call[1].strip().decode(errors='replace') if call else ''} {number}".strip(), method


class SipFramer:
    """Takes octets in pieces of any size, and returns whole messages.

    After octets that are no SIP message, or a message without Content-Length, all further octets are returned as they
    come.
    """

    def __init__(self) -> None:
        self._buffer = b""
        self._lost = False

    def receive(self, data: bytes) -> list[tuple[RelayedMessage, bytes]]:
        """Take octets; returns the messages that are whole now and the octets between them (as `STREAM`), in order."""
        self._buffer += data
        found: list[tuple[RelayedMessage, bytes]] = []
        while self._buffer:
            message, size = self._next()
            if not size:
                break
            found.append((message, self._buffer[:size]))
            self._buffer = self._buffer[size:]
        return found

    def rest(self) -> bytes:
        """Return the octets that are still held, at the end of the stream, and hold them no longer."""
        rest, self._buffer = self._buffer, b""
        return rest

    def _next(self) -> tuple[RelayedMessage, int]:
        """Return the message or other octets at the start of the buffer, and their size; 0 if it is not known yet."""
        if self._lost:
            return STREAM, len(self._buffer)
        empty = _EMPTY_LINES.match(self._buffer)
        if empty is not None:
            return STREAM, empty.end()
        end = _END.search(self._buffer)
        starts_sip = b"\n" not in self._buffer or read_datagram(self._buffer).kind == "SIP"
        if end is None and starts_sip and len(self._buffer) <= MAX_HEAD:
            return STREAM, 0
        head = self._buffer[: end.end()] if end else b""
        message, length = read_datagram(head), _LENGTH.search(head)
        if length is None or message.kind != "SIP":
            self._lost = True
            return STREAM, len(self._buffer)
        size = len(head) + int(length[1])
        return replace(message, stream=True), size if len(self._buffer) >= size else 0
