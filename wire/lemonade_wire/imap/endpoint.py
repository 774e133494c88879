"""Runs the IMAP client on Twisted: transport, TLS, timeouts and the trace. `ImapClient` handles the protocol."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from twisted.internet import error
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.base import DelayedCall
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from lemonade_wire.address import Address
from lemonade_wire.imap import command as commands
from lemonade_wire.imap.client import (
    ClientEvent,
    CommandDone,
    ConnectionBye,
    ExchangeCancelled,
    GreetingReceived,
    ImapClient,
    LiteralSkipped,
    LiteralTooLong,
    ResponseUnreadable,
    UntaggedReceived,
)
from lemonade_wire.imap.command import ImapCommand
from lemonade_wire.imap.framing import MAX_KEPT
from lemonade_wire.imap.response import StatusResponse
from lemonade_wire.tls import ClientTls, Handshake, NotTrustedError
from lemonade_wire.trace import Json, Trace

MAX_QUOTED = 200
_READ_AT_ONCE = 16_384
"""Octets that are read from the transport in one turn of the reactor: other connections wait while they are parsed."""


class ImapConnectionError(Exception):
    """The connection failed or was lost, the greeting refused it, or the server violated the protocol."""


class ImapTimeoutError(ImapConnectionError):
    """The server did not answer in time; the connection is closed."""


class ImapTooLargeError(ImapConnectionError):
    """The server announced a literal that is too long even to skip; the connection is closed."""


class ImapTlsError(ImapConnectionError):
    """The TLS handshake failed, or the server's certificate is not trusted; the connection is closed."""


@dataclass(frozen=True)
class TlsPlan:
    """The TLS settings of a connection: the trusted authorities, and the host that the certificate must name.

    With `at_once` TLS begins with the first octet; otherwise it begins after the OK to STARTTLS.
    """

    trust: ClientTls
    host: str
    at_once: bool = False


