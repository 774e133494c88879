"""Session timers (RFC 4028): negotiation, refreshes, and the end of a session. Times are explicit."""

from __future__ import annotations

import random

import pytest

from lemonade_wire.address import Address
from lemonade_wire.sip.event import CallEnded, Event, InviteReceived, ReinviteAnswered, ReinviteReceived
from lemonade_wire.sip.message import SipRequest, SipResponse
from lemonade_wire.sip.message.uri import SipUri
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.sip.ua import UserAgent
from lemonade_wire.testing import sent_messages

PEER = Address("192.0.2.9", 5070)
SDP = b"v=0\r\no=- 1 1 IN IP4 127.0.0.2\r\n"
INVITE = (
    "INVITE sip:annc@127.0.0.2:5060 SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK{branch}\r\n"
    "Max-Forwards: 70\r\n"
    "From: <sip:joe@example.com>;tag=f\r\n"
    "To: <sip:annc@media.example.net>{tag}\r\n"
    "Call-ID: c1\r\n"
    "CSeq: {number} INVITE\r\n"
    "Contact: <sip:joe@192.0.2.9:5090>\r\n"
    "{more}"
    "Content-Length: 0\r\n\r\n"
)


class Callee:
    """A user agent with session timers that is called by a hand-written INVITE with the given headers."""

    def __init__(self, *more: str) -> None:
        settings = UaSettings(Address("127.0.0.2", 5060), supported=("timer",))
        self.ua = UserAgent(settings, random.Random(4))
        self.now, self.tag, self.number = 1000.0, "", 0
        self.invite(*more)

    def invite(self, *more: str) -> None:
        """Send the first INVITE or a re-INVITE."""
        self.number += 1
        self.give(self.text("INVITE", *more))

    def text(self, method: str, *more: str) -> str:
        lines = "".join(f"{one}\r\n" for one in more)
        text = INVITE.format(branch=f"{method}{self.number}", number=self.number, tag=self.tag, more=lines)
        return text.replace("INVITE sip", f"{method} sip").replace(" INVITE\r\n", f" {method}\r\n")

    def give(self, text: str) -> None:
        self.ua.datagram_received(text.encode(), PEER, self.now)

    def said(self) -> list[SipRequest | SipResponse]:
        return sent_messages(self.ua)

    def accept(self) -> SipResponse:
        """Accept the INVITE and acknowledge; returns the 200."""
        event = self.ua.events()[-1]
        assert isinstance(event, InviteReceived | ReinviteReceived)
        self.call = event.call
        self.ua.accept(self.call, SDP, now=self.now)
        (ok,) = self.said()
        assert isinstance(ok, SipResponse)
        self.tag = f";tag={ok.to.tag}"
        self.give(self.text("ACK"))
        self.ua.events()
        return ok

    def answer(self, request: SipRequest, status: int, *more: str) -> None:
        """Answer a request of the user agent."""
        names = {"Via", "From", "To", "Call-ID", "CSeq"}
        lines = [f"{name}: {value}" for name, value in request.headers if name in names]
        self.give("\r\n".join([f"SIP/2.0 {status} X", *lines, *more, "Content-Length: 0", "", ""]))

    def run(self, seconds: float) -> list[SipRequest]:
        """Advance the clock by `seconds`, or up to the first requests of the user agent; returns these requests."""
        end = self.now + seconds
        while (at := self.ua.next_timer()) is not None and at <= end:
            self.now = at
            self.ua.handle_timer(at)
            if said := [message for message in self.said() if isinstance(message, SipRequest)]:
                return said
        self.now = end
        return []

    def happened(self) -> list[Event]:
        return self.ua.events()


SUPPORTED = "Supported: timer"
# Headers of the INVITE; Session-Expires and Require of the 200 (table 2 of RFC 4028).
AGREED = [
    ((), None, None),
    ((SUPPORTED,), None, None),
    (("Session-Expires: 1800",), "1800;refresher=uas", None),
    (("x: 1800",), "1800;refresher=uas", None),
    ((SUPPORTED, "Session-Expires: 1800"), "1800;refresher=uac", "timer"),
    ((SUPPORTED, "Session-Expires: 1800;refresher=uac"), "1800;refresher=uac", "timer"),
    (("k: 100rel, timer", "Session-Expires: 1800 ; Refresher=UAS"), "1800;refresher=uas", "timer"),
    (("Require: timer", SUPPORTED, "Session-Expires: 90", "Min-SE: 90"), "90;refresher=uac", "timer"),
    (("Session-Expires: 60",), None, None),
]


