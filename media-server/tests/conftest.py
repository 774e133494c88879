"""A bench for the sender's engine: explicit times, and all that came out."""

from __future__ import annotations

import numpy as np
import pytest

from lemonade_media.sender.engine import SenderEngine
from lemonade_media.sender.protocol import AddStream, Event, LoadContent, Play, Seek, Stop
from lemonade_media.sender.table import ROW
from lemonade_wire.rtp.packet import RtpPacket

MEDIA = (np.arange(80_000) // 160 % 251).astype(np.uint8)  # 10 s; each packet of its own value


class Bench:
    """An engine, a clock, and all that came out: (time, stream, packet)."""

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
        to = ("127.0.0.1", 20000)
        return AddStream(number, 7000 + number, 65530, 2**32 - 320, 0, to, to, "media@test", **setup)  # type: ignore[arg-type]

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
        self.serial += 1
        self.engine.apply(Play(stream, self.serial, content, offset_ms, limit_ms, plays, delay_ms), self.now)
        return self.serial

    def seek(self, by_ms: int, stream: int = 0) -> None:
        self.serial += 1
        self.engine.apply(Seek(stream, self.serial, by_ms), self.now)

    def stop(self, stream: int = 0) -> None:
        self.serial += 1
        self.engine.apply(Stop(stream, self.serial), self.now)

    def collect(self) -> None:
        batch = self.engine.advance(self.now)
        self.sent += [(self.now, stream, RtpPacket.parse(bytes(packet))) for stream, packet in batch.rtp]
        self.rtcp += [(self.now, stream, report) for stream, report in batch.rtcp]
        self.events += batch.events

    def run(self, seconds: float) -> None:
        """Go on as the process does: sleep to each next time."""
        self.collect()
        end = self.now + seconds
        while (due := self.engine.next_due()) is not None and due <= end:
            self.now = max(self.now, due)
            self.collect()
        self.now = end

    def stall(self, seconds: float) -> None:
        self.now += seconds

    def packets(self, stream: int = 0) -> list[RtpPacket]:
        return [packet for _, number, packet in self.sent if number == stream]

    def times(self, stream: int = 0) -> list[float]:
        return [time for time, number, _ in self.sent if number == stream]


@pytest.fixture(scope="session")
def make_bench() -> type[Bench]:
    """Make an engine with streams, media or settings of its own."""
    return Bench
