"""Repetitions, the silence between them, and the limit of the whole: slots with packets, and the end of a playing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_media.rtp.sender.engine import SenderEngine
from lemonade_media.rtp.sender.protocol import AddStream, ContentFinished, ContentStarted, LoadContent
from lemonade_media.testing.sender_bench import Bench

MEDIA = (np.arange(80_000) // 160 % 251).astype(np.uint8)  # 10 s; each packet of its own value


def slots(bench: Bench) -> list[int]:
    """Return the times of all packets, in packet times from the first one."""
    return [round((time - bench.times()[0]) / 0.02) for time in bench.times()]


def over(bench: Bench) -> int:
    """Run until the playing ends; returns the time of its end, in ms from the first packet."""
    while not any(isinstance(event, ContentFinished) for event in bench.events):
        due = bench.engine.next_due()
        assert due is not None
        bench.now = max(bench.now, due)
        bench.collect()
    return round((bench.now - bench.times()[0]) * 1000)


def test_repetitions_follow_in_the_next_slot() -> None:
    bench = Bench(media=bytes(480))
    serial = bench.play(plays=3)
    assert over(bench) == 180
    assert slots(bench) == list(range(9))
    assert [packet.marker for packet in bench.packets()] == [True] + [False] * 8
    assert bench.events == [ContentStarted(0, serial), ContentFinished(0, serial, 180, 60)]


def test_silence_is_a_gap_in_the_stream_and_no_sound() -> None:
    bench = Bench(media=bytes(480))
    serial = bench.play(plays=2, delay_ms=100)
    assert over(bench) == 220
    assert slots(bench) == [0, 1, 2, 8, 9, 10]
    assert [packet.marker for packet in bench.packets()] == [True, False, False, True, False, False]
    assert [packet.timestamp - bench.packets()[0].timestamp & 0xFFFFFFFF for packet in bench.packets()] == [
        160 * slot for slot in slots(bench)
    ]
    assert len({packet.sequence for packet in bench.packets()}) == 6
    assert bench.events[-1] == ContentFinished(0, serial, 120, 60)


def test_only_the_first_playing_begins_at_the_offset() -> None:
    bench = Bench()
    bench.play(offset_ms=9960, plays=2)
    bench.run(0.2)
    assert b"".join(packet.payload for packet in bench.packets())[: 5 * 160] == (
        MEDIA[9960 * 8 :].tobytes() + MEDIA[: 3 * 160].tobytes()
    )


@pytest.mark.parametrize(("limit", "ends", "packets"), [(60, 60, 3), (100, 100, 3), (159, 159, 3), (161, 180, 4)])
def test_the_limit_counts_silence(limit: int, ends: int, packets: int) -> None:
    bench = Bench(media=bytes(480))
    bench.play(limit_ms=limit, plays=None, delay_ms=100)
    assert (over(bench), len(bench.sent)) == (ends, packets)


def test_a_skip_past_the_end_completes_one_repetition() -> None:
    bench = Bench()
    serial = bench.play(plays=2, delay_ms=100)
    bench.run(1)
    heard = len(bench.sent)
    bench.seek(20_000)
    bench.run(1)
    assert not any(isinstance(event, ContentFinished) for event in bench.events)
    assert slots(bench)[heard] == heard + 5
    assert bench.packets()[heard].payload == MEDIA[:160].tobytes()
    bench.seek(20_000)
    bench.run(1)
    assert bench.events[-1] == ContentFinished(0, serial, 20 * len(bench.sent), 10_000)


def test_an_empty_content_is_not_repeated_without_end() -> None:
    bench = Bench(media=b"")
    serial = bench.play(plays=None)
    bench.run(0.1)
    assert bench.events == [ContentFinished(0, serial, 0, 0)]


def test_a_stop_in_the_silence_ends_the_playing() -> None:
    bench = Bench(media=bytes(480))
    bench.play(plays=None, delay_ms=5000)
    bench.run(2)
    bench.stop()
    bench.run(10)
    assert len(bench.sent) == 3
    assert bench.table["state"][0] == 3


def test_a_successor_continues_the_repetitions() -> None:
    bench = Bench(media=bytes(480))
    serial = bench.play(plays=4, delay_ms=100)
    bench.run(0.25)
    bench.engine = SenderEngine(bench.table, seed=2)
    bench.engine.load(LoadContent(1, 480), MEDIA[:480])
    bench.engine.apply(AddStream(**(vars(bench.stream(0)) | {"resume": True})), bench.now)
    bench.run(2)
    assert slots(bench) == [start + step for start in (0, 8, 16, 24) for step in range(3)]
    assert bench.events[-1] == ContentFinished(0, serial, 240, 60)


@settings(deadline=None, max_examples=60)
@given(
    octets=st.integers(1, 1200),
    plays=st.integers(1, 4) | st.none(),
    delay_ms=st.integers(0, 130),
    limit_ms=st.integers(1, 700),
)
def test_a_playing_ends_at_its_length_or_limit_within_a_packet(
    octets: int, plays: int | None, delay_ms: int, limit_ms: int
) -> None:
    bench = Bench(media=bytes(octets))
    bench.play(limit_ms=limit_ms, plays=plays, delay_ms=delay_ms)
    ended = over(bench)
    length = -(-octets // 160) * 20
    asked = limit_ms if plays is None else min(limit_ms, plays * length + (plays - 1) * delay_ms)
    rounding = 20 if plays is None else 20 * plays  # a packet for every silence, and one for the end
    assert asked - 20 < ended < asked + rounding
    assert ended < limit_ms + 20