@pytest.mark.parametrize(("more", "expires", "require"), AGREED)
def test_the_200_has_interval_and_refresher(more: tuple[str, ...], expires: str | None, require: str | None) -> None:
    ok = Callee(*more).accept()
    assert ok.headers.get("Session-Expires") == expires
    assert ok.headers.get("Require") == require
    assert ok.headers.get("Supported") == "timer"


def test_an_interval_that_is_too_small_is_refused_by_422() -> None:
    callee = Callee(SUPPORTED, "Session-Expires: 89;refresher=uac")
    (answer,) = callee.said()
    assert isinstance(answer, SipResponse)
    assert (answer.status, answer.reason) == (422, "Session Interval Too Small")
    assert answer.headers.get("Min-SE") == "90"
    assert callee.happened() == []


@pytest.mark.parametrize("header", ["Session-Expires: soon", "Session-Expires: -1", "Min-SE: x\r\nSession-Expires: 90"])
def test_a_malformed_interval_is_refused_by_400(header: str) -> None:
    callee = Callee(SUPPORTED, header)
    (answer,) = callee.said()
    assert isinstance(answer, SipResponse)
    assert (answer.status, answer.reason) == (400, f"Bad {header.partition(':')[0]}")


def test_timers_are_ignored_if_they_are_not_supported() -> None:
    ua = UserAgent(UaSettings(Address("127.0.0.2", 5060)), random.Random(4))
    ua.datagram_received(INVITE.format(branch="1", number=1, tag="", more="Session-Expires: x\r\n").encode(), PEER, 0)
    assert [type(event) for event in ua.events()] == [InviteReceived]


def test_a_session_that_is_not_refreshed_is_ended_before_it_expires() -> None:
    callee = Callee(SUPPORTED, "Session-Expires: 1800;refresher=uac")
    callee.accept()
    assert callee.run(1767.9) == []
    (bye,) = callee.run(1)
    assert (bye.method, callee.now) == ("BYE", 1000.0 + 1800 - 32)
    assert callee.happened() == [CallEnded(callee.call, "session-expired")]


def test_a_short_session_ends_a_third_of_the_interval_early() -> None:
    callee = Callee(SUPPORTED, "Session-Expires: 90;refresher=uac")
    callee.accept()
    (bye,) = callee.run(100)
    assert (bye.method, callee.now) == ("BYE", 1000.0 + 60)


def test_a_reinvite_refreshes_the_session() -> None:
    callee = Callee(SUPPORTED, "Session-Expires: 90;refresher=uac")
    callee.accept()
    callee.run(50)
    callee.invite(SUPPORTED, "Session-Expires: 300;refresher=uac")
    assert callee.accept().headers.get("Session-Expires") == "300;refresher=uac"
    (bye,) = callee.run(300)
    assert (bye.method, callee.now) == ("BYE", 1050.0 + 268)


def test_a_refused_reinvite_refreshes_nothing() -> None:
    callee = Callee(SUPPORTED, "Session-Expires: 90;refresher=uac")
    callee.accept()
    callee.run(50)
    callee.invite(SUPPORTED, "Session-Expires: 300;refresher=uac")
    callee.ua.refuse(callee.call, 488, now=callee.now)
    callee.said()
    (bye,) = callee.run(300)
    assert (bye.method, callee.now) == ("BYE", 1060.0)


def test_a_reinvite_without_a_timer_turns_it_off() -> None:
    callee = Callee(SUPPORTED, "Session-Expires: 90;refresher=uac")
    callee.accept()
    callee.invite(SUPPORTED)
    assert "Session-Expires" not in callee.accept().headers
    assert callee.run(1000) == []


