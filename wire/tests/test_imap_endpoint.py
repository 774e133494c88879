from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
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
from lemonade_wire.imap.framing import MAX_KEPT
from lemonade_wire.imap.response import UrlFetchResponse
from lemonade_wire.redaction import Redactor
from lemonade_wire.trace import Trace

GREETING = b"* OK [CAPABILITY IMAP4rev1 SASL-IR] ready\r\n"
TOKEN = "01" + "ab" * 16


class Scripted(Protocol):
    """An IMAP server that answers each line by a function of the test; None closes the connection."""

    transport: Any  # mypy takes the first argument of a method of zope's interfaces for self

    def __init__(self, greeting: bytes | None, answer: Callable[[bytes], bytes | None], lost: Deferred[None]) -> None:
        self.greeting, self.answer, self.lost = greeting, answer, lost
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

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802  Twisted's name
        self.lost.callback(None)


def polite(line: bytes) -> bytes:
    tag, name = line.split()[:2]
    return (b"* BYE bye\r\n" if name == b"LOGOUT" else b"") + tag + b" OK done\r\n"


class EndpointTests(TestCase):
    timeout = 10

    def serve(self, greeting: bytes | None, answer: Callable[[bytes], bytes | None]) -> Address:
        self.lost: Deferred[None] = Deferred()
        factory = Factory.forProtocol(lambda: Scripted(greeting, answer, self.lost))
        loop: Any = reactor  # the same as for `transport` above
        port = loop.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return Address("127.0.0.1", port.getHost().port)

    async def open(self, address: Address, *, within: float = 10.0, max_literal: int = MAX_KEPT) -> ImapConnection:
        self.sink = io.StringIO()
        trace = Trace("client", self.sink, Redactor("salt"))
        return await connect(reactor, address, trace, bind="127.0.0.1", within=within, max_literal=max_literal)

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
        assert isinstance(fetched, UrlFetchResponse)
        assert isinstance(fetched, UrlFetchResponse)
        assert fetched.fetched[0].binary == b"\x00\r\n"
        await connection.close()
        await self.lost
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
        await self.lost

    async def test_a_silent_server_is_left_after_the_timeout(self) -> None:
        connection = await self.open(self.serve(GREETING, lambda line: b""))
        with pytest.raises(ImapTimeoutError, match="NOOP"):
            await connection.run(command.noop(), within=0.05)
        await self.lost

    async def test_a_server_that_does_not_greet(self) -> None:
        with pytest.raises(ImapTimeoutError, match="greet"):
            await self.open(self.serve(None, polite), within=0.05)
        await self.lost

    async def test_a_server_that_refuses(self) -> None:
        with pytest.raises(ImapConnectionError, match="too busy"):
            await self.open(self.serve(b"* BYE too busy\r\n", polite))
        await self.lost

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

    async def test_the_text_of_a_bye_is_shortened_and_redacted(self) -> None:
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

    async def test_a_refused_connection_names_the_address(self) -> None:
        loop: Any = reactor  # the same as for `transport` above
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
        await self.lost

    async def test_a_skipped_literal_is_logged(self) -> None:
        def answer(line: bytes) -> bytes:
            return b"* URLFETCH u {5}\r\n12345\r\n" + polite(line)

        connection = await self.open(self.serve(GREETING, answer), max_literal=4)
        await connection.run(command.urlfetch("u"))
        assert "5 octets was skipped" in self.sink.getvalue()
        connection.abort()
        await self.lost

    async def test_an_endless_line_ends_the_connection_without_being_kept(self) -> None:
        connection = await self.open(self.serve(GREETING, lambda _: b"* OK " + b"x" * 4_000_000))
        with pytest.raises(ImapConnectionError, match="line is longer"):
            await connection.run(command.noop())
        await connection.gone()

    async def test_a_server_that_announces_too_large_a_literal_is_left(self) -> None:
        connection = await self.open(self.serve(GREETING, lambda _: b"* URLFETCH u {2000000000}\r\n"), max_literal=4)
        with pytest.raises(ImapTooLargeError):
            await connection.run(command.urlfetch("u"))
        await self.lost

    async def test_starttls_without_a_tls_plan_fails(self) -> None:
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
        await self.lost
