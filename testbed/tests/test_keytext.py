"""Keys in RTP: the judge's reader of telephone-events, compared with the receiver of the nodes."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_testbed.ladder.keytext import KEYS, KeyReport, PressReader, read_reports
from lemonade_wire.rtp.packet import RtpPacket
from lemonade_wire.rtp.telephone_event import KeyPressed, KeyReceiver, packets_of

Sent = tuple[int, int, bytes, bool]
"""A packet: sequence number, timestamp, payload, marker."""


def sent(keys: str, held_ms: int, *, start: int = 1000, seq: int = 1, gap: int = 8000) -> list[Sent]:
    """Return the packets of presses, one after another, as a node sends them."""
    packets = []
    for key in keys:
        for one in packets_of(key, held_ms):
            packets.append((seq % 65536, (start + one.ticks) % (1 << 32), one.payload, one.marker))
            seq += 1
        start += held_ms * 8 + gap
    return packets


def pressed(packets: list[Sent]) -> str:
    reader = PressReader()
    return "".join(
        key for seq, ts, payload, marker in packets for key in reader.read(7, seq, ts, payload, marker=marker)
    )


def test_a_report_is_read() -> None:
    assert read_reports(bytes.fromhex("0b8a0320")) == (KeyReport(11, True, 800),)
    assert read_reports(bytes.fromhex("0b8a0320040a0190"))[1].key == "4"
    assert read_reports(bytes.fromhex("100a0190"))[0].key == ""
    assert read_reports(bytes.fromhex("0b8a03")) == read_reports(b"") == ()


@pytest.mark.parametrize("held_ms", [40, 100, 9000, 20000])
@pytest.mark.parametrize("start", [1000, (1 << 32) - 900])
def test_each_press_counts_once(held_ms: int, start: int) -> None:
    packets = sent(KEYS + "55", held_ms, start=start, seq=65530)
    assert pressed(packets) == KEYS + "55"
    assert pressed([packet for packet in packets for _ in range(2)]) == KEYS + "55"


def test_states_without_a_duration_and_events_that_are_no_keys_press_nothing() -> None:
    assert pressed([(1, 0, bytes.fromhex("05000000"), True), (2, 0, bytes.fromhex("ff0a0190"), True)]) == ""


def test_several_events_of_one_packet_begin_where_the_one_before_ends() -> None:
    both = bytes.fromhex("058a0320068a0320")
    assert pressed([(1, 0, both, True), (2, 0, both, False), (3, 800, bytes.fromhex("068a0320"), False)]) == "56"


def test_a_timestamp_that_moves_within_an_event_is_no_new_press() -> None:
    moving = [(n, n * 400, bytes.fromhex("050a0190"), n == 0) for n in range(5)]
    assert pressed(moving) == "5"


@given(st.text(alphabet=KEYS, min_size=1, max_size=5), st.sampled_from([60, 130, 9000]), st.randoms())
def test_it_agrees_with_the_nodes_receiver_whatever_is_lost(keys: str, held: int, chance: random.Random) -> None:
    packets = [packet for packet in sent(keys, held) if chance.random() < 0.7]
    for place in range(len(packets) - 1):
        if chance.random() < 0.3:
            packets[place], packets[place + 1] = packets[place + 1], packets[place]
    receiver = KeyReceiver()
    theirs = [
        event.key
        for place, (seq, ts, payload, marker) in enumerate(packets)
        for event in receiver.receive(RtpPacket(101, seq, ts, 7, payload, marker), place * 0.05)
        if isinstance(event, KeyPressed)
    ]
    assert pressed(packets) == "".join(theirs)
