"""What two user agents back to back ask of each other, in a call and beside it. Times are explicit."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from lemonade_wire.address import Address
from lemonade_wire.sip.dialog import Dialog
from lemonade_wire.sip.errors import SipUsageError
from lemonade_wire.sip.event import CallEnded, CallProgressed, InfoReceived, RequestAnswered, SendDatagram
from lemonade_wire.sip.message import Request, Response, parse_datagram
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.sip.ua import UserAgent
from lemonade_wire.sip.uri import SipUri

if TYPE_CHECKING:
    from tests.conftest import Net

CLIENT = Address("127.0.0.3", 5060)
MEDIA = Address("127.0.0.2", 5060)
URI = SipUri.parse("sip:annc@media.example.net;play=imap://h/%2523")
ANSWER = b"v=0\r\no=answer\r\n"


def test_the_callee_hangs_up_only_after_the_ack(make_net: type[Net]) -> None:
    net = make_net(loses=lambda data: data.startswith(b"ACK"))
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
def test_who_is_about_to_end_hangs_up_without_the_ack(make_net: type[Net], asked_before: bool) -> None:
    net = make_net(loses=lambda data: data.startswith(b"ACK"))
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


def test_an_info_that_overtakes_the_ack_waits_for_it(make_net: type[Net]) -> None:
    net = make_net(loses=lambda data: data.startswith(b"ACK"))
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


def test_an_info_that_overtakes_the_200_waits_for_it(make_net: type[Net]) -> None:
    net = make_net(loses=lambda data: data.startswith(b"SIP/2.0 200"))
    mine, theirs = net.call()
    net.media.accept(theirs, ANSWER, now=net.now)
    net.settle()
    ok = parse_datagram(net.sent[-1][1])
    invite = parse_datagram(net.sent[0][1])
    assert isinstance(invite, Request)
    assert isinstance(ok, Response)
    info = Dialog.as_callee(invite, ok).request("INFO", [("Via", "SIP/2.0/UDP 127.0.0.2:5060;branch=z9hG4bKx")], b"x")
    net.client.datagram_received(bytes(info), MEDIA, net.now)
    net.settle()
    assert net.kinds("client") == ["CallProgressed"]
    net.loses = lambda _: False
    net.run(net.now + 1)
    assert net.kinds("client") == ["CallProgressed", "CallAnswered", "InfoReceived"]
    assert net.last("client", InfoReceived).call == mine


def test_one_info_at_a_time_reaches_the_application(make_net: type[Net]) -> None:
    net = make_net()
    mine, _ = net.talk()
    for number in (b"1", b"2"):
        net.client.info(mine, number, "text/x", now=net.now)
    net.settle()
    assert net.lines().count("client INFO") == 1


def test_hanging_up_fails_what_waits(make_net: type[Net]) -> None:
    net = make_net()
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


def test_both_hang_up_at_once(make_net: type[Net]) -> None:
    net = make_net()
    mine, theirs = net.talk()
    net.client.bye(mine, now=net.now)
    net.media.bye(theirs, now=net.now)
    net.run(net.now + 1)
    assert net.happened["client"][-1] == CallEnded(mine, "bye-answered")
    assert net.happened["media"][-1] == CallEnded(theirs, "bye-answered")


@pytest.mark.parametrize(("status", "bye"), [(481, False), (408, True)])
def test_a_dialog_that_is_gone(make_net: type[Net], status: int, bye: bool) -> None:
    net = make_net()
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


def test_an_info_without_answer_ends_the_call(make_net: type[Net]) -> None:
    net = make_net()
    mine, _ = net.talk()
    asked = net.client.info(mine, b"x", "text/x", now=net.now)
    net.loses = lambda _: True
    net.run(net.now + 33)
    assert net.happened["client"][-2:] == [RequestAnswered(mine, asked, None), CallEnded(mine, "dialog-gone")]


def test_progress(make_net: type[Net]) -> None:
    net = make_net()
    _, theirs = net.call()
    net.media.progress(theirs, 183, now=net.now)
    net.run(net.now + 1)
    event = net.last("client", CallProgressed)
    assert isinstance(event, CallProgressed)
    assert (event.response.status, event.response.to.tag is None) == (183, False)
    with pytest.raises(SipUsageError):
        net.media.progress(theirs, 100, now=net.now)


def test_a_caller_that_waits_hears_of_it_every_minute(make_net: type[Net]) -> None:
    """Section 13.3.1.1: else a proxy on the way gives the call up after three minutes."""
    net = make_net()
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


def test_a_fault_sends_the_ack_elsewhere(make_net: type[Net]) -> None:
    class Wrong(Dialog):
        def ack_target(self) -> str:
            return "sip:ivr@elsewhere.example.com"

    net = make_net()
    net.client = UserAgent(UaSettings(CLIENT), random.Random(3), Wrong)
    net.talk()
    assert net.sent[-1][1].startswith(b"ACK sip:ivr@elsewhere.example.com SIP/2.0\r\n")
    assert net.kinds("media")[-1] == "CallConfirmed"


def test_options(make_net: type[Net]) -> None:
    net = make_net()
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


def test_headers_given_stand_instead_of_the_usual(make_net: type[Net]) -> None:
    net = make_net()
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


def test_a_fork_is_hung_up(make_net: type[Net]) -> None:
    net = make_net()
    mine, _ = net.talk()
    ok = next(data for name, data in net.sent if make_net.what(data) == "200 INVITE")
    branch = parse_datagram(ok).to.tag or ""
    net.client.datagram_received(ok.replace(branch.encode(), b"another"), MEDIA, net.now)
    assert [make_net.what(o.data) for o in net.client.outputs() if isinstance(o, SendDatagram)] == ["ACK", "BYE"]
    assert net.client.events() == []
    net.client.bye(mine, now=net.now)
