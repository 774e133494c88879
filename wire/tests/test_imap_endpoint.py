from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase

from lemonade_wire.address import Address
from lemonade_wire.imap import command
from lemonade_wire.imap.endpoint import (
    ImapConnection,
    ImapConnectionError,
    ImapTimeoutError,
    ImapTlsError,
    ImapTooLargeError,
    connect,
)
from lemonade_wire.imap.response import UrlFetch
from lemonade_wire.redact import Redactor
from lemonade_wire.trace import Trace

GREETING = b"* OK [CAPABILITY IMAP4rev1 SASL-IR] ready\r\n"
TOKEN = "01" + "ab" * 16


class Scripted(Protocol):
    """Answers each line by the script's function; None closes the connection."""

    transport: Any
    factory: Any

    def __init__(self, greeting: bytes | None, answer: Callable[[bytes], bytes | None]) -> None:
        self.greeting, self.answer = greeting, answer
        self.buffer = b""

    def connectionMade(self) -> None:  # noqa: N802  Twisted's name
        if self.greeting:
            self.transport.write(self.greeting)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802  Twisted's name
        self.buffer += data
        while b"\r\n" in self.buffer:
            line, _, self.buffer = self.buffer.partition(b"\r\n")
            answer = self.answer(line)
            if answer is None:
                self.transport.loseConnection()
            else:
                self.transport.write(answer)

    def connectionLost(self, reason: Any = None) -> None:  # noqa: ANN401, N802  Twisted's signature
        self.factory.lost.callback(None)


def polite(line: bytes) -> bytes:
    tag, name = line.split()[:2]
    return (b"* BYE bye\r\n" if name == b"LOGOUT" else b"") + tag + b" OK done\r\n"


class Listening(Factory):
    def __init__(self, greeting: bytes | None, answer: Callable[[bytes], bytes | None]) -> None:
        self.lost: Deferred[None] = Deferred()
        self.greeting, self.answer = greeting, answer

    def buildProtocol(self, addr: Any) -> Scripted:  # noqa: ANN401, N802  Twisted's signature
        peer = Scripted(self.greeting, self.answer)
        peer.factory = self
        return peer


