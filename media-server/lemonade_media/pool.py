"""Which connection carries which fetch (LS-2.8-14), sans-IO: jobs and ends of connections in, orders out.

A connection belongs to one server and one way of logging in, and carries one fetch at a time. With an idle limit of 0
each is left by LOGOUT as soon as its fetch is over, as the draft draws it (LS-2.8-15); otherwise it waits that long for
another fetch. What would pass a cap waits in the order of its coming, up to a deadline. A connection that nobody used
for a while may be dead without a word, since what lies between forgets quiet ones: it is to be asked before it is used.
`now` is in seconds, monotonic.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass


@dataclass(frozen=True)
class Entrance:
    """A server, and whether it is entered by the own identity or anonymously; how TLS is used is one for all."""

    host: str
    port: int
    privileged: bool


@dataclass(frozen=True)
class PoolLimits:
    """How many connections there may be, to one server and in all, and how long (seconds) one is kept, or waited for.

    Since each carries one fetch, they bound the fetches under way too. `sure_seconds`: how long one that is idle is
    taken to be alive.
    """

    per_server: int = 20
    in_all: int = 100
    idle_seconds: float = 0.0
    wait_seconds: float = 10.0
    sure_seconds: float = 10.0


@dataclass(frozen=True)
class Open:
    """Make a connection for this job, and carry it out."""

    job: int
    connection: int
    entrance: Entrance


@dataclass(frozen=True)
class Use:
    """Carry this job out on a connection that is there and entered; `doubtful`: ask it first whether it is alive."""

    job: int
    connection: int
    doubtful: bool = False


@dataclass(frozen=True)
class Leave:
    """Log out and close this connection; `gone` answers."""

    connection: int


@dataclass(frozen=True)
class TurnAway:
    """This job has waited too long."""

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
    """The connections of one media server. Every method that takes the time returns what is to be done, in order."""

    def __init__(self, limits: PoolLimits) -> None:
        self._limits = limits
        self._connections: dict[int, _Connection] = {}
        self._waiting: list[_Waiting] = []
        self._numbers = itertools.count(1)

    def ask(self, job: int, entrance: Entrance, now: float, *, fresh: bool = False) -> list[Order]:
        """Want a connection; `fresh`: not one that was kept, since those of this server may all be dead."""
        self._waiting.append(_Waiting(job, entrance, fresh, now + self._limits.wait_seconds))
        return self._serve(now)

    def forget(self, job: int) -> None:
        """A job that may still be waiting is not wanted any more."""
        self._waiting = [one for one in self._waiting if one.job != job]

    def done(self, connection: int, now: float) -> list[Order]:
        """The fetch on a connection is over, and it is good for another one."""
        one = self._connections.get(connection)
        if one is None:
            return []
        one.idle_since = now
        leave = [] if self._limits.idle_seconds else self._leave(connection)
        return [*leave, *self._serve(now)]

    def gone(self, connection: int, now: float) -> list[Order]:
        """A connection is closed, by whomever and whatever it did."""
        self._connections.pop(connection, None)
        return self._serve(now)

    def leave_all(self) -> list[Order]:
        """Leave every connection that carries nothing, and let nobody wait."""
        self._waiting.clear()
        return [order for number in list(self._connections) for order in self._leave(number)]

    def next_timer(self) -> float | None:
        """Return when `handle_timer` is to be called; None: nothing to wait for."""
        idle = self._limits.idle_seconds
        due = [one.idle_since + idle for one in self._connections.values() if one.idle_since is not None and one.idle]
        return min([*due, *(one.give_up_at for one in self._waiting)], default=None)

    def handle_timer(self, now: float) -> list[Order]:
        """Leave what was idle for too long, and turn away who waited for too long."""
        orders: list[Order] = []
        for number, one in list(self._connections.items()):
            if one.idle_since is not None and now >= one.idle_since + self._limits.idle_seconds:
                orders += self._leave(number)
        orders += [TurnAway(one.job) for one in self._waiting if now >= one.give_up_at]
        self._waiting = [one for one in self._waiting if now < one.give_up_at]
        return orders

    def _serve(self, now: float) -> list[Order]:
        """Give connections to those who wait, in their order; who must wait for one server holds nobody else up."""
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
            taken = max(same, key=self._idle_since)  # the latest is the likeliest to be alive
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
        """Leave the longest idle connection, unless one is on its way out already."""
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
