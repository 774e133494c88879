from __future__ import annotations

from twisted.internet.task import Clock

from lemonade_imap.watch import Watch


class Connection:
    """Ends at a time that may be put off."""

    def __init__(self, watched: set[Connection], ends: float) -> None:
        self.ends = ends
        self.said: bytes | None = None
        self._watched = watched
        watched.add(self)

    def due(self) -> tuple[float, bytes]:
        return self.ends, b"too late"

    def end(self, last_words: bytes) -> None:
        self.said = last_words
        self._watched.discard(self)


def watching(*ends: float) -> tuple[Clock, Watch, list[Connection]]:
    clock, watched = Clock(), set[Connection]()
    watch = Watch(clock, watched)
    connections = [Connection(watched, at) for at in ends]
    for connection in connections:
        watch.expect(connection.ends)
    return clock, watch, connections


def test_each_ends_at_its_time_and_one_timer_serves_all() -> None:
    clock, _, (late, early) = watching(100, 10)
    assert len(clock.getDelayedCalls()) == 1
    clock.advance(9.9)
    assert (late.said, early.said) == (None, None)
    clock.advance(0.1)
    assert (late.said, early.said) == (None, b"too late")
    assert len(clock.getDelayedCalls()) == 1
    clock.advance(90)
    assert late.said == b"too late"
    assert clock.getDelayedCalls() == []


def test_what_is_put_off_lives_on() -> None:
    clock, _, (one,) = watching(10)
    one.ends = 25
    clock.advance(10)
    assert one.said is None
    clock.advance(15)
    assert one.said == b"too late"


def test_looks_are_a_second_apart_at_least() -> None:
    clock, watch, (one,) = watching(0)
    watch.expect(0.1)
    clock.advance(0.9)
    assert one.said is None
    clock.advance(0.1)
    assert one.said == b"too late"


def test_nothing_is_left_behind() -> None:
    clock, watch, (one,) = watching(10)
    watch.stop()
    watch.stop()
    assert clock.getDelayedCalls() == []
    clock.advance(20)
    assert one.said is None
