"""The thin Twisted side: octets in and out, TLS, back-pressure, one timer for all connections, and a log line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IPushProducer, IReactorTime, ISSLTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from zope.interface import implementer  # type: ignore[import-untyped]  # zope ships no types

from lemonade_imap.admission import Admission
from lemonade_imap.connection import BodyBroken, Connection
from lemonade_imap.serving.service import Service
from lemonade_imap.state import State
from lemonade_imap.watch import Watch
from lemonade_wire.address import Address
from lemonade_wire.trace import Trace

_PARTING_SECONDS = 10.0
"""How long a client may take to read the last words."""


@implementer(IPushProducer)
class ImapProtocol(Protocol):
    """One client's connection. The transport calls it a producer, and pauses it while the client does not read."""

    transport: Any  # zope interfaces mean nothing to mypy

    def __init__(self, factory: ImapFactory) -> None:
        self._factory = factory
        self._busy = False
        self._gone = False
        self._reading = True
        self._woken = False
        self._paused: Deferred[None] | None = None
        self._admitted = False
        self._peer = ""
        self._began = self._heard = self._stalled = factory.reactor.seconds()
        self._parted: float | None = None

    def connectionMade(self) -> None:  # noqa: N802  Twisted's name
        """Greet the client."""
        self.transport.setTcpNoDelay(True)
        self.transport.registerProducer(self, True)
        host, peer = self.transport.getHost(), self.transport.getPeer()
        self._peer = str(Address(peer.host, peer.port))
        addresses = (str(Address(host.host, host.port)), self._peer)
        service, trace, clock = self._factory.service, self._factory.trace, self._factory.clock
        private = bool(ISSLTransport.providedBy(self.transport))
        self._connection = Connection(service, self, trace, addresses, clock, private=private)
        self._connection.session.wake = self._wake
        self._factory.connections.add(self)
        refusal = self._factory.admission.enter(peer.host, self._factory.reactor.seconds())
        if refusal is not None:
            self._factory.service.backend.log(f"{self._peer}: not let in: {refusal}")
            self.close(f"* BYE {refusal}\r\n".encode("ascii"))
            return
        self._admitted = True
        self._factory.watch.expect(self.due()[0])
        self._start(greet=True)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802  the same
        """Pass octets on; carry out what they complete, unless something is being carried out."""
        if self._parted is not None:
            return
        self._heard = self._factory.reactor.seconds()
        self._connection.session.receive_data(data)
        if not self._busy:
            self._start()
        elif self._reading and self._connection.session.buffered > self._factory.limits.pipelined:
            self._reading = False
            self.transport.pauseProducing()

    def _wake(self) -> None:
        """There is news for a client that idles: it is told when what brought it is over."""
        if not self._woken:
            self._woken = True
            self._factory.reactor.callLater(0, self._tell)

    def _tell(self) -> None:
        self._woken = False
        if not self._busy and not self._gone:
            self._start()

    def _start(self, *, greet: bool = False) -> None:
        self._busy = True
        Deferred.fromCoroutine(self._work(greet=greet)).addErrback(self._failed)

    async def _work(self, *, greet: bool) -> None:
        try:
            if greet:
                await self._connection.greet()
            await self._connection.pump()
        except Exception:  # not GeneratorExit: where the server ends, nothing can be waited for
            await self._rest()
            raise
        await self._rest()
        if self._connection.session.tls_awaited and not self._gone:
            self._begin_tls()
        if not self._reading and not self._gone:
            self._reading = True
            self.transport.resumeProducing()
        if self._connection.ended:
            self.close()

    async def _rest(self) -> None:
        """Be free for what comes next; where the client is gone, what it began to send is let go of."""
        self._busy = False
        if self._gone:
            await self._connection.abandon()

    def _begin_tls(self) -> None:
        """Encrypt. What the client sent behind STARTTLS was in the clear, and might be anybody's: it is forgotten."""
        forgotten = self._connection.session.tls_begun()
        if forgotten:
            self._factory.service.backend.log(f"{self._peer}: {forgotten} octets behind STARTTLS were in the clear")
        self.transport.startTLS(self._factory.tls)

    def _failed(self, failure: Failure) -> None:
        """Close: nothing that was begun can be finished."""
        if not isinstance(failure.value, ConnectionError):
            why = failure.value if isinstance(failure.value, BodyBroken) else failure.getTraceback()
            self._factory.service.backend.log(f"{self._peer}: connection dropped: {why}")
        self.transport.abortConnection()

    async def write(self, octets: bytes) -> None:
        """Send octets, then wait while the client does not read."""
        if self._gone:
            raise ConnectionAbortedError
        self.transport.write(octets)
        self._heard = self._factory.reactor.seconds()
        if self._paused is not None:
            await self._paused

    async def turn(self) -> None:
        """Let the reactor look at other connections."""
        await deferLater(self._factory.reactor, 0)

    def pauseProducing(self) -> None:  # noqa: N802  Twisted's name
        """The transport's buffer is full."""
        if self._paused is None:
            self._paused = Deferred()
            self._stalled = self._factory.reactor.seconds()
            self._factory.watch.expect(self.due()[0])

    def resumeProducing(self) -> None:  # noqa: N802  the same
        """The transport takes octets again."""
        waiting, self._paused = self._paused, None
        if waiting is not None:
            waiting.callback(None)

    def stopProducing(self) -> None:  # noqa: N802  the same
        """The connection is over: `connectionLost` follows."""

    def due(self) -> tuple[float, bytes]:
        """Return when this connection is to end (reactor's seconds) unless something happens, and its last words."""
        limits = self._factory.limits
        if self._parted is not None:
            return self._parted + _PARTING_SECONDS, b""
        ends = [(self._heard + self._factory.service.backend.config.idle_seconds, b"* BYE idle for too long\r\n")]
        if self._connection.session.state is State.NOT_AUTHENTICATED:
            ends.append((self._began + limits.login_seconds, b"* BYE nobody logged in\r\n"))
        if self._paused is not None:
            ends.append((self._stalled + limits.stall_seconds, b""))
        return min(ends)

    def end(self, last_words: bytes) -> None:
        """Its time is over: close, or drop where the last words are not read either."""
        if self._parted is not None:
            self.transport.abortConnection()
        else:
            self.close(last_words)

    def close(self, last_words: bytes = b"") -> None:
        """Say `last_words`, where no reply is under way, and close when all is sent."""
        if self._gone or self._parted is not None:
            return
        self._parted = self._factory.reactor.seconds()
        self._factory.watch.expect(self.due()[0])
        if last_words and not self._busy:
            self.transport.write(last_words)
        self.transport.unregisterProducer()
        if self._busy:
            self.transport.abortConnection()
        else:
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802  the same
        """Free what waits for this connection."""
        self._gone = True
        self._factory.connections.discard(self)
        if self._admitted:
            self._factory.admission.leave(self.transport.getPeer().host)
        waiting, self._paused = self._paused, None
        if waiting is not None:
            waiting.errback(ConnectionAbortedError())
            waiting.addErrback(lambda _: None)  # perhaps nothing was to be written
        if not self._busy:
            Deferred.fromCoroutine(self._connection.abandon()).addErrback(self._failed)
        if not isinstance(reason.value, ConnectionDone):
            self._factory.service.backend.log(f"{self._peer}: {reason.getErrorMessage()}")
        if not self._factory.connections:
            self._factory.all_gone()


