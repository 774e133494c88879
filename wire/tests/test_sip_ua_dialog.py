"""Requests between two user agents, inside a call and outside a dialog. Times are explicit."""

from __future__ import annotations

import random

import pytest

from lemonade_wire.address import Address
from lemonade_wire.sip.errors import SipUsageError
from lemonade_wire.sip.event import CallEnded, CallProgressed, InfoReceived, RequestAnswered, SendDatagram
from lemonade_wire.sip.message import SipRequest, SipResponse, parse_datagram
from lemonade_wire.sip.message.uri import SipUri
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.sip.ua import UserAgent
from lemonade_wire.sip.ua.dialog import Dialog
from lemonade_wire.testing import Net

CLIENT = Address("127.0.0.3", 5060)
MEDIA = Address("127.0.0.2", 5060)
URI = SipUri.parse("sip:annc@media.example.net;play=imap://h/%2523")
ANSWER = b"v=0\r\no=answer\r\n"


def test_the_callee_hangs_up_only_after_the_ack() -> None:
    net = Net(loses=lambda data: data.startswith(b"ACK"))
    _, theirs = net.call()
    net.media.accept(theirs, ANSWER, now=net.now)
    net.media.bye(theirs, now=net.now, headers=[("Reason", "SIP;cause=200")])
    net.run(net.now + 1)
    assert "media BYE" not in net.lines()
    net.loses = lambda _: False
    net.run(net.now + 3)
    assert net.lines()[-2:] == ["media BYE", "client 200 BYE"]
    assert b"Reason: SIP;cause=200\r\n" in net.sent[-2][1]
    assert net.kinds("media")[-2:] == ["CallConfirmed", "CallEnded"]


@pytest.mark.parametrize("asked_before", [False, True])
def test_bye_at_once_does_not_wait_for_the_ack(asked_before: bool) -> None:
    net = Net(loses=lambda data: data.startswith(b"ACK"))
    mine, theirs = net.call()
    net.media.accept(theirs, ANSWER, now=net.now)
    reason = [("Reason", "SIP;cause=503")]
    if asked_before:
        net.media.bye(theirs, now=net.now, headers=reason)
    for _ in range(2):
        net.media.bye(theirs, now=net.now, headers=() if asked_before else reason, at_once=True)
    net.run(net.now + 10)
    assert b"Reason: SIP;cause=503\r\n" in next(data for _, data in net.sent if data.startswith(b"BYE"))
    assert net.lines().count("media BYE") == net.lines().count("media 200 INVITE") == 1
    assert net.happened["media"][-1] == CallEnded(theirs, "bye-answered")
    assert net.happened["client"][-1] == CallEnded(mine, "bye-received")


def test_an_info_that_overtakes_the_ack_waits_for_it() -> None:
    net = Net(loses=lambda data: data.startswith(b"ACK"))
    mine, theirs = net.call()
    net.media.accept(theirs, ANSWER, now=net.now)
    net.settle()
    net.client.info(mine, b"early", "text/x", now=net.now)
    net.settle()
    assert "client INFO" in net.lines()
    assert net.kinds("media") == ["InviteReceived"]
    net.loses = lambda _: False
    net.run(net.now + 1)
    assert net.kinds("media") == ["InviteReceived", "CallConfirmed", "InfoReceived"]


def test_an_info_that_overtakes_the_200_waits_for_it() -> None:
    net = Net(loses=lambda data: data.startswith(b"SIP/2.0 200"))
    mine, theirs = net.call()
    net.media.accept(theirs, ANSWER, now=net.now)
    net.settle()
    ok = parse_datagram(net.sent[-1][1])
    invite = parse_datagram(net.sent[0][1])
    assert isinstance(invite, SipRequest)
    assert isinstance(ok, SipResponse)
    info = Dialog.as_callee(invite, ok).request("INFO", [("Via", "SIP/2.0/UDP 127.0.0.2:5060;branch=z9hG4bKx")], b"x")
    net.client.datagram_received(bytes(info), MEDIA, net.now)
    net.settle()
    assert net.kinds("client") == ["CallProgressed"]
    net.loses = lambda _: False
    net.run(net.now + 1)
    assert net.kinds("client") == ["CallProgressed", "CallAnswered", "InfoReceived"]
    assert net.last("client", InfoReceived).call == mine


def test_one_info_at_a_time_reaches_the_application() -> None:
    net = Net()
    mine, _ = net.talk()
    for number in (b"1", b"2"):
        net.client.info(mine, number, "text/x", now=net.now)
    net.settle()
    assert net.lines().count("client INFO") == 1


def test_a_bye_fails_the_waiting_requests() -> None:
    net = Net()
    mine, theirs = net.talk()
    asked = [net.client.info(mine, b"x", "text/x", now=net.now) for _ in range(2)]
    net.run(net.now + 1)
    event = net.last("media", InfoReceived)
    net.client.bye(mine, now=net.now)
    net.client.bye(mine, now=net.now)
    net.run(net.now + 1)
    assert net.happened["client"][-3:] == [
        *(RequestAnswered(mine, transaction, None) for transaction in asked),
        CallEnded(mine, "bye-answered"),
    ]
    assert net.happened["media"][-1] == CallEnded(theirs, "bye-received")
    assert "media 487 INFO" in net.lines()
    assert isinstance(event, InfoReceived)
    net.media.respond(event.transaction, 200, now=net.now)  # too late, and harmless
    net.run(net.now + 1)
    assert "media 200 INFO" not in net.lines()
    with pytest.raises(SipUsageError):
        net.client.info(mine, b"x", "text/x", now=net.now)


