"""SIP endpoints on real sockets of 127.0.0.1."""

import io
import json
import random
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import ClientFactory, DatagramProtocol, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from lemonade_wire.address import Address
from lemonade_wire.redaction import Redactor
from lemonade_wire.sip.endpoint import MOST_WAITING, SipEndpoint
from lemonade_wire.sip.event import (
    CallAnswered,
    CallConfirmed,
    CallEnded,
    Event,
    InviteReceived,
    RequestAnswered,
)
from lemonade_wire.sip.message.uri import SipUri
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.trace import Trace
from lemonade_wire.turns import TURN

URI = SipUri.parse("sip:annc@media.example.net;play=imap://h/%2523")


class Node:
    """An endpoint with its events and its trace."""

    def __init__(self, name: str, port: int = 0) -> None:
        self.sink = io.StringIO()
        self.events: list[Event] = []
        self.waits: list[tuple[type[Event], Deferred[Any]]] = []
        trace = Trace(name, self.sink, Redactor("salt"))
        settings = UaSettings(Address("127.0.0.1", port), contact_user=name)
        self.endpoint = SipEndpoint(reactor, settings, self.heard, trace, rng=random.Random(name))

    def heard(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, InviteReceived):
            self.endpoint.ua.accept(event.call, b"v=0\r\n", now=self.endpoint.now())
        for kind, wait in self.waits:
            if isinstance(event, kind) and not wait.called:
                wait.callback(event)

    def wait(self, kind: type[Event]) -> "Deferred[Any]":
        wait: Deferred[Any] = Deferred()
        self.waits.append((kind, wait))
        return wait.addTimeout(5, reactor)

    def traced(self) -> list[dict[str, Any]]:
        return [event for line in self.sink.getvalue().splitlines() if (event := json.loads(line))["event"] == "sip"]


