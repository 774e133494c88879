"""Runs the relay's engine with sockets (asyncio): listens at the fronts, keeps one timer, and writes the trace."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from typing import cast

from lemonade_testbed.relay.config import RelayConfig, ports
from lemonade_testbed.relay.engine import EndStream, RelayDatagram, RelayEngine, RelayFlow, SendOctets
from lemonade_testbed.relay.identity import ranges
from lemonade_wire.trace import Json, Trace

_BATCH = 64
"""The most datagrams that are read from a socket at once, before the outputs are sent."""
_MAX_DATAGRAM = 65535
"""Octets of the longest datagram."""


class Relay:
    """Relays between the roles of a configuration, from `start` to `stop`.

    A node sends its datagrams and opens its connections to its peer's front. The relay passes them on from the node's
    own front, with the same source port. So each node sees only fronts, and a port means the same socket of a node on
    both sides.
    """

    def __init__(self, config: RelayConfig, engine: RelayEngine, trace: Trace, say: Callable[[str], None]) -> None:
        self._config = config
        self._engine = engine
        self._trace = trace
        self._say = say
        self._loop = asyncio.get_running_loop()
        self._sockets: dict[tuple[str, int], socket.socket] = {}
        self._servers: list[asyncio.Server] = []
        self._streams: dict[int, dict[str, _Side]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._strangers: set[str] = set()
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Listen at every front; raises OSError if an address or port cannot be used."""
        for role, end in self._config.ends.items():
            for port in ports(end.udp):
                self._bind(role, port)
            for port in ports(end.tcp):
                server = await self._loop.create_server(self._accepting(role, port), end.front, port)
                self._servers.append(server)
        rules = [str(rule) for rule in self._config.plan.rules]
        self._trace.emit("relay", state="started", seed=self._config.plan.seed, rules=[*rules])

    def stop(self) -> None:
        """Close all sockets; the trace gets the messages on which rules decided, and how often each was applied."""
        if self._timer is not None:
            self._timer.cancel()
        for server in self._servers:
            server.close()
        for one in self._sockets.values():
            self._loop.remove_reader(one)
            one.close()
        for sides in self._streams.values():
            for side in sides.values():
                side.transport.abort()
        struck: dict[str, Json] = {str(rule): count for rule, count in sorted(self._engine.struck.items())}
        decided: dict[str, Json] = {
            key: [[*ends] for ends in ranges(places)] for key, places in sorted(self._engine.decided.items())
        }
        self._trace.emit("relay", state="stopped", decided=decided, struck=struck)

    # -- datagrams ----------------------------------------------------------------------------------------------------

    def _bind(self, role: str, port: int) -> socket.socket:
        """Return the UDP socket at a port of a role's front.

        It is made now if the port is not in the configuration, as the ephemeral port of a node.
        """
        if (role, port) not in self._sockets:
            one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                one.setblocking(False)
                one.bind((self._config.ends[role].front, port))
            except OSError:
                one.close()
                raise
            self._sockets[role, port] = one
            self._loop.add_reader(one, self._read, one, role, port)
        return self._sockets[role, port]

    def _read(self, one: socket.socket, target: str, target_port: int) -> None:
        for _ in range(_BATCH):
            try:
                data, (host, port) = one.recvfrom(_MAX_DATAGRAM)
            except BlockingIOError:
                break
            except OSError:
                continue  # the kernel reports an ICMP error for a datagram that was sent earlier
            source = self._config.role_of(host)
            if source is None or source == target:
                self._stranger(f"{host}:{port}")
                continue
            self._engine.datagram_received(RelayFlow(source, target, port, target_port), data, self._loop.time())
        self._carry_out()

    def _send(self, flow: RelayFlow, data: bytes) -> None:
        with contextlib.suppress(OSError):  # a datagram that cannot be sent counts as lost in the network
            one = self._bind(flow.source, flow.source_port)
            one.sendto(data, (self._config.ends[flow.target].address, flow.target_port))

    # -- streams ------------------------------------------------------------------------------------------------------

    def _accepting(self, role: str, port: int) -> Callable[[], _Side]:
        def accept() -> _Side:
            self._count += 1
            return _Side(self, self._count, target=role, port=port)

        return accept

    def accepted(self, side: _Side) -> None:
        """Take a new connection at a front, and open the connection to the node behind it, or refuse it."""
        host, port = side.transport.get_extra_info("peername")
        source = self._config.role_of(host)
        if source is None or source == side.target:
            self._stranger(f"{host}:{port}")
            side.reset()
        elif self._engine.stream_opened(side.number, source, side.target, self._loop.time()):
            side.role = source
            self._streams[side.number] = {source: side}
            side.transport.pause_reading()
            task = self._loop.create_task(self._connect(side, port))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            side.reset()
        self._carry_out()

    async def _connect(self, side: _Side, source_port: int) -> None:
        ends, onward = self._config.ends, _Side(self, side.number, target=side.role, port=side.port)
        one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            one.setblocking(False)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind((ends[side.role].front, source_port))
            await self._loop.sock_connect(one, (ends[side.target].address, side.port))
            onward.role = side.target
            await self._loop.create_connection(lambda: onward, sock=one)
        except OSError as problem:
            one.close()
            self._say(f"no connection to the {side.target} node for the {side.role} node: {problem}")
            side.reset()
            return
        if side.number not in self._streams:  # the node has closed its connection meanwhile
            onward.transport.abort()
            return
        self._streams[side.number][side.target] = onward
        if side.early:
            self.stream_received(side, bytes(side.early))
            side.early.clear()
        if side.ended:
            self.stream_ended(side)
        side.transport.resume_reading()

    def stream_received(self, side: _Side, data: bytes) -> None:
        """Take octets from a node and hand them to the engine, or keep them until the other connection is open."""
        if self.other(side) is None:
            # asyncio of Python 3.11.2 goes on reading, although reading was paused when the connection was made
            side.early += data
            return
        self._engine.stream_received(side.number, side.role, data, self._loop.time())
        self._carry_out()

    def stream_ended(self, side: _Side) -> None:
        """Note that a node ended its direction of a connection, or closed the connection."""
        if self.other(side) is None:
            return
        self._engine.stream_ended(side.number, side.role, self._loop.time())
        self._carry_out()

    def stream_lost(self, side: _Side) -> None:
        """Note that a node's connection is closed."""
        if side.number not in self._streams:
            return
        if not side.ended:
            side.ended = True
            self.stream_ended(side)
        sides = self._streams[side.number]
        if all(one.gone for one in sides.values()):
            del self._streams[side.number]
            self._engine.stream_closed(side.number)

    def other(self, side: _Side) -> _Side | None:
        """Return the connection with the other node, or None if it is not open."""
        sides = self._streams.get(side.number, {})
        return next((one for one in sides.values() if one is not side), None)

    # -- the engine ---------------------------------------------------------------------------------------------------

    def _carry_out(self) -> None:
        for did in self._engine.impaired():
            self._trace.emit(
                "relay",
                state=did.state,
                rule=did.rule,
                leg=did.arrival.leg,
                source=did.arrival.source,
                message=did.arrival.message.label,
                of=did.arrival.of,
                nth=did.arrival.nth,
                seq=did.arrival.message.sequence,
                octets=did.octets,
            )
        for output in self._engine.outputs():
            match output:
                case RelayDatagram(flow, data):
                    self._send(flow, data)
                case SendOctets(stream, target, data) if target in self._streams.get(stream, {}):
                    self._streams[stream][target].transport.write(data)
                case EndStream(stream, target, cut=cut) if target in self._streams.get(stream, {}):
                    side = self._streams[stream][target]
                    other = self.other(side)
                    side.end(wholly=cut or other is None or other.gone)
        if self._timer is not None:
            self._timer.cancel()
        at = self._engine.next_timer()
        self._timer = None if at is None else self._loop.call_at(at, self._fire)

    def _fire(self) -> None:
        self._engine.handle_timer(self._loop.time())
        self._carry_out()

    def _stranger(self, address: str) -> None:
        if address not in self._strangers:
            self._strangers.add(address)
            self._say(f"{address} is no role's address: nothing is passed on for it")


