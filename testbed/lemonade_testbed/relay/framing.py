"""Cuts one direction of a SIP connection over TCP into messages, by Content-Length (RFC 3261, 18.3).

What it returns, put together with what it still holds, is what came, octet for octet: it only chooses where to cut.
"""

from __future__ import annotations

import re
from dataclasses import replace

from lemonade_testbed.relay.reading import STREAM, Message, read_datagram

MAX_HEAD = 65536
"""Octets after which a head without an end is none."""
_EMPTY_LINES = re.compile(rb"[\r\n]+")
_END = re.compile(rb"\r?\n\r?\n")
_LENGTH = re.compile(rb"^(?:Content-Length|l)[ \t]*:[ \t]*([0-9]{1,9})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


class SipFramer:
    """Takes octets in pieces of any size, and gives whole messages.

    Where the framing is lost (no SIP, or no length) it gives everything from there on as it comes.
    """

    def __init__(self) -> None:
        self._buffer = b""
        self._lost = False

    def receive(self, data: bytes) -> list[tuple[Message, bytes]]:
        """Take octets; returns the messages that are whole now, and as `STREAM` what lies between them, in order."""
        self._buffer += data
        found: list[tuple[Message, bytes]] = []
        while self._buffer:
            message, size = self._next()
            if not size:
                break
            found.append((message, self._buffer[:size]))
            self._buffer = self._buffer[size:]
        return found

    def rest(self) -> bytes:
        """Return what it still holds, once: nothing more comes that could make it whole."""
        rest, self._buffer = self._buffer, b""
        return rest

    def _next(self) -> tuple[Message, int]:
        """Return what the buffer starts with, and its size; 0 while that is not known."""
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