class EndpointTest(TestCase):
    async def nodes(self) -> tuple[Node, Node]:
        client, media = Node("client"), Node("media")
        for node in (client, media):
            await node.endpoint.start()
            self.addCleanup(node.endpoint.stop)
        return client, media

    async def call(self, body: bytes) -> tuple[Node, Node]:
        client, media = await self.nodes()
        answered, confirmed = client.wait(CallAnswered), media.wait(CallConfirmed)
        call = client.endpoint.act(lambda ua, now: ua.invite(URI, next_hop=media.endpoint.address, body=body, now=now))
        await answered
        await confirmed
        ended, over = client.wait(CallEnded), media.wait(CallEnded)
        client.endpoint.act(lambda ua, now: ua.bye(call, now=now))
        assert await ended == CallEnded(call, "bye-answered")
        await over
        return client, media

    async def test_a_call_over_udp_and_its_trace(self) -> None:
        client, media = await self.call(b"v=0\r\n")
        assert [(event["way"], event["text"].split()[0]) for event in client.traced()] == [
            ("sent", "INVITE"),
            ("received", "SIP/2.0"),
            ("received", "SIP/2.0"),
            ("sent", "ACK"),
            ("sent", "BYE"),
            ("received", "SIP/2.0"),
        ]
        first = client.traced()[0]
        assert first["transport"] == "udp"
        assert (first["local"], first["remote"]) == (str(client.endpoint.address), str(media.endpoint.address))
        assert first["resend"] is False
        assert [event["text"] for event in media.traced()] == [event["text"] for event in client.traced()]

    async def test_a_long_request_goes_over_tcp(self) -> None:
        client, media = await self.call(b"v=0\r\n" + b"x" * 2000)
        invite = client.traced()[0]
        assert invite["transport"] == "tcp"
        assert invite["local"].startswith("127.0.0.1:")
        assert invite["local"] != str(client.endpoint.address)
        # The Contact of the 200 has transport=tcp, so that the ACK and the BYE come by TCP as well.
        assert {event["transport"] for event in media.traced()} == {"tcp"}
        answer = next(event for event in client.traced() if event["way"] == "received")
        assert (answer["transport"], answer["local"]) == ("tcp", invite["local"])

    async def test_where_tcp_is_refused_it_goes_over_udp(self) -> None:
        client, media = await self.nodes()
        listener = media.endpoint._tcp_port
        media.endpoint._tcp_port = None
        await listener.stopListening()
        answered = client.wait(CallAnswered)
        client.endpoint.act(lambda ua, now: ua.invite(URI, next_hop=media.endpoint.address, body=b"x" * 2000, now=now))
        await answered
        assert [event["transport"] for event in client.traced()][:1] == ["udp"]
        assert "Via: SIP/2.0/UDP" in client.traced()[0]["text"]

    async def test_retransmissions_are_marked(self) -> None:
        client = Node("client")
        await client.endpoint.start()
        self.addCleanup(client.endpoint.stop)
        silent = reactor.listenUDP(0, _Silent(), interface="127.0.0.1")
        self.addCleanup(silent.stopListening)
        nobody = Address("127.0.0.1", silent.getHost().port)
        client.endpoint.act(lambda ua, now: ua.request("OPTIONS", URI, next_hop=nobody, now=now))
        while len(client.traced()) < 2:
            await deferLater(reactor, 0.02)
        first, second = client.traced()
        assert (first["resend"], second["resend"]) == (False, True)
        assert first["text"] == second["text"]
        assert second["t"] - first["t"] >= 0.45

    async def test_a_port_in_use_is_an_error(self) -> None:
        client, _ = await self.nodes()
        with pytest.raises(CannotListenError):
            await Node("other", client.endpoint.address.port).endpoint.start()

    async def test_malformed_messages_do_not_stop_the_endpoint(self) -> None:
        client, media = await self.nodes()
        peer: Deferred[_Raw] = Deferred()
        _connect(media.endpoint.address, peer)
        raw = await peer.addTimeout(5, reactor)
        raw.write(b"BYE sip:h SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\n\r\n")
        await raw.lost.addTimeout(5, reactor)
        assert raw.data.startswith(b"SIP/2.0 400 ")
        answered = client.wait(RequestAnswered)
        client.endpoint.act(lambda ua, now: ua.request("OPTIONS", URI, next_hop=media.endpoint.address, now=now))
        assert (await answered).response.status == 200

    async def test_addresses_take_turns_and_what_is_too_much_is_lost(self) -> None:
        _, media = await self.nodes()
        busy, other = (Address(f"127.0.0.{number}", 5060) for number in (98, 99))

        def options(number: int, here: Address) -> bytes:
            return (
                f"OPTIONS sip:h SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{number}\r\nFrom: <sip:a>;tag=1\r\n"
                f"To: <sip:h>\r\nCall-ID: {number}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
            ).encode()

        def received() -> list[str]:
            return [event["remote"] for event in media.traced() if event["way"] == "received"]

        for number in range(300):
            media.endpoint.datagram_received(options(number, busy), busy)
        at_once = len(received())
        assert 1 <= at_once <= TURN // 4000 + 1
        media.endpoint.datagram_received(options(300, other), other)
        while str(other) not in received():
            await deferLater(reactor, 0)
        assert len(received()) <= 2 * (TURN // 4000 + 1)
        while len(received()) < at_once + MOST_WAITING + 1:
            await deferLater(reactor, 0)
        await deferLater(reactor, 0)
        assert len(received()) == at_once + MOST_WAITING + 1

    async def test_keep_alives_are_answered_and_no_messages(self) -> None:
        """RFC 5626 section 4.4.1."""
        _, media = await self.nodes()
        peer: Deferred[_Raw] = Deferred()
        _connect(media.endpoint.address, peer)
        raw = await peer.addTimeout(5, reactor)
        raw.write(b"\r\n\r\n")
        raw.write(b"OPTIONS sip:h SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\n")
        raw.write(b"To: <sip:h>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n" + b"rubbish\r\n\r\n")
        await raw.lost.addTimeout(5, reactor)
        assert raw.data.startswith(b"\r\nSIP/2.0 200 OK\r\n")
        assert [(event["way"], event["text"].partition(" ")[0]) for event in media.traced()] == [
            ("received", "OPTIONS"),
            ("sent", "SIP/2.0"),
        ]

    async def test_a_failing_application_stops_nothing(self) -> None:
        client, media = await self.nodes()

        def fails(event: Event) -> None:
            raise RuntimeError(type(event).__name__)

        media.endpoint._on_event = fails
        client.endpoint.act(lambda ua, now: ua.invite(URI, next_hop=media.endpoint.address, now=now))
        answered = client.wait(RequestAnswered)
        client.endpoint.act(lambda ua, now: ua.request("OPTIONS", URI, next_hop=media.endpoint.address, now=now))
        assert (await answered).response.status == 200
        assert len(self.flushLoggedErrors(RuntimeError)) == 1  # type: ignore[no-untyped-call]  # trial's

    async def test_stopped_twice_and_in_the_middle_of_a_connection(self) -> None:
        client, media = await self.nodes()
        client.endpoint.act(lambda ua, now: ua.invite(URI, next_hop=media.endpoint.address, body=b"x" * 2000, now=now))
        await client.endpoint.stop()
        await client.endpoint.stop()


class _Silent(DatagramProtocol):
    """A UDP peer that receives datagrams and sends none."""


class _Raw(Protocol):
    transport: Any  # mypy takes the first argument of a method of zope's interfaces for self

    def __init__(self, made: "Deferred[_Raw]") -> None:
        self.made = made
        self.data = b""
        self.lost: Deferred[None] = Deferred()

    def connectionMade(self) -> None:  # noqa: N802  twisted's name
        self.made.callback(self)

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802  twisted's name
        self.data += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802  twisted's name
        self.lost.callback(None)


def _connect(address: Address, made: "Deferred[_Raw]") -> None:
    loop: Any = reactor  # mypy takes the first argument of a method of zope's interfaces for self
    loop.connectTCP(*address, _RawFactory(made))


class _RawFactory(ClientFactory):
    noisy = False

    def __init__(self, made: Deferred[_Raw]) -> None:
        self.made = made

    def buildProtocol(self, addr: object) -> _Raw:  # noqa: N802  twisted's name
        return _Raw(self.made)
