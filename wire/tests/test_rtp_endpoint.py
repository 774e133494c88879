"""RTP endpoints with sockets on loopback."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest
from twisted.internet import reactor
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import TestCase

from lemonade_wire.rtp.endpoint import RtpPorts
from lemonade_wire.rtp.packet import RtpPacket
from lemonade_wire.rtp.receiver import StreamReceiver
from lemonade_wire.rtp.rtcp import ReceiverReport, SourceDescription, parse_compound

HOST = f"127.93.{os.getpid() % 250}.1"
"""An address of this process alone; the ports lie below those that the system gives out."""


async def until(condition: Callable[[], object]) -> None:
    for _ in range(1000):
        if condition():
            return
        await deferLater(reactor, 0.005)
    raise AssertionError("it did not happen in time")


class Endpoints(TestCase):
    def setUp(self) -> None:
        self.rtp: list[tuple[bytes, tuple[str, int], float]] = []
        self.rtcp: list[tuple[bytes, tuple[str, int], float]] = []
        self.failed: list[bytes] = []
        self.ports = RtpPorts(HOST, 22001, 22020)
        self.one = self.ports.open(lambda *got: self.rtp.append(got), lambda *got: self.rtcp.append(got))
        self.two = self.ports.open(self.fail_on, self.fail_on)
        self.addCleanup(self.one.close)
        self.addCleanup(self.two.close)

    def fail_on(self, octets: bytes, *_: object) -> None:
        self.failed.append(octets)
        raise ValueError("a callback that fails")

    def to(self, offset: int = 0) -> tuple[str, int]:
        return HOST, self.one.port + offset

    async def test_packets_come_with_source_and_the_kernels_time(self) -> None:
        assert self.one.port % 2 == 0
        before = time.time()
        for number in range(100):
            self.two.send_rtp(bytes([number]), self.to())
        self.two.send_rtcp(b"report", self.to(1))
        after = time.time()
        time.sleep(0.05)  # the reactor reads late; the kernel's arrival time is exact
        await until(lambda: len(self.rtp) == 100 and self.rtcp)
        assert [octets for octets, _, _ in self.rtp] == [bytes([number]) for number in range(100)]
        assert {source for _, source, _ in self.rtp} == {(HOST, self.two.port)}
        assert all(before - 0.01 <= arrival <= after + 0.01 for _, _, arrival in self.rtp)
        assert [got[:2] for got in self.rtcp] == [(b"report", (HOST, self.two.port + 1))]

    async def test_a_failing_callback_does_not_stop_the_reading(self) -> None:
        self.one.send_rtp(b"1", (HOST, self.two.port))
        self.one.send_rtp(b"2", (HOST, self.two.port))
        await until(lambda: len(self.failed) == 2)
        assert len(self.flushLoggedErrors(ValueError)) == 2  # type: ignore[no-untyped-call]  # trial's
        self.two.send_rtp(b"3", self.to())
        await until(lambda: self.rtp)

    async def test_pairs_are_given_out_in_turn_and_come_back(self) -> None:
        port = self.two.port
        self.two.close()
        self.two.close()
        more = [self.ports.open(lambda *_: None, lambda *_: None) for _ in range(8)]
        assert more[-1].port == port, "the least recently used first"
        with pytest.raises(OSError, match="no free pair"):
            self.ports.open(lambda *_: None, lambda *_: None)
        for endpoint in more:
            endpoint.close()
        self.two.send_rtp(b"after the end nothing is raised", self.to())

    async def test_receiver_reports_come_about_every_five_seconds(self) -> None:
        clock = Clock()
        # A minute in no time
        self.patch(reactor, "callLater", clock.callLater)  # type: ignore[no-untyped-call]  # trial's
        receiver = StreamReceiver()
        receiver.receive(RtpPacket(0, 1, 160, 99, b""), time.time())
        sent: list[bytes] = []
        self.one.report(receiver, (HOST, 9), 5, "client@test", sent.append)
        clock.advance(3.1)
        assert len(sent) == 1
        for _ in range(50):
            clock.advance(1)
        assert 7 <= len(sent) <= 26
        report, names = parse_compound(sent[0])
        assert isinstance(report, ReceiverReport)
        assert (report.ssrc, report.blocks[0].ssrc) == (5, 99)
        assert names == SourceDescription(((5, "client@test"),))
        self.one.close()
        assert not clock.getDelayedCalls()
