"""The four transactions of RFC 3261 section 17, with the Accepted states of RFC 6026, as tables.

A row reads like an arrow of the RFC's figures: in this state, on this input, do these things and go there.
A transaction knows no octets: its `handle` returns what to do, and the layer does it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from lemonade_wire.sip.settings import Timing


class State(StrEnum):
    """A state of the figures."""

    CALLING = "Calling"
    TRYING = "Trying"
    PROCEEDING = "Proceeding"
    COMPLETED = "Completed"
    CONFIRMED = "Confirmed"
    ACCEPTED = "Accepted"
    TERMINATED = "Terminated"


class Input(StrEnum):
    """What may happen to a transaction; timers have their letter."""

    REQUEST = "request again"
    ACK = "ACK"
    R1XX = "1xx"
    R2XX = "2xx"
    R3XX = "300-699"
    ERROR = "transport error"
    A = "timer A"
    B = "timer B"
    D = "timer D"
    E = "timer E"
    F = "timer F"
    G = "timer G"
    H = "timer H"
    I = "timer I"  # noqa: E741  the RFC's letter
    J = "timer J"
    K = "timer K"
    L = "timer L"
    M = "timer M"


class Do(StrEnum):
    """What a transaction asks of the layer."""

    SEND = "send the message given"
    RESEND = "send the last message again"
    SEND_ACK = "send an ACK made from the request"
    PASS = "pass the message to the user"  # noqa: S105  not a password
    TELL_TIMEOUT = "tell the user that no answer came"
    TELL_ERROR = "tell the user that the transport failed"


class Edge(NamedTuple):
    """One arrow: where it leads, and what is done on the way."""

    to: State
    do: tuple[Do, ...] = ()


Table = Mapping[State, Mapping[Input, Edge]]
S, X = State, Input

# Figure 5 of RFC 3261 with RFC 6026 section 7.2.
INVITE_CLIENT: Table = {
    S.CALLING: {
        X.A: Edge(S.CALLING, (Do.RESEND,)),
        X.B: Edge(S.TERMINATED, (Do.TELL_TIMEOUT,)),
        X.R1XX: Edge(S.PROCEEDING, (Do.PASS,)),
        X.R2XX: Edge(S.ACCEPTED, (Do.PASS,)),
        X.R3XX: Edge(S.COMPLETED, (Do.SEND_ACK, Do.PASS)),
        X.ERROR: Edge(S.TERMINATED, (Do.TELL_ERROR,)),
    },
    S.PROCEEDING: {
        X.R1XX: Edge(S.PROCEEDING, (Do.PASS,)),
        X.R2XX: Edge(S.ACCEPTED, (Do.PASS,)),
        X.R3XX: Edge(S.COMPLETED, (Do.SEND_ACK, Do.PASS)),
    },
    S.COMPLETED: {
        X.R3XX: Edge(S.COMPLETED, (Do.SEND_ACK,)),
        X.D: Edge(S.TERMINATED),
        # The user has had its final response already, so that the figure's "Inform TU" has nothing to add.
        X.ERROR: Edge(S.TERMINATED),
    },
    S.ACCEPTED: {
        X.R2XX: Edge(S.ACCEPTED, (Do.PASS,)),
        X.M: Edge(S.TERMINATED),
    },
}

# Figure 6 of RFC 3261.
REQUEST_CLIENT: Table = {
    S.TRYING: {
        X.E: Edge(S.TRYING, (Do.RESEND,)),
        X.F: Edge(S.TERMINATED, (Do.TELL_TIMEOUT,)),
        X.R1XX: Edge(S.PROCEEDING, (Do.PASS,)),
        X.R2XX: Edge(S.COMPLETED, (Do.PASS,)),
        X.R3XX: Edge(S.COMPLETED, (Do.PASS,)),
        X.ERROR: Edge(S.TERMINATED, (Do.TELL_ERROR,)),
    },
    S.PROCEEDING: {
        X.E: Edge(S.PROCEEDING, (Do.RESEND,)),
        X.F: Edge(S.TERMINATED, (Do.TELL_TIMEOUT,)),
        X.R1XX: Edge(S.PROCEEDING, (Do.PASS,)),
        X.R2XX: Edge(S.COMPLETED, (Do.PASS,)),
        X.R3XX: Edge(S.COMPLETED, (Do.PASS,)),
        X.ERROR: Edge(S.TERMINATED, (Do.TELL_ERROR,)),
    },
    S.COMPLETED: {
        X.K: Edge(S.TERMINATED),
    },
}

# Figure 7 of RFC 3261 with RFC 6026 section 7.1: a transport error never ends the transaction.
INVITE_SERVER: Table = {
    S.PROCEEDING: {
        X.REQUEST: Edge(S.PROCEEDING, (Do.RESEND,)),
        X.R1XX: Edge(S.PROCEEDING, (Do.SEND,)),
        X.R2XX: Edge(S.ACCEPTED, (Do.SEND,)),
        X.R3XX: Edge(S.COMPLETED, (Do.SEND,)),
        X.ERROR: Edge(S.PROCEEDING, (Do.TELL_ERROR,)),
    },
    S.COMPLETED: {
        X.REQUEST: Edge(S.COMPLETED, (Do.RESEND,)),
        X.G: Edge(S.COMPLETED, (Do.RESEND,)),
        X.ACK: Edge(S.CONFIRMED),
        X.H: Edge(S.TERMINATED, (Do.TELL_TIMEOUT,)),
        X.ERROR: Edge(S.COMPLETED, (Do.TELL_ERROR,)),
    },
    S.CONFIRMED: {
        X.I: Edge(S.TERMINATED),
    },
    S.ACCEPTED: {
        X.R2XX: Edge(S.ACCEPTED, (Do.RESEND,)),
        X.ACK: Edge(S.ACCEPTED, (Do.PASS,)),
        X.L: Edge(S.TERMINATED),
        X.ERROR: Edge(S.ACCEPTED, (Do.TELL_ERROR,)),
    },
}

# Figure 8 of RFC 3261; a transport error is as in RFC 6026 here too.
REQUEST_SERVER: Table = {
    S.TRYING: {
        X.R1XX: Edge(S.PROCEEDING, (Do.SEND,)),
        X.R2XX: Edge(S.COMPLETED, (Do.SEND,)),
        X.R3XX: Edge(S.COMPLETED, (Do.SEND,)),
    },
    S.PROCEEDING: {
        X.REQUEST: Edge(S.PROCEEDING, (Do.RESEND,)),
        X.R1XX: Edge(S.PROCEEDING, (Do.SEND,)),
        X.R2XX: Edge(S.COMPLETED, (Do.SEND,)),
        X.R3XX: Edge(S.COMPLETED, (Do.SEND,)),
        X.ERROR: Edge(S.PROCEEDING, (Do.TELL_ERROR,)),
    },
    S.COMPLETED: {
        X.REQUEST: Edge(S.COMPLETED, (Do.RESEND,)),
        X.J: Edge(S.TERMINATED),
        X.ERROR: Edge(S.COMPLETED, (Do.TELL_ERROR,)),
    },
}


class Timer(NamedTuple):
    """How long a timer runs, in multiples of T1 (`t1`) or T4 (`t4`), and how it goes on when it fires."""

    t1: float = 0
    t4: float = 0
    reliable: bool = True
    """Runs over TCP; where not, `over_tcp_zero` says whether it fires at once or never starts."""
    over_tcp_zero: bool = False
    doubles: bool = False
    capped: bool = False
    """Doubling ends at T2."""


TIMERS: Mapping[Input, Timer] = {
    X.A: Timer(t1=1, reliable=False, doubles=True),
    X.B: Timer(t1=64),
    X.D: Timer(t1=65, reliable=False, over_tcp_zero=True),
    X.E: Timer(t1=1, reliable=False, doubles=True, capped=True),
    X.F: Timer(t1=64),
    X.G: Timer(t1=1, reliable=False, doubles=True, capped=True),
    X.H: Timer(t1=64),
    X.I: Timer(t4=1, reliable=False, over_tcp_zero=True),
    X.J: Timer(t1=64, reliable=False, over_tcp_zero=True),
    X.K: Timer(t4=1, reliable=False, over_tcp_zero=True),
    X.L: Timer(t1=64),
    X.M: Timer(t1=64),
}


@dataclass
class Transaction:
    """One run through a table. `reliable`: its transport retransmits (TCP)."""

    table: Table
    state: State
    timing: Timing
    reliable: bool
    deadlines: dict[Input, float] = field(default_factory=dict)
    """When each running timer fires."""
    _intervals: dict[Input, float] = field(default_factory=dict)

    @classmethod
    def start(cls, table: Table, timing: Timing, reliable: bool, now: float) -> Transaction:
        """Begin in the table's first state."""
        transaction = cls(table, next(iter(table)), timing, reliable)
        transaction._set_timers(now)
        return transaction

    def handle(self, what: Input, now: float) -> tuple[Do, ...]:
        """Take one input; returns what to do. What the table does not name is absorbed."""
        edge = self.table.get(self.state, {}).get(what)
        if edge is None:
            return ()
        self.state = edge.to
        if TIMERS.get(what, Timer()).doubles and what in self._intervals:
            self._restart(what, now)
        self._set_timers(now)
        return edge.do

    def due(self, now: float) -> list[Do]:
        """Fire the timers that are due, the earliest first; returns what to do."""
        done: list[Do] = []
        while self.deadlines:
            timer = min(self.deadlines, key=self.deadlines.__getitem__)
            if self.deadlines[timer] > now:
                break
            del self.deadlines[timer]
            done += self.handle(timer, now)
        return done

    def next_timer(self) -> float | None:
        """Return when the next timer fires."""
        return min(self.deadlines.values(), default=None)

    @property
    def over(self) -> bool:
        """Whether the transaction is to be destroyed."""
        return self.state is State.TERMINATED

    def _restart(self, what: Input, now: float) -> None:
        interval = 2 * self._intervals[what]
        if TIMERS[what].capped:
            # RFC 3261 section 17.1.2.2: once Proceeding, timer E is T2 at once.
            interval = self.timing.t2 if self.state is S.PROCEEDING else min(interval, self.timing.t2)
        self._intervals[what] = interval
        self.deadlines[what] = now + interval

    def _set_timers(self, now: float) -> None:
        """Stop the timers that the state does not wait for, start those it newly waits for."""
        waited = [what for what in self.table.get(self.state, {}) if what in TIMERS]
        self.deadlines = {what: at for what, at in self.deadlines.items() if what in waited}
        for what in waited:
            timer = TIMERS[what]
            if what in self.deadlines or (self.reliable and not timer.reliable and not timer.over_tcp_zero):
                continue
            zero = self.reliable and timer.over_tcp_zero
            interval = 0.0 if zero else timer.t1 * self.timing.t1 + timer.t4 * self.timing.t4
            self._intervals[what] = interval
            self.deadlines[what] = now + interval
