from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_wire.address import Address
from lemonade_wire.sip.event import CloseStream, OpenStream, Output, SendStream
from lemonade_wire.sip.message import SipRequest, SipResponse, UnreadableError
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.sip.tcp import Framed, Pings, StreamParser, TcpConnections

HEAD = b"Via: SIP/2.0/TCP h;branch=z9hG4bK%d\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 1 %s\r\n"
INFO = b"INFO sip:b@h SIP/2.0\r\n" + HEAD % (1, b"INFO") + b"Content-Length: 9\r\n\r\n\r\n\r\nINVIT"
OK = b"SIP/2.0 200 OK\r\n" + HEAD % (2, b"BYE") + b"l: 0\r\n\r\n"
BAD = b"INFO sip:b@h SIP/2.0\r\n" + HEAD % (3, b"BYE") + b"Content-Length: 3\r\n\r\nxyz"
NO_LENGTH = b"BYE sip:b@h SIP/2.0\r\n" + HEAD % (4, b"BYE") + b"\r\n"


def accept(streams: TcpConnections, peer: Address, now: float) -> int:
    """Return the number of an incoming stream that is not refused."""
    number = streams.accepted(peer, now, set)
    assert number is not None
    return number


def read(data: bytes, step: int = 0) -> list[tuple[str, bytes, bytes]]:
    parser = StreamParser(max_head=400, max_body=50)
    chunks = [data] if not step else [data[at : at + step] for at in range(0, len(data), step)]
    found: list[tuple[str, bytes, bytes]] = []
    for item in (item for chunk in chunks for item in parser.receive(chunk)):
        found += [("ping", b"", b"")] * item.count if isinstance(item, Pings) else [_plain(item)]
    return found


def _plain(item: Framed) -> tuple[str, bytes, bytes]:
    if isinstance(item.message, UnreadableError):
        request = item.message.request
        # The text is put together here, because bytes(request) may raise for a malformed start line.
        asked = f"{request.method} {request.target} {request.headers}".encode(errors="replace") if request else b""
        return f"{item.message.status} {item.message.reason} {item.message.fatal}", asked, item.octets
    return type(item.message).__name__, bytes(item.message), item.octets


def test_messages_are_cut_by_their_length() -> None:
    found = read(b"\r\n" + INFO + b"\r\n" + OK + OK[:30])
    assert [kind for kind, _, _ in found] == [SipRequest.__name__, SipResponse.__name__]
    assert found[0][1:] == (INFO, INFO)
    assert found[1][2] == OK


@pytest.mark.parametrize(
    ("data", "kinds"),
    [
        (b"\r\n", []),
        (b"\r\n\r\n", ["ping"]),
        (b"\r\n\r\n\r\n", ["ping"]),
        (b"\r\n" * 6, ["ping"] * 3),
        (b"\n\n\r\r\n\n", []),
        (b"\n\r\n\r\n", ["ping"]),
        (OK + b"\r\n" + OK + b"\r\n\r\n" + OK, ["SipResponse", "SipResponse", "ping", "SipResponse"]),
        (b"\r\n" + OK + b"\r\n", ["SipResponse"]),
        (INFO + b"\r\n\r\n", ["SipRequest", "ping"]),
    ],
)
def test_keep_alives_are_pairs_of_line_ends_between_messages(data: bytes, kinds: list[str]) -> None:
    """RFC 5626 section 4.4.1; a single line end before a message is ignored (RFC 3261 section 7.5)."""
    assert [kind for kind, _, _ in read(data)] == kinds
    assert [kind for kind, _, _ in read(data, 1)] == kinds


def test_a_bad_status_line_affects_only_its_own_message() -> None:
    (kind, asked, _), (after, _, _) = read(OK.replace(b"200", b"700") + OK)
    assert (kind, asked, after) == ("400 Bad status line False", b"", "SipResponse")


def test_a_bad_message_is_reported_and_the_next_one_read() -> None:
    (kind, asked, octets), (after, _, _) = read(BAD + OK)
    assert kind == "400 CSeq method does not match False"
    assert asked.startswith(b"INFO")
    assert octets == BAD
    assert after == SipResponse.__name__


def test_an_unknown_length_is_a_fatal_error() -> None:
    ((kind, asked, _),) = read(NO_LENGTH + OK)
    assert kind == "400 Content-Length missing or bad True"
    assert asked.startswith(b"BYE")
    ((kind, _, _),) = read(OK.replace(b"l: 0", b"l: 0\r\nl: 1") + OK)
    assert kind == "400 Content-Length missing or bad True"
    ((kind, _, _),) = read(b"GET / HTTP/1.1\r\n\r\n" + OK)
    assert kind == "400 Neither a request nor a response True"


def test_heads_and_bodies_above_the_limit_are_refused() -> None:
    long = b"INFO sip:b@h SIP/2.0\r\n" + HEAD % (1, b"INFO") + b"X: " + b"x" * 500
    ((kind, asked, _),) = read(long)
    assert kind == "513 Message Too Large True"
    assert asked.startswith(b"INFO sip:b@h")
    ((kind, _, _),) = read(INFO.replace(b"h: 9", b"h: 51"))
    assert kind == "413 Request Entity Too Large True"


PIECES = st.sampled_from([INFO, OK, BAD, NO_LENGTH, b"\r\n", b"\n", b"\r", b"x", b"INVITE a SIP/2.0\n\n"])


@settings(deadline=None)
@given(st.lists(PIECES | st.binary(max_size=20), max_size=6).map(b"".join), st.integers(1, 50))
def test_messages_are_read_in_pieces_of_any_size(data: bytes, step: int) -> None:
    assert read(data) == read(data, 1) == read(data, step)


PEER = Address("192.0.2.1", 5060)


def make() -> tuple[TcpConnections, list[Output]]:
    outputs: list[Output] = []
    return TcpConnections(UaSettings(Address("192.0.2.9", 5060), stream_idle=60), outputs), outputs


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
    assert streams.to(PEER, 0.0) != accept(streams, PEER, 0.0)


def test_a_closed_stream_accepts_no_message() -> None:
    streams, outputs = make()
    number = accept(streams, PEER, 0.0)
    assert streams.peer(number) == PEER
    streams.gone(number)
    assert not streams.send(number, b"x", False, 0.0)
    assert streams.received(number, b"x", 0.0) == []
    assert streams.peer(number) is None
    streams.close(number)
    assert outputs == []


def test_idle_streams_are_closed_unless_a_transaction_waits() -> None:
    streams, outputs = make()
    first, second = accept(streams, PEER, 0.0), accept(streams, PEER, 10.0)
    assert streams.next_timer() == 60.0
    streams.close_idle(60.0, {first})
    assert outputs == []
    streams.close_idle(70.0, set())
    assert outputs == [CloseStream(second)]
    streams.close_idle(120.0, set())
    assert outputs == [CloseStream(second), CloseStream(first)]
    assert streams.next_timer() is None


def test_keep_alives_that_come_together_are_one_item() -> None:
    assert StreamParser().receive(b"\r\n\r\n" * 15_000) == [Pings(15_000)]
