"""The sender's engine: playing, seeking, stopping, hold, and its successor after a death, with times of the test."""

from __future__ import annotations

import numpy as np
import pytest

from lemonade_media.rtp.sender.engine import SenderEngine
from lemonade_media.rtp.sender.protocol import (
    AddStream,
    ChangeStream,
    ContentFinished,
    ContentSought,
    ContentStarted,
    ContentStopped,
    DropContent,
    LoadContent,
    RemoveStream,
)
from lemonade_media.testing.sender_bench import Bench, steps

MEDIA = (np.arange(80_000) // 160 % 251).astype(np.uint8)  # 10 s; each packet of its own value


def test_a_second_is_fifty_packets_in_step() -> None:
    bench = Bench()
    serial = bench.play(limit_ms=1000)
    bench.run(1.5)
    assert len(bench.sent) == 50
    assert steps(bench.packets()) == [(1, 160)] * 49
    assert np.allclose(np.diff(bench.times()), 0.02)
    assert b"".join(packet.payload for packet in bench.packets()) == MEDIA[:8000].tobytes()
    assert bench.events == [ContentStarted(0, serial), ContentFinished(0, serial, 1000, 1000)]
    assert bench.engine.next_due() is not None, "RTCP goes on while nothing plays"


def test_the_header_octet_by_octet() -> None:
    bench = Bench()
    bench.play()
    while not (batch := bench.engine.advance(bench.now)).rtp:
        bench.now += 0.001
    stream, packet = batch.rtp[0]
    # version 2; marker and PT 0; sequence 65530; timestamp 2^32 - 320; SSRC 7000
    assert bytes(packet[:12]) == bytes.fromhex("80 80 ff fa ff ff fe c0 00 00 1b 58")
    assert (stream, len(packet)) == (0, 172)


def test_the_marker_is_on_the_first_packet_only() -> None:
    bench = Bench()
    bench.play(limit_ms=200)
    bench.run(1)
    assert [packet.marker for packet in bench.packets()] == [True] + [False] * 9


def test_finished_is_told_when_the_last_packet_has_been_heard() -> None:
    bench = Bench()
    bench.play(limit_ms=100)
    while not any(isinstance(event, ContentFinished) for event in bench.events):
        due = bench.engine.next_due()
        assert due is not None
        bench.now = due
        bench.collect()
    assert bench.now - bench.times()[0] == pytest.approx(0.1)


def test_a_short_last_packet_keeps_the_octets_equal() -> None:
    media = bytes(range(250))
    bench = Bench(media=media)
    serial = bench.play()
    bench.run(1)
    assert [len(packet.payload) for packet in bench.packets()] == [160, 90]
    assert b"".join(packet.payload for packet in bench.packets()) == media
    assert bench.events[-1] == ContentFinished(0, serial, 31, 31)


def test_empty_media_and_an_offset_past_the_end_finish_at_once() -> None:
    bench = Bench(media=b"")
    serial = bench.play()
    bench.run(0.1)
    assert (bench.sent, bench.events) == ([], [ContentFinished(0, serial, 0, 0)])
    bench = Bench()
    serial = bench.play(offset_ms=12_000)
    bench.run(0.1)
    assert (bench.sent, bench.events) == ([], [ContentFinished(0, serial, 0, 12_000)])


def test_a_missing_content_is_stopped_at_once_and_unknown_streams_are_ignored() -> None:
    bench = Bench()
    serial = bench.play(content=9)
    bench.play(stream=5)
    bench.seek(1000, stream=5)
    bench.engine.apply(RemoveStream(5), bench.now)
    bench.run(0.1)
    assert bench.events == [ContentStopped(0, serial, 0, 0)]


@pytest.mark.parametrize(("by", "at"), [(4000, 5000), (-400, 600), (-9000, 0)])
def test_a_seek_moves_in_the_content_and_nothing_else(by: int, at: int) -> None:
    bench = Bench()
    serial = bench.play()
    bench.run(1.0)
    sent = len(bench.sent)
    position = sent * 20
    bench.seek(by)
    bench.run(0.5)
    assert set(steps(bench.packets())) == {(1, 160)}
    assert sum(packet.marker for packet in bench.packets()) == 1
    reached = max(position + by, 0)
    assert abs(reached - at) <= 20
    assert bench.packets()[sent].payload[0] == MEDIA[reached * 8]
    assert ContentSought(0, serial, position, reached) in bench.events


def test_a_seek_past_the_end_finishes_there() -> None:
    bench = Bench()
    serial = bench.play(offset_ms=8000)
    bench.run(0.5)
    heard = len(bench.sent) * 20
    bench.seek(6000)
    bench.run(0.1)
    assert bench.events[-2:] == [
        ContentSought(0, serial, 8000 + heard, 10_000),
        ContentFinished(0, serial, heard, 10_000),
    ]
    assert len(bench.sent) * 20 == heard


def test_stop_tells_what_was_heard_and_where_it_stands() -> None:
    bench = Bench()
    serial = bench.play(offset_ms=3000)
    bench.run(0.5)
    bench.stop()
    heard = len(bench.sent) * 20
    bench.run(0.5)
    assert bench.events[-1] == ContentStopped(0, serial, heard, 3000 + heard)
    assert len(bench.sent) * 20 == heard
    bench.stop()
    bench.run(0.1)
    assert len(bench.events) == 2, "stopping silence tells nothing"


def test_a_second_play_takes_over_without_a_gap() -> None:
    bench = Bench()
    first = bench.play()
    bench.run(0.5)
    second = bench.play(offset_ms=5000)
    bench.run(0.5)
    assert [type(event).__name__ for event in bench.events] == ["ContentStarted", "ContentStopped", "ContentStarted"]
    assert [event.serial for event in bench.events] == [first, first, second]
    assert set(steps(bench.packets())) == {(1, 160)}
    assert sum(packet.marker for packet in bench.packets()) == 1


def test_after_silence_the_timestamp_has_gone_on_with_the_clock_and_m_is_set() -> None:
    bench = Bench()
    bench.play(limit_ms=100)
    bench.run(3.0)
    bench.play(limit_ms=100)
    bench.run(1.0)
    sequence, timestamp = steps(bench.packets())[4]
    assert sequence == 1
    assert timestamp / 8000 == pytest.approx(bench.times()[5] - bench.times()[4])
    assert [index for index, packet in enumerate(bench.packets()) if packet.marker] == [0, 5]


def test_streams_play_different_content_from_one_batch() -> None:
    bench = Bench(streams=2, ptime_ms=20)
    other = np.full(1600, 99, np.uint8)
    bench.engine.load(LoadContent(2, 1600), other)
    bench.play(0, 1)
    bench.play(1, 2)
    bench.stall(0.05)  # both are due at once
    bench.run(1)
    assert b"".join(packet.payload for packet in bench.packets(1)) == other.tobytes()
    assert bench.packets(0)[3].payload == MEDIA[480:640].tobytes()


def test_frames_of_a_frame_codec_are_never_cut() -> None:
    bench = Bench(streams=1)
    frames = np.repeat(np.arange(50, dtype=np.uint8), 33)  # GSM: 33 octets every 20 ms
    bench.engine.load(LoadContent(2, len(frames), 33, 20), frames)
    bench.play(0, 2)
    bench.run(0.2)
    bench.seek(305)
    bench.run(0.1)
    assert all(len(packet.payload) == 33 and len(set(packet.payload)) == 1 for packet in bench.packets())


def test_dropped_content_lasts_while_it_plays() -> None:
    bench = Bench()
    bench.play(limit_ms=100)
    bench.engine.apply(DropContent(1), bench.now)
    bench.run(0.5)
    assert len(bench.sent) == 5
    serial = bench.play()
    bench.run(0.1)
    assert bench.events[-1] == ContentStopped(0, serial, 0, 0)


def test_a_successor_goes_on_where_the_table_says() -> None:
    bench = Bench()
    serial = bench.play(limit_ms=3000)
    bench.run(1.0)
    sent = len(bench.sent)
    dead, bench.engine = bench.engine, SenderEngine(bench.table, seed=2)
    assert dead.streams() == [0]
    bench.stall(1.5)
    bench.engine.load(LoadContent(1, len(MEDIA)), MEDIA)
    bench.engine.apply(AddStream(**(vars(bench.stream(0)) | {"resume": True})), bench.now)
    bench.run(4)
    sequence, timestamp = steps(bench.packets())[sent - 1]
    assert sequence == 1
    assert timestamp / 8000 == pytest.approx(1.52, abs=0.021)
    assert b"".join(packet.payload for packet in bench.packets()) == MEDIA[:24_000].tobytes()
    assert bench.events[-1] == ContentFinished(0, serial, 3000, 3000)


def test_paused_and_resumed_at_its_offset_the_content_goes_on_to_the_octet() -> None:
    bench = Bench()
    bench.play()
    bench.run(3.01)
    bench.stop()
    bench.run(0.5)
    stopped = bench.events[-1]
    assert isinstance(stopped, ContentStopped)
    bench.play(offset_ms=stopped.offset_ms)
    bench.run(8)
    assert b"".join(packet.payload for packet in bench.packets()) == MEDIA.tobytes()


def test_a_successor_without_the_media_stops_and_a_strange_row_is_made_new() -> None:
    bench = Bench()
    serial = bench.play()
    bench.run(0.1)
    bench.engine = SenderEngine(bench.table)
    bench.engine.apply(AddStream(**(vars(bench.stream(0)) | {"resume": True})), bench.now)
    bench.run(0.1)
    assert bench.events[-1] == ContentStopped(0, serial, 20 * len(bench.sent), 20 * len(bench.sent))
    bench.engine = SenderEngine(bench.table)
    bench.engine.apply(AddStream(**(vars(bench.stream(0)) | {"resume": True, "ssrc": 1})), bench.now)
    assert (bench.table["packets"][0], bench.table["ssrc"][0]) == (0, 1)


def change(
    bench: Bench, *, held: bool = False, payload_type: int = 0, ptime_ms: int = 20, content: int | None = None
) -> None:
    bench.serial += 1
    to = ("127.0.0.1", 30000)
    command = ChangeStream(0, bench.serial, payload_type, ptime_ms, to, to, held, content)
    bench.engine.apply(command, bench.now)


@pytest.mark.parametrize("seconds", [0.5, 2.0])
def test_on_hold_nothing_is_sent_and_the_playing_pauses(seconds: float) -> None:
    bench = Bench()
    serial = bench.play(limit_ms=1000)
    bench.run(0.5)
    sent = len(bench.sent)
    change(bench, held=True)
    bench.run(seconds)
    assert len(bench.sent) == sent
    change(bench)
    bench.run(1.0)
    packets = bench.packets()
    assert b"".join(packet.payload for packet in packets) == MEDIA[:8000].tobytes()
    assert bench.events == [ContentStarted(0, serial), ContentFinished(0, serial, 1000, 1000)]
    assert np.allclose(np.diff(bench.times()[sent:]), 0.02), "nothing is caught up with"
    # The clock of the timestamps went on, and M is set after the gap.
    sequence, timestamp = steps(packets)[sent - 1]
    assert sequence == 1
    assert timestamp / 8000 == pytest.approx(bench.times()[sent] - bench.times()[sent - 1])
    assert [index for index, packet in enumerate(packets) if packet.marker] == [0, sent]
    assert {packet.ssrc for packet in packets} == {7000}


def test_a_playing_started_on_hold_begins_after_it() -> None:
    bench = Bench()
    change(bench, held=True)
    serial = bench.play(limit_ms=100)
    bench.run(1.0)
    assert bench.sent == []
    change(bench)
    bench.run(1.0)
    assert len(bench.sent) == 5
    assert bench.events == [ContentStarted(0, serial), ContentFinished(0, serial, 100, 100)]


def test_on_hold_a_playing_may_be_moved_and_stopped() -> None:
    bench = Bench()
    serial = bench.play()
    bench.run(0.1)
    played = 20 * len(bench.sent)
    change(bench, held=True)
    bench.seek(4000)
    bench.stop()
    bench.run(0.1)
    assert bench.events[1:] == [
        ContentSought(0, serial, played, played + 4000),
        ContentStopped(0, serial, played, played + 4000),
    ]


def test_another_encoding_goes_on_at_the_same_place() -> None:
    bench = Bench()
    other = 255 - MEDIA
    bench.engine.load(LoadContent(2, len(other)), other)
    bench.play(limit_ms=1000)
    bench.run(0.5)
    sent = len(bench.sent)
    change(bench, payload_type=8, content=2)
    bench.engine.apply(DropContent(1), bench.now)
    bench.run(1.0)
    packets = bench.packets()
    assert steps(packets) == [(1, 160)] * 49
    assert [packet.payload_type for packet in packets] == [0] * sent + [8] * (50 - sent)
    assert b"".join(packet.payload for packet in packets[sent:]) == other[160 * sent : 8000].tobytes()


def test_longer_packets_go_on_without_a_gap() -> None:
    bench = Bench()
    bench.play(limit_ms=1000)
    bench.run(0.5)
    change(bench, ptime_ms=40)
    bench.run(1.0)
    packets = bench.packets()
    assert b"".join(packet.payload for packet in packets) == MEDIA[:8000].tobytes()
    assert [step for step, _ in steps(packets)] == [1] * (len(packets) - 1)
    assert [timestamp for _, timestamp in steps(packets)[-5:]] == [320] * 5


def test_a_successor_keeps_what_is_on_hold() -> None:
    bench = Bench()
    bench.play(limit_ms=1000)
    bench.run(0.5)
    sent = len(bench.sent)
    change(bench, held=True)
    bench.engine = SenderEngine(bench.table, seed=2)
    bench.engine.load(LoadContent(1, len(MEDIA)), MEDIA)
    bench.engine.apply(AddStream(**(vars(bench.stream(0)) | {"resume": True})), bench.now)
    bench.run(1)
    assert len(bench.sent) == sent
    change(bench)
    bench.run(1)
    assert b"".join(packet.payload for packet in bench.packets()) == MEDIA[:8000].tobytes()
