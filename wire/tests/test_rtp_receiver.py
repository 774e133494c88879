"""The counts and measurements of an RTP receiver."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_wire.rtp.packet import RtpPacket
from lemonade_wire.rtp.receiver import StreamReceiver
from lemonade_wire.rtp.rtcp import SenderReport


def packet(number: int, first: int = 65530) -> RtpPacket:
    return RtpPacket(0, (first + number) % 2**16, (2**32 - 320 + 160 * number) % 2**32, 7, bytes(160))


def test_sequence_numbers_are_extended_over_the_wrap() -> None:
    receiver = StreamReceiver()
    extended = [receiver.receive(packet(n), 0.02 * n) for n in range(20)]
    assert extended == list(range(65530 + 65536, 65550 + 65536))
    seen = receiver.measure()
    assert (seen.packets, seen.lost, seen.duplicates, seen.reordered) == (20, 0, 0, 0)
    assert (seen.jitter_ms, seen.late_ms, seen.early_ms) == pytest.approx((0, 0, 0), abs=1e-6)


def test_lost_doubled_and_late_packets_are_told_apart() -> None:
    receiver = StreamReceiver()
    for n in (1, 0, 2, 5, 4, 4, 6, 9):
        receiver.receive(packet(n), 10 + 0.02 * n)
    seen = receiver.measure()
    assert (seen.packets, seen.lost, seen.duplicates, seen.reordered) == (7, 3, 1, 2)


def test_lateness_is_against_the_schedule_that_timestamps_give() -> None:
    receiver = StreamReceiver()
    for n, off in enumerate([0, 0, 0.03, -0.01, 0]):
        receiver.receive(packet(n), 5 + 0.02 * n + off)
    seen = receiver.measure()
    assert seen.late_ms == pytest.approx(30)
    assert seen.early_ms == pytest.approx(10)


def test_jitter_as_in_appendix_a8() -> None:
    receiver = StreamReceiver()
    receiver.receive(packet(0), 0)
    receiver.receive(packet(1), 0.03601)  # 16 ms late: 128 units, a sixteenth of which is 8
    assert receiver.measure().jitter_ms == pytest.approx(1, rel=0.001)
    block = receiver.report_block(1)
    assert block is not None
    assert block.jitter == 8


def test_report_blocks_tell_the_loss_since_the_last_one() -> None:
    receiver = StreamReceiver()
    assert receiver.report_block(0) is None
    for n in (0, 1, 3):
        receiver.receive(packet(n, first=1), 0.02 * n)
    receiver.sender_report(SenderReport(7, 0x11112222_33334444, 0, 3, 480), arrival=1.0)
    block = receiver.report_block(now=1.5)
    assert block is not None
    assert (block.fraction_lost, block.lost, block.highest_sequence) == (64, 1, 65536 + 4)
    assert (block.last_sr, block.delay_since_sr) == (0x22223333, 32768)
    receiver.receive(packet(4, first=1), 0.08)
    block = receiver.report_block(now=2)
    assert block is not None
    assert (block.fraction_lost, block.lost) == (0, 1)


def test_a_source_that_jumps_is_followed_from_its_second_packet_on() -> None:
    receiver = StreamReceiver()
    for n in range(5):
        receiver.receive(packet(n, first=100), 0.02 * n)
    jumped = [receiver.receive(packet(n, first=40000), 0.02 * n) for n in range(5, 10)]
    assert jumped[0] is None
    assert None not in jumped[1:]
    assert (receiver.measure().packets, receiver.measure().lost) == (9, 0)


def test_another_source_is_not_counted() -> None:
    receiver = StreamReceiver()
    receiver.receive(packet(0), 0)
    assert receiver.receive(RtpPacket(0, 1, 0, 8, b""), 0) is None
    assert receiver.measure().packets == 1


@given(st.lists(st.tuples(st.integers(0, 65535), st.integers(0, 2**32 - 1), st.floats(0, 1e9)), max_size=40))
def test_any_packets_give_sane_numbers(values: list[tuple[int, int, float]]) -> None:
    receiver = StreamReceiver()
    for sequence, timestamp, arrival in values:
        receiver.receive(RtpPacket(0, sequence, timestamp, 7, b""), arrival)
    seen = receiver.measure()
    assert min(seen.packets, seen.lost, seen.duplicates, seen.reordered) >= 0
    assert seen.packets + seen.duplicates <= len(values)
    block = receiver.report_block(1e9)
    assert block is None or 0 <= block.fraction_lost <= 255