class EndpointTests(TestCase):
    timeout = 10

    def serve(self, greeting: bytes | None, answer: Callable[[bytes], bytes | None]) -> Address:
        self.factory = Listening(greeting, answer)
        loop: Any = reactor
        port = loop.listenTCP(0, self.factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return Address("127.0.0.1", port.getHost().port)

    async def open(self, address: Address, **settings: Any) -> ImapConnection:  # noqa: ANN401  passed on
        self.sink = io.StringIO()
        trace = Trace("client", self.sink, Redactor("salt"))
        return await connect(reactor, address, trace, bind="127.0.0.1", **settings)

    async def test_a_session_runs_and_closes(self) -> None:
        def answer(line: bytes) -> bytes:
            if b"URLFETCH" in line:
                url = line.split(b'"')[1]
                return b"* URLFETCH " + url + b" (BINARY ~{3}\r\n\0\r\n)\r\n" + polite(line)
            return polite(line)

        connection = await self.open(self.serve(GREETING, answer))
        assert connection.engine.has("SASL-IR")
        login = await connection.run(command.authenticate_plain("joe", "secret"))
        assert login.ok
        url = f"imap://joe@h/INBOX/;UID=1;URLAUTH=anonymous:INTERNAL:{TOKEN}"
        done = await connection.run(command.urlfetch(url, ("BINARY",)))
        [fetched] = done.untagged
        assert isinstance(fetched, UrlFetch)
        assert isinstance(fetched, UrlFetch)
        assert fetched.fetched[0].binary == b"\x00\r\n"
        await connection.close()
        await self.factory.lost
        assert connection.closed
        events = [json.loads(line) for line in self.sink.getvalue().splitlines()]
        assert {event["side"] for event in events} == {"client"}
        assert events[0]["local"].startswith("127.0.0.1:")
        assert [(event["way"], event["text"]) for event in events[:3]] == [
            ("received", "* OK [CAPABILITY IMAP4rev1 SASL-IR] ready"),
            ("sent", "a1 AUTHENTICATE PLAIN ***"),
            ("received", "a1 OK done"),
        ]
        assert TOKEN not in self.sink.getvalue()
        assert "secret" not in self.sink.getvalue()
        with pytest.raises(ImapConnectionError):
            await connection.run(command.noop())

    async def test_capabilities_are_asked_for_when_they_are_not_known(self) -> None:
        asked: list[bytes] = []

        def answer(line: bytes) -> bytes:
            asked.append(line)
            return (b"* CAPABILITY IMAP4rev1 URLAUTH\r\n" if b"CAPABILITY" in line else b"") + polite(line)

        connection = await self.open(self.serve(GREETING, answer))
        assert await connection.capabilities() == {"IMAP4REV1", "SASL-IR"}
        await connection.run(command.login("joe", "secret"))
        assert await connection.capabilities() == {"IMAP4REV1", "URLAUTH"}
        assert await connection.capabilities() == {"IMAP4REV1", "URLAUTH"}
        assert asked == [b'a1 LOGIN "joe" "secret"', b"a2 CAPABILITY"]
        await connection.close()
        await self.factory.lost

    async def test_a_silent_server_is_left_after_the_time_given(self) -> None:
        connection = await self.open(self.serve(GREETING, lambda line: b""))
        with pytest.raises(ImapTimeoutError, match="NOOP"):
            await connection.run(command.noop(), within=0.05)
        await self.factory.lost

    async def test_a_server_that_does_not_greet(self) -> None:
        with pytest.raises(ImapTimeoutError, match="greet"):
            await self.open(self.serve(None, polite), within=0.05)
        await self.factory.lost

    async def test_a_server_that_refuses(self) -> None:
        with pytest.raises(ImapConnectionError, match="too busy"):
            await self.open(self.serve(b"* BYE too busy\r\n", polite))
        await self.factory.lost

    async def test_a_dropped_connection_fails_the_command(self) -> None:
        connection = await self.open(self.serve(GREETING, lambda line: None))
        with pytest.raises(ImapConnectionError):
            await connection.run(command.noop())
        await connection.close()
        assert connection.closed

    async def test_bye_instead_of_an_answer(self) -> None:
        connection = await self.open(self.serve(GREETING, lambda line: b"* BYE going down\r\n"))
        with pytest.raises(ImapConnectionError, match="going down"):
            await connection.run(command.noop())

    async def test_what_a_server_says_at_its_end_is_short_and_shows_no_ticket(self) -> None:
        farewell = f"* BYE :INTERNAL:{TOKEN} {'x' * 1000}\r\n".encode()
        connection = await self.open(self.serve(GREETING, lambda line: farewell))
        with pytest.raises(ImapConnectionError, match="BYE") as caught:
            await connection.run(command.noop())
        assert TOKEN not in str(caught.value)
        assert len(str(caught.value)) < 300

    async def test_a_server_that_breaks_the_protocol(self) -> None:
        connection = await self.open(self.serve(GREETING, lambda line: b"HTTP/1.1 400 Bad Request\r\n"))
        with pytest.raises(ImapConnectionError, match="broke the protocol"):
            await connection.run(command.noop())

    async def test_nobody_listens(self) -> None:
        loop: Any = reactor
        port = loop.listenTCP(0, Factory(), interface="127.0.0.1")
        address = Address("127.0.0.1", port.getHost().port)
        await port.stopListening()
        with pytest.raises(ImapConnectionError, match=str(address)):
            await self.open(address)

    async def test_alerts_are_logged_wherever_they_stand(self) -> None:
        def answer(line: bytes) -> bytes:
            tag = line.split()[0]
            return b"* NO [ALERT] disk almost full\r\n" + tag + b" OK [ALERT] see u:internal:%s\r\n" % TOKEN.encode()

        connection = await self.open(self.serve(b"* OK [alert] down at noon\r\n", answer))
        await connection.run(command.noop())
        events = [json.loads(line) for line in self.sink.getvalue().splitlines()]
        first, second, third = (event["text"] for event in events if event["event"] == "log")
        assert first == "the IMAP server alerts: down at noon"
        assert second == "the IMAP server alerts: disk almost full"
        assert third.startswith("the IMAP server alerts: see u:internal:")
        assert TOKEN not in self.sink.getvalue()
        connection.abort()
        await self.factory.lost

    async def test_a_skipped_literal_is_logged(self) -> None:
        def answer(line: bytes) -> bytes:
            return b"* URLFETCH u {5}\r\n12345\r\n" + polite(line)

        connection = await self.open(self.serve(GREETING, answer), max_literal=4)
        await connection.run(command.urlfetch("u"))
        assert "5 octets was skipped" in self.sink.getvalue()
        connection.abort()
        await self.factory.lost

    async def test_a_server_that_begins_to_send_far_too_much_is_left(self) -> None:
        connection = await self.open(self.serve(GREETING, lambda _: b"* URLFETCH u {2000000000}\r\n"), max_literal=4)
        with pytest.raises(ImapTooLargeError):
            await connection.run(command.urlfetch("u"))
        await self.factory.lost

    async def test_starttls_without_tls_is_no_way_to_go_on(self) -> None:
        connection = await self.open(self.serve(GREETING, polite))
        with pytest.raises(ImapTlsError, match="not set up"):
            await connection.run(command.starttls())
        await connection.gone()
        assert connection.gone().called

    async def test_a_cancelled_authenticate_is_logged(self) -> None:
        def answer(line: bytes) -> bytes:
            return b"a1 BAD cancelled\r\n" if line == b"*" else b"+ cj0x\r\n"

        connection = await self.open(self.serve(GREETING, answer))
        assert not (await connection.run(command.authenticate_scram("joe", "secret"))).ok
        assert "AUTHENTICATE was cancelled" in self.sink.getvalue()
        connection.abort()
        await self.factory.lost
