"""Rules of RFC 3261 that no other test file covers: a user agent against hand-written octets. Times are explicit."""

from __future__ import annotations

import random

import pytest

from lemonade_wire.address import Address
from lemonade_wire.sip.event import (
    CallAnswered,
    CallEnded,
    CallRefused,
    InviteCancelled,
    InviteReceived,
    ReinviteCancelled,
    SendDatagram,
)
from lemonade_wire.sip.message import SipRequest, SipResponse, parse_datagram
from lemonade_wire.sip.message.uri import SipUri
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.sip.ua import UserAgent

HERE, PEER = Address("192.0.2.2", 5060), Address("192.0.2.9", 5060)
HEAD = (
    "{method} sip:annc@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n"
    "From: <sip:joe@example.com>;tag=f\r\nTo: <sip:annc@192.0.2.2>{tag}\r\nCall-ID: c1\r\nCSeq: {number} {method}\r\n"
    "Contact: <sip:joe@192.0.2.9>\r\n{more}Content-Length: 0\r\n\r\n"
)


def text(method: str, number: int = 1, *, branch: str = "1", tag: str = "", more: str = "") -> str:
    return HEAD.format(method=method, branch=branch, number=number, tag=f";tag={tag}" if tag else "", more=more)


def make() -> UserAgent:
    return UserAgent(UaSettings(HERE), random.Random(4))


def give(ua: UserAgent, octets: str, now: float = 0.0) -> list[SipRequest | SipResponse]:
    ua.datagram_received(octets.encode(), PEER, now)
    return said(ua)


def said(ua: UserAgent) -> list[SipRequest | SipResponse]:
    return [parse_datagram(output.data) for output in ua.outputs() if isinstance(output, SendDatagram)]


def offered(ua: UserAgent, more: str = "") -> str:
    give(ua, text("INVITE", more=more))
    (event,) = ua.events()
    assert isinstance(event, InviteReceived)
    return event.call


def accepted(ua: UserAgent, more: str = "") -> tuple[str, SipResponse]:
    call = offered(ua, more)
    ua.accept(call, b"v=0", now=0.0)
    (ok,) = said(ua)
    assert isinstance(ok, SipResponse)
    give(ua, text("ACK", branch="ack", tag=ok.to.tag or ""))
    ua.events()
    return call, ok


def answer(request: SipRequest, status: int, *more: str, tag: str = "t") -> str:
    """Answer a request of the user agent."""
    kept = [f"{name}: {value}" for name, value in request.headers if name in {"Via", "From", "Call-ID", "CSeq"}]
    to = f"To: {request.to if request.to.tag else request.to.with_tag(tag)}"
    return "\r\n".join([f"SIP/2.0 {status} X", *kept, to, *more, "Content-Length: 0", "", ""])


def test_the_answers_to_an_invite_and_its_cancel_have_one_tag() -> None:
    """Section 9.2."""
    ua = make()
    call = offered(ua)
    ua.progress(call, 180, now=0.0)
    (ringing,) = said(ua)
    cancelled, terminated = give(ua, text("CANCEL"))
    assert isinstance(cancelled, SipResponse)
    assert isinstance(terminated, SipResponse)
    assert (cancelled.status, terminated.status) == (200, 487)
    assert ringing.to.tag
    assert {ringing.to.tag, cancelled.to.tag, terminated.to.tag} == {ringing.to.tag}


def test_a_response_that_makes_an_early_dialog_names_the_routes_and_the_contact() -> None:
    """Section 12.1.1."""
    ua = make()
    ua.progress(offered(ua, more="Record-Route: <sip:p1.example.com;lr>, <sip:p2.example.com;lr>\r\n"), 183, now=0.0)
    (early,) = said(ua)
    assert [route.uri for route in early.record_routes] == ["sip:p1.example.com;lr", "sip:p2.example.com;lr"]
    assert early.contact is not None
    assert early.contact.uri == "sip:annc@192.0.2.2:5060"


