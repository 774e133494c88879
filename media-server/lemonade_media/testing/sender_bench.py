"""A bench for tests of the RTP sender's engine: the test sets the time, and the bench keeps all packets and events."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from lemonade_media.rtp.sender.engine import SenderEngine
from lemonade_media.rtp.sender.protocol import AddStream, Event, LoadContent, PlayContent, Seek, StopContent
from lemonade_media.rtp.sender.reports import ROW
from lemonade_wire.rtp.packet import RtpPacket

MEDIA = (np.arange(80_000) // 160 % 251).astype(np.uint8)  # 10 s; each packet of its own value


class Bench:
    """An engine, its time, and all packets that it sent, as (time, stream, packet)."""

    def __init__(self, streams: int = 1, start: float = 1000.0, media: bytes | None = None, **setup: int) -> None:
        self.table = np.zeros(max(streams, 8), ROW)
        self.engine = SenderEngine(self.table, unix_offset=500_000.0, seed=1)
        self.now = start
        self.serial = 0
        self.sent: list[tuple[float, int, RtpPacket]] = []
        self.rtcp: list[tuple[float, int, bytes]] = []
        self.events: list[Event] = []
        data = MEDIA if media is None else np.frombuffer(media, np.uint8)
        self.engine.load(LoadContent(1, len(data)), data)
        for number in range(streams):
            self.engine.apply(self.stream(number, **setup), self.now)

    @staticmethod
    def stream(number: int, **setup: int) -> AddStream:
        """Return the command that adds a stream."""
        to = ("127.0.0.1", 20000)
        return AddStream(number, 7000 + number, 65530, 2**32 - 320, 0, to, to, "media@test", **setup)  # type: ignore[arg-type]  # its fields of numbers

    def play(
        self,
        stream: int = 0,
        content: int = 1,
        *,
        offset_ms: int = 0,
        limit_ms: int | None = None,
        plays: int | None = 1,
        delay_ms: int = 0,
    ) -> int:
        """Play a content; returns the serial number of the command."""
        self.serial += 1
        self.engine.apply(PlayContent(stream, self.serial, content, offset_ms, limit_ms, plays, delay_ms), self.now)
        return self.serial

    def seek(self, by_ms: int, stream: int = 0) -> None:
        """Move the playing of a stream by so many milliseconds."""
        self.serial += 1
        self.engine.apply(Seek(stream, self.serial, by_ms), self.now)

    def stop(self, stream: int = 0) -> None:
        """Stop the playing of a stream."""
        self.serial += 1
        self.engine.apply(StopContent(stream, self.serial), self.now)

    def collect(self) -> None:
        """Take all that is due now from the engine."""
        batch = self.engine.advance(self.now)
        self.sent += [(self.now, stream, RtpPacket.parse(bytes(packet))) for stream, packet in batch.rtp]
        self.rtcp += [(self.now, stream, report) for stream, report in batch.rtcp]
        self.events += batch.events

    def run(self, seconds: float) -> None:
        """Let so many seconds pass, and call the engine at each time that it asks for, as the process does."""
        self.collect()
        end = self.now + seconds
        while (due := self.engine.next_due()) is not None and due <= end:
            self.now = max(self.now, due)
            self.collect()
        self.now = end

    def stall(self, seconds: float) -> None:
        """Let so many seconds pass in which the engine is not called."""
        self.now += seconds

    def packets(self, stream: int = 0) -> list[RtpPacket]:
        """Return the RTP packets of a stream."""
        return [packet for _, number, packet in self.sent if number == stream]

    def times(self, stream: int = 0) -> list[float]:
        """Return the times in seconds at which the packets of a stream were sent."""
        return [time for time, number, _ in self.sent if number == stream]


def steps(packets: Sequence[RtpPacket]) -> list[tuple[int, int]]:
    """Return by how much sequence number and timestamp grow from each packet to the next, modulo their sizes."""
    return [((b.sequence - a.sequence) % 2**16, (b.timestamp - a.timestamp) % 2**32) for a, b in pairwise(packets)]
