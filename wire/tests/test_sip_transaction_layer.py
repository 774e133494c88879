"""The transaction layer: flows, marks of retransmissions, and lost streams."""

import random

from lemonade_wire.address import Address
from lemonade_wire.sip.event import MessageDropped, OpenStream, Output, SendDatagram, SendStream
from lemonade_wire.sip.message import SipRequest, SipResponse, build, parse_datagram
from lemonade_wire.sip.message.response import respond_to
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.sip.transaction.layer import RequestArrived, RequestFailed, ResponseArrived, TransactionLayer

HERE = Address("192.0.2.9", 5060)
SETTINGS = UaSettings(HERE)
PEER = Address("192.0.2.1", 5060)
HEADERS = [("From", "<sip:a@h>;tag=1"), ("To", "<sip:b@h>"), ("Call-ID", "c")]


def accept(layer: TransactionLayer, peer: Address, now: float) -> int:
    """Return the number of an incoming stream that is not refused."""
    number = layer.streams.accepted(peer, now, layer.busy_streams)
    assert number is not None
    return number


def make(settings: UaSettings = SETTINGS) -> TransactionLayer:
    return TransactionLayer(settings, random.Random(1))


def request(method: str, body: bytes = b"") -> SipRequest:
    return build(method, "sip:b@h", [*HEADERS, ("CSeq", f"1 {method}")], body)


def taken(layer: TransactionLayer) -> list[Output]:
    outputs = list(layer.outputs)
    layer.outputs.clear()
    return outputs


def answer(layer: TransactionLayer, sent: bytes, status: int, now: float = 0.0) -> None:
    asked = parse_datagram(sent)
    assert isinstance(asked, SipRequest)
    layer.datagram_received(bytes(respond_to(asked, status, tag="2")), PEER, now)


def test_requests_are_sent_again_and_marked() -> None:
    layer = make()
    layer.send_request(request("INFO"), PEER, None, 0.0)
    (first,) = taken(layer)
    assert isinstance(first, SendDatagram)
    assert (first.destination, first.resend) == (PEER, False)
    assert layer.next_timer() == 0.5
    layer.handle_timer(0.5)
    assert taken(layer) == [SendDatagram(first.data, PEER, True)]


def test_the_1300_octet_rule() -> None:
    layer = make()
    size = len(bytes(request("INFO", b"x" * 1000)))
    via = b"Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK00000000000000000000;rport\r\n"
    for body, kind in ((1000 + 1300 - size - len(via), SendDatagram), (1001 + 1300 - size - len(via), OpenStream)):
        layer.send_request(request("INFO", b"x" * body), PEER, None, 0.0)
        (output,) = taken(layer)
        assert isinstance(output, kind)
    layer.send_request(request("INFO", b"x" * 2000), PEER, "udp", 0.0)
    assert isinstance(taken(layer)[0], SendDatagram)


def test_a_request_too_long_for_a_datagram_fails() -> None:
    layer = make()
    key = layer.send_request(request("INFO", b"x" * 70000), PEER, "udp", 0.0)
    assert layer.happenings == [RequestFailed(key)]
    assert taken(layer) == []


def test_a_name_that_has_no_address_fails_at_once() -> None:
    layer = make()
    key = layer.send_request(request("INFO"), Address("nowhere.example.net", 5060), None, 0.0)
    assert layer.happenings == [RequestFailed(key)]
    assert taken(layer) == []


def test_the_retransmitted_ack_of_a_refusal_is_marked() -> None:
    layer = make()
    key = layer.send_request(request("INVITE"), PEER, None, 0.0)
    (invite,) = taken(layer)
    assert isinstance(invite, SendDatagram)
    answer(layer, invite.data, 486)
    answer(layer, invite.data, 486)
    acks = [output for output in taken(layer) if isinstance(output, SendDatagram)]
    assert [ack.resend for ack in acks] == [False, True]
    assert [type(happened) for happened in layer.happenings] == [ResponseArrived]
    assert layer.alive(key)
    layer.handle_timer(32.5)
    assert not layer.alive(key)
    assert layer.next_timer() is None