def test_the_refresher_repeats_the_description_at_half_the_interval() -> None:
    callee = Callee("Session-Expires: 1800", "Min-SE: 120")
    callee.accept()
    for number in range(2):
        start = callee.now
        (refresh,) = callee.run(1000)
        assert (refresh.method, callee.now) == ("INVITE", start + 900)
        assert refresh.headers.get("Session-Expires") == "1800;refresher=uac"
        assert (refresh.headers.get("Min-SE"), refresh.headers.get("Supported")) == ("120", "timer")
        assert (refresh.body, refresh.content_type) == (SDP, "application/sdp")
        callee.answer(refresh, 200, "Contact: <sip:joe@192.0.2.9:5090>", "To-Nobody: x")
        (ack,) = callee.said()
        assert isinstance(ack, SipRequest)
        assert ack.cseq.number == number + 1
        (answered,) = callee.happened()
        assert isinstance(answered, ReinviteAnswered)
        assert answered.transaction == ""


def test_the_peer_may_become_the_refresher() -> None:
    callee = Callee(SUPPORTED, "Session-Expires: 200;refresher=uas")
    callee.accept()
    (refresh,) = callee.run(1000)
    assert refresh.headers.get("Session-Expires") == "200;refresher=uac"
    callee.answer(refresh, 200, "Contact: <sip:joe@192.0.2.9>", "Require: timer", "Session-Expires: 120;refresher=uas")
    callee.said()
    callee.happened()
    (bye,) = callee.run(1000)
    assert (bye.method, callee.now) == ("BYE", 1100.0 + 120 - 32)


def test_a_2xx_without_a_timer_from_a_supporting_peer_turns_it_off() -> None:
    callee = Callee(SUPPORTED, "Session-Expires: 200;refresher=uas")
    callee.accept()
    (refresh,) = callee.run(1000)
    callee.answer(refresh, 200, "Contact: <sip:joe@192.0.2.9>")
    callee.said()
    assert callee.run(1000) == []


def test_422_to_a_refresh_is_tried_again_with_the_interval_named() -> None:
    callee = Callee("Session-Expires: 200")
    callee.accept()
    (refresh,) = callee.run(1000)
    callee.answer(refresh, 422, "Min-SE: 600")
    _, again = callee.said()
    assert isinstance(again, SipRequest)
    assert (again.headers.get("Session-Expires"), again.headers.get("Min-SE")) == ("600;refresher=uac", "600")
    callee.answer(again, 422, "Min-SE: 900")
    callee.said()
    # The session still expires at the time of the first 2xx (section 10).
    (bye,) = callee.run(1000)
    assert (bye.method, callee.now) == ("BYE", 1000.0 + 200 - 32)


@pytest.mark.parametrize(("status", "method", "after"), [(481, "", 0.0), (408, "BYE", 0.0), (500, "BYE", 68.0)])
def test_a_refresh_that_fails(status: int, method: str, after: float) -> None:
    callee = Callee("Session-Expires: 200")
    callee.accept()
    (refresh,) = callee.run(1000)
    callee.answer(refresh, status)
    said = [message.method for message in callee.said() if isinstance(message, SipRequest)]
    if after:
        assert said == ["ACK"]
        said += [message.method for message in callee.run(1000)]
    assert said == ["ACK", *([method] if method else [])]
    assert callee.now == 1100.0 + after
    assert isinstance(callee.happened()[-1], CallEnded)


def test_a_caller_with_timers_takes_what_the_200_says() -> None:
    ua = UserAgent(UaSettings(Address("127.0.0.2", 5060), supported=("timer",)), random.Random(4))
    callee = Callee()
    callee.ua = ua
    callee.call = ua.invite(SipUri.parse("sip:joe@192.0.2.9"), next_hop=PEER, now=callee.now, body=SDP)
    (invite,) = callee.said()
    assert isinstance(invite, SipRequest)
    ok = "Contact: <sip:joe@192.0.2.9>", "Session-Expires: 100;refresher=uac"
    invite = invite.with_headers(invite.headers.with_set("To", "<sip:joe@192.0.2.9>;tag=t"))
    callee.answer(invite, 200, *ok)
    callee.said()
    (refresh,) = callee.run(1000)
    assert (refresh.method, callee.now, refresh.body) == ("INVITE", 1050.0, SDP)
