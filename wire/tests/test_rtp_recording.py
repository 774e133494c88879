"""PCM from received RTP packets."""

from __future__ import annotations

import numpy as np

from lemonade_wire.rtp.g711 import decode_ulaw
from lemonade_wire.rtp.packet import RtpPacket
from lemonade_wire.rtp.recording import Recording

START = 2**32 - 320


def packet(number: int, ssrc: int = 7, start: int = START) -> RtpPacket:
    return RtpPacket(0, number % 2**16, (start + 160 * number) % 2**32, ssrc, bytes([number % 100]) * 160)


def record(*packets: RtpPacket) -> Recording:
    recording = Recording(decode_ulaw)
    for one in packets:
        recording.add(one)
    return recording


def test_packets_in_any_order_over_the_wrap_make_one_timeline() -> None:
    recording = record(*(packet(n) for n in (0, 2, 1, 4, 3, 3)))
    (segment,) = recording.segments()
    assert (segment.ssrc, segment.first_timestamp, segment.gaps) == (7, START, ())
    assert recording.payload() == b"".join(bytes([n]) * 160 for n in range(5))
    assert np.array_equal(recording.timeline(), decode_ulaw(recording.payload()))
    assert recording.seconds == 0.1


def test_a_gap_is_silence_of_its_length() -> None:
    recording = record(packet(0), packet(3))
    (segment,) = recording.segments()
    assert segment.gaps == ((160, 320),)
    assert len(segment.samples) == 640
    assert not segment.samples[160:480].any()
    assert segment.samples[480:].tolist() == decode_ulaw(bytes([3]) * 160).tolist()
    assert recording.seconds == 0.04


def test_a_packet_before_the_first_belongs_before_it() -> None:
    recording = record(packet(1), packet(0))
    assert recording.segments()[0].first_timestamp == START
    assert recording.payload()[:1] == b"\0"


def test_another_source_or_a_timestamp_set_back_begins_a_segment() -> None:
    recording = record(packet(0), packet(100), packet(0, start=START - 160_000), packet(1, ssrc=8), packet(2, ssrc=8))
    assert [(segment.ssrc, len(segment.samples)) for segment in recording.segments()] == [
        (7, 16_160),
        (7, 160),
        (8, 320),
    ]
    assert len(recording.timeline()) == 16_640


def test_a_jump_of_hours_uses_no_memory() -> None:
    recording = record(packet(0), packet(0, start=START + 2**31 - 1))
    assert len(recording.timeline()) == 320


def test_an_empty_packet_records_nothing() -> None:
    recording = record(RtpPacket(0, 1, 1, 1, b""))
    assert (recording.segments(), len(recording.timeline()), recording.payload(), recording.seconds) == ((), 0, b"", 0)