class ImapFactory(Factory):
    """Makes a protocol for every connection, and knows those that are open.

    `tls` makes the server's side of TLS, where the settings say that there is one.
    """

    noisy = False

    def __init__(
        self,
        service: Service,
        trace: Trace,
        reactor: IReactorTime,
        clock: Callable[[], float],
        tls: CertificateOptions | None = None,
    ) -> None:
        self.reactor: Any = reactor
        self.service = service
        self.trace = trace
        self.clock = clock
        self.tls = tls
        self.limits = service.backend.config.connections
        self.admission = Admission(self.limits)
        self.connections: set[ImapProtocol] = set()
        self.watch = Watch(reactor, self.connections)
        self._waiting: list[Deferred[None]] = []

    def buildProtocol(self, addr: IAddress | None) -> ImapProtocol:  # noqa: N802  Twisted's name
        """Return a protocol for a new connection."""
        return ImapProtocol(self)

    def close_all(self) -> Deferred[None]:
        """Say BYE to everybody; the Deferred fires when all connections are gone."""
        done: Deferred[None] = Deferred()
        self._waiting.append(done)
        for connection in list(self.connections):
            connection.close(b"* BYE the server stops\r\n")
        if not self.connections:
            self.all_gone()
        return done

    def all_gone(self) -> None:
        """Tell who waits that the last connection is gone."""
        self.watch.stop()
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done.callback(None)
