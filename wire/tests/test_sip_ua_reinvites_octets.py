"""Re-INVITEs against octets written by hand: order, remote target and refusals (RFC 3261 section 14)."""

from __future__ import annotations

import random

import pytest

from lemonade_wire.address import Address
from lemonade_wire.sip.errors import SipUsageError
from lemonade_wire.sip.event import (
    Event,
    InviteCancelled,
    InviteReceived,
    ReinviteAnswered,
    ReinviteConfirmed,
    ReinviteReceived,
)
from lemonade_wire.sip.message import SipRequest, SipResponse
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.sip.ua import UserAgent
from lemonade_wire.testing import sent_messages

PEER = Address("192.0.2.9", 5070)
OTHER = b"v=0\r\no=other offer\r\n"
AGREED = b"v=0\r\no=other answer\r\n"

INVITE = (
    "INVITE sip:annc@127.0.0.2:5060 SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK{branch}\r\n"
    "Max-Forwards: 70\r\n"
    "From: <sip:joe@example.com>;tag=f\r\n"
    "To: <sip:annc@media.example.net>{tag}\r\n"
    "Call-ID: c1\r\n"
    "CSeq: {number} INVITE\r\n"
    "Contact: <sip:joe@192.0.2.9:{port}>\r\n"
    "{more}"
    "Content-Length: 0\r\n\r\n"
)


class Callee:
    """A user agent with a confirmed call, which was set up by hand-written messages."""

    def __init__(self, *, early: bool = False) -> None:
        self.ua = UserAgent(UaSettings(Address("127.0.0.2", 5060), supported=("timer",)), random.Random(4))
        self.give(self.invite(1))
        (event,) = self.ua.events()
        assert isinstance(event, InviteReceived)
        self.call, self.tag = event.call, ""
        if early:
            self.ua.progress(self.call, 183, now=0.0)
            self.tag = f";tag={self.said()[0].to.tag}"
            return
        self.ua.accept(self.call, b"v=0", now=0.0)
        self.tag = f";tag={self.said()[0].to.tag}"
        self.give(self.invite(1, branch="ack").replace("INVITE", "ACK"))
        self.ua.events()

    def invite(self, number: int, *, branch: str = "", port: int = 5090, more: str = "") -> str:
        tag = getattr(self, "tag", "")
        return INVITE.format(branch=branch or f"i{number}", number=number, port=port, tag=tag, more=more)

    def give(self, text: str, now: float = 0.0) -> list[SipRequest | SipResponse]:
        self.ua.datagram_received(text.encode(), PEER, now)
        return self.said()

    def said(self) -> list[SipRequest | SipResponse]:
        return sent_messages(self.ua)

    def happened(self) -> list[Event]:
        return self.ua.events()


def statuses(messages: list[SipRequest | SipResponse]) -> list[int]:
    return [message.status for message in messages if isinstance(message, SipResponse)]


def test_an_invite_before_the_answer_to_another_gets_500_with_retry_after() -> None:
    callee = Callee()
    assert callee.give(callee.invite(2)) == []
    (answer,) = callee.give(callee.invite(3))
    assert isinstance(answer, SipResponse)
    assert answer.status == 500
    assert 0 <= int(answer.headers.get("Retry-After") or "-1") <= 10
    assert [type(event) for event in callee.happened()] == [ReinviteReceived]
    callee.ua.accept(callee.call, AGREED, now=1.0)
    assert statuses(callee.said()) == [200]


def test_the_same_in_an_early_dialog() -> None:
    callee = Callee(early=True)
    (answer,) = callee.give(callee.invite(2))
    assert isinstance(answer, SipResponse)
    assert (answer.status, "Retry-After" in answer.headers) == (500, True)
    callee.ua.accept(callee.call, AGREED, now=1.0)
    assert statuses(callee.said()) == [200]


def test_a_bye_in_an_early_dialog_ends_the_call() -> None:
    callee = Callee(early=True)
    assert statuses(callee.give(callee.invite(2).replace("INVITE", "BYE"))) == [200, 487]
    assert callee.happened() == [InviteCancelled(callee.call)]


def test_an_invite_before_the_ack_of_another_gets_491() -> None:
    callee = Callee()
    callee.give(callee.invite(2))
    callee.ua.accept(callee.call, AGREED, now=1.0)
    callee.said()
    assert statuses(callee.give(callee.invite(3))) == [491]
    callee.give(callee.invite(2, branch="ack2").replace("INVITE", "ACK"))
    assert [type(event) for event in callee.happened()] == [ReinviteReceived, ReinviteConfirmed]
    assert callee.give(callee.invite(4)) == []


def test_the_target_is_refreshed_by_an_accepted_one_alone() -> None:
    callee = Callee()
    callee.give(callee.invite(2, port=5091))
    callee.ua.refuse(callee.call, 488, now=1.0)
    callee.said()
    callee.ua.info(callee.call, b"x", "text/x", now=1.0)
    assert [message.target for message in callee.said() if isinstance(message, SipRequest)] == [
        "sip:joe@192.0.2.9:5090"
    ]
    callee.give(callee.invite(2, branch="i2").replace("INVITE", "ACK"))
    callee.give(callee.invite(3, port=5092))
    callee.ua.accept(callee.call, AGREED, now=2.0)
    callee.said()
    callee.ua.bye(callee.call, now=2.0)
    assert [message.target for message in callee.said() if isinstance(message, SipRequest)] == [
        "sip:joe@192.0.2.9:5092"
    ]


def test_the_target_is_refreshed_by_the_2xx_to_ours() -> None:
    callee = Callee()
    callee.ua.reinvite(callee.call, OTHER, now=1.0)
    (invite,) = callee.said()
    assert isinstance(invite, SipRequest)
    head = bytes(invite).decode().partition("Content-Length")[0].split("\r\n")
    lines = [line for line in head[1:] if line.split(":")[0] in {"Via", "From", "To", "Call-ID", "CSeq"}]
    for _ in range(2):
        ok = "\r\n".join(["SIP/2.0 200 OK", *lines, "Contact: <sip:joe@192.0.2.9:5099>", "Content-Length: 0", "", ""])
        (ack,) = callee.give(ok, 1.1)
        assert isinstance(ack, SipRequest)
        assert (ack.method, ack.target, ack.cseq.number) == ("ACK", "sip:joe@192.0.2.9:5099", invite.cseq.number)
    assert [type(event) for event in callee.happened()] == [ReinviteAnswered]


def test_update_is_not_allowed() -> None:
    callee = Callee()
    (answer,) = callee.give(callee.invite(2).replace("INVITE", "UPDATE"))
    assert isinstance(answer, SipResponse)
    assert (answer.status, answer.headers.get("Allow")) == (405, "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO")


def test_reinvites_that_cannot_be_sent_are_refused() -> None:
    callee = Callee()
    with pytest.raises(SipUsageError, match="holds an offer"):
        callee.ua.reinvite(callee.call, b"", now=1.0)
    callee.ua.bye(callee.call, now=1.0)
    with pytest.raises(SipUsageError, match="ending"):
        callee.ua.reinvite(callee.call, OTHER, now=1.0)
    assert statuses(callee.give(callee.invite(2))) == [481]
