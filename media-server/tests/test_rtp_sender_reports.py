"""The sender's RTCP reports and BYE, with times of the test."""

from __future__ import annotations

import numpy as np
import pytest

from lemonade_media.rtp.sender.protocol import ContentStopped, RemoveStream
from lemonade_media.testing.sender_bench import Bench
from lemonade_wire.rtp.rtcp import Goodbye, ReceiverReport, SenderReport, SourceDescription, parse_compound


def test_reports_come_about_every_five_seconds_and_fit_the_packets() -> None:
    bench = Bench()
    bench.play()
    bench.run(9.9)
    times = [time for time, _, _ in bench.rtcp]
    assert 1 < times[0] - bench.times()[0] < 3.1
    assert all(2.05 <= gap <= 6.16 for gap in np.diff(times))
    at, _, octets = bench.rtcp[-1]
    report, names = parse_compound(octets)
    assert isinstance(report, SenderReport)
    sent = [packet for time, _, packet in bench.sent if time <= at]
    assert (report.packets, report.octets) == (len(sent), 160 * len(sent))
    # The RTP time is that of the report's instant, not of the last packet.
    since = (report.timestamp - bench.packets()[0].timestamp) % 2**32 / 8000
    assert since == pytest.approx(at - bench.times()[0], abs=0.001)
    assert report.ntp / 2**32 - 2_208_988_800 == pytest.approx(at + 500_000, abs=0.001)
    assert names == SourceDescription(((7000, "media@test"),))


def test_a_stream_long_silent_reports_as_a_receiver() -> None:
    bench = Bench()
    bench.play(limit_ms=100)
    bench.run(30)
    assert isinstance(parse_compound(bench.rtcp[-1][2])[0], ReceiverReport)


def test_a_removed_stream_sends_rtcp_bye_unless_it_never_sent() -> None:
    bench = Bench(streams=2)
    serial = bench.play(0)
    bench.run(0.5)
    bench.engine.apply(RemoveStream(0), bench.now)
    bench.engine.apply(RemoveStream(1), bench.now)
    bench.run(20)
    assert [stream for _, stream, _ in bench.rtcp] == [0]
    assert parse_compound(bench.rtcp[0][2])[-1] == Goodbye((7000,))
    assert bench.events[-1] == ContentStopped(0, serial, 20 * len(bench.sent), 20 * len(bench.sent))
    assert bench.engine.streams() == []
