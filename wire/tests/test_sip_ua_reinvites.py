"""Re-INVITEs between two user agents (RFC 3261 section 14). Times are explicit."""

from __future__ import annotations

import pytest

from lemonade_wire.address import Address
from lemonade_wire.sip.errors import SipUsageError
from lemonade_wire.sip.event import (
    CallEnded,
    InfoReceived,
    ReinviteAnswered,
    ReinviteCancelled,
    ReinviteConfirmed,
    ReinviteReceived,
)
from lemonade_wire.sip.message import SipRequest, SipResponse, parse_datagram
from lemonade_wire.sip.message.response import respond_to
from lemonade_wire.testing import Net

OTHER = b"v=0\r\no=other offer\r\n"
AGREED = b"v=0\r\no=other answer\r\n"


def changed(net: Net, name: str, call: str) -> None:
    """Let one side send a re-INVITE and the other side accept it."""
    other = "media" if name == "client" else "client"
    asked = net.ua(name).reinvite(call, OTHER, now=net.now)
    net.run(net.now + 0.1)
    received = net.last(other, ReinviteReceived)
    assert isinstance(received, ReinviteReceived)
    assert (received.request.body, received.request.content_type) == (OTHER, "application/sdp")
    net.ua(other).accept(received.call, AGREED, now=net.now)
    net.run(net.now + 0.1)
    answered = net.last(name, ReinviteAnswered)
    assert isinstance(answered, ReinviteAnswered)
    assert (answered.call, answered.transaction) == (call, asked)
    assert answered.response is not None
    assert (answered.response.status, answered.response.body) == (200, AGREED)
    assert isinstance(net.happened[other][-1], ReinviteConfirmed)


def test_either_side_may_change_the_session() -> None:
    net = Net()
    mine, theirs = net.talk()
    net.sent.clear()
    changed(net, "client", mine)
    assert net.lines() == ["client INVITE", "media 100 INVITE", "media 200 INVITE", "client ACK"]
    invite, ok, ack = (parse_datagram(net.sent[index][1]) for index in (0, 2, 3))
    assert isinstance(invite, SipRequest)
    assert isinstance(ok, SipResponse)
    assert isinstance(ack, SipRequest)
    assert invite.target == ack.target == "sip:annc@127.0.0.2:5060"
    assert (invite.cseq.number, ack.cseq.number) == (2, 2)
    assert (invite.to.tag, invite.from_.tag) == (ok.to.tag, ok.from_.tag)
    assert ok.contact is not None
    assert ok.contact.uri == "sip:annc@127.0.0.2:5060"
    changed(net, "media", theirs)
    net.client.info(mine, b"x", "text/x", now=net.now)
    net.run(net.now + 1)
    assert isinstance(net.happened["media"][-1], InfoReceived)
    net.client.bye(mine, now=net.now)
    net.run(net.now + 200)
    assert net.client.next_timer() is net.media.next_timer() is None


def test_the_2xx_is_sent_again_until_its_ack_comes_over_tcp_too() -> None:
    acks: list[bytes] = []

    def third_arrives(data: bytes) -> bool:
        if data.startswith(b"ACK"):
            acks.append(data)
        return data.startswith(b"ACK") and len(acks) in {2, 3}

    net = Net(loses=third_arrives)
    mine, theirs = net.talk()
    net.client.reinvite(mine, OTHER + b"x" * 1400, now=net.now)
    net.run(net.now + 0.1)
    assert b"SIP/2.0/TCP" in net.sent[-1][1]
    net.sent.clear()
    net.media.accept(theirs, AGREED, now=net.now)
    net.run(net.now + 20)
    assert net.lines() == ["media 200 INVITE", "client ACK"] * 3
    assert net.kinds("media").count("ReinviteConfirmed") == 1
    assert net.kinds("client").count("ReinviteAnswered") == 1


