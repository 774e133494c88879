"""SIP over TCP: splits a stream into messages and keep-alives, and keeps the open connections (RFC 3261 section 18).

A message ends where its Content-Length says; the header is mandatory on a stream (RFC 3261 section 18.3).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from lemonade_wire.address import Address, in_networks
from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.event import CloseStream, OpenStream, Output, SendPong, SendStream
from lemonade_wire.sip.message.message import (
    SipRequest,
    SipResponse,
    UnreadableError,
    content_length,
    read_message,
    unreadable,
)
from lemonade_wire.sip.settings import UaSettings

_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_LONGEST_BLANK = 4
_LINE_ENDS = re.compile(rb"[\r\n]*")
_PING = b"\r\n\r\n"


@dataclass(frozen=True)
class Pings:
    """Keep-alives, each two CRLF between messages. The peer expects one CRLF for each (RFC 5626 section 4.4.1)."""

    count: int


class Framed(NamedTuple):
    """One message of a stream, or the error in it."""

    message: SipRequest | SipResponse | UnreadableError
    octets: bytes
    """The octets of the message as received; empty if the error is fatal."""


@dataclass
class _Pending:
    """A message whose head is complete and whose body is not yet received in full."""

    message: SipRequest | SipResponse
    error: SipParseError | None
    head: bytes
    length: int


class StreamParser:
    """Collects the octets of one stream until messages are complete.

    After a fatal error it ignores all further octets. `max_head` and `max_body` are in octets.
    """

    def __init__(self, max_head: int = 65536, max_body: int = 1 << 20) -> None:
        self._max_head = max_head
        self._max_body = max_body
        self._buffer = bytearray()
        self._searched = 0
        self._pending: _Pending | None = None
        self._lost = False

    def receive(self, data: bytes) -> list[Framed | Pings]:
        """Accept octets; returns the messages that are now complete and the keep-alives, in order. Never raises."""
        found: list[Framed | Pings] = []
        self._buffer += data
        while not self._lost:
            if pings := self._pings():
                found.append(Pings(pings))
            item = self._next()
            if item is None:
                break
            found.append(item)
        if self._lost:
            self._buffer.clear()
        return found

    def _pings(self) -> int:
        """Remove the line ends before a message from the buffer; returns the number of keep-alives among them.

        Other line ends are ignored (RFC 3261 section 7.5). The last ones stay in the buffer if they can be the
        beginning of a keep-alive.
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
        """Remove a complete head from the buffer and parse it; returns None if it is not complete.

        Raises a fatal UnreadableError if the length of the message is unknown or too large.
        """
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
        # `end` begins with the line end of the last header, which `read_message` does not need.
        message, error = read_message(head[: end.start()], b"")
        length = content_length(message)
        if length is None:
            raise unreadable(SipParseError("Content-Length missing or bad"), message, fatal=True)
        if length > self._max_body:
            raise unreadable(SipParseError("Request Entity Too Large", status=413), message, fatal=True)
        return _Pending(message, error, head, length)


@dataclass
class _Stream:
    peer: Address
    parser: StreamParser
    used: float
    """The time in seconds at which octets were last sent or received."""
    waiting: list[SendStream] | None = field(default=None)
    """Messages that wait for the connection to open; None if it is open."""
    limited: bool = False
    """Whether the peer opened the connection, and is not exempt from the limits."""


class TcpConnections:
    """The table of a user agent's TCP streams. It does no I/O: it appends its work for the network to `outputs`."""

    def __init__(self, settings: UaSettings, outputs: list[Output]) -> None:
        self._settings = settings
        self._outputs = outputs
        self._streams: dict[int, _Stream] = {}
        self._last = 0

    def accepted(self, peer: Address, now: float, busy: Callable[[], set[int]]) -> int | None:
        """Add an incoming stream; returns its id, or None if it is to be closed at once.

        Above the limits of the settings, in all and for the peer's IP address, the stream that was idle the longest is
        closed. Those in `busy()` are kept; if there is no other one the new stream is refused.
        """
        if in_networks(peer.host, self._settings.unlimited):
            return self._add(peer, now)
        limits = ((peer.host, self._settings.max_streams_per_address), (None, self._settings.max_streams))
        for host, most in limits:
            counted = {
                number: stream.used
                for number, stream in self._streams.items()
                if stream.limited and host in {None, stream.peer.host}
            }
            if not most or len(counted) < most:
                continue
            idle = counted.keys() - busy()
            if not idle:
                return None
            longest = min(idle, key=counted.__getitem__)
            del self._streams[longest]
            self._outputs.append(CloseStream(longest, at_once=True))
        number = self._add(peer, now)
        self._streams[number].limited = True
        return number

    def to(self, destination: Address, now: float) -> int:
        """Return the id of a stream to `destination`, and open one if there is none (section 18).

        A stream that the peer opened is reused too, because a caller may accept no connections itself and give the
        source port of its stream in its Contact.
        """
        for number, stream in self._streams.items():
            if stream.peer == destination:
                return number
        number = self._add(destination, now)
        self._streams[number].waiting = []
        self._outputs.append(OpenStream(number, destination))
        return number

    def send(self, number: int, data: bytes, resend: bool, now: float) -> bool:
        """Send a message, at once or when the stream has opened; returns False if the stream is closed."""
        stream = self._streams.get(number)
        if stream is None:
            return False
        stream.used = now
        queue: list[SendStream] | list[Output] = self._outputs if stream.waiting is None else stream.waiting
        queue.append(SendStream(number, data, resend))
        return True

    def opened(self, number: int, now: float) -> None:
        """Send the messages that waited for an outgoing stream to open."""
        stream = self._streams.get(number)
        if stream is not None and stream.waiting is not None:
            self._outputs.extend(stream.waiting)
            stream.waiting = None
            stream.used = now

    def received(self, number: int, data: bytes, now: float) -> list[Framed]:
        """Process octets and answer keep-alives; returns the messages that are complete."""
        stream = self._streams.get(number)
        if stream is None:
            return []
        stream.used = now
        whole: list[Framed] = []
        for item in stream.parser.receive(data):
            if isinstance(item, Pings):
                self._outputs.append(SendPong(number, item.count))
            else:
                whole.append(item)
        return whole

    def peer(self, number: int) -> Address | None:
        """Return the peer's address; None if the stream is closed."""
        stream = self._streams.get(number)
        return stream.peer if stream else None

    def connecting(self, number: int) -> bool:
        """Return whether an outgoing stream is not open yet."""
        stream = self._streams.get(number)
        return stream is not None and stream.waiting is not None

    def gone(self, number: int) -> None:
        """Remove a stream that failed or was closed."""
        self._streams.pop(number, None)

    def close(self, number: int) -> None:
        """Close a stream after the octets written to it are sent."""
        if self._streams.pop(number, None) is not None:
            self._outputs.append(CloseStream(number))

    def next_timer(self) -> float | None:
        """Return the time at which the next stream has been idle for `stream_idle` seconds; None without streams."""
        return min((stream.used + self._settings.stream_idle for stream in self._streams.values()), default=None)

    def close_idle(self, now: float, busy: set[int]) -> None:
        """Close the streams that have been idle for `stream_idle` seconds, except those in `busy`."""
        for number, stream in list(self._streams.items()):
            if stream.used + self._settings.stream_idle <= now:
                if number in busy:
                    stream.used = now
                else:
                    self.close(number)

    def _add(self, peer: Address, now: float) -> int:
        self._last += 1
        parser = StreamParser(self._settings.max_head, self._settings.max_body)
        self._streams[self._last] = _Stream(peer, parser, now)
        return self._last
