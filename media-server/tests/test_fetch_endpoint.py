"""Fetches over loopback TCP against a scripted server: what arrives, what fails how, what is given up."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase

from lemonade_media.commands import StartFetch
from lemonade_media.config import MediaConfig, PortRange
from lemonade_media.decode import EncodedMedia
from lemonade_media.failures import Failure, FailureKind
from lemonade_media.fetch import FetchPlan
from lemonade_media.fetch_endpoint import FetchEndpoint, Outcome
from lemonade_media.imap_settings import AllowedHost, ImapSettings
from lemonade_media.pool import PoolLimits
from lemonade_wire.address import Address, Resolver
from lemonade_wire.redact import Redactor
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
    """Greets, then answers each line with the next octets; None closes the connection."""

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
        config = MediaConfig(
            Address("127.0.0.1", 5060),
            PortRange(20000, 20100),
            resolver=Resolver.parse([f"imap.example.com:143=127.0.0.1:{port}"]),
            imap=ImapSettings(
                (AllowedHost("imap.example.com"),), connect_seconds=seconds, fetch_seconds=seconds, pool=pool
            ),
        )
        return FetchEndpoint(reactor, config, Trace("media", self.trace, Redactor("salt")), on_done, bind="127.0.0.1")

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

    async def test_content_type_of_the_request_wins(self) -> None:
        outcome = await self.fetch(self.server(GREETING, LOGIN, PART, BYE), "text/plain;charset=utf-8")
        await self.gone
        assert isinstance(outcome, Failure)
        assert outcome.kind is FailureKind.UNPLAYABLE

    async def test_nobody_listens(self) -> None:
        port = reactor.listenTCP(0, Factory(), interface="127.0.0.1")
        number = port.getHost().port
        await port.stopListening()
        outcome = await self.fetch(number)
        assert isinstance(outcome, Failure)
        assert outcome.kind is FailureKind.UNREACHABLE

    async def test_server_refuses_to_serve(self) -> None:
        assert await self.failed(b"* BYE full\r\n") is FailureKind.UNREACHABLE
        await self.gone

    async def test_server_says_bye_instead_of_answering(self) -> None:
        assert await self.failed(GREETING, LOGIN, b"* BYE going down\r\n") is FailureKind.CONNECTION_LOST
        await self.gone

    async def test_connection_breaks_inside_the_part(self) -> None:
        assert await self.failed(GREETING, LOGIN + PART[:300], None) is FailureKind.CONNECTION_LOST

    async def test_server_speaks_another_language(self) -> None:
        assert await self.failed(GREETING, b"HTTP/1.1 400 Bad Request\r\n\r\n") is FailureKind.CONNECTION_LOST
        await self.gone

    async def test_server_stays_silent(self) -> None:
        assert await self.failed(GREETING, LOGIN, seconds=0.1) is FailureKind.TIMED_OUT
        await self.gone

    async def test_nil_is_not_found(self) -> None:
        nil = f'* URLFETCH "{URL}" NIL\r\na2 OK done\r\n'.encode()
        assert await self.failed(GREETING, LOGIN, nil, BYE) is FailureKind.NOT_FOUND
        await self.gone

    async def test_fetch_given_up_reports_nothing_and_closes_its_connection(self) -> None:
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


class Serving(Protocol):
    """Answers as a server does, by the tag that comes; `factory.deaf` leaves URLFETCH without an answer."""

    transport: Any
    factory: Any

    def connectionMade(self) -> None:  # noqa: N802  Twisted's name
        self.factory.connections.append(self)
        self.transport.write(GREETING)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802  Twisted's name
        for line in data.splitlines():
            tag, name = line.split()[:2]
            self.factory.seen.append((self.factory.connections.index(self), name.decode()))
            if name == b"AUTHENTICATE":
                self.transport.write(tag + LOGIN[2:])
            elif name == b"LOGOUT":
                self.transport.write(b"* BYE done\r\n" + tag + b" OK done\r\n")
                self.transport.loseConnection()
            elif not self.factory.deaf:
                self.transport.write(PART.replace(b"a2 OK", tag + b" OK"))

    def connectionLost(self, reason: object = None) -> None:  # noqa: N802  Twisted's name
        self.factory.lost += 1


class PooledTests(TestCase):
    timeout = 20

    def setUp(self) -> None:
        self.factory: Any = Factory.forProtocol(Serving)
        self.factory.connections, self.factory.seen, self.factory.deaf, self.factory.lost = [], [], False, 0
        port = reactor.listenTCP(0, self.factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.port = port.getHost().port
        self.outcomes: dict[int, Outcome] = {}

    def endpoint(self, pool: PoolLimits) -> FetchEndpoint:
        config = MediaConfig(
            Address("127.0.0.1", 5060),
            PortRange(20000, 20100),
            imap=ImapSettings((AllowedHost("imap.example.com"),), fetch_seconds=5, pool=pool),
            resolver=Resolver.parse([f"imap.example.com:143=127.0.0.1:{self.port}"]),
        )
        trace = Trace("media", io.StringIO(), Redactor("salt"))
        return FetchEndpoint(reactor, config, trace, self.outcomes.__setitem__, bind="127.0.0.1")

    def command(self, job: int) -> StartFetch:
        return StartFetch(job, FetchPlan(URL, "imap.example.com", 143), "", "PCMU")

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            pause: Deferred[None] = Deferred()
            reactor.callLater(0.001, pause.callback, None)
            await pause

    async def test_one_login_serves_many_fetches_and_the_end_is_a_logout(self) -> None:
        endpoint = self.endpoint(PoolLimits(idle_seconds=60))
        for job in (1, 2, 3):
            await endpoint.start(self.command(job))
        assert all(isinstance(outcome, EncodedMedia) for outcome in self.outcomes.values())
        await endpoint.close(2)
        await self.until(lambda: self.factory.lost == 1)
        assert [name for _, name in self.factory.seen] == ["AUTHENTICATE", *["URLFETCH"] * 3, "LOGOUT"]

    async def test_a_connection_that_is_not_used_is_left_in_time(self) -> None:
        endpoint = self.endpoint(PoolLimits(idle_seconds=0.05))
        await endpoint.start(self.command(1))
        await self.until(lambda: self.factory.lost == 1)
        assert [name for _, name in self.factory.seen] == ["AUTHENTICATE", "URLFETCH", "LOGOUT"]
        await endpoint.start(self.command(2))
        assert isinstance(self.outcomes[2], EncodedMedia)
        await endpoint.close(2)

    async def test_a_kept_connection_that_the_server_ends_is_replaced(self) -> None:
        for farewell in (b"", b"* BYE idle for too long\r\n"):
            endpoint = self.endpoint(PoolLimits(idle_seconds=60))
            await endpoint.start(self.command(1))
            ended = self.factory.connections[-1]
            ended.transport.write(farewell)
            ended.transport.loseConnection()
            await endpoint.start(self.command(2))
            assert isinstance(self.outcomes[2], EncodedMedia)
            assert self.factory.connections[-1] is not ended
            await endpoint.close(2)

    async def test_a_fetch_that_dies_on_a_kept_connection_is_tried_once_more(self) -> None:
        endpoint = self.endpoint(PoolLimits(idle_seconds=60))
        await endpoint.start(self.command(1))
        self.factory.deaf = True
        running = endpoint.start(self.command(2))
        await self.until(lambda: self.factory.seen[-1] == (0, "URLFETCH") and len(self.factory.seen) == 3)
        self.factory.connections[0].transport.abortConnection()
        await self.until(lambda: self.factory.seen[-1] == (1, "URLFETCH"))
        self.factory.connections[1].transport.abortConnection()
        await running
        outcome = self.outcomes[2]
        assert isinstance(outcome, Failure)
        assert outcome.kind is FailureKind.CONNECTION_LOST
        assert len(self.factory.connections) == 2
        await endpoint.close(2)

    async def test_fetches_beyond_the_cap_wait_and_are_turned_away(self) -> None:
        endpoint = self.endpoint(PoolLimits(per_server=1, wait_seconds=0.1))
        self.factory.deaf = True
        endpoint.start(self.command(1))
        await endpoint.start(self.command(2))
        outcome = self.outcomes[2]
        assert isinstance(outcome, Failure)
        assert outcome.kind is FailureKind.BUSY
        assert len(self.factory.connections) == 1
        await endpoint.close(2)
        await self.until(lambda: self.factory.lost == 1)
        assert 1 not in self.outcomes

    async def test_fetches_beyond_the_cap_come_in_their_turn(self) -> None:
        endpoint = self.endpoint(PoolLimits(per_server=1))
        running = [endpoint.start(self.command(job)) for job in (1, 2, 3)]
        for one in running:
            await one
        assert all(isinstance(outcome, EncodedMedia) for outcome in self.outcomes.values())
        assert sorted(self.outcomes) == [1, 2, 3]
        await endpoint.close(2)
        await self.until(lambda: self.factory.lost == 3)
        assert [number for number, _ in self.factory.seen] == [0, 0, 0, 1, 1, 1, 2, 2, 2]

    async def test_a_fetch_given_up_closes_its_connection_and_no_other(self) -> None:
        endpoint = self.endpoint(PoolLimits(idle_seconds=60))
        self.factory.deaf = True
        first, second = endpoint.start(self.command(1)), endpoint.start(self.command(2))
        await self.until(lambda: [name for _, name in self.factory.seen].count("URLFETCH") == 2)
        endpoint.abort(1)
        await first
        await self.until(lambda: self.factory.lost == 1)
        left = next(one for one in self.factory.connections if one.transport.connected)
        left.transport.write(PART)
        await second
        assert list(self.outcomes) == [2]
        await endpoint.close(2)
