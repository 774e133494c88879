"""The times of the sender's packets: no burst, none early, and timestamps that follow the time."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lemonade_media.rtp.sender.protocol import ContentFinished, ContentStopped
from lemonade_media.testing.sender_bench import Bench, steps


def burst(times: list[float]) -> int:
    """Return the greatest number of packets within 5 ms."""
    return max(sum(0 <= other - time <= 0.005 for other in times) for time in times)


@pytest.mark.parametrize("stall", [0.03, 0.1, 0.5, 0.999, 1.5])
def test_no_burst_after_a_stall_and_none_early(stall: float) -> None:
    bench = Bench()
    bench.play()
    bench.run(1.0)
    bench.stall(stall)
    bench.run(2.0)
    assert burst(bench.times()) == 1
    assert min(np.diff(bench.times())) >= 0.01 - 1e-9
    start, first = bench.times()[0], bench.packets()[0].timestamp
    late = [
        time - start - (packet.timestamp - first) % 2**32 / 8000
        for time, packet in zip(bench.times(), bench.packets(), strict=True)
    ]
    assert min(late) > -0.001
    assert late[-1] < 0.001, "it has caught up"
    assert {sequence for sequence, _ in steps(bench.packets())} == {1}
    gaps = [timestamp for _, timestamp in steps(bench.packets()) if timestamp != 160]
    if stall <= 1:
        assert not gaps
        assert len(bench.sent) == pytest.approx((3 + stall) * 50, abs=1)
    else:
        assert len(gaps) == 1
        assert gaps[0] / 8000 == pytest.approx(stall, abs=0.041)
        assert sum(packet.marker for packet in bench.packets()) == 2


def test_the_mean_rate_holds_under_jittery_waking() -> None:
    bench = Bench(start=77.7777)
    bench.play()
    rng = np.random.default_rng(1)
    while bench.now < 77.7777 + 9:
        bench.now += rng.uniform(0.0001, 0.015)
        bench.collect()
    count = len(bench.sent) - 1
    assert count / (bench.times()[-1] - bench.times()[0]) == pytest.approx(50, rel=0.005)
    assert burst(bench.times()) <= 2


def test_five_hundred_streams_are_spread_over_the_milliseconds() -> None:
    bench = Bench(streams=500)
    for stream in range(500):
        bench.play(stream)
    bench.run(0.0999)
    per_tick = Counter(round(time * 1000) for time in (time for time, _, _ in bench.sent))
    assert max(per_tick.values()) == 25
    per_stream = defaultdict(list)
    for time, stream, _ in bench.sent:
        per_stream[stream].append(time)
    assert {len(times) for times in per_stream.values()} <= {4, 5}
    assert all(np.allclose(np.diff(times), 0.02) for times in per_stream.values())


@pytest.mark.parametrize("ptime", [10, 30, 40, 60])
def test_other_packet_times(ptime: int) -> None:
    bench = Bench(ptime_ms=ptime)
    bench.play(limit_ms=1200)
    bench.run(2)
    assert len(bench.sent) == 1200 // ptime
    assert set(steps(bench.packets())) == {(1, ptime * 8)}
    assert np.allclose(np.diff(bench.times()), ptime / 1000)


def test_the_faults_reset_the_timestamp_and_burst() -> None:
    bench = Bench(reset_on_seek=1)
    bench.play()
    bench.run(1)
    first = bench.packets()[0].timestamp
    sent = len(bench.sent)
    bench.seek(1000)
    bench.run(0.1)
    assert bench.packets()[sent].timestamp == first
    assert {sequence for sequence, _ in steps(bench.packets())} == {1}
    bench = Bench(burst=5)
    bench.play(limit_ms=1000)
    bench.run(2)
    assert burst(bench.times()) == 5
    assert len(bench.sent) == 50
    assert set(steps(bench.packets())) == {(1, 160)}


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("run"), st.floats(0, 0.4)),
        st.tuples(st.just("stall"), st.floats(0, 1.6)),
        st.tuples(st.just("play"), st.integers(0, 11_000)),
        st.tuples(st.just("seek"), st.integers(-3000, 3000)),
        st.tuples(st.just("stop"), st.just(0)),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(ACTIONS)
@example([("play", 0), ("stall", 0.1875), ("run", 0.25)])  # woken within a millisecond
def test_whatever_happens_the_timeline_is_the_clock(actions: list[tuple[str, float]]) -> None:
    bench = Bench()
    plays = 0
    for name, value in actions:
        if name == "play":
            bench.play(offset_ms=int(value))
            plays += 1
        elif name == "seek":
            bench.seek(int(value))
        elif name == "stop":
            bench.stop()
        elif name == "stall":
            bench.stall(value)
        else:
            bench.run(value)
    bench.stop()
    bench.run(0.1)
    assert sum(isinstance(event, ContentFinished | ContentStopped) for event in bench.events) == plays
    if not bench.sent:
        return
    start, first = bench.times()[0], bench.packets()[0]
    for number, (time, packet) in enumerate(zip(bench.times(), bench.packets(), strict=True)):
        assert packet.sequence == (first.sequence + number) % 2**16
        late = time - start - (packet.timestamp - first.timestamp) % 2**32 / 8000
        assert late + 1 >= -0.021, "no packet long before its slot: the first one may have been a second late itself"
        assert late <= 1.021
    assert all(gap >= 0.01 - 1e-9 for gap in np.diff(bench.times()))
