"""Runs a SIP user agent on Twisted: a UDP port and a TCP listener on one address, one timer, and the trace."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import ClientFactory, DatagramProtocol, Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from lemonade_wire.address import Address
from lemonade_wire.faults import Fault
from lemonade_wire.sip.event import (
    CloseStream,
    Event,
    MessageDropped,
    MessageSeen,
    OpenStream,
    Output,
    SendDatagram,
    SendPong,
    SendStream,
)
from lemonade_wire.sip.message.fault import MessageFault
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.sip.ua import UserAgent
from lemonade_wire.sip.ua.dialog import Dialog
from lemonade_wire.trace import Trace
from lemonade_wire.turns import TurnQueue

T = TypeVar("T")
CONNECT_TIMEOUT = 4
"""Timeout of a TCP connection in seconds: far below the 32 s of timers B and F, so that UDP can still be tried."""
PORT_TRIES = 20
"""Number of tries to find a port that is free for both UDP and TCP."""
MOST_WAITING = 64
"""Datagrams of one address that wait for their turn; more are lost, as in a network, and are sent again."""
_MOST_IN_ALL = 500
"""Datagrams of all addresses that wait, which have 64 KB each at most."""
_MESSAGE = 4000
"""Work of a message besides that of its octets, as `lemonade_wire.turns` counts it."""


class SipEndpoint:
    """Runs one UserAgent on a Twisted reactor, and traces each message.

    `on_event` gets each event; in it the application may call actions of `endpoint.ua` directly. Elsewhere it uses
    `act`, which also sends the outputs and sets the timer. `ua` and `address` (the bound one) exist after `start`. A
    `fault` that is a `MessageFault` changes each message just before it is sent.
    """

    ua: UserAgent
    address: Address
    _log = Logger()

    def __init__(
        self,
        reactor: Any,  # noqa: ANN401  a reactor is many interfaces in one
        settings: UaSettings,
        on_event: Callable[[Event], None],
        trace: Trace,
        *,
        rng: random.Random | None = None,
        dialog_factory: type[Dialog] = Dialog,
        fault: Fault | None = None,
    ) -> None:
        self._reactor = reactor
        self._fault = fault
        self._settings = settings
        self._on_event = on_event
        self._trace = trace
        self._rng = rng
        self._dialog_factory = dialog_factory
        self._datagrams = _Datagrams(self)
        self._udp_port: Any = None
        self._tcp_port: Any = None
        self._streams: dict[int, _Stream] = {}
        self._connecting: dict[int, Any] = {}
        self._timer: Any = None
        self._closed: Deferred[None] | None = None
        self._flushing = False
        self._running = False
        self._turns = TurnQueue(partial(reactor.callLater, 0), most=MOST_WAITING, most_in_all=_MOST_IN_ALL)

    def start(self) -> Deferred[None]:
        """Listen on UDP and TCP; fails with Twisted's CannotListenError. Port 0 chooses one that is free for both."""
        return maybeDeferred(self._listen)

    def stop(self) -> Deferred[None]:
        """Stop listening, close all streams and cancel the timer; fires when the ports are free."""
        self._running = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        ports = [port for port in (self._udp_port, self._tcp_port) if port is not None]
        self._udp_port = self._tcp_port = None
        waits: list[Deferred[Any]] = [maybeDeferred(port.stopListening) for port in ports]
        if self._streams:
            self._closed = Deferred()
            waits.append(self._closed)
        for connector in list(self._connecting.values()):
            connector.stopConnecting()
        for stream in list(self._streams.values()):
            stream.drop()
        return DeferredList(waits, consumeErrors=True).addCallback(lambda _: None)

    def now(self) -> float:
        """Return the reactor's time in seconds, for the user agent's actions."""
        return float(self._reactor.seconds())

    def act(self, action: Callable[[UserAgent, float], T]) -> T:
        """Call `action(ua, now)`, then send the outputs and deliver the events; returns the action's result."""
        result = action(self.ua, self.now())
        self.flush()
        return result

    def flush(self) -> None:
        """Send the user agent's outputs, deliver its events, and set the timer."""
        if self._flushing or not self._running:
            return
        self._flushing = True
        try:
            self._drain()
        finally:
            self._flushing = False
        self._arm()

    def _drain(self) -> None:
        while True:
            outputs, events = self.ua.outputs(), self.ua.events()
            if not outputs and not events:
                return
            for output in outputs:
                self._send_edited(output)
            for event in events:
                try:
                    self._on_event(event)
                except Exception:
                    # An error in the handling of one call must not stop the other calls.
                    self._log.failure("event handler failed on {event}", event=type(event).__name__)

    def _listen(self) -> None:
        host, wanted = self._settings.address
        for attempt in range(PORT_TRIES):
            self._udp_port = self._reactor.listenUDP(wanted, self._datagrams, interface=host, maxPacketSize=65535)
            port = self._udp_port.getHost().port
            try:
                self._tcp_port = self._reactor.listenTCP(port, _Incoming(self), interface=host)
                break
            except CannotListenError:
                self._udp_port.stopListening()
                self._datagrams = _Datagrams(self)
                if wanted or attempt == PORT_TRIES - 1:
                    self._udp_port = None
                    raise
        self.address = Address(host, port)
        settings = replace(self._settings, address=self.address)
        self.ua = UserAgent(settings, self._rng, self._dialog_factory)
        self._running = True

    def _send_edited(self, output: Output) -> None:
        """Carry out an output as the fault changes it, and send what the fault wants after it."""
        if not isinstance(self._fault, MessageFault) or not isinstance(output, SendDatagram | SendStream):
            self._carry_out(output)
            return
        if data := self._fault.rewrite(output.data):
            self._carry_out(replace(output, data=data))
        if data := self._fault.behind(output.data):
            self._reactor.callLater(self._fault.pause, self._send_later, replace(output, data=data))

    def _send_later(self, output: Output) -> None:
        if self._running:
            self._carry_out(output)

    def _carry_out(self, output: Output) -> None:
        match output:
            case SendDatagram(data, destination, resend):
                self._traced("sent", (self.address, destination), data, resend=resend)
                self._datagrams.write(data, destination)
            case OpenStream(stream, destination):
                opening = _Outgoing(self, stream, destination)
                # A capture identifies nodes by their address, so that the connection must come from the own address.
                own = (self.address.host, 0)
                host, port = destination
                self._connecting[stream] = self._reactor.connectTCP(host, port, opening, CONNECT_TIMEOUT, own)
            case SendStream(stream, data, resend):
                if (protocol := self._streams.get(stream)) is not None:
                    self._traced("sent", (protocol.local, protocol.peer), data, transport="tcp", resend=resend)
                    protocol.send(data)
            case SendPong(stream, count):
                if (protocol := self._streams.get(stream)) is not None:
                    protocol.send(b"\r\n" * count)
            case CloseStream(stream, at_once):
                if (protocol := self._streams.get(stream)) is not None:
                    (protocol.drop if at_once else protocol.close)()
            case MessageSeen(data, source, transport):
                ends = (stream.local for stream in self._streams.values() if stream.peer == source)
                local = self.address if transport == "udp" else next(ends, self.address)
                self._traced("received", (local, source), data, transport=transport)
            case MessageDropped(source, why):
                self._trace.emit("log", level="info", text=f"SIP from {source} dropped: {why}")

    def _traced(
        self, way: str, ends: tuple[Address, Address], data: bytes, *, transport: str = "udp", resend: bool = False
    ) -> None:
        local, remote = map(str, ends)
        text = data.decode(errors="replace")
        self._trace.emit("sip", way=way, transport=transport, local=local, remote=remote, text=text, resend=resend)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        at = self.ua.next_timer()
        if at is not None and self._running:
            self._timer = self._reactor.callLater(max(0.0, at - self.now()), self._fire)

    def _fire(self) -> None:
        self._timer = None
        self.act(lambda ua, now: ua.handle_timer(now))

    def stream_made(self, number: int, stream: _Stream) -> None:
        """Register a TCP connection that was opened by either side."""
        if not self._running:
            stream.drop()
            return
        self._connecting.pop(number, None)
        self._streams[number] = stream
        self.feed(lambda ua, now: ua.stream_opened(number, now))

    def stream_gone(self, number: int) -> None:
        """Remove a TCP connection that is closed."""
        self._streams.pop(number, None)
        self.feed(lambda ua, now: ua.stream_lost(number, now))
        if self._closed is not None and not self._streams and not self._closed.called:
            self._closed.callback(None)

    def stream_refused(self, number: int) -> None:
        """Report that a TCP connection could not be made."""
        self._connecting.pop(number, None)
        self.feed(lambda ua, now: ua.stream_failed(number, now))

    def datagram_received(self, data: bytes, source: Address) -> None:
        """Give a datagram to the user agent, at once or in the turn of its address; more than may wait are lost."""

        def take() -> None:
            self._turns.spend(source.host, _MESSAGE + len(data))
            self.feed(lambda ua, now: ua.datagram_received(data, source, now))

        if self._turns.free:
            take()
        else:
            self._turns.wait(source.host, "", take)

    def feed(self, take: Callable[[UserAgent, float], T]) -> T | None:
        """Give input of the network to the user agent; does nothing and returns None after `stop`."""
        return self.act(take) if self._running else None


