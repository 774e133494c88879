"""The supervisor with a real sender process, on loopback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from lemonade_media.rtp.sender.protocol import (
    AddStream,
    ContentFinished,
    ContentSought,
    ContentStarted,
    ContentStopped,
    Event,
    ReportSent,
)
from lemonade_media.rtp.sender.supervisor import SenderFullError, Supervisor
from lemonade_wire.rtp.endpoint import RtpEndpoint, RtpPorts
from lemonade_wire.rtp.packet import RtpPacket
from lemonade_wire.rtp.rtcp import Goodbye, RtcpPacket, parse_compound, traced_values

HOST = f"127.94.{os.getpid() % 250}.1"
MEDIA = bytes(range(160)) * 500


async def until(condition: Callable[[], object], seconds: float = 10) -> None:
    for _ in range(int(seconds * 200)):
        if condition():
            return
        await deferLater(reactor, 0.005)
    raise AssertionError("it did not happen in time")


class SenderProcess(TestCase):
    def setUp(self) -> None:
        self.packets: list[RtpPacket] = []
        self.arrivals: list[float] = []
        self.reports: list[tuple[RtcpPacket, ...]] = []
        self.events: list[Event] = []
        self.deaths: list[str] = []
        ports = RtpPorts(HOST, 22000, 22040)
        self.heard = ports.open(self.on_rtp, lambda octets, *_: self.reports.append(parse_compound(octets)))
        self.addCleanup(self.heard.close)
        self.ours: RtpEndpoint = ports.open(lambda *_: None, lambda *_: None)
        self.addCleanup(self.ours.close)
        self.told: list[ReportSent] = []
        self.sender = Supervisor(on_restart=self.deaths.append, on_report=self.told.append, capacity=2)
        self.addCleanup(self.sender_closed)
        self.sender.start()

    def sender_closed(self) -> object:
        return ensureDeferred(self.sender.close())

    def on_rtp(self, octets: bytes, source: tuple[str, int], arrival: float) -> None:
        assert source == (HOST, self.ours.port), "media come from the port that was announced"
        self.packets.append(RtpPacket.parse(octets))
        self.arrivals.append(arrival)

    def stream(self) -> tuple[AddStream, tuple[int, int]]:
        to = (HOST, self.heard.port)
        command = AddStream(0, 7000, 65530, 2**32 - 320, 0, to, (HOST, self.heard.port + 1), "media@test")
        return command, self.ours.descriptors

    async def test_half_a_second_of_sound_arrives_and_its_end_is_reported(self) -> None:
        content = self.sender.load(MEDIA[: 25 * 160])
        stream = self.sender.add(*self.stream(), self.events.append)
        serial = self.sender.play(stream, content)
        await until(lambda: len(self.events) == 2)
        await until(lambda: len(self.packets) == 25)
        assert self.events == [ContentStarted(stream, serial), ContentFinished(stream, serial, 500, 500)]
        assert b"".join(packet.payload for packet in self.packets) == MEDIA[: 25 * 160]
        assert {packet.ssrc for packet in self.packets} == {self.sender.ssrc(stream)}
        assert [packet.marker for packet in self.packets] == [True] + [False] * 24
        # A busy machine may delay a packet, but the next one comes at least half a packet time later: no burst.
        assert self.arrivals[-1] - self.arrivals[0] > 24 * 0.009
        self.sender.remove(stream)
        await until(lambda: self.reports)
        assert isinstance(self.reports[-1][-1], Goodbye)
        await until(lambda: len(self.told) == len(self.reports))
        ends, last = ((HOST, self.ours.port + 1), (HOST, self.heard.port + 1)), self.told[-1]
        assert last == ReportSent(*ends, ("SR", "SDES", "BYE"), traced_values(self.reports[-1]))
        assert last.values["gone"] == [last.values["ssrc"]]

    async def test_seek_and_stop_are_reported_with_their_offsets(self) -> None:
        content = self.sender.load(MEDIA)
        stream = self.sender.add(*self.stream(), self.events.append)
        serial = self.sender.play(stream, content, offset_ms=1000)
        await until(lambda: self.packets)
        self.sender.seek(stream, 4000)
        await until(lambda: len(self.packets) > 5)
        self.sender.stop_playing(stream)
        await until(lambda: len(self.events) == 3)
        sought, stopped = self.events[1:]
        assert isinstance(sought, ContentSought)
        assert isinstance(stopped, ContentStopped)
        assert sought.offset_ms - sought.from_ms == 4000
        assert stopped == ContentStopped(stream, serial, stopped.played_ms, 5000 + stopped.played_ms)
        first = self.packets[0]
        assert [packet.sequence for packet in self.packets] == [
            (first.sequence + n) % 65536 for n in range(len(self.packets))
        ]

    async def test_a_changed_stream_sends_to_another_address_and_no_reports(self) -> None:
        moved: list[RtpPacket] = []
        ports = RtpPorts(HOST, 22060, 22080)
        there = ports.open(lambda octets, *_: moved.append(RtpPacket.parse(octets)), lambda *_: None)
        self.addCleanup(there.close)
        content, other = self.sender.load(MEDIA), self.sender.load(MEDIA[::-1])
        stream = self.sender.add(*self.stream(), self.events.append)
        self.sender.play(stream, content)
        await until(lambda: len(self.packets) > 5)
        self.sender.change(stream, (HOST, there.port), None, payload_type=8, ptime_ms=20, held=False, content=other)
        self.sender.drop(content)
        self.sender.drop(other)  # a content that is playing is kept
        await until(lambda: len(moved) > 5)
        # A new sender process sends to the same addresses as the one before it.
        assert self.sender.pid is not None
        os.kill(self.sender.pid, signal.SIGKILL)
        await until(lambda: self.deaths)
        before = len(moved)
        await until(lambda: len(moved) > before + 5)
        assert {packet.payload_type for packet in moved} == {8}
        assert moved[0].ssrc == self.packets[0].ssrc
        assert moved[0].sequence == (self.packets[-1].sequence + 1) % 65536
        self.sender.change(
            stream, (HOST, there.port), (HOST, self.heard.port + 1), payload_type=8, ptime_ms=20, held=True
        )
        self.reports.clear()
        self.sender.remove(stream)
        await until(lambda: self.reports)

    async def test_a_new_sender_continues_after_one_is_killed(self) -> None:
        content = self.sender.load(MEDIA)
        stream = self.sender.add(*self.stream(), self.events.append)
        self.sender.play(stream, content)
        self.sender.drop(content)  # the playing continues, also in the new process
        await until(lambda: len(self.packets) > 10)
        dead = self.sender.pid
        assert dead is not None
        os.kill(dead, signal.SIGKILL)
        await until(lambda: self.deaths)
        before = len(self.packets)
        await until(lambda: len(self.packets) > before + 10)
        assert len(self.deaths) == 1
        assert self.sender.pid != dead
        assert {packet.ssrc for packet in self.packets} == {self.sender.ssrc(stream)}
        steps = [
            ((later.sequence - sooner.sequence) % 65536, (later.timestamp - sooner.timestamp) % 2**32)
            for sooner, later in zip(self.packets, self.packets[1:], strict=False)
        ]
        # At most the packet that was in the table and not sent is missing; the timestamps advance over the gap.
        assert {sequence for sequence, _ in steps} <= {1, 2}
        assert sum(sequence == 2 for sequence, _ in steps) <= 1
        # After a short time without a sender the packets are caught up, after a long one there is a gap; the
        # timestamps follow the time in both cases.
        media = sum(timestamp for _, timestamp in steps) / 8000
        assert (
            abs(media - (self.arrivals[-1] - self.arrivals[0])) < 1.5
        )  # a second is caught up, and the machine itself causes a delay
        assert all(timestamp % 160 == 0 for _, timestamp in steps)

    async def test_commands_given_without_a_sender_are_carried_out_by_the_next_one(self) -> None:
        content = self.sender.load(MEDIA[:1600])
        await until(lambda: self.sender.pid is not None)
        os.kill(self.sender.pid or 0, signal.SIGKILL)
        stream = self.sender.add(*self.stream(), self.events.append)
        serial = self.sender.play(stream, content)
        await until(lambda: self.events and isinstance(self.events[-1], ContentFinished))
        assert self.events[-1] == ContentFinished(stream, serial, 200, 200)
        assert len(self.packets) == 10

    async def test_more_streams_than_rows_are_refused(self) -> None:
        first = self.sender.add(*self.stream(), self.events.append)
        self.sender.add(*self.stream(), self.events.append)
        with pytest.raises(SenderFullError):
            self.sender.add(*self.stream(), self.events.append)
        self.sender.remove(first)
        self.sender.add(*self.stream(), self.events.append)

    async def test_closing_leaves_no_process(self) -> None:
        pid = self.sender.pid
        assert pid is not None
        await self.sender.close()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_the_process_imports_no_twisted() -> None:
    script = (
        "import sys, lemonade_media.rtp.sender.process; sys.exit(any(m.startswith('twisted') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
