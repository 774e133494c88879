"""The sockets around the engine: fronts that listen, one timer, and a trace of what was done (asyncio)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from typing import cast

from lemonade_testbed.relay.config import RelayConfig, ports
from lemonade_testbed.relay.engine import EndStream, Flow, RelayEngine, SendDatagram, SendOctets
from lemonade_wire.trace import Json, Trace

_BATCH = 64
_MAX_DATAGRAM = 65535


class Relay:
    """Relays between the ends of a configuration, from `start` to `stop`.

    A node's datagrams and connections come to its peer's front; they go on from the node's own front, by the same
    port, so that both sides see fronts alone and one port means one socket of the node on both sides.
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
        """Listen on every front; raises OSError where one cannot be used."""
        for role, end in self._config.ends.items():
            for port in ports(end.udp):
                self._bind(role, port)
            for port in ports(end.tcp):
                server = await self._loop.create_server(self._accepting(role, port), end.front, port)
                self._servers.append(server)
        rules = [str(rule) for rule in self._config.plan.rules]
        self._trace.emit("relay", state="started", seed=self._config.plan.seed, rules=[*rules])

    def stop(self) -> None:
        """Close everything, and say what passed."""
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
        self._trace.emit("relay", state="stopped", passed=dict(sorted(self._engine.passed.items())), struck=struck)

    # -- datagrams ----------------------------------------------------------------------------------------------------

    def _bind(self, role: str, port: int) -> socket.socket:
        """Return the socket at a role's front; one that a node's passing port needs is made when it is needed."""
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
                continue  # the kernel reports that something sent earlier was refused
            source = self._config.role_of(host)
            if source is None or source == target:
                self._stranger(f"{host}:{port}")
                continue
            self._engine.datagram_received(Flow(source, target, port, target_port), data, self._loop.time())
        self._carry_out()

    def _send(self, flow: Flow, data: bytes) -> None:
        with contextlib.suppress(OSError):  # the network lost it
            one = self._bind(flow.source, flow.source_port)
            one.sendto(data, (self._config.ends[flow.target].address, flow.target_port))

    # -- streams ------------------------------------------------------------------------------------------------------

    def _accepting(self, role: str, port: int) -> Callable[[], _Side]:
        def accept() -> _Side:
            self._count += 1
            return _Side(self, self._count, target=role, port=port)

        return accept

    def accepted(self, side: _Side) -> None:
        """Take a new connection at a front, and make the one that goes on from it."""
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
        if side.number not in self._streams:  # the node has left already
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
        """Take octets."""
        if self.other(side) is None:
            # asyncio of some Pythons (3.11.2) reads on though it was told to pause when the connection was made
            side.early += data
            return
        self._engine.stream_received(side.number, side.role, data, self._loop.time())
        self._carry_out()

    def stream_ended(self, side: _Side) -> None:
        """Take note that a node sends nothing more, or is gone."""
        if self.other(side) is None:
            return
        self._engine.stream_ended(side.number, side.role, self._loop.time())
        self._carry_out()

    def stream_lost(self, side: _Side) -> None:
        """Take note that a node's connection is gone."""
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
        """Return the other side of a relayed connection, where there is one."""
        sides = self._streams.get(side.number, {})
        return next((one for one in sides.values() if one is not side), None)

    # -- the engine ---------------------------------------------------------------------------------------------------

    def _carry_out(self) -> None:
        for did in self._engine.impaired():
            self._trace.emit(
                "relay",
                state=did.state,
                rule=did.rule,
                leg=did.leg,
                source=did.source,
                message=did.message.label,
                nth=did.nth,
                seq=did.message.sequence,
                octets=did.octets,
            )
        for output in self._engine.outputs():
            match output:
                case SendDatagram(flow, data):
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
        """Nothing more comes from the node."""
        self.finished = False
        """Nothing more goes to it."""
        self.gone = False
        self.early = bytearray()
        """What came before the connection that goes on was there."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport; a connection from a node has yet to be led on."""
        self.transport = cast("asyncio.Transport", transport)
        if not self.role:
            self._relay.accepted(self)

    def data_received(self, data: bytes) -> None:
        """Hand octets to the engine."""
        self._relay.stream_received(self, data)

    def eof_received(self) -> bool:
        """Pass the end on; this node may still be written to, where that has no end yet."""
        self.ended = True
        self._relay.stream_ended(self)
        return not self.finished

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass the end on, where it was not yet."""
        self.gone = True
        other = self._relay.other(self)
        self._relay.stream_lost(self)
        if other is not None and exc is not None:
            other.end(wholly=True)

    def pause_writing(self) -> None:
        """Take nothing from the other node as long as this one does not keep up."""
        other = self._relay.other(self)
        if other is not None and not other.transport.is_closing():
            other.transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on."""
        other = self._relay.other(self)
        if other is not None and not other.transport.is_closing():
            other.transport.resume_reading()

    def reset(self) -> None:
        """Refuse the connection as a host does where nobody listens."""
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def end(self, *, wholly: bool) -> None:
        """Send what is left, then the end; `wholly`: and take nothing more, as where both have ended."""
        self.finished = True
        if self.transport.is_closing():
            return
        if wholly or self.ended:
            self.transport.close()
        else:
            self.transport.write_eof()