class _Datagrams(DatagramProtocol):
    transport: Any  # Twisted declares a zope interface, which lacks the methods that are used here

    def __init__(self, endpoint: SipEndpoint) -> None:
        self._endpoint = endpoint

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:  # noqa: ANN401, N802  twisted's name and type
        source = Address(addr[0], addr[1])
        self._endpoint.datagram_received(datagram, source)

    def write(self, data: bytes, destination: Address) -> None:
        if self.transport is not None:
            try:
                self.transport.write(data, (destination.host, destination.port))
            except (OSError, ValueError):
                # As good as lost in the network: the timers of the transaction handle it (RFC 3261 section 18.4).
                return


class _Stream(Protocol):
    """One TCP connection."""

    transport: Any  # as above

    def __init__(self, endpoint: SipEndpoint, number: int, peer: Address) -> None:
        self._endpoint = endpoint
        self._number = number
        self.peer = peer
        self.local = endpoint.address

    def connectionMade(self) -> None:  # noqa: N802  twisted's name
        own = self.transport.getHost()
        self.local = Address(own.host, own.port)
        self._endpoint.stream_made(self._number, self)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802  twisted's name
        self._endpoint.feed(lambda ua, now: ua.stream_received(self._number, data, now))

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802  twisted's signature
        self._endpoint.stream_gone(self._number)

    def send(self, data: bytes) -> None:
        self.transport.write(data)

    def close(self) -> None:
        self.transport.loseConnection()

    def drop(self) -> None:
        self.transport.abortConnection()


class _Incoming(Factory):
    noisy = False

    def __init__(self, endpoint: SipEndpoint) -> None:
        self._endpoint = endpoint

    def buildProtocol(self, addr: Any) -> _Stream | None:  # noqa: ANN401, N802  twisted's name and type
        peer = Address(addr.host, addr.port)
        number = self._endpoint.feed(lambda ua, now: ua.stream_accepted(peer, now))
        return None if number is None else _Stream(self._endpoint, number, peer)


class _Outgoing(ClientFactory):
    noisy = False

    def __init__(self, endpoint: SipEndpoint, number: int, peer: Address) -> None:
        self._endpoint = endpoint
        self._number = number
        self._peer = peer

    def buildProtocol(self, addr: Any) -> _Stream:  # noqa: ANN401, N802  twisted's name and type
        return _Stream(self._endpoint, self._number, self._peer)

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:  # noqa: ANN401, N802  the same
        self._endpoint.stream_refused(self._number)