def test_no_ack_for_the_2xx_ends_the_call() -> None:
    net = Net()
    mine, theirs = net.talk()
    net.loses = lambda data: data.startswith(b"ACK")
    net.client.reinvite(mine, OTHER, now=net.now)
    net.run(net.now + 0.1)
    start = net.now
    net.media.accept(theirs, AGREED, now=start)
    net.run(start + 31.9)
    assert "media BYE" not in net.lines()
    net.run(start + 40)
    assert net.happened["media"][-1] == CallEnded(theirs, "no-ack")
    assert net.happened["client"][-1] == CallEnded(mine, "bye-received")


def test_a_refused_reinvite_leaves_the_session_unchanged() -> None:
    net = Net()
    mine, theirs = net.talk()
    net.client.reinvite(mine, OTHER, now=net.now)
    net.run(net.now + 0.1)
    net.media.refuse(theirs, 488, now=net.now, headers=[("Warning", '304 127.0.0.2 "none"')])
    net.run(net.now + 1)
    answered = net.happened["client"][-1]
    assert isinstance(answered, ReinviteAnswered)
    assert answered.response is not None
    assert (answered.response.status, answered.response.headers.get("Warning")) == (488, '304 127.0.0.2 "none"')
    assert net.lines()[-2:] == ["media 488 INVITE", "client ACK"]
    changed(net, "client", mine)


@pytest.mark.parametrize(("status", "bye"), [(481, False), (408, True)])
def test_481_and_408_end_the_dialog(status: int, bye: bool) -> None:
    net = Net()
    mine, theirs = net.talk()
    net.client.reinvite(mine, OTHER, now=net.now)
    net.run(net.now + 0.1)
    net.media.refuse(theirs, status, now=net.now)
    net.run(net.now + 1)
    kinds = net.kinds("client")[-2:]
    assert kinds == ["ReinviteAnswered", "CallEnded"]
    assert net.happened["client"][-1] == CallEnded(mine, "dialog-gone")
    assert ("client BYE" in net.lines()) is bye


def test_no_answer_at_all_ends_the_dialog() -> None:
    net = Net()
    mine, _ = net.talk()
    net.loses = lambda _: True
    asked = net.client.reinvite(mine, OTHER, now=net.now)
    net.run(net.now + 33)
    assert net.happened["client"][-2:] == [ReinviteAnswered(mine, asked, None), CallEnded(mine, "dialog-gone")]


def test_crossing_reinvites_are_refused_and_repeated_one_after_the_other() -> None:
    net = Net()
    mine, theirs = net.talk()
    start = net.now
    net.client.reinvite(mine, OTHER, now=start)
    net.media.reinvite(theirs, OTHER, now=start)
    net.settle()
    assert net.lines().count("client 491 INVITE") == net.lines().count("media 491 INVITE") == 1
    assert "ReinviteReceived" not in net.kinds("client") + net.kinds("media")
    # Section 14.1: the side that made the Call-ID waits 2.1 to 4 s, the other side 0 to 2 s.
    net.sent.clear()
    net.run(start + 2.05)
    assert net.lines() == ["media INVITE", "client 100 INVITE"]
    net.client.accept(mine, AGREED, now=net.now)
    net.run(start + 2.09)
    assert net.lines()[-2:] == ["client 200 INVITE", "media ACK"]
    net.run(start + 4.05)
    assert net.lines()[-2:] == ["client INVITE", "media 100 INVITE"]
    net.media.accept(theirs, AGREED, now=net.now)
    net.run(start + 5)
    for name in ("client", "media"):
        answered = net.last(name, ReinviteAnswered)
        assert isinstance(answered, ReinviteAnswered)
        assert answered.response is not None
        assert answered.response.status == 200


def test_a_second_491_is_reported_to_the_application() -> None:
    net = Net()
    mine, theirs = net.talk()
    net.client.reinvite(mine, OTHER, now=net.now)
    for _ in range(2):
        net.run(net.now + 4.1)
        net.media.refuse(theirs, 491, now=net.now)
    net.run(net.now + 10)
    answered = net.happened["client"][-1]
    assert isinstance(answered, ReinviteAnswered)
    assert answered.response is not None
    assert answered.response.status == 491
    assert net.lines().count("client INVITE") == 3


