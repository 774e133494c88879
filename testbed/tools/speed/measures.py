"""Defines the measurements of IMAP servers, and the targets of the reference server relative to the others.

Each measurement runs in rounds, on all servers in turn in each round, so that other load of the machine affects all of
them. A figure is the median of the rounds.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from lemonade_testbed.scenario.world import IMAP_NAME
from lemonade_testbed.vendor_check.bench import PASSWORD, USER
from lemonade_testbed.vendors.catalogue import REFERENCE
from speed.client import BenchAnswer, BenchConnection, ServerFailedError, close_all, run_many
from speed.servers import BIG, CROWD, FETCHER, SMALL, BenchServer, genurlauth

Figures = Mapping[str, float]
"""The figures of one round on one server, by name."""


@dataclass(frozen=True)
class BenchTarget:
    """The target for a figure of the reference server.

    `unit` is the unit of the figure. `best` says which figure is better, the greatest (`max`) or the least (`min`); it
    is empty for an absolute target. The reference server's figure must be at least (`max`) or at most (`min`) `ratio`
    times that of the best peer; for an absolute target it must be at most `limit`.
    """

    unit: str
    best: str = ""
    ratio: float = 1.0
    limit: float = 0.0

    def compared(self, figure: float, others: Sequence[float]) -> float | None:
        """Return the ratio of the figure to the best peer's, or None for an absolute target or without peers."""
        if not self.best or not others:
            return None
        return figure / (max(others) if self.best == "max" else min(others))

    def met(self, figure: float, others: Sequence[float]) -> bool | None:
        """Tell whether the target is met; None if it is relative and there is no peer."""
        if not self.best:
            return figure <= self.limit
        ratio = self.compared(figure, others)
        if ratio is None:
            return None
        return ratio >= self.ratio if self.best == "max" else ratio <= self.ratio

    def __str__(self) -> str:
        if not self.best:
            return f"at most {self.limit:g} {self.unit}"
        return f"{'at least' if self.best == 'max' else 'at most'} {self.ratio:g} x the better peer's"


@dataclass(frozen=True)
class Measure:
    """One measurement: `run` carries out a round on one server and returns a value for each figure in `targets`."""

    name: str
    title: str
    targets: Mapping[str, BenchTarget]
    run: Callable[[BenchServer], Figures]
    rounds: int = 5


@contextmanager
def _connected(server: BenchServer, user: str, count: int) -> Iterator[list[BenchConnection]]:
    connections = server.connect(user, count)
    try:
        yield connections
    finally:
        close_all(connections)


def _ticket(server: BenchServer, uid: int) -> bytes:
    with _connected(server, USER, 1) as (owner,):
        return server.ticket(owner, uid)


def _urlfetch(url: bytes) -> bytes:
    return b'URLFETCH ("%s" BINARY)' % url


def _has(octets: int) -> Callable[[BenchAnswer], bool]:
    return lambda answer: answer.ok and answer.octets == octets


def _fetch_big(connections: int, count: int) -> Callable[[BenchServer], Figures]:
    def run(server: BenchServer) -> Figures:
        url = _ticket(server, 1)
        with _connected(server, FETCHER, connections) as opened:
            run_many(opened, _urlfetch(url), connections, good=_has(BIG))
            cpu, began = server.cpu_seconds(), time.monotonic()
            answers = run_many(opened, _urlfetch(url), count, good=_has(BIG))
            took, spent = time.monotonic() - began, server.cpu_seconds() - cpu
        megabytes = count * BIG / 1e6
        return {
            "speed": megabytes / took,
            "first octet": 1000 * statistics.median(answer.first - answer.sent for answer in answers),
            "CPU": 1000 * spent / megabytes,
        }

    return run


def _fetch_small(connections: int, count: int) -> Callable[[BenchServer], Figures]:
    def run(server: BenchServer) -> Figures:
        url = _ticket(server, 2)
        with _connected(server, FETCHER, connections) as opened:
            return {"rate": _rate(opened, _urlfetch(url), count, _has(SMALL))}

    return run


def _genurlauth(connections: int, count: int) -> Callable[[BenchServer], Figures]:
    rump = f"imap://{USER}@{IMAP_NAME}/INBOX/;UID=2/;SECTION=2;URLAUTH=submit+{USER}"

    def run(server: BenchServer) -> Figures:
        with _connected(server, USER, connections) as opened:
            return {"rate": _rate(opened, genurlauth(rump), count, lambda answer: answer.ok and answer.lines == 1)}

    return run


