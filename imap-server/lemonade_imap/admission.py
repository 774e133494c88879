"""Limits on connections: how many are open, how many begin within a minute, and how long each may wait.

`Admission` counts connections; it reads no clock, and gets the time as an argument, in seconds. `ConnectionTimer` ends
connections that waited too long. One delayed call of the reactor serves all of them, so that no command has to set or
cancel a timer.
"""

from __future__ import annotations

import ipaddress
from collections import Counter, deque
from collections.abc import Collection
from typing import Any, Protocol

from twisted.internet.interfaces import IReactorTime

from lemonade_imap.config import ConnectionLimits
from lemonade_wire.address import in_networks

_LEAST_WAIT = 1.0
"""Seconds that the timer waits at least before it checks all connections again."""
_MINUTE = 60.0


class TimedConnection(Protocol):
    """A connection with a time limit; times are the reactor's seconds."""

    def due(self) -> tuple[float, bytes]:
        """Return the time at which the connection must end if nothing happens before, and the last octets to send."""
        ...

    def end(self, final_octets: bytes) -> None:
        """Send the last octets, if there are any, and end the connection."""
        ...


class ConnectionTimer:
    """Ends each of `connections` when it is due; their owner adds connections to the collection and removes them."""

    def __init__(self, reactor: IReactorTime, connections: Collection[TimedConnection]) -> None:
        self._reactor: Any = reactor
        self._connections = connections
        self._call: Any = None

    def expect(self, due: float) -> None:
        """Check all connections at the time `due` at the latest.

        Call it when a connection's limit becomes earlier. A limit that becomes later needs no call: the check then
        finds the connection not due.
        """
        wait = max(due - self._reactor.seconds(), _LEAST_WAIT)
        if self._call is None:
            self._call = self._reactor.callLater(wait, self._check_all)
        elif self._call.getTime() > self._reactor.seconds() + wait:
            self._call.reset(wait)

    def stop(self) -> None:
        """Cancel the timer."""
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _check_all(self) -> None:
        self._call = None
        now = self._reactor.seconds()
        for one in list(self._connections):
            due, final_octets = one.due()
            if due <= now:
                one.end(final_octets)
        if self._connections:
            self.expect(min(one.due()[0] for one in self._connections))


def network_of(address: str) -> str:
    """Return the text that stands for one client: its IPv4 address, or its IPv6 network of 64 bits.

    A site usually has one IPv6 network of 64 bits, so that its hosts can change addresses within it. An IPv4-mapped
    address counts as IPv4. A text that is no IP address is returned as it is.
    """
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(known, ipaddress.IPv4Address):
        return str(known)
    if known.ipv4_mapped is not None:
        return str(known.ipv4_mapped)
    return str(ipaddress.IPv6Network((known, 64), strict=False))


class Admission:
    """Counts the connections of a server. The caller calls `leave` once for each `enter` that returned None."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._open: Counter[str] = Counter()
        self._total = 0
        self._begun: deque[tuple[float, str]] = deque()
        self._recent: Counter[str] = Counter()

    def enter(self, address: str, now: float, descriptor: int = 0) -> str | None:
        """Count a new connection of `address` at `now`, in seconds, whose socket has this descriptor.

        Returns None if the connection is accepted; otherwise the text of the BYE response, with its response code
        (RFC 5530, 3), and the connection is not counted as open.
        """
        limits, client = self._limits, network_of(address)
        free = in_networks(address, limits.unlimited)
        if limits.per_minute is not None and not free:
            self._forget(now - _MINUTE)
            if self._recent[client] >= limits.per_minute:
                return "[LIMIT] too many connections of this address in a minute"
            self._begun.append((now, client))
            self._recent[client] += 1
        if self._total >= limits.total or (limits.descriptors is not None and descriptor > limits.descriptors):
            return "[UNAVAILABLE] too many connections"
        if limits.per_address is not None and not free and self._open[client] >= limits.per_address:
            return "[LIMIT] too many connections of this address"
        self._total += 1
        self._open[client] += 1
        return None

    def leave(self, address: str) -> None:
        """Count the end of a connection that `enter` accepted."""
        client = network_of(address)
        self._total -= 1
        self._open[client] -= 1
        if not self._open[client]:
            del self._open[client]

    def _forget(self, before: float) -> None:
        while self._begun and self._begun[0][0] <= before:
            _, client = self._begun.popleft()
            self._recent[client] -= 1
            if not self._recent[client]:
                del self._recent[client]
