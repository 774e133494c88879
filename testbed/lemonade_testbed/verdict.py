"""Verdicts: what the judge says about one run, for each place and each clause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from lemonade_testbed.ladder.model import LadderResult, Observed

PlaceKind = Literal["arrow", "check", "step", "needs", "packet"]


class Outcome(StrEnum):
    """The outcomes of a scenario, a check and a clause.

    `nonstrict`: only clauses at the level SHOULD are broken. `error`: the testbed itself had a problem, and no node is
    charged. `not reached`: the run had no material for a judgement (of checks and clauses alone).
    """

    PASS = "pass"  # noqa: S105  a verdict, not a password
    NONSTRICT = "nonstrict"
    FAIL = "fail"
    UNSUPPORTED = "unsupported"
    ERROR = "error"
    NOT_REACHED = "not reached"


@dataclass(frozen=True)
class Place:
    """A place where a run is red.

    `kind` and `where` are: `arrow` and its line (or `end`), `check` and its words, `step` and its verb, `needs` with
    role and capability, or `packet` with its number in the capture, sender and receiver.
    """

    kind: PlaceKind
    where: str

    def __str__(self) -> str:
        return f"{self.kind} {self.where}"


@dataclass(frozen=True)
class Breach:
    """One breach of clauses by one node, found by a check or by the ladder.

    `node` is the name of the node that sent the wrong message or left out the right one. `clauses` are those that it
    breaks, the most specific one first. `t` is the time of the wrong message, or the time by which the missing one was
    due, in seconds since 1970. `alone` is True if the message shows the breach by itself, whatever other nodes did
    before. Any other breach may be the consequence of an earlier one of another node, and is then not charged. `ends`
    is True if later breaches of other nodes follow from this one, even if it breaks a SHOULD alone.
    """

    node: str
    clauses: tuple[str, ...]
    expected: str
    seen: str
    t: float
    alone: bool = False
    ends: bool = False


@dataclass(frozen=True)
class Reason:
    """A reason why a verdict is not `pass`.

    It has the place, what is required, what is expected, what was seen, the broken clauses, and name and role of the
    node that is charged (empty if none is). `t` is the time of the breach in seconds since 1970.
    """

    place: Place | None
    requirement: str
    expected: str
    seen: str
    clauses: tuple[str, ...] = ()
    outcome: Outcome = Outcome.FAIL
    detail: tuple[str, ...] = ()
    node: str = ""
    role: str = ""
    t: float = 0.0
    alone: bool = False
    ends: bool = False


@dataclass(frozen=True)
class CheckResult:
    """The result of a check.

    `requirement` is one sentence; `expected` and `seen` are in the words of the check. `breaches` are what is wrong,
    each charged to a node. `reached` are the clauses for which the run had material: None for all clauses of the check,
    and an empty tuple if there was no material at all.
    """

    requirement: str
    expected: str
    seen: str
    breaches: tuple[Breach, ...] = ()
    reached: tuple[str, ...] | None = None

    @classmethod
    def without_material(cls, requirement: str, expected: str, seen: str) -> CheckResult:
        """Return the result of a check that found no material; `seen` says what is missing."""
        return cls(requirement, expected, seen, reached=())

    @property
    def ok(self) -> bool:
        """Tell whether the check had material and found no breach."""
        return not self.breaches and self.reached != ()


@dataclass(frozen=True)
class CheckVerdict:
    """A check with its result and its outcome.

    The outcome is `not reached` if there was no material, or if all breaches are consequences of what another node did
    before.
    """

    words: str
    clauses: tuple[str, ...]
    result: CheckResult
    outcome: Outcome


@dataclass(frozen=True)
class ClauseVerdict:
    """The verdict on a clause; `places` are the arrows and checks that judged it, `nodes` those that broke it."""

    id: str
    level: str
    outcome: Outcome
    places: tuple[str, ...]
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RtpMeasure:
    """The measures of one run of RTP that a client received.

    Earliness, lateness and jitter are in ms against its own schedule; `rate` is a share of the nominal rate; `crowded`
    is how often three packets came within 5 ms.
    """

    codec: str
    packets: int
    lost: int
    seconds: float
    early_ms: float
    late_ms: float
    jitter_ms: float
    rate: float
    crowded: int = 0


@dataclass(frozen=True)
class Verdict:
    """The judgement of one run of one scenario.

    `ticket` has the way of its URLs through the run, a line of the report each. `relay` has seed and counts of the
    relay, empty for a run without one. `differences` are the expected differences of a peer of another maker, a line
    each; they are not among the reasons.
    """

    scenario: str
    outcome: Outcome
    reasons: tuple[Reason, ...]
    observed: Observed
    ladder: LadderResult
    checks: tuple[CheckVerdict, ...] = ()
    clauses: tuple[ClauseVerdict, ...] = ()
    remarks: tuple[str, ...] = ()
    rtp: tuple[RtpMeasure, ...] = ()
    ignored: Mapping[str, int] = field(default_factory=dict)
    ticket: tuple[str, ...] = ()
    relay: str = ""
    differences: tuple[str, ...] = ()

    def accepted(self, strict: bool = False) -> bool:
        """Tell whether the run counts as good: `pass`, or `nonstrict` unless `strict`."""
        return self.outcome is Outcome.PASS or (self.outcome is Outcome.NONSTRICT and not strict)

    def failed(self, strict: bool = False) -> bool:
        """Tell whether the run counts as bad; an unsupported one counts as neither."""
        return not self.accepted(strict) and self.outcome is not Outcome.UNSUPPORTED

    def red(self) -> tuple[Place, ...]:
        """Return every place that is red, the earliest first."""
        return tuple(reason.place for reason in self.reasons if reason.place is not None)

    def off_target(self, places: tuple[Place, ...]) -> str:
        """Return why this verdict does not show a fault that must turn `places` red; an empty text if it does.

        Every named place must be red, and no other one, except a step of the client or a packet that the second reader
        finds wrong: both follow from what is red.
        """
        red = self.red()
        green = [place for place in places if place not in red]
        if green:
            return f"not red at {', '.join(map(str, green))}; red: {', '.join(map(str, red)) or 'nowhere'}"
        stray = [place for place in red if place not in places and place.kind not in {"step", "packet"}]
        return f"red elsewhere too: {', '.join(map(str, stray))}" if stray else ""
