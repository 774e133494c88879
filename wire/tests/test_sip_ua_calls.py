"""Calls between two user agents in memory: set up, cancelled, refused or lost. Times are explicit."""

from __future__ import annotations

import pytest
import sipmessage

from lemonade_wire.address import Address
from lemonade_wire.sip.errors import SipUsageError
from lemonade_wire.sip.event import (
    CallAnswered,
    CallEnded,
    CallRefused,
    InfoReceived,
    InviteCancelled,
    RequestAnswered,
    SendDatagram,
)
from lemonade_wire.sip.message import SipRequest, parse_datagram
from lemonade_wire.sip.message.uri import SipUri
from lemonade_wire.testing import Net

MEDIA = Address("127.0.0.2", 5060)
URI = SipUri.parse("sip:annc@media.example.net;play=imap://h/%2523")
OFFER = b"v=0\r\no=offer\r\n"
ANSWER = b"v=0\r\no=answer\r\n"


def read_by_another(data: bytes) -> None:
    """Check that the package sipmessage of PyPI can parse a message that was written here."""
    message = sipmessage.Message.parse(data)
    ours = parse_datagram(data)
    assert message.body == ours.body
    assert (str(message.cseq), message.call_id) == (str(ours.cseq), ours.call_id)
    assert [via.parameters.get("branch") for via in message.via] == [via.branch for via in ours.vias]
    assert (message.from_address.parameters.get("tag"), message.to_address.parameters.get("tag")) == (
        ours.from_.tag,
        ours.to.tag,
    )
    if isinstance(ours, SipRequest):
        assert isinstance(message, sipmessage.Request)
        assert message.method == ours.method
    else:
        assert isinstance(message, sipmessage.Response)
        assert message.code == ours.status


def whole_call(net: Net, pause: float) -> None:
    mine, theirs = net.talk()
    first = net.client.info(mine, b"one", "text/x", now=net.now)
    second = net.client.info(mine, b"two", "text/x", now=net.now)
    net.run(net.now + pause)
    for transaction, body, status in ((first, b"one", 200), (second, b"two", 415)):
        event = net.last("media", InfoReceived)
        assert isinstance(event, InfoReceived)
        assert (event.call, event.request.body, event.request.content_type) == (theirs, body, "text/x")
        net.media.respond(event.transaction, status, now=net.now)
        net.run(net.now + pause)
        answered = next(
            e for e in net.happened["client"] if isinstance(e, RequestAnswered) and e.transaction == transaction
        )
        assert answered.response is not None
        assert answered.response.status == status
    net.media.info(theirs, b"three", "text/x", now=net.now)
    net.run(net.now + pause)
    event = net.last("client", InfoReceived)
    assert isinstance(event, InfoReceived)
    net.client.respond(event.transaction, 200, now=net.now)
    net.run(net.now + pause)
    net.media.bye(theirs, now=net.now)
    net.run(net.now + pause)
    assert net.kinds("client") == [
        "CallProgressed", "CallAnswered", "RequestAnswered", "RequestAnswered", "InfoReceived", "ByeReceived",
        "CallEnded",
    ]  # fmt: skip
    assert net.kinds("media") == [
        "InviteReceived", "CallConfirmed", "InfoReceived", "InfoReceived", "RequestAnswered", "CallEnded",
    ]  # fmt: skip
    assert net.last("client", CallEnded) == CallEnded(mine, "bye-received")
    assert net.last("media", CallEnded) == CallEnded(theirs, "bye-answered")
    net.run(net.now + 200)
    assert net.client.next_timer() is None
    assert net.media.next_timer() is None
    for _, data in net.sent:
        read_by_another(data)


def test_a_whole_call() -> None:
    net = Net()
    whole_call(net, 0.1)
    assert net.lines() == [
        "client INVITE", "media 100 INVITE", "media 200 INVITE", "client ACK",
        "client INFO", "media 200 INFO", "client INFO", "media 415 INFO", "media INFO", "client 200 INFO",
        "media BYE", "client 200 BYE",
    ]  # fmt: skip


