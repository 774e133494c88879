"""INFO in the dialogs of two user agents (RFC 3261, legacy use of RFC 6086). Times are explicit."""

from __future__ import annotations

import pytest

from lemonade_wire.address import Address
from lemonade_wire.sip.event import CallEnded, InfoReceived, RequestAnswered
from lemonade_wire.sip.message import SipResponse, parse_datagram
from lemonade_wire.testing import Net


def statuses(net: Net, name: str, method: str) -> list[int]:
    messages = [parse_datagram(data) for sender, data in net.sent if sender == name]
    return [
        message.status for message in messages if isinstance(message, SipResponse) and message.cseq.method == method
    ]


def test_legacy_info_names_no_package() -> None:
    net = Net()
    mine, _ = net.talk()
    net.client.info(mine, b"x", "text/x", now=net.now)
    net.run(net.now + 0.1)
    for _, data in net.sent:
        assert b"Info-Package" not in data
        assert b"Recv-Info" not in data


@pytest.mark.parametrize("name", ["Info-Package", "info-package"])
def test_any_info_package_gets_469_with_an_empty_recv_info(name: str) -> None:
    net = Net()
    mine, _ = net.talk()
    asked = net.client.info(mine, b"x", "text/x", now=net.now, headers=[(name, "foo")])
    net.run(net.now + 1)
    answered = net.happened["client"][-1]
    assert isinstance(answered, RequestAnswered)
    assert answered.response is not None
    assert (answered.transaction, answered.response.status, answered.response.reason) == (
        asked,
        469,
        "Bad Info Package",
    )
    assert answered.response.headers.get("Recv-Info") == ""
    assert "InfoReceived" not in net.kinds("media")
    # RFC 6086 section 4.2.1: the dialog goes on.
    net.client.info(mine, b"y", "text/x", now=net.now)
    net.run(net.now + 1)
    assert isinstance(net.happened["media"][-1], InfoReceived)


def test_one_info_at_a_time_is_sent_in_each_direction() -> None:
    net = Net()
    mine, theirs = net.talk()
    for number in (b"1", b"2"):
        net.client.info(mine, number, "text/x", now=net.now)
        net.media.info(theirs, number, "text/x", now=net.now)
    net.settle()
    assert [net.lines().count(f"{name} INFO") for name in ("client", "media")] == [1, 1]
    for name, other in (("media", "client"), ("client", "media")):
        event = net.last(name, InfoReceived)
        assert isinstance(event, InfoReceived)
        net.ua(name).respond(event.transaction, 200, now=net.now)
        net.settle()
        assert net.lines().count(f"{other} INFO") == 2


# Status of the answer to an INFO of ours; whether the call ends, and whether with a BYE (RFC 3261 section 12.2.1.2).
ANSWERS = [
    (200, False, False),
    (415, False, False),
    (469, False, False),
    (481, True, False),
    (408, True, True),
    (500, False, False),
    (503, False, False),
    (603, False, False),
]


@pytest.mark.parametrize(("status", "ends", "bye"), ANSWERS)
def test_the_response_to_an_info_decides_whether_the_call_ends(status: int, ends: bool, bye: bool) -> None:
    net = Net()
    mine, _ = net.talk()
    asked = net.client.info(mine, b"x", "text/x", now=net.now)
    after = net.client.info(mine, b"y", "text/x", now=net.now)
    net.run(net.now + 0.1)
    event = net.last("media", InfoReceived)
    assert isinstance(event, InfoReceived)
    net.media.respond(event.transaction, status, now=net.now)
    net.run(net.now + 0.1)
    answers = [event for event in net.happened["client"] if isinstance(event, RequestAnswered)]
    assert answers[0].transaction == asked
    assert answers[0].response is not None
    assert answers[0].response.status == status
    assert ("client BYE" in net.lines()) is bye
    if ends:
        assert net.happened["client"][-2:] == [RequestAnswered(mine, after, None), CallEnded(mine, "dialog-gone")]
    else:
        assert net.lines().count("client INFO") == 2
        assert "CallEnded" not in net.kinds("client")


def test_an_info_without_a_response_ends_the_dialog() -> None:
    net = Net()
    mine, _ = net.talk()
    asked = net.client.info(mine, b"x", "text/x", now=net.now)
    net.loses = lambda _: True
    net.run(net.now + 31.9)
    assert "CallEnded" not in net.kinds("client")
    net.run(net.now + 1)
    assert net.happened["client"][-2:] == [RequestAnswered(mine, asked, None), CallEnded(mine, "dialog-gone")]


def test_an_older_cseq_gets_500_and_an_info_outside_a_dialog_481() -> None:
    net = Net()
    mine, _ = net.talk()
    net.client.info(mine, b"x", "text/x", now=net.now)
    net.settle()
    octets = net.sent[-1][1]
    late = octets.replace(b"branch=z9hG4bK", b"branch=z9hG4bKlate")
    net.media.datagram_received(late, parse_source(octets), net.now)
    net.media.datagram_received(
        late.replace(b"z9hG4bKlate", b"z9hG4bKnone").replace(b"Call-ID: ", b"Call-ID: no"),
        parse_source(octets),
        net.now,
    )
    net.settle()
    assert statuses(net, "media", "INFO") == [500, 481]


def parse_source(octets: bytes) -> Address:
    via = parse_datagram(octets).vias[0]
    return Address(via.host, via.port or 5060)