def test_both_hang_up_at_once() -> None:
    net = Net()
    mine, theirs = net.talk()
    net.client.bye(mine, now=net.now)
    net.media.bye(theirs, now=net.now)
    net.run(net.now + 1)
    assert net.happened["client"][-1] == CallEnded(mine, "bye-answered")
    assert net.happened["media"][-1] == CallEnded(theirs, "bye-answered")


@pytest.mark.parametrize(("status", "bye"), [(481, False), (408, True)])
def test_a_481_or_408_inside_the_dialog_ends_the_call(status: int, bye: bool) -> None:
    net = Net()
    mine, _ = net.talk()
    asked = net.client.info(mine, b"x", "text/x", now=net.now)
    net.run(net.now + 1)
    event = net.last("media", InfoReceived)
    assert isinstance(event, InfoReceived)
    net.media.respond(event.transaction, status, now=net.now)
    net.run(net.now + 1)
    answered, ended = net.happened["client"][-2:]
    assert isinstance(answered, RequestAnswered)
    assert answered.transaction == asked
    assert ended == CallEnded(mine, "dialog-gone")
    assert ("client BYE" in net.lines()) is bye


def test_an_info_without_answer_ends_the_call() -> None:
    net = Net()
    mine, _ = net.talk()
    asked = net.client.info(mine, b"x", "text/x", now=net.now)
    net.loses = lambda _: True
    net.run(net.now + 33)
    assert net.happened["client"][-2:] == [RequestAnswered(mine, asked, None), CallEnded(mine, "dialog-gone")]


def test_a_provisional_response_reaches_the_caller() -> None:
    net = Net()
    _, theirs = net.call()
    net.media.progress(theirs, 183, now=net.now)
    net.run(net.now + 1)
    event = net.last("client", CallProgressed)
    assert isinstance(event, CallProgressed)
    assert (event.response.status, event.response.to.tag is None) == (183, False)
    with pytest.raises(SipUsageError):
        net.media.progress(theirs, 100, now=net.now)


def test_a_waiting_caller_gets_a_183_every_minute() -> None:
    """Section 13.3.1.1: without the 183 a proxy on the path may cancel the call after three minutes."""
    net = Net()
    _, theirs = net.call()
    start = net.now
    net.run(start + 185)
    told = [event.response for event in net.happened["client"] if isinstance(event, CallProgressed)]
    assert [response.status for response in told] == [100, 183, 183, 183]
    assert len({response.to.tag for response in told[1:]}) == 1
    net.media.accept(theirs, ANSWER, now=net.now)
    net.run(net.now + 200)
    assert net.lines().count("media 183 INVITE") == 3
    assert net.kinds("media")[-1] == "CallConfirmed"


def test_a_fault_sends_the_ack_elsewhere() -> None:
    class Wrong(Dialog):
        def ack_target(self) -> str:
            return "sip:ivr@elsewhere.example.com"

    net = Net()
    net.client = UserAgent(UaSettings(CLIENT), random.Random(3), Wrong)
    net.talk()
    assert net.sent[-1][1].startswith(b"ACK sip:ivr@elsewhere.example.com SIP/2.0\r\n")
    assert net.kinds("media")[-1] == "CallConfirmed"


def test_options_outside_a_dialog_is_answered_by_user_part() -> None:
    net = Net()
    net.media = UserAgent(UaSettings(MEDIA, users=frozenset({"annc", "ivr"}), supported=("x",)), random.Random(2))
    for uri in ("sip:media.example.net", "sip:ANNC@media.example.net", "sip:conf@media.example.net"):
        net.client.request("OPTIONS", SipUri.parse(uri), next_hop=MEDIA, now=0.0)
    net.run(1)
    answers = [event.response for event in net.happened["client"] if isinstance(event, RequestAnswered)]
    assert [answer.status for answer in answers if answer] == [200, 200, 488]
    assert answers[0] is not None
    assert answers[0].headers.get("Allow") == "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO"
    assert answers[0].headers.get("Accept") == "application/sdp"
    assert answers[0].headers.get("Supported") == "x"


def test_given_headers_replace_the_default_ones() -> None:
    net = Net()
    net.client.request(
        "OPTIONS", URI, next_hop=MEDIA, now=0.0, headers=[("max-forwards", "5"), ("X-Y", "z")],
        from_='"Joe" <sip:joe@example.com>', to="<sip:annc@media.example.net>",
    )  # fmt: skip
    net.run(0)
    message = parse_datagram(net.sent[0][1])
    assert message.headers.rows("Max-Forwards") == ["5"]
    assert message.headers.get("X-Y") == "z"
    assert message.from_.display == '"Joe"'
    with pytest.raises(SipUsageError):
        net.client.request("ACK", URI, next_hop=MEDIA, now=0.0)


def test_a_2xx_of_another_fork_is_acknowledged_and_ended() -> None:
    net = Net()
    mine, _ = net.talk()
    ok = next(data for name, data in net.sent if Net.what(data) == "200 INVITE")
    branch = parse_datagram(ok).to.tag or ""
    net.client.datagram_received(ok.replace(branch.encode(), b"another"), MEDIA, net.now)
    assert [Net.what(o.data) for o in net.client.outputs() if isinstance(o, SendDatagram)] == ["ACK", "BYE"]
    assert net.client.events() == []
    net.client.bye(mine, now=net.now)
