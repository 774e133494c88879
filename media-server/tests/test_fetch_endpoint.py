"""Fetches over TCP on loopback from a scripted server: content, each kind of failure, aborted fetches."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase

from lemonade_media.config import MediaConfig
from lemonade_media.decoding.decode import EncodedMedia
from lemonade_media.fetch.endpoint import FetchEndpoint, Outcome
from lemonade_media.fetch.pool import PoolLimits
from lemonade_media.fetch.settings import AllowedHost, ImapSettings
from lemonade_media.model.commands import StartFetch
from lemonade_media.model.failures import Failure, FailureKind
from lemonade_media.model.plans import FetchPlan
from lemonade_wire.address import Address, PortRange, Resolver
from lemonade_wire.redaction import Redactor
from lemonade_wire.trace import Trace

reactor: Any = installed
URL = "imap://joe@imap.example.com/INBOX/;UID=20/;SECTION=2;URLAUTH=anonymous:INTERNAL:" + "0a" * 32
CONTENT = bytes(range(256))
GREETING = b"* OK [CAPABILITY IMAP4rev1 AUTH=ANONYMOUS SASL-IR] ready\r\n"
LOGIN = b"a1 OK [CAPABILITY IMAP4rev1 URLAUTH=BINARY] in\r\n"
PART = (
    f'* URLFETCH "{URL}" (BODYPARTSTRUCTURE ("AUDIO" "BASIC" NIL NIL NIL "BINARY" 256)) (BINARY ~{{256}}\r\n'.encode()
    + CONTENT
    + b")\r\na2 OK done\r\n"
)
BYE = b"* BYE done\r\na3 OK done\r\n"


class Script(Protocol):
    """A server that sends a greeting, then answers each line with the next octets; None closes the connection."""

    transport: Any

    def __init__(self, replies: list[bytes | None], seen: list[bytes], gone: Deferred[None]) -> None:
        self.replies = replies
        self.seen = seen
        self.gone = gone

    def connectionMade(self) -> None:  # noqa: N802  Twisted's name
        self.seen.append(self.transport.getPeer().host.encode())
        self.reply()

    def dataReceived(self, data: bytes) -> None:  # noqa: N802  Twisted's name
        for line in data.splitlines():
            self.seen.append(line)
            self.reply()

    def reply(self) -> None:
        if self.replies:
            data = self.replies.pop(0)
            if data is None:
                self.transport.abortConnection()
            else:
                self.transport.write(data)

    def connectionLost(self, reason: object = None) -> None:  # noqa: N802  Twisted's name
        if not self.gone.called:
            self.gone.callback(None)


class FetchEndpointTests(TestCase):
    def setUp(self) -> None:
        self.seen: list[bytes] = []
        self.gone: Deferred[None] = Deferred()
        self.trace = io.StringIO()

    def server(self, *replies: bytes | None) -> int:
        factory = Factory.forProtocol(lambda: Script(list(replies), self.seen, self.gone))
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        number: int = port.getHost().port
        return number

    def endpoint(
        self,
        port: int,
        on_done: Callable[[int, Outcome], None],
        seconds: float = 5,
        pool: PoolLimits = PoolLimits(),  # noqa: B008  a frozen value
    ) -> FetchEndpoint:
        config = self.config(port, seconds, pool)
        return FetchEndpoint(reactor, config, Trace("media", self.trace, Redactor("salt")), on_done, bind="127.0.0.1")

    def config(
        self,
        port: int,
        seconds: float = 5,
        pool: PoolLimits = PoolLimits(),  # noqa: B008  a frozen value
    ) -> MediaConfig:
        return MediaConfig(
            Address("127.0.0.1", 5060),
            PortRange(20000, 20100),
            resolver=Resolver.parse([f"imap.example.com:143=127.0.0.1:{port}"]),
            imap=ImapSettings(
                (AllowedHost("imap.example.com"),), connect_seconds=seconds, fetch_seconds=seconds, pool=pool
            ),
        )

    async def fetch(self, port: int, content_type: str = "", seconds: float = 5) -> Outcome:
        outcomes: list[tuple[int, Outcome]] = []
        endpoint = self.endpoint(port, lambda job, outcome: outcomes.append((job, outcome)), seconds)
        await endpoint.start(self.command(content_type))
        assert [job for job, _ in outcomes] == [7]
        return outcomes[0][1]

    def command(self, content_type: str = "") -> StartFetch:
        return StartFetch(7, FetchPlan(URL, "imap.example.com", 143), content_type, "PCMU")

    async def failed(self, *replies: bytes | None, seconds: float = 5) -> FailureKind:
        outcome = await self.fetch(self.server(*replies), seconds=seconds)
        assert isinstance(outcome, Failure)
        return outcome.kind

    async def test_part_arrives_and_the_server_is_left_by_logout(self) -> None:
        outcome = await self.fetch(self.server(GREETING, LOGIN, PART, BYE))
        assert isinstance(outcome, EncodedMedia)
        assert outcome.octets == CONTENT
        await self.gone
        assert self.seen[0] == b"127.0.0.1"
        assert [line.split()[1] for line in self.seen[1:]] == [b"AUTHENTICATE", b"URLFETCH", b"LOGOUT"]

    async def test_trace_holds_no_token(self) -> None:
        await self.fetch(self.server(GREETING, LOGIN, PART, BYE))
        await self.gone
        assert "URLFETCH" in self.trace.getvalue()
        assert "0a0a" not in self.trace.getvalue()

    async def test_content_type_of_the_request_overrides_the_parts(self) -> None:
        outcome = await self.fetch(self.server(GREETING, LOGIN, PART, BYE), "text/plain;charset=utf-8")
        await self.gone
        assert isinstance(outcome, Failure)
        assert outcome.kind is FailureKind.UNPLAYABLE

    async def test_a_refused_tcp_connection_is_unreachable(self) -> None:
        port = reactor.listenTCP(0, Factory(), interface="127.0.0.1")
        number = port.getHost().port
        await port.stopListening()
        outcome = await self.fetch(number)
        assert isinstance(outcome, Failure)
        assert outcome.kind is FailureKind.UNREACHABLE

    async def test_a_greeting_of_bye_is_unreachable(self) -> None:
        assert await self.failed(b"* BYE full\r\n") is FailureKind.UNREACHABLE
        await self.gone

    async def test_bye_instead_of_an_answer_is_a_lost_connection(self) -> None:
        assert await self.failed(GREETING, LOGIN, b"* BYE going down\r\n") is FailureKind.CONNECTION_LOST
        await self.gone

    async def test_connection_breaks_inside_the_part(self) -> None:
        assert await self.failed(GREETING, LOGIN + PART[:300], None) is FailureKind.CONNECTION_LOST

    async def test_an_answer_that_is_not_imap_is_a_lost_connection(self) -> None:
        assert await self.failed(GREETING, b"HTTP/1.1 400 Bad Request\r\n\r\n") is FailureKind.CONNECTION_LOST
        await self.gone

    async def test_a_silent_server_times_out(self) -> None:
        assert await self.failed(GREETING, LOGIN, seconds=0.1) is FailureKind.TIMED_OUT
        await self.gone

    async def left(self, answer: bytes) -> FailureKind:
        """Answer the login with these octets, on a connection that would be kept; it must be ended by LOGOUT."""
        outcomes: dict[int, Outcome] = {}
        port = self.server(GREETING, answer, BYE.replace(b"a3", b"a2"))
        endpoint = self.endpoint(port, outcomes.__setitem__, pool=PoolLimits(idle_seconds=60))
        await endpoint.start(self.command())
        await self.gone
        assert [line.split()[1] for line in self.seen[1:]] == [b"AUTHENTICATE", b"LOGOUT"]
        outcome = outcomes[7]
        assert isinstance(outcome, Failure)
        return outcome.kind

    async def test_a_server_that_refuses_the_login_is_left(self) -> None:
        assert await self.left(b"a1 NO [AUTHENTICATIONFAILED] no\r\n") is FailureKind.LOGIN_REFUSED

    async def test_a_server_without_binary_is_left(self) -> None:
        assert await self.left(b"a1 OK [CAPABILITY IMAP4rev1 URLAUTH] in\r\n") is FailureKind.NO_BINARY

    async def test_a_far_too_large_literal_ends_the_connection(self) -> None:
        huge = f'* URLFETCH "{URL}" (BINARY ~{{2000000000}}\r\nxx'.encode()
        assert await self.failed(GREETING, LOGIN, huge) is FailureKind.TOO_LARGE
        await self.gone

    async def test_parts_that_together_exceed_the_memory_fail_as_busy(self) -> None:
        outcomes: dict[int, Outcome] = {}
        port = self.server(GREETING, LOGIN, PART, BYE)
        config = replace(self.config(port), imap=replace(self.config(port).imap, max_octets=255))
        endpoint = FetchEndpoint(reactor, config, Trace("media", self.trace, Redactor("salt")), outcomes.__setitem__)
        await endpoint.start(self.command())
        await self.gone
        assert outcomes == {7: Failure(FailureKind.BUSY, "too many parts are in memory")}
        config = replace(config, imap=replace(config.imap, max_octets=256))
        self.gone = Deferred()
        endpoint = FetchEndpoint(reactor, config, Trace("media", self.trace, Redactor("salt")), outcomes.__setitem__)
        for _ in range(3):
            self.gone = Deferred()
            await endpoint.start(self.command())
            assert isinstance(outcomes[7], EncodedMedia), "what was reserved is released"
            await self.gone

    async def test_an_answer_of_nil_is_not_found(self) -> None:
        nil = f'* URLFETCH "{URL}" NIL\r\na2 OK done\r\n'.encode()
        assert await self.failed(GREETING, LOGIN, nil, BYE) is FailureKind.NOT_FOUND
        await self.gone

    async def test_an_aborted_fetch_reports_nothing_and_closes_its_connection(self) -> None:
        outcomes: list[Outcome] = []
        endpoint = self.endpoint(self.server(GREETING), lambda job, outcome: outcomes.append(outcome))
        running = endpoint.start(self.command())
        while b"AUTHENTICATE" not in b" ".join(self.seen):
            pause: Deferred[None] = Deferred()
            reactor.callLater(0.001, pause.callback, None)
            await pause
        await endpoint.close(1)
        await running
        await self.gone
        assert outcomes == []
