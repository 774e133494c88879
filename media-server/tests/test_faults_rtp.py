"""What each fault of the media server's RTP and RTCP packets changes."""

from __future__ import annotations

import pytest

from lemonade_media.faults.rtp import STREAM_FAULTS
from lemonade_wire.rtp.packet import RtpPacket
from lemonade_wire.rtp.rtcp import (
    Goodbye,
    ReceiverReport,
    RtcpPacket,
    SourceDescription,
    parse_compound,
    write_compound,
)

TIMES = (1000, 1160, 1320, 5000, 5160)
"""Timestamps of packets of 160 samples; there is a silence before the fourth."""


def packets_of(name: str, count: int = len(TIMES)) -> list[RtpPacket]:
    """Return packets as one stream of the fault sends them."""
    edit = STREAM_FAULTS[name].new_edit()
    sent = []
    for number in range(count):
        ticks = TIMES[number] if number < len(TIMES) else 5160
        packet = bytearray(bytes(RtpPacket(0, 65534 + number & 0xFFFF, ticks, 7, bytes(160), marker=number == 0)))
        edit(memoryview(packet))
        sent.append(RtpPacket.parse(bytes(packet)))
    return sent


@pytest.mark.parametrize(
    ("name", "markers"),
    [
        ("no-cname", [True, False, False, False, False]),
        ("marker-every-packet", [True] * 5),
        ("marker-never", [False] * 5),
    ],
)
def test_markers(name: str, markers: list[bool]) -> None:
    assert [packet.marker for packet in packets_of(name)] == markers


@pytest.mark.parametrize(
    ("name", "numbers"), [("no-cname", [65534, 65535, 0, 1, 2]), ("sequence-in-twos", [65534, 0, 2, 4, 6])]
)
def test_sequence_numbers(name: str, numbers: list[int]) -> None:
    assert [packet.sequence for packet in packets_of(name)] == numbers


@pytest.mark.parametrize(
    ("name", "times"),
    [
        ("no-cname", list(TIMES)),
        ("timestamp-half-step", [1000, 1080, 1160, 3000, 3080]),
        ("timestamp-stands", [1000, 1160, 1320, 1480, 1640]),
    ],
)
def test_timestamps(name: str, times: list[int]) -> None:
    assert [packet.timestamp for packet in packets_of(name)] == times


def test_another_source_after_20_packets() -> None:
    assert [packet.ssrc for packet in packets_of("ssrc-changes", 22)] == [7] * 20 + [7 ^ 0xFF] * 2


def test_each_stream_is_edited_by_itself() -> None:
    assert packets_of("sequence-in-twos") == packets_of("sequence-in-twos")


REPORT: list[RtcpPacket] = [ReceiverReport(7), SourceDescription(((7, "lemonade"),))]


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("marker-never", [REPORT]),
        ("no-cname", [REPORT[:1]]),
        ("reports-often", [REPORT] * 5),
        ("rtcp-bye-early", [[*REPORT, Goodbye((7,))]]),
    ],
)
def test_reports(name: str, sent: list[list[RtcpPacket]]) -> None:
    reports = STREAM_FAULTS[name].reported(write_compound(REPORT))
    assert [list(parse_compound(one)) for one in reports] == sent


def test_values_of_a_stream_that_are_wrong() -> None:
    values = {
        name: (fault.reports, fault.goodbye, fault.own_port, fault.speed, fault.ptime_ms)
        for name, fault in STREAM_FAULTS.items()
    }
    assert {name: wrong for name, wrong in values.items() if wrong != (True, True, True, 1.0, None)} == {
        "no-sender-report": (False, True, True, 1.0, None),
        "no-rtcp-bye": (True, False, True, 1.0, None),
        "rtp-from-other-port": (True, True, False, 1.0, None),
        "speed-2-percent": (True, True, True, 0.98, None),
        "packets-of-60-ms": (True, True, True, 1.0, 60),
    }