def test_a_reinvite_waits_for_the_end_of_the_peers_reinvite() -> None:
    net = Net()
    mine, theirs = net.talk()
    net.client.reinvite(mine, OTHER, now=net.now)
    net.settle()
    net.media.reinvite(theirs, OTHER, now=net.now)
    with pytest.raises(SipUsageError, match="under way"):
        net.media.reinvite(theirs, OTHER, now=net.now)
    net.run(net.now + 1)
    assert "media INVITE" not in net.lines()
    net.loses = lambda data: data.startswith(b"ACK")
    net.media.refuse(theirs, 488, now=net.now)
    net.settle()
    assert "media INVITE" not in net.lines()  # section 14.1: not before the ACK
    net.loses = lambda _: False
    net.run(net.now + 1)
    assert net.lines()[-1] == "client 100 INVITE"


def test_a_delayed_reinvite_is_kept_during_the_peers_reinvite() -> None:
    net = Net()
    mine, theirs = net.talk()
    start = net.now
    net.client.reinvite(mine, OTHER, now=start)
    net.settle()
    net.media.refuse(theirs, 491, now=start)
    net.run(start + 1)
    net.media.reinvite(theirs, OTHER, now=net.now)
    net.run(start + 1.5)
    net.client.handle_timer(net.now)  # for example a request of another call
    net.client.refuse(mine, 488, now=net.now)
    net.run(start + 2.05)
    assert net.lines().count("client INVITE") == 2
    net.run(start + 4.1)
    assert net.lines().count("client INVITE") == 3


def test_a_cancelled_reinvite_gets_487_and_leaves_the_session_unchanged() -> None:
    net = Net()
    mine, theirs = net.talk()
    net.client.reinvite(mine, OTHER, now=net.now)
    net.settle()
    invite = parse_datagram(next(data for _, data in reversed(net.sent) if data.startswith(b"INVITE")))
    cancel = bytes(invite).replace(b"INVITE sip", b"CANCEL sip").replace(b"CSeq: 2 INVITE", b"CSeq: 2 CANCEL")
    cancel = cancel.replace(OTHER, b"").replace(b"Content-Length: %d" % len(OTHER), b"Content-Length: 0")
    net.sent.clear()
    net.media.datagram_received(cancel, Address("127.0.0.3", 5060), net.now)
    net.run(net.now + 1)
    assert net.lines() == ["media 200 CANCEL", "media 487 INVITE", "client ACK"]
    assert net.happened["media"][-1] == ReinviteCancelled(theirs)
    with pytest.raises(SipUsageError, match="no INVITE"):
        net.media.accept(theirs, AGREED, now=net.now)
    changed(net, "client", mine)


def test_a_bye_ends_a_reinvite_in_progress() -> None:
    net = Net()
    mine, theirs = net.talk()
    asked = net.client.reinvite(mine, OTHER, now=net.now)
    net.settle()
    net.client.bye(mine, now=net.now)
    net.run(net.now + 1)
    assert "media 487 INVITE" in net.lines()
    assert net.happened["client"][-2:] == [ReinviteAnswered(mine, asked, None), CallEnded(mine, "bye-answered")]
    assert net.happened["media"][-1] == CallEnded(theirs, "bye-received")
    net.run(net.now + 200)
    assert net.client.next_timer() is net.media.next_timer() is None


@pytest.mark.parametrize(("after", "acknowledged"), [(10.0, True), (200.0, False)])
def test_a_peer_that_sends_only_100_is_given_up_after_the_call(after: float, acknowledged: bool) -> None:
    net = Net()
    mine, _ = net.talk()
    net.client.reinvite(mine, OTHER, now=net.now)
    net.settle()
    invite = parse_datagram(next(data for _, data in reversed(net.sent) if data.startswith(b"INVITE")))
    assert isinstance(invite, SipRequest)
    net.loses = lambda data: b"INVITE" in data
    net.client.bye(mine, now=net.now)
    net.run(net.now + after)
    late = respond_to(invite, 200, tag="x", headers=[("Contact", "<sip:annc@127.0.0.2>")])
    net.client.datagram_received(bytes(late), Address("127.0.0.2", 5060), net.now)
    net.settle()
    assert (net.lines()[-1] == "client ACK") is acknowledged
    net.run(net.now + 200)
    assert net.client.next_timer() is None
