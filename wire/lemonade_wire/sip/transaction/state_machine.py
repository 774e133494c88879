"""The four transaction state machines of RFC 3261 section 17, with the Accepted states of RFC 6026, as tables.

A row is one arrow of the RFC's figures: the state, the input, the next state, and the actions. A transaction does no
I/O and holds no messages: `handle` returns the actions, and the transaction layer carries them out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from lemonade_wire.sip.settings import Timing


class TransactionState(StrEnum):
    """A state in the figures of the RFC."""

    CALLING = "Calling"
    TRYING = "Trying"
    PROCEEDING = "Proceeding"
    COMPLETED = "Completed"
    CONFIRMED = "Confirmed"
    ACCEPTED = "Accepted"
    TERMINATED = "Terminated"


class Input(StrEnum):
    """An input of the state machines: a message, a transport error, or a timer with its letter."""

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
    """An action that the transaction layer carries out for a transaction. The user is the user agent (the TU)."""

    SEND = "send the message given"
    RESEND = "send the last message again"
    SEND_ACK = "send an ACK made from the request"
    PASS = "pass the message to the user"  # noqa: S105  not a password
    TELL_TIMEOUT = "tell the user that no answer came"
    TELL_ERROR = "tell the user that the transport failed"


class Edge(NamedTuple):
    """One arrow of a figure: the next state, and the actions in order."""

    to: TransactionState
    do: tuple[Do, ...] = ()


Table = Mapping[TransactionState, Mapping[Input, Edge]]
S, X = TransactionState, Input

# The INVITE client transaction: figure 5 of RFC 3261 with RFC 6026 section 7.2.
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
        # The figure has "Inform TU" here. It is left out, because the user already has the final response.
        X.ERROR: Edge(S.TERMINATED),
    },
    S.ACCEPTED: {
        X.R2XX: Edge(S.ACCEPTED, (Do.PASS,)),
        X.M: Edge(S.TERMINATED),
    },
}

# The non-INVITE client transaction: figure 6 of RFC 3261.
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

# The INVITE server transaction: figure 7 of RFC 3261 with RFC 6026 section 7.1. A transport error does not end it.
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

# The non-INVITE server transaction: figure 8 of RFC 3261. As in RFC 6026, a transport error does not end it.
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
    """The duration of a timer in multiples of T1 (`t1`) or T4 (`t4`), and whether it restarts when it fires."""

    t1: float = 0
    t4: float = 0
    reliable: bool = True
    """The timer has the same duration over TCP. If false, `over_tcp_zero` says what happens over TCP."""
    over_tcp_zero: bool = False
    """Over TCP the timer fires at once; if false (and `reliable` is false), it is not started over TCP."""
    doubles: bool = False
    """The timer restarts when it fires, with twice the interval."""
    capped: bool = False
    """The interval grows up to T2 only."""


# RFC 3261 table 4 (appendix A) and RFC 6026. T1 is 0.5 s, T2 is 4 s and T4 is 5 s by default (`Timing`).
#
#   Timer  UDP                   TCP          Section          Meaning
#   A      T1, doubles           not started  17.1.1.2         INVITE retransmission interval
#   B      64 T1                 64 T1        17.1.1.2         INVITE transaction timeout
#   D      65 T1 (above 32 s)    0            17.1.1.2         wait for retransmissions of a final response
#   E      T1, doubles up to T2  not started  17.1.2.2         non-INVITE retransmission interval
#   F      64 T1                 64 T1        17.1.2.2         non-INVITE transaction timeout
#   G      T1, doubles up to T2  not started  17.2.1           retransmission interval of a 300-699 to INVITE
#   H      64 T1                 64 T1        17.2.1           wait for the ACK
#   I      T4                    0            17.2.1           wait for retransmissions of the ACK
#   J      64 T1                 0            17.2.2           wait for retransmissions of a non-INVITE request
#   K      T4                    0            17.1.2.2         wait for retransmissions of a response
#   L      64 T1                 64 T1        RFC 6026, 7.1    wait for retransmissions of an accepted INVITE
#   M      64 T1                 64 T1        RFC 6026, 7.2    wait for further 2xx responses to INVITE
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
    """One transaction: a state machine that runs one of the tables. `reliable`: the transport is TCP."""

    table: Table
    state: TransactionState
    timing: Timing
    reliable: bool
    deadlines: dict[Input, float] = field(default_factory=dict)
    """The time at which each running timer fires, in seconds."""
    _intervals: dict[Input, float] = field(default_factory=dict)

    @classmethod
    def start(cls, table: Table, timing: Timing, reliable: bool, now: float) -> Transaction:
        """Make a transaction in the first state of the table, and start its timers."""
        transaction = cls(table, next(iter(table)), timing, reliable)
        transaction._set_timers(now)
        return transaction

    def handle(self, what: Input, now: float) -> tuple[Do, ...]:
        """Process one input; returns the actions. An input that the table does not have in this state is ignored."""
        edge = self.table.get(self.state, {}).get(what)
        if edge is None:
            return ()
        self.state = edge.to
        if TIMERS.get(what, Timer()).doubles and what in self._intervals:
            self._restart(what, now)
        self._set_timers(now)
        return edge.do

    def due(self, now: float) -> list[Do]:
        """Fire the timers that are due, the earliest first; returns the actions."""
        done: list[Do] = []
        while self.deadlines:
            timer = min(self.deadlines, key=self.deadlines.__getitem__)
            if self.deadlines[timer] > now:
                break
            del self.deadlines[timer]
            done += self.handle(timer, now)
        return done

    def next_timer(self) -> float | None:
        """Return the time at which the next timer fires; None if no timer runs."""
        return min(self.deadlines.values(), default=None)

    @property
    def over(self) -> bool:
        """Whether the transaction has ended and is to be deleted."""
        return self.state is TransactionState.TERMINATED

    def _restart(self, what: Input, now: float) -> None:
        interval = 2 * self._intervals[what]
        if TIMERS[what].capped:
            # RFC 3261 section 17.1.2.2: in the Proceeding state timer E is set to T2.
            interval = self.timing.t2 if self.state is S.PROCEEDING else min(interval, self.timing.t2)
        self._intervals[what] = interval
        self.deadlines[what] = now + interval

    def _set_timers(self, now: float) -> None:
        """Stop the timers that are no input of the present state, and start those that are and do not run yet."""
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
