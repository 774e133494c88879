"""The Twisted protocol and factory: they move octets between sockets and `ServerConnection`.

They also start TLS, stop reading or writing while the other side is slow, enforce the limits on connections, and log
connections that end with an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IPushProducer, IReactorTime, ISSLTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions
from twisted.python.failure import Failure
from zope.interface import implementer

from lemonade_imap.admission import Admission, ConnectionTimer
from lemonade_imap.connection import BodyBroken, ServerConnection
from lemonade_imap.grammar.base import SessionState
from lemonade_imap.serving.service import ImapService
from lemonade_imap.store.base import CHUNK
from lemonade_wire.address import Address
from lemonade_wire.trace import Trace

_CLOSING_SECONDS = 10.0
"""Seconds in which a client must read the last octets before the connection is dropped."""


@implementer(IPushProducer)
class ImapProtocol(Protocol):
    """One client's connection.

    It is registered as the transport's producer: the transport pauses it while the client does not read.
    """

    transport: Any  # mypy cannot check zope interfaces

    def __init__(self, factory: ImapFactory) -> None:
        self._factory = factory
        self._busy = False
        self._gone = False
        self._reading = True
        self._early = True
        self._woken = False
        self._paused: Deferred[None] | None = None
        self._admitted = False
        self._peer = ""
        self._began = self._last_activity = self._stalled = factory.reactor.seconds()
        self._closing_since: float | None = None

    def connectionMade(self) -> None:  # noqa: N802  Twisted's name
        """Count the connection against the limits, and greet the client or refuse it with BYE."""
        self.transport.setTcpNoDelay(True)
        self.transport.registerProducer(self, True)
        host, peer = self.transport.getHost(), self.transport.getPeer()
        self._peer = str(Address(peer.host, peer.port))
        addresses = (str(Address(host.host, host.port)), self._peer)
        service, trace, clock = self._factory.service, self._factory.trace, self._factory.clock
        private = bool(ISSLTransport.providedBy(self.transport))
        self._connection = ServerConnection(service, self, trace, addresses, clock, private=private)
        self._connection.session.wake = self._wake
        self._factory.connections.add(self)
        descriptor = self._socket().getHandle().fileno() if self._factory.limits.descriptors is not None else 0
        refusal = self._factory.admission.enter(peer.host, self._factory.reactor.seconds(), descriptor)
        if refusal is not None:
            self._factory.service.backend.log(f"{self._peer}: connection refused: {refusal}")
            self.close(f"* BYE {refusal}\r\n".encode("ascii"))
            return
        self._admitted = True
        self._socket().bufferSize = self._factory.limits.early
        self._factory.timer.expect(self.due()[0])
        self._start(greet=True)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802  the same
        """Pass octets to the session and carry out complete commands, unless one is being carried out already."""
        if self._closing_since is not None:
            return
        self._last_activity = self._factory.reactor.seconds()
        self._connection.session.receive_data(data)
        if not self._busy:
            self._start()
        elif self._reading and self._connection.session.buffered > self._most_waiting():
            self._reading = False
            self.transport.pauseProducing()

    def _most_waiting(self) -> int:
        limits = self._factory.limits
        return limits.early if self._is_early() else limits.pipelined

    def _is_early(self) -> bool:
        return self._connection.session.state is SessionState.NOT_AUTHENTICATED

    def _socket(self) -> Any:  # noqa: ANN401  as `transport`
        """Return the transport of the socket: with TLS from the first octet it is below the one of TLS."""
        return getattr(self.transport, "transport", None) or self.transport

    def _wake(self) -> None:
        """Send updates to a client in IDLE soon: after the call that changed the mailbox has returned."""
        if not self._woken:
            self._woken = True
            self._factory.reactor.callLater(0, self._send_updates)

    def _send_updates(self) -> None:
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
        except Exception:  # not GeneratorExit: when the server stops, nothing can be awaited any more
            await self._end_work()
            raise
        await self._end_work()
        if self._early and not self._is_early():
            self._early = False
            self._socket().bufferSize = CHUNK
        if self._connection.session.tls_awaited and not self._gone:
            self._begin_tls()
        if not self._reading and not self._gone:
            self._reading = True
            self.transport.resumeProducing()
        if self._connection.ended:
            self.close()

    async def _end_work(self) -> None:
        """Note that no command is being carried out; if the connection is closed, discard a partly received message."""
        self._busy = False
        if self._gone:
            await self._connection.abandon()

    def _begin_tls(self) -> None:
        """Start TLS and discard the octets that came behind STARTTLS in the clear.

        An attacker on the path could have added them; they must not be carried out as the client's commands.
        """
        forgotten = self._connection.session.tls_begun()
        if forgotten:
            self._factory.service.backend.log(
                f"{self._peer}: {forgotten} octets after STARTTLS were in the clear and were discarded"
            )
        self.transport.startTLS(self._factory.tls)

    def _failed(self, failure: Failure) -> None:
        """Log an unexpected error and close the connection: a reply that was begun cannot be completed."""
        if not isinstance(failure.value, ConnectionError):
            why = failure.value if isinstance(failure.value, BodyBroken) else failure.getTraceback()
            self._factory.service.backend.log(f"{self._peer}: connection dropped: {why}")
        self.transport.abortConnection()

    async def write(self, octets: bytes) -> None:
        """Send octets, then wait while the transport's buffer is full.

        Raises ConnectionAbortedError if the connection is closed.
        """
        if self._gone:
            raise ConnectionAbortedError
        self.transport.write(octets)
        self._last_activity = self._factory.reactor.seconds()
        if self._paused is not None:
            await self._paused

    def pauseProducing(self) -> None:  # noqa: N802  Twisted's name
        """Stop writing: the transport's buffer is full. The stall limit runs from now on."""
        if self._paused is None:
            self._paused = Deferred()
            self._stalled = self._factory.reactor.seconds()
            self._factory.timer.expect(self.due()[0])

    def resumeProducing(self) -> None:  # noqa: N802  the same
        """Continue to write: the transport's buffer has room again."""
        waiting, self._paused = self._paused, None
        if waiting is not None:
            waiting.callback(None)

    def stopProducing(self) -> None:  # noqa: N802  the same
        """Do nothing: the connection has ended, and Twisted calls `connectionLost` next."""

    def due(self) -> tuple[float, bytes]:
        """Return the time (reactor's seconds) at which the first limit of the connection passes, and the last octets.

        The limits (`config.ServerConfig`, `config.ConnectionLimits` and this module):

            limit               runs from                               last octets
            idle_seconds        the last octets received or sent        BYE
            login_seconds       the start of the connection             BYE (only until login)
            stall_seconds       the moment the client stops reading     none
            _PARTING_SECONDS    the start of closing                    none

        RFC 3501, 5.4 asks for at least 30 minutes of `idle_seconds`.
        """
        limits = self._factory.limits
        if self._closing_since is not None:
            return self._closing_since + _CLOSING_SECONDS, b""
        ends = [
            (self._last_activity + self._factory.service.backend.config.idle_seconds, b"* BYE idle for too long\r\n")
        ]
        if self._is_early():
            ends.append((self._began + limits.login_seconds, b"* BYE no login in time\r\n"))
        if self._paused is not None:
            ends.append((self._stalled + limits.stall_seconds, b""))
        return min(ends)

    def end(self, final_octets: bytes) -> None:
        """Close the connection because a limit has passed; drop it if it was already closing."""
        if self._closing_since is not None:
            self.transport.abortConnection()
        else:
            self.close(final_octets)

    def close(self, final_octets: bytes = b"") -> None:
        """Send `final_octets` and close after all octets were sent; drop the connection if a reply is being sent."""
        if self._gone or self._closing_since is not None:
            return
        self._closing_since = self._factory.reactor.seconds()
        self._factory.timer.expect(self.due()[0])
        if final_octets and not self._busy:
            self.transport.write(final_octets)
        self.transport.unregisterProducer()
        if self._busy:
            self.transport.abortConnection()
        else:
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802  the same
        """Release what the connection holds: its place in the limits, a waiting `write`, a partly received message."""
        self._gone = True
        self._factory.connections.discard(self)
        if self._admitted:
            self._factory.admission.leave(self.transport.getPeer().host)
        waiting, self._paused = self._paused, None
        if waiting is not None:
            waiting.errback(ConnectionAbortedError())
            waiting.addErrback(lambda _: None)  # no coroutine may be waiting for it, and Twisted would log the error
        if not self._busy:
            Deferred.fromCoroutine(self._connection.abandon()).addErrback(self._failed)
        if not isinstance(reason.value, ConnectionDone):
            self._factory.service.backend.log(f"{self._peer}: {reason.getErrorMessage()}")
        if not self._factory.connections:
            self._factory.all_gone()


class ImapFactory(Factory):
    """Makes a protocol for every new connection and keeps the set of open connections.

    `tls`: the options of the server's side of TLS, or None if the server has no certificate. `clock`: returns seconds
    since 1970.
    """

    noisy = False

    def __init__(
        self,
        service: ImapService,
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
        self.timer = ConnectionTimer(reactor, self.connections)
        self._waiting: list[Deferred[None]] = []

    def buildProtocol(self, addr: IAddress | None) -> ImapProtocol:  # noqa: N802  Twisted's name
        """Return a protocol for a new connection."""
        return ImapProtocol(self)

    def close_all(self) -> Deferred[None]:
        """Send BYE to all clients and close; the Deferred fires when all connections are closed."""
        done: Deferred[None] = Deferred()
        self._waiting.append(done)
        for connection in list(self.connections):
            connection.close(b"* BYE the server stops\r\n")
        if not self.connections:
            self.all_gone()
        return done

    def all_gone(self) -> None:
        """Stop the timer and fire the Deferreds of `close_all`: the last connection has closed."""
        self.timer.stop()
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done.callback(None)
