"""Keys in RTP: the tables of RFC 4733, packets that are lost or reordered, and deviations of other senders."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_wire.rtp.packet import RtpError, RtpPacket
from lemonade_wire.rtp.telephone_event import (
    LAPSE_SECONDS,
    EventReport,
    KeyEvent,
    KeyPressed,
    KeyReceiver,
    KeyReleased,
    packets_of,
    read_reports,
)
from lemonade_wire.sip.message.dtmf import KEYS

# RFC 4733, table 5: time in ms, marker, timestamp, sequence number, event, duration, end. The rows that the table
# leaves out are those between their neighbours.
TABLE_5 = [
    *((50 * n, n == 1, 0, n, 9, 400 * n, False) for n in range(1, 5)),
    (250, False, 0, 5, 9, 1600, True),
    (300, False, 0, 6, 9, 1600, True),
    *((880 + 50 * n, n == 1, 7040, 6 + n, 1, 400 * n, False) for n in range(1, 6)),
    (1180, False, 7040, 12, 1, 2000, True),
    (1230, False, 7040, 13, 1, 2000, True),
    *((1400 + 50 * n, n == 1, 11200, 13 + n, 1, 400 * n, False) for n in range(1, 5)),
    *((1600 + 50 * n, False, 11200, 17 + n, 1, 1760, True) for n in range(1, 4)),
]
SSRC = 0x5234A8


def packet(
    reports: bytes, timestamp: int = 0, sequence: int = 1, *, marker: bool = False, ssrc: int = SSRC
) -> RtpPacket:
    return RtpPacket(100, sequence % 0x10000, timestamp % 2**32, ssrc, reports, marker)


def report(event: int, duration: int, *, end: bool = False, volume: int = 20) -> bytes:
    """Return the four octets of section 2.3, written by hand."""
    return bytes([event, (0x80 if end else 0) | volume, duration >> 8, duration & 0xFF])


def table_packet(row: tuple[int, bool, int, int, int, int, bool]) -> tuple[float, RtpPacket]:
    ms, marker, timestamp, sequence, event, duration, end = row
    return ms / 1000, packet(report(event, duration, end=end), timestamp, sequence, marker=marker)


def hear(arriving: list[tuple[float, RtpPacket]], receiver: KeyReceiver | None = None) -> list[KeyEvent]:
    """Give packets to a receiver at their times, and let its timers end; returns the events."""
    receiver = receiver or KeyReceiver()
    events = [event for now, one in arriving for event in receiver.receive(one, now)]
    while (due := receiver.next_timer()) is not None:
        events += receiver.handle_timer(due)
    return events


def keys(events: list[KeyEvent]) -> str:
    return "".join(event.key for event in events if isinstance(event, KeyPressed))


def held(events: list[KeyEvent]) -> list[tuple[str, float]]:
    return [(event.key, event.held_ms) for event in events if isinstance(event, KeyReleased)]


# -- payload -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("octets", "reports"),
    [
        ("068a0640", (EventReport(6, 1600, end=True, volume=10),)),
        ("0a0a00a0", (EventReport(10, 160, end=False, volume=10),)),
        ("019406e0", (EventReport(1, 1760, end=True, volume=20),)),  # RFC 4733, figure 3
        ("0fbfffff", (EventReport(15, 0xFFFF, end=True, volume=63),)),
        ("10000000", (EventReport(16, 0, end=False, volume=0),)),
        ("09940190 01140190", (EventReport(9, 400, end=True, volume=20), EventReport(1, 400, end=False, volume=20))),
    ],
)
def test_payloads_are_read_and_written(octets: str, reports: tuple[EventReport, ...]) -> None:
    assert read_reports(bytes.fromhex(octets)) == reports
    assert b"".join(map(bytes, reports)) == bytes.fromhex(octets)


def test_the_reserved_bit_is_ignored() -> None:
    assert read_reports(bytes.fromhex("06ca0640")) == read_reports(bytes.fromhex("068a0640"))


def test_keys_are_the_codes_of_table_3() -> None:
    assert "".join(EventReport(code, 1).key or "-" for code in range(18)) == "0123456789*#ABCD--"


@pytest.mark.parametrize("octets", [b"", b"\x06", b"\x06\x8a\x06", b"\x06\x8a\x06\x40\x00"])
def test_malformed_payloads_are_refused_and_report_no_key(octets: bytes) -> None:
    with pytest.raises(RtpError, match="4 for each"):
        read_reports(octets)
    assert KeyReceiver().receive(packet(octets), 0.0) == []


# -- sending -----------------------------------------------------------------------------------------------------------


def test_a_press_is_sent_as_in_table_5() -> None:
    sent = [(1400 + one.after_ms, one.marker, one.ticks, read_reports(one.payload)[0]) for one in packets_of("1", 220)]
    rows = [row for row in TABLE_5 if row[2] == 11200]
    assert [(ms, marker, ticks, told.event, told.duration, told.end) for ms, marker, ticks, told in sent] == [
        (ms, marker, 0, event, duration, end) for ms, marker, _, _, event, duration, end in rows
    ]


def test_a_press_of_less_than_an_update_is_its_end_alone() -> None:
    sent = list(packets_of("*", 20))
    assert [(one.after_ms, one.marker) for one in sent] == [(50, True), (100, False), (150, False)]
    assert {one.payload for one in sent} == {bytes.fromhex("0a8a00a0")}


def test_a_long_press_is_sent_in_segments() -> None:
    sent = list(packets_of("5", 20_000))
    stamps = sorted({one.ticks for one in sent})
    assert stamps == [0, 0xFFFF, 2 * 0xFFFF]
    assert [one.marker for one in sent].count(True) == 1
    told = {stamp: [read_reports(one.payload)[0] for one in sent if one.ticks == stamp] for stamp in stamps}
    # sections 2.5.1.3, 2.5.1.4: a segment ends with its full duration, without E, three times
    for stamp in stamps[:2]:
        assert [one.duration for one in told[stamp]].count(0xFFFF) == 3
        assert not any(one.end for one in told[stamp])
    assert [one.duration for one in told[stamps[2]] if one.end] == [160_000 - 2 * 0xFFFF] * 3
    for durations in ([one.duration for one in told[stamp]] for stamp in stamps):
        assert all(before <= after for before, after in pairwise(durations))


# -- receiving ---------------------------------------------------------------------------------------------------------


def test_table_5_is_three_keys_with_time_and_duration() -> None:
    events = hear([table_packet(row) for row in TABLE_5])
    assert [(event.key, round(event.at, 6)) for event in events if isinstance(event, KeyPressed)] == [
        ("9", 0.0),
        ("1", 0.88),
        ("1", 1.4),
    ]
    assert held(events) == [("9", 200.0), ("1", 250.0), ("1", 220.0)]


def test_a_press_is_reported_at_its_first_packet_and_its_release_at_its_first_end() -> None:
    receiver = KeyReceiver()
    heard = [receiver.receive(one, now) for now, one in map(table_packet, TABLE_5[:6])]
    assert heard == [[KeyPressed("9", 0.0)], [], [], [], [KeyReleased("9", 200.0)], []]


@pytest.mark.parametrize("place", range(6))
def test_one_packet_of_a_press_is_enough(place: int) -> None:
    (now, one), duration = table_packet(TABLE_5[place]), TABLE_5[place][5]
    events = hear([(now, one)])
    assert events == [KeyPressed("9", now - duration / 8000), KeyReleased("9", duration / 8)]


def test_a_press_whose_ends_are_lost_is_released_by_time_and_not_pressed_again() -> None:
    receiver = KeyReceiver()
    for now, one in map(table_packet, TABLE_5[:2]):
        receiver.receive(one, now)
    assert receiver.next_timer() == pytest.approx(0.1 + LAPSE_SECONDS)
    assert receiver.handle_timer(0.24) == []
    assert receiver.handle_timer(0.26) == [KeyReleased("9", 100.0)]
    assert receiver.receive(table_packet(TABLE_5[5])[1], 0.3) == []


def test_a_press_without_its_end_ends_with_the_next_one() -> None:
    events = hear([table_packet(row) for row in TABLE_5 if not row[6] and row[2] < 11200])
    assert keys(events) == "91"
    assert held(events) == [("9", 200.0), ("1", 250.0)]
    one, next_one = packet(report(9, 400), 0), packet(report(1, 80), 560, 2, marker=True)
    assert hear([(0.05, one), (0.08, next_one)])[1:3] == [KeyReleased("9", 50.0), KeyPressed("1", 0.07)]


def test_the_end_may_come_first_and_everything_twice() -> None:
    arriving = [table_packet(row) for row in TABLE_5]
    assert keys(hear([*reversed(arriving[:6]), *reversed(arriving[6:])])) == "911"
    assert keys(hear([one for one in arriving for _ in range(2)])) == "911"


def test_the_timestamp_and_the_sequence_number_wrap() -> None:
    start = 2**32 - 800
    arriving = [
        (0.05 * n, packet(report(7, 400 * n, end=n > 4), start, 0xFFFE + n, marker=n == 1)) for n in range(1, 7)
    ]
    arriving += [(1.0, packet(report(7, 400, end=True), start + 4000, 5, marker=True))]
    assert keys(hear(arriving)) == "77"
    long = [packet(report(7, 0xFFFF), start, 1, marker=True), packet(report(7, 80, end=True), start + 0xFFFF, 2)]
    assert held(hear([(0.0, one) for one in long])) == [("7", (0xFFFF + 80) / 8)]


@pytest.mark.parametrize("kept", ["first", "last", "none of the first", "reversed"])
def test_a_long_press_is_one_whatever_is_left_of_it(kept: str) -> None:
    sent = list(packets_of("5", 20_000))
    arriving = [
        (one.after_ms / 1000, packet(one.payload, one.ticks + 1000, number, marker=one.marker))
        for number, one in enumerate(sent)
    ]
    if kept == "none of the first":
        arriving = [one for one in arriving if one[1].timestamp > 1000]
    if kept == "reversed":
        arriving.reverse()
    arriving = {"first": arriving[:1], "last": arriving[-1:]}.get(kept, arriving)
    events = hear(arriving)
    assert keys(events) == "5"
    if kept == "reversed":
        return  # the end was reported when it arrived, before the other packets
    whole = {"first": 50.0, "last": 20_000 - 2 * 0xFFFF / 8, "none of the first": 20_000 - 0xFFFF / 8}
    assert held(events) == [("5", whole[kept])]


def test_segments_in_any_order_make_the_whole_length() -> None:
    second, first = packet(report(5, 400), 0xFFFF, 9), packet(report(5, 0xFFFF), 0, 8, marker=True)
    end = packet(report(5, 800, end=True), 0xFFFF, 10)
    events = hear([(8.2, second), (8.21, first), (8.3, end)])
    assert keys(events) == "5"
    assert held(events) == [("5", (0xFFFF + 800) / 8)]


def test_a_key_that_has_ended_has_no_further_segment() -> None:
    arriving = [(0.05, packet(report(5, 400, end=True), 0, 1)), (8.3, packet(report(5, 400), 0xFFFF, 9))]
    assert keys(hear(arriving)) == "55"


def test_a_key_without_a_pause_before_it_is_marked_as_new() -> None:
    assert (
        keys(hear([(0.05, packet(report(5, 400), 0, 1)), (0.1, packet(report(5, 400), 400, 2, marker=True))])) == "55"
    )


def test_the_end_of_a_segment_goes_with_the_beginning_of_the_next_key() -> None:
    both = report(5, 400, end=True) + report(6, 400, end=True)
    arriving = [(8.2, packet(report(5, 0xFFFF), 0, 1)), (8.3, packet(both, 0xFFFF, 2, marker=True))]
    assert keys(hear(arriving)) == "56"


def test_several_events_in_a_packet_follow_each_other() -> None:
    # section 2.5.1.5: contiguous, the timestamp that of the first
    both = report(9, 400, end=True) + report(1, 800, end=True)
    last = report(1, 800, end=True)
    events = hear([(0.2, packet(both, 1000, 1, marker=True)), (0.25, packet(last, 1400, 2))])
    assert [type(event).__name__ + event.key for event in events] == [
        *("KeyPressed9", "KeyReleased9"),
        *("KeyPressed1", "KeyReleased1"),
    ]
    assert held(events) == [("9", 50.0), ("1", 100.0)]
    same = report(3, 400, end=True) + report(3, 400, end=True)
    assert keys(hear([(0.1, packet(same, 0, 1, marker=True))])) == "33"


@pytest.mark.parametrize("reports", [report(16, 400), report(255, 400, end=True), report(5, 0), report(5, 0, end=True)])
def test_events_without_key_or_duration_are_ignored(reports: bytes) -> None:
    assert hear([(0.0, packet(reports, marker=True))]) == []


@pytest.mark.parametrize("volume", [0, 63])
def test_volume_is_ignored(volume: int) -> None:
    assert keys(hear([(0.0, packet(report(5, 400, volume=volume)))])) == "5"


def test_a_sender_that_moves_the_timestamp_within_an_event_presses_once() -> None:
    arriving = [
        (0.02 * n, packet(report(5, 160 * n, end=n > 6), 160 * (n - 1), n, marker=n == 1)) for n in range(1, 10)
    ]
    assert keys(hear(arriving)) == "5"


def test_a_sender_that_never_marks_presses_each_time() -> None:
    arriving = [table_packet((row[0], False, *row[2:])) for row in TABLE_5]
    assert keys(hear(arriving)) == "911"


def test_another_key_at_the_same_timestamp_is_another_press() -> None:
    assert keys(hear([(0.0, packet(report(code, 400, end=True), 0, code)) for code in (1, 2, 3)])) == "123"


def test_presses_of_another_source_are_separate() -> None:
    assert keys(hear([(0.0, packet(report(5, 400, end=True), ssrc=one)) for one in (1, 2)])) == "55"


def test_a_timestamp_of_long_ago_is_a_new_press() -> None:
    receiver = KeyReceiver()
    for second in range(0, 300, 100):
        assert keys(receiver.receive(packet(report(5, 400, end=True), 0, second), second)) == "5"


# -- any loss, any order -----------------------------------------------------------------------------------------------

PRESS = st.tuples(st.sampled_from(KEYS), st.integers(1, 700), st.integers(0, 400))


@st.composite
def dialled(draw: st.DrawFn) -> tuple[str, list[list[tuple[float, RtpPacket]]]]:
    """Keys pressed one after the other: which, and the packets of each with their times."""
    presses = draw(st.lists(PRESS, min_size=1, max_size=6))
    now, sequence = draw(st.integers(0, 600_000)), draw(st.integers(0, 0xFFFF))
    written = []
    for key, held_ms, pause_ms in presses:
        packets = []
        for one in packets_of(key, held_ms):
            sequence += 1
            numbers = packet(one.payload, 8 * now + one.ticks + 2**32 - 2_400_000, sequence, marker=one.marker)
            packets.append(((now + one.after_ms) / 1000, numbers))
        written.append(packets)
        now += held_ms + pause_ms
    return "".join(key for key, _, _ in presses), written


@settings(deadline=None)
@given(dialled(), st.data())
def test_any_loss_that_leaves_a_packet_of_each_press_gives_each_key_once(
    dialling: tuple[str, list[list[tuple[float, RtpPacket]]]], data: st.DataObject
) -> None:
    pressed, written = dialling
    left = [data.draw(st.lists(st.sampled_from(packets), min_size=1, max_size=8)) for packets in written]
    arriving = sorted((one for packets in left for one in packets), key=lambda one: (one[0], one[1].timestamp))
    assert sorted(keys(hear(arriving))) == sorted(pressed)


@settings(deadline=None)
@given(dialled(), st.randoms(use_true_random=False), st.floats(0, 0.3))
def test_any_order_within_a_window_gives_each_key_once(
    dialling: tuple[str, list[list[tuple[float, RtpPacket]]]], order: random.Random, window: float
) -> None:
    pressed, written = dialling
    late = [(now + order.uniform(0, window), one) for packets in written for now, one in packets]
    assert sorted(keys(hear(sorted(late, key=lambda one: one[0])))) == sorted(pressed)


@settings(deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=12), st.integers(0, 2**32 - 1), st.booleans()), max_size=20))
def test_no_packet_makes_a_receiver_raise(packets: list[tuple[bytes, int, bool]]) -> None:
    arriving = [
        (float(number), packet(octets, stamp, number, marker=marker))
        for number, (octets, stamp, marker) in enumerate(packets)
    ]
    assert all(event.key in KEYS for event in hear(arriving))
