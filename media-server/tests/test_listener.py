"""Callers' datagrams on a clock of the test's own: keys told, the timer of a key that is down, the end of a call."""

from __future__ import annotations

from twisted.internet.task import Clock

from lemonade_media.commands import AddStream, ChangeStream
from lemonade_media.listener import Listener
from lemonade_wire.address import Resolver
from lemonade_wire.rtp.telephone_event import KeyEvent, KeyPressed, KeyReleased
from lemonade_wire.sdp.codec import TELEPHONE_EVENT, Format

DOWN = bytes.fromhex("80e5 0001 00000100 0000002a 060a0190".replace(" ", ""))  # key 6, 50 ms, not its end
END = bytes.fromhex("8065 0002 00000100 0000002a 068a0320".replace(" ", ""))
FRONT = ("127.0.0.67", 20000)
STREAM = AddStream("a", "127.0.0.66", 20000, 20001, 0, 20, formats=(Format(101, TELEPHONE_EVENT),))


class Bench:
    def __init__(self) -> None:
        self.clock = Clock()
        self.told: list[tuple[str, KeyEvent]] = []
        note = lambda call, event: self.told.append((call, event))  # noqa: E731
        self.listener = Listener(self.clock, note, Resolver.parse(["127.0.0.66=127.0.0.67"]))
        self.heard = self.listener.open("a", "a@caller")
        self.listener.expect(STREAM)


def test_keys_are_told_with_their_call_and_come_by_the_way_that_the_address_has() -> None:
    bench = Bench()
    bench.heard(DOWN, ("127.0.0.66", 20000), 0.0)
    assert bench.told == []
    bench.heard(DOWN, FRONT, 0.0)
    bench.heard(END, FRONT, 0.0)
    assert bench.told == [("a", KeyPressed("6", -0.05)), ("a", KeyReleased("6", 100.0))]


def test_a_key_of_which_nothing_more_is_heard_goes_up() -> None:
    bench = Bench()
    bench.heard(DOWN, FRONT, 0.0)
    bench.clock.advance(0.1)
    bench.heard(DOWN, FRONT, 0.0)
    bench.clock.advance(0.1)
    assert bench.told[1:] == []
    bench.clock.advance(0.1)
    assert bench.told[1:] == [("a", KeyReleased("6", 50.0))]
    assert not bench.clock.getDelayedCalls()


def test_after_a_change_another_address_is_listened_to_and_none_where_there_is_none() -> None:
    bench = Bench()
    formats = STREAM.formats
    bench.listener.expect(ChangeStream("a", "127.0.0.9", 20000, 20001, 0, 20, held=True, formats=formats))
    bench.listener.expect(ChangeStream("a", "0.0.0.0", 20000, None, 0, 20, held=True, formats=formats))  # noqa: S104
    bench.heard(DOWN, FRONT, 0.0)
    assert bench.told == []
    bench.heard(DOWN, ("127.0.0.9", 31000), 0.0)
    assert bench.told == [("a", KeyPressed("6", -0.05))]


def test_a_call_that_is_over_tells_nothing_more() -> None:
    bench = Bench()
    bench.heard(DOWN, FRONT, 0.0)
    bench.listener.close("a")
    assert not bench.clock.getDelayedCalls()
    bench.listener.close("a")