@pytest.mark.parametrize("seconds", [0, 5, 70])
def test_an_expired_invite_gets_487(seconds: int) -> None:
    """Section 13.3.1."""
    ua = make()
    call = offered(ua, more=f"Expires: {seconds}\r\n")
    ua.handle_timer(seconds - 0.1)
    said(ua)
    assert ua.events() == []
    assert (ua.next_timer() or 0) <= seconds
    ua.handle_timer(seconds)
    (refused,) = said(ua)
    assert isinstance(refused, SipResponse)
    assert (refused.status, refused.cseq.method) == (487, "INVITE")
    assert ua.events() == [InviteCancelled(call, expired=True)]
    give(ua, text("ACK", tag=refused.to.tag or ""), seconds)
    ua.handle_timer(seconds + 5)
    assert ua.next_timer() is None


@pytest.mark.parametrize("expires", ["soon", "-1", "99999999999", ""])
def test_an_invalid_expires_has_no_effect(expires: str) -> None:
    ua = make()
    call = offered(ua, more=f"Expires: {expires}\r\n")
    ua.handle_timer(59.0)
    assert ua.events() == []
    ua.accept(call, b"v=0", now=59.0)


def test_an_answered_invite_does_not_expire() -> None:
    """Section 13.3.1: Expires limits only the time until the final response."""
    ua = make()
    call, _ = accepted(ua, more="Expires: 5\r\n")
    ua.handle_timer(59.0)
    assert ua.events() == []
    ua.info(call, b"x", "text/x", now=59.0)


def test_an_expired_reinvite_leaves_the_session_unchanged() -> None:
    """Section 13.3.1 applies to an INVITE inside a dialog too."""
    ua = make()
    call, ok = accepted(ua)
    give(ua, text("INVITE", 2, branch="2", tag=ok.to.tag or "", more="Expires: 3\r\n"))
    ua.events()
    ua.handle_timer(3)
    (refused,) = said(ua)
    assert isinstance(refused, SipResponse)
    assert refused.status == 487
    assert ua.events() == [ReinviteCancelled(call)]
    ua.info(call, b"x", "text/x", now=4)
    assert [message.method for message in said(ua) if isinstance(message, SipRequest)] == ["INFO"]


def test_a_cancel_after_the_answer_has_no_effect() -> None:
    """Section 9.2."""
    ua = make()
    call, ok = accepted(ua)
    (cancelled,) = give(ua, text("CANCEL"))
    assert isinstance(cancelled, SipResponse)
    assert (cancelled.status, cancelled.to.tag) == (200, ok.to.tag)
    assert ua.events() == []
    ua.info(call, b"x", "text/x", now=1.0)
    assert len(said(ua)) == 1


def test_a_cancel_asks_for_no_extension() -> None:
    """Section 9.1: a CANCEL has no Require, which could be refused."""
    ua = make()
    offered(ua)
    first, _ = give(ua, text("CANCEL", more="Require: nothing\r\n"))
    assert isinstance(first, SipResponse)
    assert first.status == 200


def test_a_strict_router_gets_the_request_uri() -> None:
    """Section 12.2.1.1: the router becomes the Request-URI, and the remote target the last Route."""
    ua = make()
    call, _ = accepted(ua, more="Record-Route: <sip:p1.example.com>, <sip:p2.example.com;lr>\r\n")
    ua.info(call, b"x", "text/x", now=1.0)
    (info,) = said(ua)
    assert isinstance(info, SipRequest)
    assert info.target == "sip:p1.example.com"
    assert [route.uri for route in info.routes] == ["sip:p2.example.com;lr", "sip:joe@192.0.2.9"]


def test_a_loose_router_gets_only_a_route() -> None:
    """Section 12.2.1.1."""
    ua = make()
    call, _ = accepted(ua, more="Record-Route: <sip:p1.example.com;lr>, <sip:p2.example.com>\r\n")
    ua.bye(call, now=1.0)
    (bye,) = said(ua)
    assert isinstance(bye, SipRequest)
    assert bye.target == "sip:joe@192.0.2.9"
    assert [route.uri for route in bye.routes] == ["sip:p1.example.com;lr", "sip:p2.example.com"]