@implementer(IHandshakeListener)
class ImapConnection(Protocol):
    """One IMAP connection. `await connection.run(command)` returns the CommandDone, also for NO and BAD.

    It raises ImapTimeoutError or another ImapConnectionError, after which the connection is closed. `engine` is the
    ImapClient. The CommandDone of STARTTLS is returned after the handshake and the check of the certificate.
    """

    transport: Any  # Twisted's interfaces are zope's: mypy reads their methods as functions without self

    def __init__(
        self,
        reactor: Any,  # noqa: ANN401  as above
        trace: Trace,
        max_literal: int = MAX_KEPT,
        tls: TlsPlan | None = None,
        *,
        long_fetch: bool = False,
        max_untagged: int | None = None,
    ) -> None:
        at_once = tls is not None and tls.at_once
        self.engine = ImapClient(
            max_literal=max_literal,
            tracer=self._traced,
            tls_awaited=at_once,
            long_fetch=long_fetch,
            max_untagged=max_untagged,
        )
        self.greeting: Deferred[ImapConnection] = Deferred()
        self.closed = False
        self._reactor = reactor
        self._trace = trace
        self._tls = tls
        self._handshake: Handshake | None = None
        self._socket: Any = None
        self._upgrade: CommandDone | None = None  # the answered STARTTLS, during the handshake
        self._waiting: dict[str, Deferred[CommandDone]] = {}
        self._gone: list[Deferred[None]] = []
        self._why: ImapConnectionError | None = None
        self._local = self._remote = ""

    async def run(self, command: ImapCommand, within: float = 30.0) -> CommandDone:
        """Send a command and wait up to `within` seconds for its tagged response; raises ImapConnectionError."""
        if self.closed:
            raise ImapConnectionError("the connection is closed")
        done: Deferred[CommandDone] = Deferred()
        tag = self.engine.send(command)
        self._waiting[tag] = done
        self._flush()
        timer = self._reactor.callLater(within, self._late, command, within)
        try:
            return await done
        finally:
            _cancel(timer)

    async def capabilities(self, within: float = 30.0) -> frozenset[str]:
        """Return the server's capabilities in capitals; sends CAPABILITY if they are not known."""
        if self.engine.capabilities is None:
            await self.run(commands.capability(), within)
        return self.engine.capabilities or frozenset()

    async def close(self, within: float = 2.0) -> None:
        """Send LOGOUT, wait up to `within` seconds for the response, and close; errors of the server are ignored."""
        if not self.closed and not self.engine.closing:
            with suppress(ImapConnectionError):
                await self.run(commands.logout(), within)
        if self.closed:
            return
        gone = self.gone()
        self.transport.loseConnection()
        timer = self._reactor.callLater(within, self.transport.abortConnection)
        try:
            await gone
        finally:
            _cancel(timer)

    def gone(self) -> Deferred[None]:
        """Return a Deferred that fires when the connection is closed by either side."""
        gone: Deferred[None] = Deferred()
        if self.closed:
            gone.callback(None)
        else:
            self._gone.append(gone)
        return gone

    def abort(self) -> None:
        """Close the connection at once, without LOGOUT."""
        if not self.closed:
            self.transport.abortConnection()

    def connectionMade(self) -> None:  # noqa: N802  Twisted's name
        """Set the socket options for small packets, and begin TLS if it is to begin at once."""
        self.transport.setTcpNoDelay(True)
        self.transport.bufferSize = _READ_AT_ONCE
        here, peer = self.transport.getHost(), self.transport.getPeer()
        self._local, self._remote = str(Address(here.host, here.port)), str(Address(peer.host, peer.port))
        self._socket = self.transport.getHandle()
        self._acknowledge_quickly()
        if self._tls is not None and self._tls.at_once:
            self._begin_tls(self._tls)

    def handshakeCompleted(self) -> None:  # noqa: N802  Twisted's name
        """Check that the certificate names the host, before anything is read or sent under TLS."""
        if self._handshake is None:
            return
        try:
            self._handshake.verify_host(self.transport.getHandle())
        except NotTrustedError as problem:
            self._fail(ImapTlsError(f"TLS with the IMAP server did not begin: {problem}"))
            return
        self.engine.tls_begun()
        upgrade, self._upgrade = self._upgrade, None
        if upgrade is not None and (done := self._waiting.pop(upgrade.tag, None)) is not None:
            done.callback(upgrade)
        self._flush()

    def dataReceived(self, data: bytes) -> None:  # noqa: N802  Twisted's name
        """Give octets to the engine and handle its events."""
        if self._why is not None:
            return  # the connection is being closed after an error: further octets are ignored
        self._acknowledge_quickly()
        for event in self.engine.receive_data(data):
            self._alert(event)
            self._happened(event)
        self._flush()

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802  Twisted's name
        """Fail the commands that wait, and fire the Deferreds of `gone`."""
        self.closed = True
        why = self._why or self._lost(reason.value)
        waiting, self._waiting = self._waiting, {}
        for done in waiting.values():
            done.errback(why)
        if not self.greeting.called:
            self.greeting.errback(why)
        gone, self._gone = self._gone, []
        for one in gone:
            one.callback(None)

    def _lost(self, reason: BaseException | None) -> ImapConnectionError:
        if self._handshake is not None and self.engine.tls_awaited and isinstance(reason, Exception):
            return ImapTlsError(f"TLS with the IMAP server did not begin: {self._handshake.why(reason)}")
        return ImapConnectionError(f"the IMAP connection ended: {reason}")

    def _begin_tls(self, tls: TlsPlan) -> None:
        self._handshake = tls.trust.handshake(tls.host)
        self.transport.startTLS(self._handshake)

    def _happened(self, event: ClientEvent) -> None:
        match event:
            case GreetingReceived(status):
                if status.result == "BYE":
                    self._fail(
                        ImapConnectionError(f"the IMAP server refused the connection: {self._quoted(status.text)}")
                    )
                elif not self.greeting.called:
                    self.greeting.callback(self)
            case CommandDone() if self.engine.tls_awaited:
                if self._tls is None:
                    self._fail(ImapTlsError("TLS is not set up here"))
                    return
                self._upgrade = event
                self._begin_tls(self._tls)
            case CommandDone(tag=tag):
                done = self._waiting.pop(tag, None)
                if done is not None:
                    done.callback(event)
            case ConnectionBye(status, expected) if not expected:
                self._fail(ImapConnectionError(f"the IMAP server said BYE: {self._quoted(status.text)}"))
            case ResponseUnreadable(why):
                self._fail(ImapConnectionError(f"the IMAP server broke the protocol: {why}"))
            case ExchangeCancelled(why):
                self._trace.emit("log", level="warning", text=f"an AUTHENTICATE was cancelled: {why}")
            case LiteralTooLong(size):
                self._fail(ImapTooLargeError(f"the IMAP server began to send {size} octets"))
            case LiteralSkipped(size):
                self._trace.emit("log", level="warning", text=f"an IMAP literal of {size} octets was skipped")

    def _alert(self, event: ClientEvent) -> None:
        """Log the text of an ALERT, which a user must see (RFC 3501 section 7.1)."""
        match event:
            case (
                GreetingReceived(status=StatusResponse() as status)
                | UntaggedReceived(response=StatusResponse() as status)
                | CommandDone(status=status)
                | ConnectionBye(status=status)
            ) if status.code_name == "ALERT":
                self._trace.emit("log", level="warning", text=f"the IMAP server alerts: {self._quoted(status.text)}")

    def _quoted(self, text: str) -> str:
        """Return text of the server for logs and errors: shortened, and without tickets, which it may repeat."""
        return self._trace.redactor.text(text)[:MAX_QUOTED]

    def _late(self, command: ImapCommand, within: float) -> None:
        self._fail(ImapTimeoutError(f"the IMAP server did not answer {command.name} within {within:.3g} s"))

    def _fail(self, why: ImapConnectionError) -> None:
        self._why = self._why or why
        self.abort()

    def _flush(self) -> None:
        if (data := self.engine.data_to_send()) and not self.closed:
            self.transport.write(data)

    def _traced(self, way: str, text: str, literals: Sequence[Json]) -> None:
        self._trace.emit(
            "imap",
            way=way,
            side="client",
            local=self._local,
            remote=self._remote,
            text=text,
            literals=list(literals),
        )

    def _acknowledge_quickly(self) -> None:
        """Make the kernel send TCP acknowledgements without delay.

        Some servers wait for the acknowledgement between two writes: with Cyrus 49 ms become 2 ms.
        """
        option = getattr(socket, "TCP_QUICKACK", None)
        if option is not None and isinstance(self._socket, socket.socket):
            with suppress(OSError):
                self._socket.setsockopt(socket.IPPROTO_TCP, option, 1)


