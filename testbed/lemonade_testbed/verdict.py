"""Verdicts: what the judge says of one run, place by place and clause by clause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from lemonade_testbed.ladder.model import Bindings, Observed

PlaceKind = Literal["arrow", "check", "step", "needs", "packet"]


class Outcome(StrEnum):
    """The five verdicts; `nonstrict`: only SHOULDs are broken; `error`: the testbed's own trouble."""

    PASS = "pass"  # noqa: S105  a verdict, no password
    NONSTRICT = "nonstrict"
    FAIL = "fail"
    UNSUPPORTED = "unsupported"
    ERROR = "error"


@dataclass(frozen=True)
class Place:
    """Where something is red: `arrow` and its line (or `end`), `check` and its words, `step` and its verb,
    `needs` with role and capability, or `packet` with its number in the capture, sender and receiver.
    """

    kind: PlaceKind
    where: str

    def __str__(self) -> str:
        return f"{self.kind} {self.where}"


@dataclass(frozen=True)
class Reason:
    """Why a verdict is not `pass`: the place, what is required, expected, seen, and the clauses it breaks."""

    place: Place | None
    requirement: str
    expected: str
    seen: str
    clauses: tuple[str, ...] = ()
    outcome: Outcome = Outcome.FAIL
    detail: tuple[str, ...] = ()


@dataclass(frozen=True)
class CheckResult:
    """What a check found: `requirement` in one sentence, `expected` and `seen` in the check's own measure."""

    ok: bool
    requirement: str
    expected: str
    seen: str


@dataclass(frozen=True)
class CheckVerdict:
    """A check of the scenario with its result."""

    words: str
    clauses: tuple[str, ...]
    result: CheckResult


@dataclass(frozen=True)
class ClauseVerdict:
    """A clause that the scenario names: `pass`, `nonstrict`, `fail`, or `unsupported` where it was never reached."""

    id: str
    level: str
    outcome: Outcome
    places: tuple[str, ...]


@dataclass(frozen=True)
class Mismatch:
    """The first place where the observed ladder leaves the expected one.

    `index` counts the expected arrows from 1 (one more than there are: nothing more was expected); `position` is
    the place of the message in the observed ladder; `how` says what is wrong; `wanted` the arrows that could stand
    there; `around` both ladders near the spot.
    """

    index: int
    position: int
    how: Literal["missing", "extra", "out-of-order", "changed"]
    wanted: tuple[str, ...]
    seen: str
    around: tuple[str, ...] = ()


@dataclass(frozen=True)
class LadderResult:
    """The match of a ladder: for each observed message the index of its expected arrow (None from the mismatch on)."""

    arrows: tuple[int | None, ...]
    bindings: Bindings = field(default_factory=dict)
    mismatch: Mismatch | None = None


@dataclass(frozen=True)
class RtpMeasure:
    """One run of RTP as heard: lateness and earliness in ms against its schedule, rate as a share of nominal,
    `crowded` how often three packets came within 5 ms.
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
    """The judgement of one run of one scenario; `ticket` tells the way of its URLs, a line of the report each.

    `relay`: seed and counts of what the relay did, empty for a run without one. `differences`: what a peer of another
    maker did otherwise, as it is expected to, a line each: none of it is among the reasons.
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
        """Tell whether the run counts as good: `pass`, or `nonstrict` where not `strict`."""
        return self.outcome is Outcome.PASS or (self.outcome is Outcome.NONSTRICT and not strict)

    def failed(self, strict: bool = False) -> bool:
        """Tell whether the run counts as bad; one that is unsupported shows nothing either way."""
        return not self.accepted(strict) and self.outcome is not Outcome.UNSUPPORTED

    def red(self) -> tuple[Place, ...]:
        """Return every place that is red, the earliest first."""
        return tuple(reason.place for reason in self.reasons if reason.place is not None)

    def off_target(self, places: tuple[Place, ...]) -> str:
        """Return why this verdict does not show a fault that must turn `places` red; empty where it does.

        Every named place must be red. What a peer declares not to have drags everything along, a red ladder drags
        checks and steps, a red check a step, and anything a packet that the second reader calls wrong; what else is
        red without being named is off the target.
        """
        red = self.red()
        green = [place for place in places if place not in red]
        if green:
            return f"not red at {', '.join(map(str, green))}; red: {', '.join(map(str, red)) or 'nowhere'}"
        kinds = {place.kind for place in places}
        dragged = {"step", "packet"}
        dragged |= {"check"} if kinds & {"arrow", "needs"} else set()
        dragged |= {"arrow"} if "needs" in kinds else set()
        stray = [place for place in red if place not in places and place.kind not in dragged]
        return f"red elsewhere too: {', '.join(map(str, stray))}" if stray else ""
