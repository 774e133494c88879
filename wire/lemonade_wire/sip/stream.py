"""Messages and keep-alives out of a TCP stream, framed by Content-Length, a must there (RFC 3261 section 18.3)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import NamedTuple

from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.message import Request, Response, UnreadableError, content_length, read_message, unreadable

_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_LONGEST_BLANK = 4
_LINE_ENDS = re.compile(rb"[\r\n]*")
_PING = b"\r\n\r\n"


@dataclass(frozen=True)
class Ping:
    """Two line ends between messages: the peer waits for one (RFC 5626 section 4.4.1)."""


class Framed(NamedTuple):
    """One message of a stream, or what was wrong with it."""

    message: Request | Response | UnreadableError
    octets: bytes
    """As they came; empty where the framing was lost."""


@dataclass
class _Pending:
    """A message whose body is still coming."""

    message: Request | Response
    error: SipParseError | None
    head: bytes
    length: int


class StreamParser:
    """Collects octets until messages are whole. A fatal error ends it: what comes later is ignored."""

    def __init__(self, max_head: int = 65536, max_body: int = 1 << 20) -> None:
        self._max_head = max_head
        self._max_body = max_body
        self._buffer = bytearray()
        self._searched = 0
        self._pending: _Pending | None = None
        self._lost = False

    def receive(self, data: bytes) -> list[Framed | Ping]:
        """Take octets; returns the messages that are now whole and the keep-alives, in order. Never raises."""
        found: list[Framed | Ping] = []
        self._buffer += data
        while not self._lost:
            found += [Ping()] * self._pings()
            item = self._next()
            if item is None:
                break
            found.append(item)
        if self._lost:
            self._buffer.clear()
        return found

    def _pings(self) -> int:
        """Take the line ends before a message from the buffer; returns how many keep-alives are among them.

        Any others are leftovers (RFC 3261 sections 7.5 and 18.3). What may become a keep-alive stays.
        """
        blank = _LINE_ENDS.match(self._buffer) if self._pending is None else None
        if not blank or not blank[0]:
            return 0
        *pings, behind = blank[0].split(_PING)
        taken = len(blank[0])
        if taken == len(self._buffer):
            taken -= min(len(behind), len(_PING) - 1)
        del self._buffer[:taken]
        self._searched = 0
        return len(pings)

    def _next(self) -> Framed | None:
        if self._pending is None and self._buffer[:1] not in _PING:
            try:
                self._pending = self._head()
            except UnreadableError as error:
                self._lost = True
                return Framed(error, b"")
        pending = self._pending
        if pending is None or len(self._buffer) < pending.length:
            return None
        body = bytes(self._buffer[: pending.length])
        del self._buffer[: pending.length]
        self._pending = None
        octets = pending.head + body
        if pending.error is not None:
            return Framed(unreadable(pending.error, pending.message), octets)
        return Framed(replace(pending.message, body=body), octets)

    def _head(self) -> _Pending | None:
        """Take a head from the buffer, if it is whole; raises UnreadableError where the framing is lost."""
        end = _BLANK_LINE.search(self._buffer, max(0, self._searched - _LONGEST_BLANK))
        if end is None or end.end() > self._max_head:
            self._searched = len(self._buffer)
            if len(self._buffer) <= self._max_head:
                return None
            lines, line_end, _ = bytes(self._buffer[: self._max_head]).rpartition(b"\n")
            message, _ = read_message(lines + line_end, b"")
            raise unreadable(SipParseError("Message Too Large", status=513), message, fatal=True)
        head = bytes(self._buffer[: end.end()])
        del self._buffer[: end.end()]
        self._searched = 0
        # The last line end stays away: what follows it is the empty line, no header.
        message, error = read_message(head[: end.start()], b"")
        length = content_length(message)
        if length is None:
            raise unreadable(SipParseError("Content-Length missing or bad"), message, fatal=True)
        if length > self._max_body:
            raise unreadable(SipParseError("Request Entity Too Large", status=413), message, fatal=True)
        return _Pending(message, error, head, length)
