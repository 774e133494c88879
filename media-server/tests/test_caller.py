"""Who is listened to, and what is heard of RTP (RFC 4733, RFC 3550 section 5.1)."""

from __future__ import annotations

import pytest

from lemonade_media.caller import Caller
from lemonade_wire.rtp.telephone_event import KeyPressed, KeyReleased
from lemonade_wire.sdp.codec import PCMU, TELEPHONE_EVENT

PEER = ("192.0.2.3", 20000)


def key(sequence: int = 1, *, payload_type: int = 101, payload: str = "068a0640") -> bytes:
    """Return one packet of key 6 octet by octet: 200 ms, its end."""
    return (
        bytes([0x80, 0x80 | payload_type, 0, sequence]) + bytes([0, 0, 1, 0]) + b"\0\0\0\x2a" + bytes.fromhex(payload)
    )


def caller() -> Caller:
    return Caller("a@caller", "192.0.2.3", {0: PCMU, 101: TELEPHONE_EVENT})


def test_a_key_is_heard_once() -> None:
    one = caller()
    assert one.receive(key(), PEER, 10.0) == [KeyPressed("6", 9.8), KeyReleased("6", 200.0)]
    assert one.receive(key(2), PEER, 10.05) == []


def test_a_key_whose_end_is_lost_goes_up_by_the_timer() -> None:
    one = caller()
    assert one.next_timer() is None
    assert one.receive(key(payload="060a0190"), PEER, 10.0) == [KeyPressed("6", 9.95)]
    due = one.next_timer()
    assert due == pytest.approx(10.15)
    assert one.handle_timer(due) == [KeyReleased("6", 50.0)]
    assert one.next_timer() is None


def test_the_port_that_is_sent_from_is_free() -> None:
    assert caller().receive(key(), ("192.0.2.3", 4), 10.0)


@pytest.mark.parametrize(
    ("octets", "source"),
    [
        (key(), ("192.0.2.4", 20000)),  # a stranger
        (key(payload_type=96), PEER),  # a number that was not agreed on
        (key(payload_type=0), PEER),  # sound
        (key(payload=""), PEER),
        (b"\x00" + key()[1:], PEER),  # not RTP's version
        (b"\x80", PEER),
        (b"", PEER),
    ],
)
def test_everything_else_is_dropped(octets: bytes, source: tuple[str, int]) -> None:
    assert caller().receive(octets, source, 10.0) == []


def test_nobody_is_listened_to_before_there_is_an_agreement() -> None:
    assert Caller().receive(key(), PEER, 10.0) == []
    assert Caller().receive(key(), ("", 0), 10.0) == []
