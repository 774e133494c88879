"""Finds which arrows, checks and faults judge which clause, from the scenario files alone, without a run.

A clause is covered if an arrow or a check observes it, and if a scenario names a fault of a node that the clause binds
that makes such an arrow or check fail. `make prove` runs every fault and shows that it does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.registry import CHECKS, find_check
from lemonade_testbed.clauses import Clause, load_clauses
from lemonade_testbed.ladder.model import Arrow
from lemonade_testbed.scenario.model import NamedFault, Scenario
from lemonade_testbed.verdict import Place


@dataclass
class Covered:
    """One clause with the names of the scenarios, arrows and checks that observe it, and of the faults that prove it.

    A fault proves a clause if it makes an arrow or a check fail for that clause; it is written `ROLE=NAME`.
    """

    clause: Clause
    scenarios: list[str] = field(default_factory=list)
    arrows: list[str] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def status(self) -> str:
        """`judged`, `planned`, `not observable`, or `lacking: ` and what is missing."""
        if self.clause.unobservable:
            return "not observable"
        if self.clause.planned:
            return "planned"
        if not self.arrows and not self.checks:
            return "lacking: no arrow and no check observes it"
        return "judged" if self.faults else "lacking: no fault of a node that it binds turns it red"

    @property
    def lacks(self) -> bool:
        """Whether the clause could be judged now, but an observation or a fault is missing."""
        return self.status.startswith("lacking")


@dataclass(frozen=True)
class Shown:
    """A fault that a scenario names, at one place where it makes the run fail.

    `role` and `name` are the fault's; `place` is the arrow or check that fails; `clauses` are broken there.
    """

    scenario: str
    role: str
    name: str
    place: Place
    clauses: tuple[str, ...]


@dataclass(frozen=True)
class Coverage:
    """What a set of scenarios judges.

    `clauses` maps a clause's id to what covers it. `checks` and `arrows` map each check and each kind of arrow (`SIP
    INVITE`, `SIP answer to INVITE`) to the faults that make it fail (`ROLE=NAME`).
    """

    clauses: Mapping[str, Covered]
    faults: tuple[Shown, ...]
    checks: Mapping[str, tuple[str, ...]]
    arrows: Mapping[str, tuple[str, ...]]

    def lacking(self) -> Iterator[str]:
        """Yield a sentence for each clause, check and kind of arrow that no fault proves."""
        for one in self.clauses.values():
            if one.lacks:
                yield f"clause {one.clause.id} ({one.clause.level}) is {one.status}"
        for kind, found in (("check", self.checks), ("arrow", self.arrows)):
            yield from (f"{kind} {words!r} is the place of no fault" for words, faults in found.items() if not faults)


def find_coverage(scenarios: Iterable[Scenario], known: Mapping[str, Clause] | None = None) -> Coverage:
    """Return what the scenarios judge of the clauses `known`, which are the project's own by default."""
    read = tuple(scenarios)
    covered = {name: Covered(clause) for name, clause in (load_clauses() if known is None else known).items()}
    faults = tuple(shown for scenario in read for fault in scenario.faults for shown in _shown(scenario, fault))
    for scenario in read:
        for arrow in scenario.ladder.arrows:
            _observe(covered, arrow.clauses, scenario.name, "arrows", str(arrow))
        for check in _checks(scenario):
            _observe(covered, check.clauses, "" if check.general else scenario.name, "checks", check.words)
    for shown in faults:
        for name in shown.clauses:
            if shown.role in covered[name].clause.roles:
                _add(covered[name].faults, f"{shown.role}={shown.name}")
    kinds = dict.fromkeys(_kind(arrow) for scenario in read for arrow in scenario.ladder.arrows)
    checks = {
        check.words: tuple(_at(faults, "check", {check.words}, file="FILE" in check.words)) for check in CHECKS.values()
    }
    arrows = {
        kind: tuple(_at(faults, "arrow", {str(a) for one in read for a in one.ladder.arrows if _kind(a) == kind}))
        for kind in kinds
    }
    return Coverage(covered, faults, checks, arrows)


def _checks(scenario: Scenario) -> Iterator[Check]:
    yield from (find_check(words)[0] for words in scenario.checks)
    yield from (check for check in CHECKS.values() if check.general)


def _observe(covered: Mapping[str, Covered], clauses: Iterable[str], scenario: str, kind: str, place: str) -> None:
    for name in clauses:
        if scenario:
            _add(covered[name].scenarios, scenario)
        _add(getattr(covered[name], kind), place)


def _add(found: list[str], text: str) -> None:
    if text not in found:
        found.append(text)


def _shown(scenario: Scenario, fault: NamedFault) -> Iterator[Shown]:
    for place in fault.places:
        yield Shown(scenario.name, fault.kind or fault.role, fault.name, place, fault.clauses.get(place, ()))


def _at(faults: Iterable[Shown], kind: str, words: Collection[str], *, file: bool = False) -> Iterator[str]:
    """Yield the faults whose place is an arrow or a check (`kind`) that `words` contains.

    With `file`, `words` is a check that has `FILE` in its text: a place then counts with any file's name.
    """
    for shown in faults:
        where = shown.place.where
        meant = find_check(where)[0].words if file and shown.place.kind == "check" else where
        if shown.place.kind == kind and meant in words:
            yield f"{shown.role}={shown.name}"


def _kind(arrow: Arrow) -> str:
    """Return the kind of an arrow: its protocol, and the method or command that it is or answers."""
    protocol, *words = arrow.words
    if protocol == "RTP":
        return "RTP telephone-event" if words[0] == "telephone-event" else "RTP stream"
    return f"{protocol} answer to {words[1]}" if arrow.response else f"{protocol} {words[0]}"