def test_a_whole_call_with_the_first_copy_of_every_datagram_lost() -> None:
    seen: set[tuple[str, str]] = set()

    def first(data: bytes) -> bool:
        message = parse_datagram(data)
        key = (message.vias[0].branch, Net.what(data))
        if key[1] == "100 INVITE" or key in seen:
            return False
        seen.add(key)
        return True

    net = Net(loses=first)
    whole_call(net, 3.0)
    lines = net.lines()
    assert lines.count("client INVITE") == 2
    assert lines.count("media 200 INVITE") == 3
    assert lines.count("client ACK") == 2


def test_a_whole_call_over_tcp() -> None:
    net = Net()
    mine, theirs = net.call(OFFER + b"x" * 1400)
    assert net.sent[0][1].split(b"\r\n")[1].startswith(b"Via: SIP/2.0/TCP 127.0.0.3:5060;branch=z9hG4bK")
    net.media.accept(theirs, ANSWER + b"y" * 2000, now=net.now)
    net.run(net.now + 1)
    assert net.last("client", CallAnswered).call == mine
    assert net.kinds("media")[-1] == "CallConfirmed"
    for _, data in net.sent:
        read_by_another(data)
    net.client.bye(mine, now=net.now)
    net.run(net.now + 500)
    assert net.client.next_timer() is net.media.next_timer() is None


def test_tcp_refused_falls_back_to_udp() -> None:
    net = Net(tcp=False)
    _, theirs = net.call(OFFER + b"x" * 1400)
    assert net.lines()[:2] == ["client INVITE", "media 100 INVITE"]
    assert b"Via: SIP/2.0/UDP 127.0.0.3:5060;" in net.sent[0][1]
    net.media.accept(theirs, ANSWER, now=net.now)
    net.run(net.now + 1)
    assert net.kinds("client")[-1] == "CallAnswered"


def test_requested_tcp_is_not_replaced_by_udp() -> None:
    net = Net(tcp=False)
    call = net.client.invite(SipUri.parse(f"{URI};transport=tcp"), next_hop=MEDIA, now=0.0)
    net.run(1)
    assert net.happened["client"] == [CallRefused(call, None)]
    assert net.sent == []


def test_the_2xx_is_sent_again_over_tcp_too_and_its_ack_with_it() -> None:
    lost: list[bytes] = []

    def first_acks(data: bytes) -> bool:
        if data.startswith(b"ACK"):
            lost.append(data)
        return data.startswith(b"ACK") and len(lost) < 3

    net = Net(loses=first_acks)
    _, theirs = net.call(OFFER + b"x" * 1400)
    start = net.now
    net.media.accept(theirs, ANSWER, now=start)
    net.run(start + 20)
    assert net.lines().count("media 200 INVITE") == 3
    assert net.lines().count("client ACK") == 3
    assert len(set(lost)) == 1
    assert net.kinds("media") == ["InviteReceived", "CallConfirmed"]
    assert net.kinds("client") == ["CallProgressed", "CallAnswered"]


@pytest.mark.parametrize(("padding", "parameter"), [(0, ""), (1400, ";transport=tcp")])
def test_the_contact_of_a_call_that_came_by_tcp_says_so(padding: int, parameter: str) -> None:
    net = Net()
    _, theirs = net.call(OFFER + b"x" * padding)
    net.media.accept(theirs, ANSWER, now=net.now)
    net.settle()
    answered = net.last("client", CallAnswered)
    assert isinstance(answered, CallAnswered)
    assert answered.response.contact is not None
    assert str(answered.response.contact).endswith(f"{parameter}>")
    assert ("transport" in str(answered.response.contact)) == bool(parameter)