class _Side(asyncio.Protocol):
    """One node's connection with the relay."""

    transport: asyncio.Transport

    def __init__(self, relay: Relay, number: int, *, target: str, port: int) -> None:
        self._relay = relay
        self.number = number
        self.target = target
        self.port = port
        self.role = ""
        self.ended = False
        """The node has ended its direction."""
        self.finished = False
        """The relay has ended the direction to the node."""
        self.gone = False
        """The connection is closed."""
        self.early = bytearray()
        """Octets that came before the connection to the other node was open."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; for a connection that a node opened, open the one to the other node."""
        self.transport = cast("asyncio.Transport", transport)
        if not self.role:
            self._relay.accepted(self)

    def data_received(self, data: bytes) -> None:
        """Hand octets to the engine."""
        self._relay.stream_received(self, data)

    def eof_received(self) -> bool:
        """Pass the end on; returns whether the relay may still send to this node."""
        self.ended = True
        self._relay.stream_ended(self)
        return not self.finished

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass the end on, if that was not done yet; after an error the other connection is closed wholly."""
        self.gone = True
        other = self._relay.other(self)
        self._relay.stream_lost(self)
        if other is not None and exc is not None:
            other.end(wholly=True)

    def pause_writing(self) -> None:
        """Stop reading from the other node while this one does not read fast enough."""
        other = self._relay.other(self)
        if other is not None and not other.transport.is_closing():
            other.transport.pause_reading()

    def resume_writing(self) -> None:
        """Read from the other node again."""
        other = self._relay.other(self)
        if other is not None and not other.transport.is_closing():
            other.transport.resume_reading()

    def reset(self) -> None:
        """Close the connection with RST, as a host refuses one to a port on which no process listens."""
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def end(self, *, wholly: bool) -> None:
        """Send what is left and then end the direction to the node; with `wholly`, or if it has ended too, close."""
        self.finished = True
        if self.transport.is_closing():
            return
        if wholly or self.ended:
            self.transport.close()
        else:
            self.transport.write_eof()
