"""The TCP streams of a user agent: opened on demand, reused per destination, closed when idle (RFC 3261 section 18)."""

from __future__ import annotations

from dataclasses import dataclass, field

from lemonade_wire.address import Address
from lemonade_wire.sip.event import CloseStream, OpenStream, Output, SendPong, SendStream
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.sip.stream import Framed, Ping, StreamParser


@dataclass
class _Stream:
    peer: Address
    parser: StreamParser
    used: float
    """When octets last went either way."""
    waiting: list[SendStream] | None = field(default=None)
    """Messages that wait for the connection; None once it is there."""


class Streams:
    """Knows which streams exist; asks for work through `outputs`."""

    def __init__(self, settings: UaSettings, outputs: list[Output]) -> None:
        self._settings = settings
        self._outputs = outputs
        self._streams: dict[int, _Stream] = {}
        self._last = 0

    def accepted(self, peer: Address, now: float) -> int:
        """Add an incoming stream; returns its id."""
        return self._add(peer, now)

    def to(self, destination: Address, now: float) -> int:
        """Return a stream to `destination`, opening one where there is none; whoever opened it (section 18).

        A caller may have no other port than the one that its stream comes from, and name that in its Contact.
        """
        for number, stream in self._streams.items():
            if stream.peer == destination:
                return number
        number = self._add(destination, now)
        self._streams[number].waiting = []
        self._outputs.append(OpenStream(number, destination))
        return number

    def send(self, number: int, data: bytes, resend: bool, now: float) -> bool:
        """Send a message, at once or when the stream is open; False where the stream is gone."""
        stream = self._streams.get(number)
        if stream is None:
            return False
        stream.used = now
        queue: list[SendStream] | list[Output] = self._outputs if stream.waiting is None else stream.waiting
        queue.append(SendStream(number, data, resend))
        return True

    def opened(self, number: int, now: float) -> None:
        """Send what waited for an outgoing stream."""
        stream = self._streams.get(number)
        if stream is not None and stream.waiting is not None:
            self._outputs.extend(stream.waiting)
            stream.waiting = None
            stream.used = now

    def received(self, number: int, data: bytes, now: float) -> list[Framed]:
        """Take octets, answering keep-alives; returns whole messages."""
        stream = self._streams.get(number)
        if stream is None:
            return []
        stream.used = now
        whole: list[Framed] = []
        for item in stream.parser.receive(data):
            if isinstance(item, Ping):
                self._outputs.append(SendPong(number))
            else:
                whole.append(item)
        return whole

    def peer(self, number: int) -> Address | None:
        """Return a stream's far end; None where the stream is gone."""
        stream = self._streams.get(number)
        return stream.peer if stream else None

    def connecting(self, number: int) -> bool:
        """Return whether a stream was asked for and is not there yet."""
        stream = self._streams.get(number)
        return stream is not None and stream.waiting is not None

    def gone(self, number: int) -> None:
        """Forget a stream that failed or is closed."""
        self._streams.pop(number, None)

    def close(self, number: int) -> None:
        """Close a stream after what was written."""
        if self._streams.pop(number, None) is not None:
            self._outputs.append(CloseStream(number))

    def next_timer(self) -> float | None:
        """Return when the next stream has been idle for too long."""
        return min((stream.used + self._settings.stream_idle for stream in self._streams.values()), default=None)

    def close_idle(self, now: float, busy: set[int]) -> None:
        """Close the streams that have been idle for too long, except those that a transaction waits on."""
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