def test_no_ack_at_all_ends_in_a_bye() -> None:
    net = Net(loses=lambda data: data.startswith(b"ACK"))
    _, theirs = net.call()
    start = net.now
    net.media.accept(theirs, ANSWER, now=start)
    net.run(start + 31.9)
    assert net.lines().count("media 200 INVITE") == 11
    assert "media BYE" not in net.lines()
    net.run(start + 40)
    assert net.happened["media"][-1] == CallEnded(theirs, "no-ack")
    assert net.lines()[-2:] == ["media BYE", "client 200 BYE"]


def test_a_cancelled_call_ends_on_both_sides() -> None:
    net = Net()
    mine, theirs = net.call()
    net.client.cancel(mine, now=net.now)
    net.run(net.now + 1)
    assert net.happened["media"][-1] == InviteCancelled(theirs)
    refused = net.happened["client"][-1]
    assert isinstance(refused, CallRefused)
    assert refused.response is not None
    assert refused.response.status == 487
    assert net.lines()[2:] == ["client CANCEL", "media 200 CANCEL", "media 487 INVITE", "client ACK"]
    for _, data in net.sent:
        read_by_another(data)
    with pytest.raises(SipUsageError):
        net.media.accept(theirs, ANSWER, now=net.now)
    net.run(net.now + 200)
    assert net.client.next_timer() is net.media.next_timer() is None


def test_cancel_waits_for_a_provisional_response() -> None:
    net = Net()
    mine = net.client.invite(URI, next_hop=MEDIA, now=0.0)
    net.client.cancel(mine, now=0.0)
    assert [Net.what(output.data) for output in net.client.outputs() if isinstance(output, SendDatagram)] == ["INVITE"]
    net.run(1)  # the INVITE is retransmitted
    assert net.lines()[:3] == ["client INVITE", "media 100 INVITE", "client CANCEL"]
    assert net.kinds("client") == ["CallProgressed", "CallRefused"]


def test_cancel_that_crosses_the_200_hangs_up() -> None:
    net = Net(loses=lambda data: data.startswith(b"CANCEL"))
    mine, theirs = net.call()
    net.client.cancel(mine, now=net.now)
    net.media.accept(theirs, ANSWER, now=net.now)
    net.run(net.now + 1)
    assert net.happened["client"][-1] == CallEnded(mine, "cancelled")
    assert net.happened["media"][-1] == CallEnded(theirs, "bye-received")


def test_cancel_of_a_peer_that_died() -> None:
    net = Net()
    mine, _ = net.call()
    net.loses = lambda _: True
    net.client.cancel(mine, now=net.now)
    net.run(net.now + 40)
    assert net.happened["client"][-1] == CallRefused(mine, None)
    assert net.client.next_timer() is None


def test_refusal_and_its_ack() -> None:
    net = Net()
    mine, theirs = net.call()
    net.media.refuse(theirs, 404, now=net.now, reason="Announcement content not found")
    net.run(net.now + 1)
    event = net.happened["client"][-1]
    assert isinstance(event, CallRefused)
    assert event.call == mine
    assert event.response is not None
    assert (event.response.status, event.response.reason) == (404, "Announcement content not found")
    assert net.lines()[-2:] == ["media 404 INVITE", "client ACK"]
    ack = parse_datagram(net.sent[-1][1])
    invite = parse_datagram(net.sent[0][1])
    assert isinstance(ack, SipRequest)
    assert isinstance(invite, SipRequest)
    assert (ack.target, ack.vias[0].branch, ack.to.tag) == (invite.target, invite.vias[0].branch, event.response.to.tag)
    net.run(net.now + 40)
    assert net.lines().count("media 404 INVITE") == 1


def test_requests_without_an_answer_time_out_after_32_s() -> None:
    net = Net(loses=lambda _: True)
    call = net.client.invite(URI, next_hop=MEDIA, now=0.0)
    asked = net.client.request("OPTIONS", URI, next_hop=MEDIA, now=0.0)
    net.run(31.9)
    assert net.happened["client"] == []
    net.run(33)
    assert sorted(net.happened["client"], key=repr) == [CallRefused(call, None), RequestAnswered(None, asked, None)]
