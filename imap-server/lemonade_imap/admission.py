"""Who may connect: how many at a time, and how many in a minute. Sans-IO; the time is an argument."""

from __future__ import annotations

import ipaddress
from collections import Counter, deque

from lemonade_imap.config import ConnectionLimits

_MINUTE = 60.0


def network_of(address: str) -> str:
    """Return what counts as one client: an IPv4 address, or the IPv6 network that one site has (64 bits)."""
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
    """Counts connections. Every `enter` that was let in is followed by one `leave`."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._open: Counter[str] = Counter()
        self._total = 0
        self._begun: deque[tuple[float, str]] = deque()
        self._of_late: Counter[str] = Counter()

    def enter(self, address: str, now: float) -> str | None:
        """Let a connection in; returns None, or what it is told where it may not come in (RFC 5530)."""
        limits, client = self._limits, network_of(address)
        if limits.per_minute is not None:
            self._forget(now - _MINUTE)
            if self._of_late[client] >= limits.per_minute:
                return "[LIMIT] too many connections of this address in a minute"
            self._begun.append((now, client))
            self._of_late[client] += 1
        if self._total >= limits.total:
            return "[UNAVAILABLE] too many connections"
        if limits.per_address is not None and self._open[client] >= limits.per_address:
            return "[LIMIT] too many connections of this address"
        self._total += 1
        self._open[client] += 1
        return None

    def leave(self, address: str) -> None:
        """A connection that was let in is over."""
        client = network_of(address)
        self._total -= 1
        self._open[client] -= 1
        if not self._open[client]:
            del self._open[client]

    def _forget(self, before: float) -> None:
        while self._begun and self._begun[0][0] <= before:
            _, client = self._begun.popleft()
            self._of_late[client] -= 1
            if not self._of_late[client]:
                del self._of_late[client]