def _rate(opened: list[BenchConnection], command: bytes, count: int, good: Callable[[BenchAnswer], bool]) -> float:
    run_many(opened, command, max(len(opened), count // 10), good=good)
    began = time.monotonic()
    run_many(opened, command, count, good=good)
    return count / (time.monotonic() - began)


def _fetch_body(connections: int, count: int) -> Callable[[BenchServer], Figures]:
    def run(server: BenchServer) -> Figures:
        with _connected(server, USER, connections) as opened:
            for connection in opened:
                connection.run(b"SELECT INBOX")
            command = b"FETCH 1 BODY.PEEK[2]"
            encoded = run_many(opened, command, connections)[0].octets
            began = time.monotonic()
            run_many(opened, command, count, good=_has(encoded))
            return {"speed": count * encoded / 1e6 / (time.monotonic() - began)}

    return run


def _crowd(server: BenchServer) -> Figures:
    with _connected(server, USER, 1) as (connection,):
        connection.run(b"SELECT Crowd")
        connection.run(b"SELECT INBOX")
        selected = connection.run(b"SELECT Crowd")
        flags = connection.run(b"FETCH 1:* FLAGS")
        if flags.lines < CROWD:
            raise ServerFailedError(f"told the flags of {flags.lines} messages out of {CROWD}")
    return {
        "SELECT": 1000 * (selected.ended - selected.sent),
        "FETCH FLAGS": 1000 * (flags.ended - flags.sent),
    }


def _idle(server: BenchServer) -> Figures:
    _many_files()
    opened: list[BenchConnection] = []
    try:
        for _ in range(1000):
            opened += server.connect()
            opened[-1].run(b"SELECT INBOX")
            opened[-1].start_idle()
        return {"memory": server.resident()}
    finally:
        close_all(opened)


def _storm(server: BenchServer) -> Figures:
    """Open 200 connections and log in on all of them at once; a refusal raises ServerFailedError."""
    _many_files()
    began = time.monotonic()
    opened: list[BenchConnection] = []
    try:
        for _ in range(200):
            opened.append(BenchConnection(server.address))
        run_many(opened, f"LOGIN {USER} {PASSWORD}".encode(), 200)
        return {"all served after": time.monotonic() - began}
    finally:
        close_all(opened)


def _many_files() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 4096) if most > 0 else 4096, most))


_SPEED = BenchTarget("MB/s", "max")
_RATE = BenchTarget("1/s", "max")
_BIG = {"speed": _SPEED, "first octet": BenchTarget("ms", "min", 0.1), "CPU": BenchTarget("ms/MB", "min", 1.5)}
_TWICE = BenchTarget("ms", "min", 2.0)
PEERLESS = frozenset({"idle-1000", "login-storm"})
"""Measurements with absolute targets: peers are not measured, since some are not configured for so many connections."""
IMAP: Sequence[Measure] = (
    Measure("urlfetch-big", "URLFETCH BINARY of 10 MB, one connection", _BIG, _fetch_big(1, 5)),
    Measure("urlfetch-big-8", "the same, eight connections", {"speed": _SPEED}, _fetch_big(8, 16)),
    Measure("urlfetch-small", "URLFETCH BINARY of 20 KB, one connection", {"rate": _RATE}, _fetch_small(1, 1000)),
    Measure("urlfetch-small-8", "the same, eight connections", {"rate": _RATE}, _fetch_small(8, 2000)),
    Measure("genurlauth", "GENURLAUTH, one connection", {"rate": _RATE}, _genurlauth(1, 1000)),
    Measure("genurlauth-8", "the same, eight connections", {"rate": _RATE}, _genurlauth(8, 2000)),
    Measure("fetch-big", "FETCH BODY.PEEK[2] of 10 MB, one connection", {"speed": _SPEED}, _fetch_body(1, 10)),
    Measure("fetch-big-8", "the same, eight connections", {"speed": _SPEED}, _fetch_body(8, 24)),
    Measure("crowd", f"a mailbox of {CROWD:,} messages", {"SELECT": _TWICE, "FETCH FLAGS": _TWICE}, _crowd),
    Measure("idle-1000", "1,000 connections in IDLE", {"memory": BenchTarget("MB", limit=100)}, _idle, 1),
    Measure("login-storm", "200 logins at once", {"all served after": BenchTarget("s", limit=60)}, _storm, 3),
)


@dataclass(frozen=True)
class BenchFigure:
    """One figure of all servers: the median and the values of all rounds by server, and the target."""

    measure: str
    title: str
    figure: str
    target: BenchTarget
    medians: Mapping[str, float]
    rounds: Mapping[str, Sequence[float]]

    @property
    def ours(self) -> float:
        """The reference server's median."""
        return self.medians[REFERENCE]

    @property
    def others(self) -> list[float]:
        """The medians of the other servers."""
        return [figure for name, figure in self.medians.items() if name != REFERENCE]

    @property
    def ratio(self) -> float | None:
        """The ratio of the reference server's median to the best peer's, or None."""
        return self.target.compared(self.ours, self.others)

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None if it is relative and there is no peer."""
        return self.target.met(self.ours, self.others)


def measured(measure: Measure, servers: Sequence[BenchServer]) -> list[BenchFigure]:
    """Carry out all rounds of a measurement, on the servers in turn; returns its figures.

    Raises ServerFailedError, which names the server.
    """
    asked = [server for server in servers if server.name == REFERENCE or measure.name not in PEERLESS]
    found: dict[str, list[Figures]] = {server.name: [] for server in asked}
    for _ in range(measure.rounds):
        for server in asked:
            try:
                found[server.name].append(measure.run(server))
            except ServerFailedError as problem:
                raise ServerFailedError(f"{measure.name}: {server.name} {problem}") from problem
    lines = []
    for figure, target in measure.targets.items():
        rounds = {name: [figures[figure] for figures in rows] for name, rows in found.items()}
        medians = {name: statistics.median(values) for name, values in rounds.items()}
        lines.append(BenchFigure(measure.name, measure.title, figure, target, medians, rounds))
    return lines
