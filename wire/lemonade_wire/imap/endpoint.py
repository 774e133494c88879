"""The IMAP client on Twisted: moves octets, arms time-outs, emits the trace. All else is the engine's."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from twisted.internet import error
from twisted.internet.base import DelayedCall
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from lemonade_wire.address import Address
from lemonade_wire.imap import command as commands
from lemonade_wire.imap.client import (
    ClientEvent,
    CommandDone,
    ConnectionBye,
    GreetingReceived,
    ImapClient,
    LiteralSkipped,
    ResponseUnreadable,
)
from lemonade_wire.imap.command import Command
from lemonade_wire.imap.framing import MAX_KEPT
from lemonade_wire.trace import Json, Trace


class ImapConnectionError(Exception):
    """The connection could not be made, broke, was refused by the greeting, or the server broke the protocol."""


class ImapTimeoutError(ImapConnectionError):
    """The server did not answer in time; the connection is gone."""


class ImapConnection(Protocol):
    """One connection. `await connection.run(command)` gives the CommandDone, whatever its result.

    Raises ImapTimeoutError or ImapConnectionError, after which the connection is closed. `engine` is the ImapClient,
    with its capabilities.
    """

    transport: Any  # Twisted's interfaces are zope's: mypy reads their methods as functions without self

    def __init__(self, reactor: Any, trace: Trace, max_literal: int = MAX_KEPT) -> None:  # noqa: ANN401  as above
        self.engine = ImapClient(max_literal=max_literal, tracer=self._traced)
        self.greeting: Deferred[ImapConnection] = Deferred()
        self.closed = False
        self._reactor = reactor
        self._trace = trace
        self._waiting: dict[str, Deferred[CommandDone]] = {}
        self._gone: list[Deferred[None]] = []
        self._why: ImapConnectionError | None = None
        self._local = self._remote = ""

    async def run(self, command: Command, within: float = 30.0) -> CommandDone:
        """Send a command and wait up to `within` seconds for its tagged answer."""
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
        """Return what the server has now, in capitals; asks where it has not said since the last login."""
        if self.engine.capabilities is None:
            await self.run(commands.capability(), within)
        return self.engine.capabilities or frozenset()

    async def close(self, within: float = 2.0) -> None:
        """Log out if that goes quickly, and close; never raises for what the server does."""
        if not self.closed and not self.engine.closing:
            with suppress(ImapConnectionError):
                await self.run(commands.logout(), within)
        if self.closed:
            return
        gone: Deferred[None] = Deferred()
        self._gone.append(gone)
        self.transport.loseConnection()
        timer = self._reactor.callLater(within, self.transport.abortConnection)
        try:
            await gone
        finally:
            _cancel(timer)

    def abort(self) -> None:
        """Close at once."""
        if not self.closed:
            self.transport.abortConnection()

    def connectionMade(self) -> None:  # noqa: N802  Twisted's name
        """Set the socket up for short commands and quick answers."""
        self.transport.setTcpNoDelay(True)
        here, peer = self.transport.getHost(), self.transport.getPeer()
        self._local, self._remote = str(Address(here.host, here.port)), str(Address(peer.host, peer.port))
        self._acknowledge_quickly()

    def dataReceived(self, data: bytes) -> None:  # noqa: N802  Twisted's name
        """Feed the engine and answer those who wait."""
        self._acknowledge_quickly()
        for event in self.engine.receive_data(data):
            self._happened(event)
        self._flush()

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802  Twisted's name
        """Tell everybody who waits."""
        self.closed = True
        why = self._why or ImapConnectionError(f"the IMAP connection ended: {reason.getErrorMessage()}")
        waiting, self._waiting = self._waiting, {}
        for done in waiting.values():
            done.errback(why)
        if not self.greeting.called:
            self.greeting.errback(why)
        gone, self._gone = self._gone, []
        for one in gone:
            one.callback(None)

    def _happened(self, event: ClientEvent) -> None:
        match event:
            case GreetingReceived(status):
                if status.result == "BYE":
                    self._fail(ImapConnectionError(f"the IMAP server refused the connection: {status.text}"))
                elif not self.greeting.called:
                    self.greeting.callback(self)
            case CommandDone(tag=tag):
                done = self._waiting.pop(tag, None)
                if done is not None:
                    done.callback(event)
            case ConnectionBye(status, expected) if not expected:
                self._fail(ImapConnectionError(f"the IMAP server said BYE: {status.text}"))
            case ResponseUnreadable(why):
                self._fail(ImapConnectionError(f"the IMAP server broke the protocol: {why}"))
            case LiteralSkipped(size):
                self._trace.emit("log", level="warning", text=f"an IMAP literal of {size} octets was skipped")

    def _late(self, command: Command, within: float) -> None:
        self._fail(ImapTimeoutError(f"the IMAP server did not answer {command.name} within {within:g} s"))

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
        """Have the kernel acknowledge at once: some servers wait for it between their writes (Cyrus: 49 ms to 2 ms)."""
        handle: Any = self.transport.getHandle()
        option = getattr(socket, "TCP_QUICKACK", None)
        if option is not None and isinstance(handle, socket.socket):
            with suppress(OSError):
                handle.setsockopt(socket.IPPROTO_TCP, option, 1)


async def connect(
    reactor: Any,  # noqa: ANN401  a reactor is several interfaces at once
    address: Address,
    trace: Trace,
    *,
    bind: str | None = None,
    within: float = 10.0,
    max_literal: int = MAX_KEPT,
) -> ImapConnection:
    """Connect from the local address `bind`, and wait up to `within` seconds for the greeting.

    Raises ImapConnectionError or ImapTimeoutError.
    """
    factory: Any = Factory.forProtocol(lambda: ImapConnection(reactor, trace, max_literal))
    source = None if bind is None else (bind, 0)
    endpoint = HostnameEndpoint(reactor, address.host, address.port, within, source)
    try:
        connection: ImapConnection = await endpoint.connect(factory)
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
