"""What is measured of an IMAP server, how, and what is asked of the reference server beside the others.

Every measure runs on all servers in turn, round after round, so that what the machine does meanwhile meets all of them;
the figure is the median of the rounds.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from lemonade_testbed.runtime.world import IMAP_NAME
from lemonade_testbed.speed.client import Answer, Connection, ServerFailedError, close_all, run_many
from lemonade_testbed.speed.servers import BIG, CROWD, FETCHER, SMALL, Server, genurlauth
from lemonade_testbed.vendors.bench import PASSWORD, USER
from lemonade_testbed.vendors.catalogue import REFERENCE

Figures = Mapping[str, float]
"""Figure by name, of one round on one server."""


@dataclass(frozen=True)
class Target:
    """What the reference server's figure must be.

    `unit`: of the figure. `best`: which of the others' figures is the better one, `max` or `min`; empty where the
    target is absolute. `ratio`: the reference's figure must be at least (`max`) or at most (`min`) this times the
    better peer's; for an absolute target, at most `limit`.
    """

    unit: str
    best: str = ""
    ratio: float = 1.0
    limit: float = 0.0

    def compared(self, figure: float, others: Sequence[float]) -> float | None:
        """Return the figure over the better peer's, or None where it is not compared."""
        if not self.best or not others:
            return None
        return figure / (max(others) if self.best == "max" else min(others))

    def met(self, figure: float, others: Sequence[float]) -> bool | None:
        """Tell whether the target is met; None without a peer to compare with."""
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
    """One measurement: `run` does a round on one server and returns the figures that `targets` names."""

    name: str
    title: str
    targets: Mapping[str, Target]
    run: Callable[[Server], Figures]
    rounds: int = 5


@contextmanager
def _connected(server: Server, user: str, count: int) -> Iterator[list[Connection]]:
    connections = server.connect(user, count)
    try:
        yield connections
    finally:
        close_all(connections)


def _ticket(server: Server, uid: int) -> bytes:
    with _connected(server, USER, 1) as (owner,):
        return server.ticket(owner, uid)


def _urlfetch(url: bytes) -> bytes:
    return b'URLFETCH ("%s" BINARY)' % url


def _has(octets: int) -> Callable[[Answer], bool]:
    return lambda answer: answer.ok and answer.octets == octets


def _fetch_big(connections: int, count: int) -> Callable[[Server], Figures]:
    def run(server: Server) -> Figures:
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


def _fetch_small(connections: int, count: int) -> Callable[[Server], Figures]:
    def run(server: Server) -> Figures:
        url = _ticket(server, 2)
        with _connected(server, FETCHER, connections) as opened:
            return {"rate": _rate(opened, _urlfetch(url), count, _has(SMALL))}

    return run


def _genurlauth(connections: int, count: int) -> Callable[[Server], Figures]:
    rump = f"imap://{USER}@{IMAP_NAME}/INBOX/;UID=2/;SECTION=2;URLAUTH=submit+{USER}"

    def run(server: Server) -> Figures:
        with _connected(server, USER, connections) as opened:
            return {"rate": _rate(opened, genurlauth(rump), count, lambda answer: answer.ok and answer.lines == 1)}

    return run


def _rate(opened: list[Connection], command: bytes, count: int, good: Callable[[Answer], bool]) -> float:
    run_many(opened, command, max(len(opened), count // 10), good=good)
    began = time.monotonic()
    run_many(opened, command, count, good=good)
    return count / (time.monotonic() - began)


def _fetch_body(connections: int, count: int) -> Callable[[Server], Figures]:
    def run(server: Server) -> Figures:
        with _connected(server, USER, connections) as opened:
            for connection in opened:
                connection.run(b"SELECT INBOX")
            command = b"FETCH 1 BODY.PEEK[2]"
            encoded = run_many(opened, command, connections)[0].octets
            began = time.monotonic()
            run_many(opened, command, count, good=_has(encoded))
            return {"speed": count * encoded / 1e6 / (time.monotonic() - began)}

    return run


def _crowd(server: Server) -> Figures:
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


def _idle(server: Server) -> Figures:
    _many_files()
    opened: list[Connection] = []
    try:
        for _ in range(1000):
            opened += server.connect()
            opened[-1].run(b"SELECT INBOX")
            opened[-1].start_idle()
        return {"memory": server.resident()}
    finally:
        close_all(opened)


def _storm(server: Server) -> Figures:
    """Connect 200 times and log in on all of them at once: a refusal raises ServerFailedError."""
    _many_files()
    began = time.monotonic()
    opened: list[Connection] = []
    try:
        for _ in range(200):
            opened.append(Connection(server.address))
        run_many(opened, f"LOGIN {USER} {PASSWORD}".encode(), 200)
        return {"all served after": time.monotonic() - began}
    finally:
        close_all(opened)


def _many_files() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 4096) if most > 0 else 4096, most))


_SPEED = Target("MB/s", "max")
_RATE = Target("1/s", "max")
_BIG = {"speed": _SPEED, "first octet": Target("ms", "min", 0.1), "CPU": Target("ms/MB", "min", 1.5)}
_TWICE = Target("ms", "min", 2.0)
PEERLESS = frozenset({"idle-1000", "login-storm"})
"""Measures whose targets are absolute: the others are not asked, some of them are not set up for so many."""
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
    Measure("idle-1000", "1,000 connections in IDLE", {"memory": Target("MB", limit=100)}, _idle, 1),
    Measure("login-storm", "200 logins at once", {"all served after": Target("s", limit=60)}, _storm, 3),
)


@dataclass(frozen=True)
class Line:
    """One figure of all servers: medians by server, the ratio to the better peer's, and whether the target is met."""

    measure: str
    title: str
    figure: str
    target: Target
    medians: Mapping[str, float]
    rounds: Mapping[str, Sequence[float]]

    @property
    def ours(self) -> float:
        """The reference server's median."""
        return self.medians[REFERENCE]

    @property
    def others(self) -> list[float]:
        """The medians of the others."""
        return [figure for name, figure in self.medians.items() if name != REFERENCE]

    @property
    def ratio(self) -> float | None:
        """The reference's over the better peer's."""
        return self.target.compared(self.ours, self.others)

    @property
    def met(self) -> bool | None:
        """Whether the target is met."""
        return self.target.met(self.ours, self.others)


def measured(measure: Measure, servers: Sequence[Server]) -> list[Line]:
    """Do a measure's rounds, the servers in turn; returns a line for each of its figures.

    Raises ServerFailedError naming the server.
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
        lines.append(Line(measure.name, measure.title, figure, target, medians, rounds))
    return lines
