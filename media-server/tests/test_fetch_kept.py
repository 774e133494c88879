"""Fetches on kept connections over TCP on loopback: which fetches share one, how it ends, and which fetches wait."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase

from lemonade_media.config import MediaConfig
from lemonade_media.decoding.decode import EncodedMedia
from lemonade_media.fetch.endpoint import FetchEndpoint, Outcome
from lemonade_media.fetch.pool import PoolLimits
from lemonade_media.fetch.settings import AllowedHost, ImapAccount, ImapSettings
from lemonade_media.model.commands import StartFetch
from lemonade_media.model.failures import Failure, FailureKind
from lemonade_media.model.plans import FetchPlan
from lemonade_wire.address import Address, PortRange, Resolver
from lemonade_wire.redaction import Redactor
from lemonade_wire.trace import Trace

reactor: Any = installed  # the same holds for its methods as for those of `transport` below
URL = "imap://joe@imap.example.com/INBOX/;UID=20/;SECTION=2;URLAUTH=anonymous:INTERNAL:" + "0a" * 32
GREETING = b"* OK [CAPABILITY IMAP4rev1 AUTH=ANONYMOUS SASL-IR] ready\r\n"
PART = f'* URLFETCH "{URL}" (BODYPARTSTRUCTURE ("AUDIO" "BASIC" NIL NIL NIL "BINARY" 4)) (BINARY {{4}}\r\n1234)\r\n'


@dataclass
class Served:
    """What the connections of a test share: themselves, the commands of each, and the number of those that ended."""

    connections: list[Serving] = field(default_factory=list)
    seen: list[tuple[int, str]] = field(default_factory=list)
    deaf: bool = False
    dead: set[int] = field(default_factory=set)
    lost: int = 0


class Serving(Protocol):
    """Answers as a server does, by the tag that comes.

    `served.deaf` leaves URLFETCH without an answer, `served.dead` connections with these numbers without any.
    """

    transport: Any  # mypy takes the first argument of a method of zope's interfaces for self

    def __init__(self, served: Served) -> None:
        self.served = served

    def connectionMade(self) -> None:  # noqa: N802  Twisted's name
        self.served.connections.append(self)
        self.transport.write(GREETING)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802  Twisted's name
        for line in data.splitlines():
            tag, name = line.split()[:2]
            number = self.served.connections.index(self)
            self.served.seen.append((number, name.decode()))
            if number in self.served.dead:
                continue
            if name == b"NOOP":
                self.transport.write(tag + b" OK done\r\n")
            elif name in {b"AUTHENTICATE", b"LOGIN"}:
                self.transport.write(tag + b" OK [CAPABILITY IMAP4rev1 URLAUTH=BINARY] in\r\n")
            elif name == b"LOGOUT":
                self.transport.write(b"* BYE done\r\n" + tag + b" OK done\r\n")
                self.transport.loseConnection()
            elif not self.served.deaf:
                self.transport.write(PART.encode() + tag + b" OK done\r\n")

    def connectionLost(self, reason: object = None) -> None:  # noqa: N802  Twisted's name
        self.served.lost += 1


class PooledTests(TestCase):
    timeout = 20

    def setUp(self) -> None:
        self.served = Served()
        factory = Factory.forProtocol(lambda: Serving(self.served))
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.port = port.getHost().port
        self.outcomes: dict[int, Outcome] = {}

    def endpoint(self, pool: PoolLimits, identity: ImapAccount | None = None) -> FetchEndpoint:
        config = MediaConfig(
            Address("127.0.0.1", 5060),
            PortRange(20000, 20100),
            imap=ImapSettings(
                (AllowedHost("imap.example.com"),),
                identity,
                cleartext_login=True,
                fetch_seconds=5,
                probe_seconds=0.2,
                pool=pool,
            ),
            resolver=Resolver.parse([f"imap.example.com:143=127.0.0.1:{self.port}"]),
        )
        trace = Trace("media", io.StringIO(), Redactor("salt"))
        return FetchEndpoint(reactor, config, trace, self.outcomes.__setitem__, bind="127.0.0.1")

    def command(self, job: int, *, privileged: bool = False) -> StartFetch:
        return StartFetch(job, FetchPlan(URL, "imap.example.com", 143, privileged), "", "PCMU")

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
        await self.until(lambda: self.served.lost == 1)
        assert [name for _, name in self.served.seen] == ["AUTHENTICATE", *["URLFETCH"] * 3, "LOGOUT"]

    async def test_trusted_and_other_callers_share_no_connection(self) -> None:
        endpoint = self.endpoint(PoolLimits(idle_seconds=60), ImapAccount("mediaserver", "secret"))
        for job, privileged in enumerate((False, True, False, True)):
            await endpoint.start(self.command(job, privileged=privileged))
        assert all(isinstance(outcome, EncodedMedia) for outcome in self.outcomes.values())
        assert self.served.seen == [
            *((0, name) for name in ("AUTHENTICATE", "URLFETCH")),
            *((1, name) for name in ("LOGIN", "URLFETCH")),
            (0, "URLFETCH"),
            (1, "URLFETCH"),
        ]
        await endpoint.close(2)
        await self.until(lambda: self.served.lost == 2)

    async def test_a_connection_that_is_not_used_is_left_in_time(self) -> None:
        endpoint = self.endpoint(PoolLimits(idle_seconds=0.05))
        await endpoint.start(self.command(1))
        await self.until(lambda: self.served.lost == 1)
        assert [name for _, name in self.served.seen] == ["AUTHENTICATE", "URLFETCH", "LOGOUT"]
        await endpoint.start(self.command(2))
        assert isinstance(self.outcomes[2], EncodedMedia)
        await endpoint.close(2)

    async def test_a_kept_connection_that_the_server_ends_is_replaced(self) -> None:
        for farewell in (b"", b"* BYE idle for too long\r\n"):
            endpoint = self.endpoint(PoolLimits(idle_seconds=60))
            await endpoint.start(self.command(1))
            ended = self.served.connections[-1]
            ended.transport.write(farewell)
            ended.transport.loseConnection()
            await endpoint.start(self.command(2))
            assert isinstance(self.outcomes[2], EncodedMedia)
            assert self.served.connections[-1] is not ended
            await endpoint.close(2)

    async def test_a_fetch_that_dies_on_a_kept_connection_is_tried_once_more(self) -> None:
        endpoint = self.endpoint(PoolLimits(idle_seconds=60))
        await endpoint.start(self.command(1))
        self.served.deaf = True
        running = endpoint.start(self.command(2))
        await self.until(lambda: self.served.seen[-1] == (0, "URLFETCH") and len(self.served.seen) == 3)
        self.served.connections[0].transport.abortConnection()
        await self.until(lambda: self.served.seen[-1] == (1, "URLFETCH"))
        self.served.connections[1].transport.abortConnection()
        await running
        outcome = self.outcomes[2]
        assert isinstance(outcome, Failure)
        assert outcome.kind is FailureKind.CONNECTION_LOST
        assert len(self.served.connections) == 2
        await endpoint.close(2)

    async def test_an_idle_connection_is_tested_and_used_if_it_is_alive(self) -> None:
        endpoint = self.endpoint(PoolLimits(idle_seconds=60, sure_seconds=0))
        await endpoint.start(self.command(1))
        await endpoint.start(self.command(2))
        assert isinstance(self.outcomes[2], EncodedMedia)
        await endpoint.close(2)
        assert [name for _, name in self.served.seen] == ["AUTHENTICATE", "URLFETCH", "NOOP", "URLFETCH", "LOGOUT"]

    async def test_a_connection_that_died_without_notice_is_replaced(self) -> None:
        endpoint = self.endpoint(PoolLimits(idle_seconds=60, sure_seconds=0))
        await endpoint.start(self.command(1))
        self.served.dead.add(0)
        await endpoint.start(self.command(2))
        assert isinstance(self.outcomes[2], EncodedMedia)
        assert self.served.seen[2:] == [(0, "NOOP"), (1, "AUTHENTICATE"), (1, "URLFETCH")]
        await endpoint.close(2)
        await self.until(lambda: self.served.lost == 2)

    async def test_a_fetch_aborted_during_the_test_of_its_connection_is_not_tried_again(self) -> None:
        endpoint = self.endpoint(PoolLimits(idle_seconds=60, sure_seconds=0))
        await endpoint.start(self.command(1))
        self.served.dead.add(0)
        running = endpoint.start(self.command(2))
        await self.until(lambda: self.served.seen[-1] == (0, "NOOP"))
        endpoint.abort(2)
        await running
        await self.until(lambda: self.served.lost == 1)
        await endpoint.close(2)
        assert list(self.outcomes) == [1]
        assert len(self.served.connections) == 1

    async def test_fetches_beyond_the_limit_wait_and_are_refused(self) -> None:
        endpoint = self.endpoint(PoolLimits(per_server=1, wait_seconds=0.1))
        self.served.deaf = True
        endpoint.start(self.command(1))
        await endpoint.start(self.command(2))
        outcome = self.outcomes[2]
        assert isinstance(outcome, Failure)
        assert outcome.kind is FailureKind.BUSY
        assert len(self.served.connections) == 1
        await endpoint.close(2)
        await self.until(lambda: self.served.lost == 1)
        assert 1 not in self.outcomes

    async def test_fetches_beyond_the_limit_are_served_in_their_order(self) -> None:
        endpoint = self.endpoint(PoolLimits(per_server=1))
        running = [endpoint.start(self.command(job)) for job in (1, 2, 3)]
        for one in running:
            await one
        assert all(isinstance(outcome, EncodedMedia) for outcome in self.outcomes.values())
        assert sorted(self.outcomes) == [1, 2, 3]
        await endpoint.close(2)
        await self.until(lambda: self.served.lost == 3)
        assert [number for number, _ in self.served.seen] == [0, 0, 0, 1, 1, 1, 2, 2, 2]

    async def test_an_aborted_fetch_closes_its_connection_and_no_other(self) -> None:
        endpoint = self.endpoint(PoolLimits(idle_seconds=60))
        self.served.deaf = True
        first, second = endpoint.start(self.command(1)), endpoint.start(self.command(2))
        await self.until(lambda: [name for _, name in self.served.seen].count("URLFETCH") == 2)
        endpoint.abort(1)
        await first
        await self.until(lambda: self.served.lost == 1)
        left = next(one for one in self.served.connections if one.transport.connected)
        left.transport.write(PART.encode() + b"a2 OK done\r\n")
        await second
        assert list(self.outcomes) == [2]
        await endpoint.close(2)
