"""A user agent against octets written by hand: its responses, refusals and dropped messages. Times are explicit."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import sipmessage
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_wire.address import Address, Resolver
from lemonade_wire.sip.errors import SipUsageError
from lemonade_wire.sip.event import (
    ByeReceived,
    CallConfirmed,
    CallEnded,
    CloseStream,
    InviteReceived,
    MessageDropped,
    MessageSeen,
    RequestReceived,
    SendDatagram,
    SendPong,
    SendStream,
)
from lemonade_wire.sip.message import SipRequest, SipResponse, parse_datagram, read_message, split_head
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.sip.ua import UserAgent
from lemonade_wire.testing import Net, accept_stream

CLIENT = Address("127.0.0.3", 5060)
MEDIA = Address("127.0.0.2", 5060)
SETTINGS = UaSettings(MEDIA)
ANSWER = b"v=0\r\no=answer\r\n"
PEER = Address("192.0.2.9", 5070)
INVITE = (
    "INVITE sip:annc@media.example.net;play=x SIP/2.0\r\n"
    "Via: SIP/2.0/UDP pc9.example.com:5080;branch=z9hG4bK1\r\n"
    "Max-Forwards: 0\r\n"
    "From: <sip:joe@example.com>;tag=f\r\n"
    "To: <sip:annc@media.example.net>\r\n"
    "Call-ID: c1\r\n"
    "CSeq: 7 INVITE\r\n"
    "Contact: <sip:joe@pc9.example.com:5090>\r\n"
    "Record-Route: <sip:p2.example.com;lr>, <sip:p1.example.com;lr>\r\n"
    "Content-Length: 0\r\n\r\n"
)


def peer(settings: UaSettings = SETTINGS) -> UserAgent:
    return UserAgent(settings, random.Random(4))


def give(ua: UserAgent, text: str, now: float = 0.0) -> list[SipResponse]:
    """Give a datagram; returns the responses, other than 100."""
    ua.datagram_received(text.encode(), PEER, now)
    return [message for message, _ in said(ua) if isinstance(message, SipResponse) and message.status != 100]


def read(data: bytes) -> SipRequest | SipResponse:
    """Parse a sent response; its malformed headers, copied from the request, are allowed."""
    head, _, body = split_head(data)
    return read_message(head, body)[0]


def said(ua: UserAgent) -> list[tuple[SipRequest | SipResponse, Address]]:
    found = [(read(o.data), o.destination) for o in ua.outputs() if isinstance(o, SendDatagram)]
    for message, _ in found:
        assert message.headers.rows("Content-Length") == [str(len(message.body))]
    return found


def other(text: str, method: str, number: int = 8, branch: str = "2", to_tag: str = "") -> str:
    """Make another request from the text of the INVITE."""
    text = text.replace("INVITE", method).replace("CSeq: 7", f"CSeq: {number}")
    text = text.replace("z9hG4bK1", f"z9hG4bK{branch}")
    return text.replace("media.example.net>\r\n", f"media.example.net>;tag={to_tag}\r\n") if to_tag else text


def accepted(ua: UserAgent) -> tuple[str, SipResponse]:
    assert give(ua, INVITE) == []
    (event,) = ua.events()
    assert isinstance(event, InviteReceived)
    ua.accept(event.call, ANSWER, now=0.0)
    ((ok, _),) = said(ua)
    assert isinstance(ok, SipResponse)
    return event.call, ok


def test_responses_go_where_the_request_came_from() -> None:
    ua = peer()
    ua.datagram_received(INVITE.encode(), PEER, 0.0)
    ((trying, where),) = said(ua)
    assert where == Address("192.0.2.9", 5080)
    assert str(trying.vias[0]) == "SIP/2.0/UDP pc9.example.com:5080;branch=z9hG4bK1;received=192.0.2.9"
    assert trying.to.tag is None
    ua = peer()
    ua.datagram_received(INVITE.replace("z9hG4bK1", "z9hG4bK1;rport").encode(), PEER, 0.0)
    ((trying, where),) = said(ua)
    assert where == PEER
    assert trying.vias[0].param("rport") == "5070"


def test_the_2xx_makes_the_dialog() -> None:
    ua = peer(UaSettings(MEDIA, resolver=Resolver.parse(["p2.example.com=192.0.2.77:5062"])))
    call, ok = accepted(ua)
    assert [route.uri for route in ok.record_routes] == ["sip:p2.example.com;lr", "sip:p1.example.com;lr"]
    assert ok.contact is not None
    assert ok.contact.uri == "sip:annc@127.0.0.2:5060"
    assert give(ua, other(INVITE, "ACK", 7, "9", ok.to.tag or "")) == []
    assert [type(event) for event in ua.events()] == [CallConfirmed]
    ua.info(call, b"x", "text/x", now=1.0)
    ((info, where),) = said(ua)
    assert isinstance(info, SipRequest)
    assert where == Address("192.0.2.77", 5062)
    assert info.target == "sip:joe@pc9.example.com:5090"
    assert [route.uri for route in info.routes] == ["sip:p2.example.com;lr", "sip:p1.example.com;lr"]
    assert (info.from_.tag, info.to.tag, info.call_id) == (ok.to.tag, "f", "c1")


def test_an_unresolvable_contact_is_reached_at_the_source_address() -> None:
    ua = peer()
    call, ok = accepted(ua)
    give(ua, other(INVITE, "ACK", 7, "9", ok.to.tag or ""))
    ua.bye(call, now=1.0)
    assert said(ua)[0][1] == PEER


def test_retransmissions_are_absorbed() -> None:
    ua = peer()
    accepted(ua)
    assert give(ua, INVITE) == []
    assert ua.events() == []


def test_cseq_order_inside_the_dialog() -> None:
    ua = peer()
    _, ok = accepted(ua)
    tag = ok.to.tag or ""
    give(ua, other(INVITE, "ACK", 7, "9", tag))
    assert give(ua, other(INVITE, "INFO", 20, "3", tag)) == []
    assert [response.status for response in give(ua, other(INVITE, "INFO", 19, "4", tag))] == [500]
    assert [response.status for response in give(ua, other(INVITE, "OPTIONS", 21, "5", tag))] == [200]
    assert give(ua, other(INVITE, "INVITE", 22, "6", tag)) == []
    assert [response.status for response in give(ua, other(INVITE, "BYE", 23, "7", tag))] == [200, 487, 487]


def test_a_peer_without_tags() -> None:
    ua = peer()
    text = INVITE.replace(";tag=f", "").replace("branch=z9hG4bK1", "branch=old")
    assert give(ua, text) == []
    (event,) = ua.events()
    assert isinstance(event, InviteReceived)
    assert give(ua, text) == []
    assert ua.events() == []
    ua.accept(event.call, ANSWER, now=0.0)
    ((ok, _),) = said(ua)
    give(ua, other(text, "ACK", 7, "9", ok.to.tag or ""))
    assert [type(event) for event in ua.events()] == [CallConfirmed]
    (answer,) = give(ua, other(text, "BYE", 8, "9", ok.to.tag or "").replace("branch=old", "branch=old2"))
    assert answer.status == 200
    assert [type(event) for event in ua.events()] == [ByeReceived, CallEnded]


REFUSALS = [
    (other(INVITE, "INFO"), 481, {}),
    (other(INVITE, "BYE", to_tag="nobody"), 481, {}),
    (other(INVITE, "CANCEL", 7), 481, {}),
    (INVITE.replace("To: <sip:annc@media.example.net>", "To: <sip:a@h>;tag=x"), 481, {}),
    (other(INVITE, "SUBSCRIBE"), 405, {"Allow": "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO"}),
    (other(INVITE, "NOTHING"), 501, {"Allow": "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO"}),
    (INVITE.replace("sip:annc@media.example.net;play=x", "nobodyKnowsThisScheme:x"), 416, {}),
    (INVITE.replace("INVITE sip:", "INVITE sips:"), 480, {"Warning": '380 127.0.0.2 "SIPS Not Allowed"'}),
    (INVITE.replace("CSeq", "Require: 100rel, nope\r\nCSeq"), 420, {"Unsupported": "nope"}),
    (INVITE.replace("CSeq", "Content-Encoding: gzip\r\nCSeq"), 415, {"Accept-Encoding": "identity"}),
    (INVITE.replace("Contact: <sip:joe@pc9.example.com:5090>\r\n", ""), 400, {}),
    (INVITE.replace("SIP/2.0\r\n", "SIP/3.0\r\n", 1), 505, {}),
    (INVITE.replace("CSeq: 7 INVITE", "CSeq: 7 BYE"), 400, {}),
    (INVITE.replace("Content-Length: 0", "Content-Length: 9"), 400, {}),
    (INVITE.replace("CSeq", 'Require: "a\r\nCSeq'), 400, {}),
    (INVITE.replace("CSeq", "Accept: text/plain\r\nCSeq"), 406, {}),
]


@pytest.mark.parametrize(("text", "status", "headers"), REFUSALS)
def test_refused_without_the_application(text: str, status: int, headers: dict[str, str]) -> None:
    ua = peer(UaSettings(MEDIA, supported=("100rel",)))
    (answer,) = give(ua, text)
    assert answer.status == status
    assert answer.to.tag
    assert {name: answer.headers.get(name) for name in headers} == headers
    assert ua.events() == []


def test_a_peer_without_contact_is_reached_by_its_from() -> None:
    """RFC 2543 allows an INVITE without Contact (RFC 4475 section 3.4.1)."""
    ua = peer()
    text = INVITE.replace("Contact: <sip:joe@pc9.example.com:5090>\r\n", "").replace("z9hG4bK1", "old")
    assert give(ua, text) == []
    (event,) = ua.events()
    assert isinstance(event, InviteReceived)
    ua.accept(event.call, ANSWER, now=0.0)
    ((ok, _),) = said(ua)
    give(ua, other(text, "ACK", 7, "9", ok.to.tag or ""))
    ua.bye(event.call, now=1.0)
    ((bye, _),) = said(ua)
    assert isinstance(bye, SipRequest)
    assert bye.routes[-1].uri == "sip:p1.example.com;lr"
    assert bye.target == "sip:joe@example.com"


def test_keep_alives_on_a_stream_are_answered() -> None:
    """RFC 5626 section 4.4.1; over UDP keep-alives are ignored."""
    ua = peer()
    stream = accept_stream(ua, PEER, 0.0)
    ua.stream_received(stream, b"\r\n", 0.0)
    assert ua.outputs() == []
    ua.stream_received(stream, b"\r\n", 0.0)
    assert ua.outputs() == [SendPong(stream)]
    ua.stream_received(stream, b"\r\n" * 4 + INVITE.encode(), 0.0)
    outputs = ua.outputs()
    assert outputs[0] == SendPong(stream, 2)
    assert [type(output) for output in outputs[1:]] == [MessageSeen, SendStream]
    for data in (b"\r\n\r\n", b"\r\n", b"\0\0\0\0"):
        ua.datagram_received(data, PEER, 0.0)
    assert ua.outputs() == []


def test_messages_before_a_framing_error_are_answered_before_the_close() -> None:
    ua = peer()
    stream = accept_stream(ua, PEER, 0.0)
    ua.stream_received(stream, other(INVITE, "OPTIONS").encode() + b"GET / HTTP/1.1\r\n\r\n", 0.0)
    seen, dropped, sent, closed = ua.outputs()
    assert [type(seen), type(dropped)] == [MessageSeen, MessageDropped]
    assert isinstance(sent, SendStream)
    assert sent.data.startswith(b"SIP/2.0 200 OK\r\n")
    assert closed == CloseStream(stream)


@pytest.mark.parametrize("full", [False, True])
def test_an_answer_without_a_transaction_has_the_same_tag_again(full: bool) -> None:
    """RFC 3261 section 8.2.7."""
    ua = peer(UaSettings(MEDIA, max_transactions=0 if full else 10000))
    text = INVITE if full else INVITE.replace("Call-ID: c1", "Call-ID: c 1")
    tags = [give(ua, asked)[0].to.tag for asked in (text, text, text.replace("tag=f", "tag=g"))]
    assert tags[0] == tags[1] != tags[2]


def test_an_answered_malformed_request_is_traced() -> None:
    """A trace must have the request of each response in it, even a malformed one."""
    ua = peer()
    bad = INVITE.replace("Call-ID: c1\r\n", "").encode()
    ua.datagram_received(bad, PEER, 0.0)
    ua.stream_received(accept_stream(ua, PEER, 0.0), bad, 0.0)
    outputs = ua.outputs()
    assert [output for output in outputs if isinstance(output, MessageSeen)] == [
        MessageSeen(bad, PEER, "udp"),
        MessageSeen(bad, PEER, "tcp"),
    ]
    ua.datagram_received(b"rubbish", PEER, 0.0)
    assert [type(output) for output in ua.outputs()] == [MessageDropped]


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS"])
def test_a_merged_request_is_answered_482(method: str) -> None:
    """Section 8.2.2.2: the copy of a request that arrives by a second path is refused."""
    ua = peer()
    text = other(INVITE, method, 7, "1")
    first = give(ua, text)
    (answer,) = give(ua, text.replace("z9hG4bK1", "z9hG4bK2"))
    assert answer.status == 482
    assert give(ua, text) == first, "the first way's answer is as it was"
    assert len(ua.events()) == (method == "INVITE")


def test_above_the_limit_of_transactions_requests_get_503() -> None:
    ua = peer(UaSettings(MEDIA, max_transactions=1))
    give(ua, INVITE)
    (answer,) = give(ua, INVITE.replace("z9hG4bK1", "z9hG4bK2").replace("c1", "c2"))
    assert (answer.status, answer.headers.get("Retry-After")) == (503, "5")
    (answer,) = give(ua, other(INVITE, "BYE", to_tag="x"))
    assert answer.status == 481, "what is inside a dialog has room of its own"
    (answer,) = give(ua, other(INVITE, "BYE", 9, "9", to_tag="x"))
    assert answer.status == 503


def test_options_and_invite_get_503_when_calls_are_not_accepted() -> None:
    ua = peer()
    _, ok = accepted(ua)
    ua.retry_after = 10
    for text in (other(INVITE, "OPTIONS"), INVITE.replace("z9hG4bK1", "z9hG4bK3").replace("c1", "c3")):
        (answer,) = give(ua, text)
        assert (answer.status, answer.headers.get("Retry-After")) == (503, "10")
    assert ua.events() == []
    (answer,) = give(ua, other(INVITE, "OPTIONS", 9, "4", ok.to.tag or ""))
    assert answer.status == 200, "inside a call it asks for what the call can do"
    ua.retry_after = None
    (answer,) = give(ua, other(INVITE, "OPTIONS", 10, branch="5"))
    assert answer.status == 200


def test_a_body_that_is_too_large() -> None:
    ua = peer(UaSettings(MEDIA, max_body=10))
    text = other(INVITE, "INFO", to_tag="x")
    for octets, status in ((10, 481), (11, 413)):
        ((answer, _),) = _said_to(ua, text.replace("z9hG4bK2", f"z9hG4bK{octets}"), b"x" * octets)
        assert isinstance(answer, SipResponse)
        assert answer.status == status


def _said_to(ua: UserAgent, text: str, body: bytes) -> list[tuple[SipRequest | SipResponse, Address]]:
    ua.datagram_received(text.replace("Content-Length: 0", f"Content-Length: {len(body)}").encode() + body, PEER, 0.0)
    return said(ua)


def test_requests_of_other_methods_reach_the_application() -> None:
    ua = peer(UaSettings(MEDIA, methods=("MESSAGE", "ACK")))
    assert give(ua, other(INVITE, "MESSAGE")) == []
    (event,) = ua.events()
    assert isinstance(event, RequestReceived)
    ua.respond(event.transaction, 415, now=0.0)
    ((answer, _),) = said(ua)
    assert answer.headers.get("Accept") == "application/sdp"
    assert give(ua, other(INVITE, "MESSAGE"))[0] == answer


def test_stray_messages_are_dropped() -> None:
    ua = peer()
    for text in (
        "",
        "\r\n\r\n",
        "\0",
        "hello",
        other(INVITE, "ACK"),
        "SIP/2.0 200 OK\r\n" + INVITE.split("\r\n", 1)[1],
    ):
        assert give(ua, text) == []
    assert ua.events() == []


def test_unknown_calls_are_refused() -> None:
    ua = peer()
    actions: tuple[Callable[[], None], ...] = (
        lambda: ua.bye("call-9", now=0.0),
        lambda: ua.accept("call-9", b"", now=0.0),
        lambda: ua.cancel("call-9", now=0.0),
    )
    for action in actions:
        with pytest.raises(SipUsageError, match="no call"):
            action()
    with pytest.raises(SipUsageError, match="not a final"):
        ua.respond("t1", 100, now=0.0)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_no_received_octets_raise(data: st.DataObject) -> None:
    """Calls with changed octets, and random octets, give events or nothing, but no exception."""
    net = Net()
    rng = random.Random(data.draw(st.integers(0, 2**32)))
    _, theirs = net.talk()
    net.media.info(theirs, b"x", "text/x", now=net.now)
    net.settle()
    for _, octets in list(net.sent):
        changed = bytearray(octets)
        for _ in range(rng.randint(0, 3)):
            changed[rng.randrange(len(changed))] = rng.choice(b'\0\r\n ;:,"<>@%az09\xff')
        for ua, source in ((net.client, MEDIA), (net.media, CLIENT)):
            ua.datagram_received(bytes(changed), source, net.now)
            stream = accept_stream(ua, source, net.now)
            ua.stream_received(stream, bytes(changed), net.now)
            ua.stream_lost(stream, net.now)
    net.tcp = False
    net.run(net.now + 500)


@pytest.mark.parametrize("host", ["ms1", "media_server"])
def test_hosts_that_the_other_parser_refuses(host: str) -> None:
    """The package sipmessage refuses such hosts. If it accepts them one day, the tests of calls can use them."""
    data = INVITE.replace("media.example.net;", f"{host};").encode()
    message = parse_datagram(data)
    assert isinstance(message, SipRequest)
    assert message.uri.host == host
    with pytest.raises(ValueError, match="URI is not valid"):
        sipmessage.Message.parse(data)