def test_the_route_set_is_that_of_the_first_invite() -> None:
    """Section 12.2: a re-INVITE changes the remote target but not the route set."""
    ua = make()
    call, ok = accepted(ua, more="Record-Route: <sip:p1.example.com;lr>\r\n")
    give(ua, text("INVITE", 2, branch="2", tag=ok.to.tag or "", more="Record-Route: <sip:p9.example.com;lr>\r\n"))
    ua.accept(call, b"v=0", now=1.0)
    said(ua)
    ua.bye(call, now=1.0)
    (bye,) = said(ua)
    assert [route.uri for route in bye.routes] == ["sip:p1.example.com;lr"]


def test_the_ack_of_a_2xx_takes_the_path_of_the_dialog_with_its_own_branch() -> None:
    """Sections 13.2.2.4 and 12.1.2: the caller reverses the Record-Route."""
    ua = make()
    ua.invite(SipUri.parse("sip:bob@example.com"), next_hop=PEER, now=0.0)
    (invite,) = said(ua)
    assert isinstance(invite, SipRequest)
    routes = "Record-Route: <sip:p2.example.com;lr>, <sip:p1.example.com;lr>"
    (ack,) = give(ua, answer(invite, 200, routes, "Contact: <sip:bob@192.0.2.77>"))
    assert isinstance(ack, SipRequest)
    assert (ack.method, ack.target, ack.cseq.number) == ("ACK", "sip:bob@192.0.2.77", invite.cseq.number)
    assert [route.uri for route in ack.routes] == ["sip:p1.example.com;lr", "sip:p2.example.com;lr"]
    assert ack.vias[0].branch != invite.vias[0].branch
    assert [type(event) for event in ua.events()] == [CallAnswered]


@pytest.mark.parametrize("status", [302, 401, 482, 483, 486, 503, 603])
def test_every_final_response_but_a_2xx_ends_an_invite_of_ours(status: int) -> None:
    """Sections 8.1.3 and 17.1.1.3: the ACK takes the path of the INVITE, and the response is reported once."""
    ua = make()
    call = ua.invite(SipUri.parse("sip:bob@example.com"), next_hop=PEER, now=0.0)
    (invite,) = said(ua)
    assert isinstance(invite, SipRequest)
    for again in range(2):
        (ack,) = give(ua, answer(invite, status))
        assert isinstance(ack, SipRequest)
        assert (ack.method, ack.target, ack.vias[0].branch) == ("ACK", invite.target, invite.vias[0].branch)
        events = ua.events()
        assert len(events) == (not again)
        for event in events:
            assert isinstance(event, CallRefused)
            assert event.call == call


@pytest.mark.parametrize("status", [200, 408, 481, 500])
def test_any_response_to_a_bye_ends_the_call(status: int) -> None:
    """Section 15.1.1."""
    ua = make()
    call, _ = accepted(ua)
    ua.bye(call, now=1.0)
    (bye,) = said(ua)
    assert isinstance(bye, SipRequest)
    give(ua, answer(bye, status), 1.0)
    assert ua.events() == [CallEnded(call, "bye-answered")]


def test_a_bye_without_a_response_ends_the_call_too() -> None:
    """Section 15.1.1: a timeout counts as 408."""
    ua = make()
    call, _ = accepted(ua)
    ua.bye(call, now=1.0)
    ua.handle_timer(32.9)
    assert ua.events() == []
    ua.handle_timer(33.0)
    assert ua.events() == [CallEnded(call, "bye-answered")]


def test_options_inside_a_call_leaves_it_as_it_is() -> None:
    """Section 11.2 and 12.2.2."""
    ua = make()
    call, ok = accepted(ua)
    (told,) = give(ua, text("OPTIONS", 2, branch="2", tag=ok.to.tag or ""))
    assert isinstance(told, SipResponse)
    assert told.status == 200
    assert {"Allow", "Accept", "Accept-Encoding", "Accept-Language", "Supported"} <= {name for name, _ in told.headers}
    ua.bye(call, now=1.0)


@pytest.mark.parametrize("hops", [0, 70])
def test_an_endpoint_accepts_max_forwards_0(hops: int) -> None:
    """Only a proxy answers 483 (section 16.3); an endpoint accepts the request (RFC 4475 section 3.3.11)."""
    ua = make()
    give(ua, text("INVITE").replace("Max-Forwards: 70", f"Max-Forwards: {hops}"))
    assert [type(event) for event in ua.events()] == [InviteReceived]
