"""The RTP packets of a caller that are accepted, and the keys in them (RFC 4733, RFC 3550 section 5.1)."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from lemonade_media.model.commands import ModifyStream, StartStream
from lemonade_media.rtp.receiver import RtpReceiver, RtpReceiverEndpoint
from lemonade_wire.address import Resolver
from lemonade_wire.rtp.telephone_event import KeyEvent, KeyPressed, KeyReleased
from lemonade_wire.sdp.codec import PCMU, TELEPHONE_EVENT, Format

PEER = ("192.0.2.3", 20000)


def key(sequence: int = 1, *, payload_type: int = 101, payload: str = "068a0640") -> bytes:
    """Return one packet of key 6 octet by octet: 200 ms, its end."""
    return (
        bytes([0x80, 0x80 | payload_type, 0, sequence]) + bytes([0, 0, 1, 0]) + b"\0\0\0\x2a" + bytes.fromhex(payload)
    )


def caller() -> RtpReceiver:
    return RtpReceiver("a@caller", "192.0.2.3", {0: PCMU, 101: TELEPHONE_EVENT})


def test_a_key_is_heard_once() -> None:
    one = caller()
    assert one.receive(key(), PEER, 10.0) == [KeyPressed("6", 9.8), KeyReleased("6", 200.0)]
    assert one.receive(key(2), PEER, 10.05) == []


def test_a_key_whose_end_is_lost_is_released_by_the_timer() -> None:
    one = caller()
    assert one.next_timer() is None
    assert one.receive(key(payload="060a0190"), PEER, 10.0) == [KeyPressed("6", 9.95)]
    due = one.next_timer()
    assert due is not None
    assert due == pytest.approx(10.15)
    assert one.handle_timer(due) == [KeyReleased("6", 50.0)]
    assert one.next_timer() is None


def test_packets_from_any_port_of_the_caller_are_accepted() -> None:
    assert caller().receive(key(), ("192.0.2.3", 4), 10.0)


@pytest.mark.parametrize(
    ("octets", "source"),
    [
        (key(), ("192.0.2.4", 20000)),  # another address
        (key(payload_type=96), PEER),  # a payload type that was not agreed on
        (key(payload_type=0), PEER),  # sound
        (key(payload=""), PEER),
        (b"\x00" + key()[1:], PEER),  # not RTP's version
        (b"\x80", PEER),
        (b"", PEER),
    ],
)
def test_other_addresses_formats_and_malformed_packets_are_ignored(octets: bytes, source: tuple[str, int]) -> None:
    assert caller().receive(octets, source, 10.0) == []


def test_no_packet_is_accepted_before_the_address_is_known() -> None:
    assert RtpReceiver().receive(key(), PEER, 10.0) == []
    assert RtpReceiver().receive(key(), ("", 0), 10.0) == []


DOWN = bytes.fromhex("80e5 0001 00000100 0000002a 060a0190".replace(" ", ""))  # key 6, 50 ms, not its end
END = bytes.fromhex("8065 0002 00000100 0000002a 068a0320".replace(" ", ""))
FRONT = ("127.0.0.67", 20000)
STREAM = StartStream("a", "127.0.0.66", 20000, 20001, 0, 20, formats=(Format(101, TELEPHONE_EVENT),))


class Bench:
    def __init__(self) -> None:
        self.clock = Clock()
        self.told: list[tuple[str, KeyEvent]] = []
        note = lambda call, event: self.told.append((call, event))  # noqa: E731
        self.listener = RtpReceiverEndpoint(self.clock, note, Resolver.parse(["127.0.0.66=127.0.0.67"]))
        self.heard = self.listener.open("a", "a@caller")
        self.listener.expect(STREAM)


def test_keys_are_reported_with_their_call_from_the_mapped_address() -> None:
    bench = Bench()
    bench.heard(DOWN, ("127.0.0.66", 20000), 0.0)
    assert bench.told == []
    bench.heard(DOWN, FRONT, 0.0)
    bench.heard(END, FRONT, 0.0)
    assert bench.told == [("a", KeyPressed("6", -0.05)), ("a", KeyReleased("6", 100.0))]


def test_a_key_without_further_packets_is_released() -> None:
    bench = Bench()
    bench.heard(DOWN, FRONT, 0.0)
    bench.clock.advance(0.1)
    bench.heard(DOWN, FRONT, 0.0)
    bench.clock.advance(0.1)
    assert bench.told[1:] == []
    bench.clock.advance(0.1)
    assert bench.told[1:] == [("a", KeyReleased("6", 50.0))]
    assert not bench.clock.getDelayedCalls()


def test_a_change_sets_another_address_unless_the_stream_is_on_hold() -> None:
    bench = Bench()
    formats = STREAM.formats
    bench.listener.expect(ModifyStream("a", "127.0.0.9", 20000, 20001, 0, 20, held=True, formats=formats))
    bench.listener.expect(ModifyStream("a", "0.0.0.0", 20000, None, 0, 20, held=True, formats=formats))  # noqa: S104
    bench.heard(DOWN, FRONT, 0.0)
    assert bench.told == []
    bench.heard(DOWN, ("127.0.0.9", 31000), 0.0)
    assert bench.told == [("a", KeyPressed("6", -0.05))]


def test_a_closed_call_reports_no_keys() -> None:
    bench = Bench()
    bench.heard(DOWN, FRONT, 0.0)
    bench.listener.close("a")
    assert not bench.clock.getDelayedCalls()
    bench.listener.close("a")
