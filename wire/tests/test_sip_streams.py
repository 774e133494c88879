from lemonade_wire.address import Address
from lemonade_wire.sip.event import CloseStream, OpenStream, Output, SendStream
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.sip.streams import Streams

PEER = Address("192.0.2.1", 5060)


def make() -> tuple[Streams, list[Output]]:
    outputs: list[Output] = []
    return Streams(UaSettings(Address("192.0.2.9", 5060), stream_idle=60), outputs), outputs


def test_messages_wait_for_the_connection_and_it_is_used_again() -> None:
    streams, outputs = make()
    number = streams.to(PEER, 0.0)
    assert streams.to(PEER, 0.0) == number
    assert streams.send(number, b"one", False, 0.0)
    assert streams.connecting(number)
    assert outputs == [OpenStream(number, PEER)]
    streams.opened(number, 1.0)
    assert not streams.connecting(number)
    assert streams.send(number, b"two", True, 2.0)
    assert outputs[1:] == [SendStream(number, b"one"), SendStream(number, b"two", True)]


def test_an_incoming_stream_is_not_taken_for_requests() -> None:
    streams, _ = make()
    assert streams.to(PEER, 0.0) != streams.accepted(PEER, 0.0)


def test_what_is_gone_takes_nothing() -> None:
    streams, outputs = make()
    number = streams.accepted(PEER, 0.0)
    assert streams.peer(number) == PEER
    streams.gone(number)
    assert not streams.send(number, b"x", False, 0.0)
    assert streams.received(number, b"x", 0.0) == []
    assert streams.peer(number) is None
    streams.close(number)
    assert outputs == []


def test_idle_streams_are_closed_unless_a_transaction_waits() -> None:
    streams, outputs = make()
    first, second = streams.accepted(PEER, 0.0), streams.accepted(PEER, 10.0)
    assert streams.next_timer() == 60.0
    streams.close_idle(60.0, {first})
    assert outputs == []
    streams.close_idle(70.0, set())
    assert outputs == [CloseStream(second)]
    streams.close_idle(120.0, set())
    assert outputs == [CloseStream(second), CloseStream(first)]
    assert streams.next_timer() is None