async def connect(
    reactor: Any,  # noqa: ANN401  a reactor is several interfaces at once
    address: Address,
    trace: Trace,
    *,
    bind: str | None = None,
    within: float = 10.0,
    max_literal: int = MAX_KEPT,
    tls: TlsPlan | None = None,
    long_fetch: bool = False,
    max_untagged: int | None = None,
) -> ImapConnection:
    """Connect from the local address `bind`, and wait up to `within` seconds for the greeting.

    `long_fetch`: FETCH responses of up to 1 MiB without their literals are taken, in place of 64 KiB.
    `max_untagged`: the largest number of untagged responses to one command, if there is one.

    Raises ImapConnectionError, ImapTimeoutError, or ImapTlsError if TLS begins at once and fails.
    """
    factory: Any = Factory.forProtocol(
        lambda: ImapConnection(reactor, trace, max_literal, tls, long_fetch=long_fetch, max_untagged=max_untagged)
    )
    source = None if bind is None else (bind, 0)
    # An IP address is not given to the resolver, so that a manipulated resolver cannot replace a resolved address.
    kind: Any = HostnameEndpoint
    if isIPAddress(address.host):
        kind = TCP4ClientEndpoint
    elif isIPv6Address(address.host):
        kind = TCP6ClientEndpoint
    try:
        connection: ImapConnection = await kind(reactor, address.host, address.port, within, source).connect(factory)
    except (error.TimeoutError, error.ConnectError, error.DNSLookupError, OSError) as problem:
        raise ImapConnectionError(f"no connection to the IMAP server at {address}: {problem}") from problem
    timer = reactor.callLater(
        within, connection._fail, ImapTimeoutError(f"the IMAP server did not greet within {within:g} s")
    )
    try:
        return await connection.greeting
    finally:
        _cancel(timer)


def _cancel(timer: DelayedCall) -> None:
    if timer.active():
        timer.cancel()