def test_stray_and_misrouted_responses_are_dropped() -> None:
    layer = make()
    layer.send_request(request("INFO"), PEER, None, 0.0)
    (sent,) = taken(layer)
    assert isinstance(sent, SendDatagram)
    layer.datagram_received(
        sent.data.replace(b"INFO sip:b@h SIP/2.0", b"SIP/2.0 200 OK").replace(b"branch=z9hG4bK", b"branch=z9hG4bKx"),
        PEER,
        0.0,
    )
    layer.datagram_received(
        sent.data.replace(b"INFO sip:b@h SIP/2.0\r\n", b"SIP/2.0 200 OK\r\n").replace(
            b"From:", b"Via: SIP/2.0/UDP h\r\nFrom:"
        ),
        PEER,
        0.0,
    )
    asked = parse_datagram(sent.data)
    assert isinstance(asked, SipRequest)
    for sent_by in (b"192.0.2.8:5060", b"192.0.2.9:5062"):  # section 18.1.2
        answered = bytes(respond_to(asked, 200, tag="2")).replace(b"192.0.2.9:5060", sent_by)
        layer.datagram_received(answered, PEER, 0.0)
    assert layer.happenings == []
    assert [type(output) for output in taken(layer)].count(MessageDropped) == 4
    layer.datagram_received(bytes(respond_to(asked, 200, tag="2")).replace(b":5060", b""), PEER, 0.0)
    assert [type(happened) for happened in layer.happenings] == [ResponseArrived], "the port may be left out"


def test_a_lost_stream_fails_the_requests_on_it() -> None:
    layer = make()
    key = layer.send_request(request("INFO"), PEER, "tcp", 0.0)
    opened, *_ = taken(layer)
    assert isinstance(opened, OpenStream)
    layer.streams.opened(opened.stream, 0.0)
    assert isinstance(taken(layer)[0], SendStream)
    layer.stream_failed(opened.stream, 1.0)
    assert layer.happenings == [RequestFailed(key)]


def test_a_request_goes_over_the_stream_that_its_destination_opened() -> None:
    """PJSIP gives the source port of its stream in its Contact, although it does not listen on that port."""
    layer = make()
    caller = Address("192.0.2.1", 40000)
    stream = accept(layer, caller, 0.0)
    layer.send_request(request("BYE"), caller, "tcp", 0.0)
    (sent,) = taken(layer)
    assert isinstance(sent, SendStream)
    assert sent.stream == stream
    layer.streams.gone(stream)
    layer.send_request(request("BYE"), caller, "tcp", 0.0)
    assert taken(layer) == [OpenStream(stream + 1, caller)]


def test_a_response_whose_stream_is_closed_opens_another() -> None:
    layer = make()
    stream = accept(layer, Address("192.0.2.1", 40000), 0.0)
    asked = request("OPTIONS")
    asked = asked.with_headers(asked.headers.with_top("Via", "SIP/2.0/TCP 192.0.2.1:5070;branch=z9hG4bK1"))
    layer.stream_received(stream, bytes(asked), 0.0)
    (arrived,) = layer.happenings
    assert isinstance(arrived, RequestArrived)
    assert arrived.key is not None
    taken(layer)
    layer.stream_failed(stream, 0.0)
    layer.respond(arrived.key, respond_to(asked, 200, tag="x"), 1.0)
    (opened,) = taken(layer)
    assert opened == OpenStream(2, Address("192.0.2.1", 5070))
    layer.streams.opened(2, 1.0)
    (sent,) = taken(layer)
    assert isinstance(sent, SendStream)
    assert isinstance(parse_datagram(sent.data), SipResponse)


def test_a_stream_without_framing_is_answered_and_to_be_closed() -> None:
    layer = make(UaSettings(HERE, max_head=200))
    stream = accept(layer, PEER, 0.0)
    long = b"INFO sip:h SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\n" + b"x" * 300
    assert layer.stream_received(stream, long[:100], 0.0) is False
    assert layer.stream_received(stream, long[100:], 0.0) is True
    dropped, sent = taken(layer)
    assert isinstance(dropped, MessageDropped)
    assert isinstance(sent, SendStream)
    assert sent.data.startswith(
        b"SIP/2.0 513 Message Too Large\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1;received=192.0.2.1\r\n"
    )


def test_responses_to_unknown_transactions_are_dropped() -> None:
    layer = make()
    layer.respond("t99", respond_to(request("INFO"), 200, tag="x"), 0.0)
    assert taken(layer) == []
