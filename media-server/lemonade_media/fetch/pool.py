"""The pool of IMAP connections: it decides which connection carries out which fetch (LS-2.8-14), without I/O.

It is told of fetches and of the ends of connections, and returns orders: open, use or leave a connection.

A connection belongs to one server and one kind of login, and carries out one fetch at a time. With an idle limit of 0
it is ended by LOGOUT as soon as its fetch is over, as in the draft's example (LS-2.8-15). Otherwise it is kept so long
for another fetch. A fetch that would exceed a limit of connections waits; waiting fetches are served in their order of
arrival, and are refused after a deadline. A connection that was idle for a while may be dead without notice, since a
NAT forgets idle connections: it is tested with NOOP before it is used. `now` is in seconds, monotonic.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass


@dataclass(frozen=True)
class Entrance:
    """A server and the kind of login there: `privileged` for the media server's own account, else anonymous.

    Connections are kept apart by these. The TLS policy is the same for all servers.
    """

    host: str
    port: int
    privileged: bool


@dataclass(frozen=True)
class PoolLimits:
    """The limits of the pool: connections to one server, connections in all, and times in seconds.

    Since a connection carries out one fetch at a time, the first two limit the fetches under way as well.
    `idle_seconds`: how long an idle connection is kept. `wait_seconds`: how long a fetch waits for a connection.
    `sure_seconds`: a connection that was idle for longer is tested before it is used.
    """

    per_server: int = 20
    in_all: int = 100
    idle_seconds: float = 0.0
    wait_seconds: float = 10.0
    sure_seconds: float = 10.0


@dataclass(frozen=True)
class Open:
    """Open a connection with this number, log in, and carry out this fetch on it."""

    job: int
    connection: int
    entrance: Entrance


@dataclass(frozen=True)
class Use:
    """Carry out this fetch on a connection that is logged in; `doubtful`: test it with NOOP first."""

    job: int
    connection: int
    doubtful: bool = False


@dataclass(frozen=True)
class Leave:
    """Log out and close this connection; `Pool.gone` is called once it is closed."""

    connection: int


@dataclass(frozen=True)
class TurnAway:
    """Refuse this fetch: it has waited too long for a connection."""

    job: int


Order = Open | Use | Leave | TurnAway


@dataclass
class _Connection:
    entrance: Entrance
    idle_since: float | None = None
    leaving: bool = False

    @property
    def idle(self) -> bool:
        return self.idle_since is not None and not self.leaving


@dataclass(frozen=True)
class _Waiting:
    job: int
    entrance: Entrance
    fresh: bool
    give_up_at: float


class Pool:
    """The IMAP connections of one media server. Its methods return orders, in the order in which to carry them out."""

    def __init__(self, limits: PoolLimits) -> None:
        self._limits = limits
        self._connections: dict[int, _Connection] = {}
        self._waiting: list[_Waiting] = []
        self._numbers = itertools.count(1)

    def ask(self, job: int, entrance: Entrance, now: float, *, fresh: bool = False) -> list[Order]:
        """Request a connection for a fetch; `fresh`: a new one, since all kept ones of the server may be dead."""
        self._waiting.append(_Waiting(job, entrance, fresh, now + self._limits.wait_seconds))
        return self._serve(now)

    def forget(self, job: int) -> None:
        """Remove an aborted fetch from those that wait for a connection."""
        self._waiting = [one for one in self._waiting if one.job != job]

    def done(self, connection: int, now: float) -> list[Order]:
        """Handle that the fetch on a connection is over, and that the connection can be used for another one."""
        one = self._connections.get(connection)
        if one is None:
            return []
        one.idle_since = now
        leave = [] if self._limits.idle_seconds else self._leave(connection)
        return [*leave, *self._serve(now)]

    def gone(self, connection: int, now: float) -> list[Order]:
        """Handle that a connection is closed, by either side, whether it was idle or in use."""
        self._connections.pop(connection, None)
        return self._serve(now)

    def leave_all(self) -> list[Order]:
        """Return the orders to leave all idle connections, and forget all fetches that wait."""
        self._waiting.clear()
        return [order for number in list(self._connections) for order in self._leave(number)]

    def next_timer(self) -> float | None:
        """Return the time at which `handle_timer` must be called; None if no timer runs."""
        idle = self._limits.idle_seconds
        due = [one.idle_since + idle for one in self._connections.values() if one.idle_since is not None and one.idle]
        return min([*due, *(one.give_up_at for one in self._waiting)], default=None)

    def handle_timer(self, now: float) -> list[Order]:
        """Return orders to leave connections that were idle too long, and to refuse fetches that waited too long."""
        orders: list[Order] = []
        for number, one in list(self._connections.items()):
            if one.idle_since is not None and now >= one.idle_since + self._limits.idle_seconds:
                orders += self._leave(number)
        orders += [TurnAway(one.job) for one in self._waiting if now >= one.give_up_at]
        self._waiting = [one for one in self._waiting if now < one.give_up_at]
        return orders

    def _serve(self, now: float) -> list[Order]:
        """Give connections to the waiting fetches, in their order.

        A fetch that must wait on delays only those for the same server and login.
        """
        orders: list[Order] = []
        still: list[_Waiting] = []
        held_up: set[tuple[Entrance, bool]] = set()
        for waiting in self._waiting:
            kind = (waiting.entrance, waiting.fresh)
            found = [] if kind in held_up else self._find(waiting, now)
            orders += found
            if not any(isinstance(order, Open | Use) for order in found):
                still.append(waiting)
                held_up.add(kind)
        self._waiting = still
        return orders

    def _find(self, waiting: _Waiting, now: float) -> list[Order]:
        entrance = waiting.entrance
        idle = [number for number, one in self._connections.items() if one.idle]
        same = [number for number in idle if self._connections[number].entrance == entrance]
        if same and not waiting.fresh:
            taken = max(same, key=self._idle_since)  # the one that was used last is most probably alive
            doubtful = now > self._idle_since(taken) + self._limits.sure_seconds
            self._connections[taken].idle_since = None
            return [Use(waiting.job, taken, doubtful)]
        server = (entrance.host, entrance.port)
        at_server = [n for n, one in self._connections.items() if (one.entrance.host, one.entrance.port) == server]
        if len(at_server) >= self._limits.per_server:
            return self._make_room([number for number in idle if number in at_server], at_server)
        if len(self._connections) >= self._limits.in_all:
            return self._make_room(idle, list(self._connections))
        number = next(self._numbers)
        self._connections[number] = _Connection(entrance)
        return [Open(waiting.job, number, entrance)]

    def _make_room(self, idle: list[int], counted: list[int]) -> list[Order]:
        """Return the order to leave the connection that was idle the longest, unless one is being closed already."""
        if not idle or any(self._connections[number].leaving for number in counted):
            return []
        return self._leave(min(idle, key=self._idle_since))

    def _idle_since(self, number: int) -> float:
        return self._connections[number].idle_since or 0.0

    def _leave(self, number: int) -> list[Order]:
        one = self._connections[number]
        if not one.idle:
            return []
        one.leaving = True
        return [Leave(number)]
