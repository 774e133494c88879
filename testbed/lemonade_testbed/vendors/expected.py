"""Reads the expected differences of known peers, and takes them into account in a verdict.

An expected difference names a scenario, a place, a clause and a reason; each peer has a file in `scenarios/expected/`.
If it is seen, it is no failure, but stays in the report. If it is not seen, that is a failure, since the file is out of
date. Any other difference is a failure as usual.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from lemonade_testbed.checks.registry import checks_of
from lemonade_testbed.clauses import SCENARIOS, load_clauses
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.vendors.catalogue import Vendor
from lemonade_testbed.verdict import Outcome, Place, Reason, Verdict
from lemonade_wire.script import ScriptError, bind, load_yaml_file
from lemonade_wire.script.yamltext import ListNode, nearest

FOLDER = SCENARIOS / "expected"
_ORDER = (Outcome.ERROR, Outcome.FAIL, Outcome.UNSUPPORTED, Outcome.NONSTRICT)
_ARROW = re.compile(r"\s*(-->>|->>)\s*")


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    scenario: str = Field(min_length=1)
    place: str = Field(min_length=1)
    clause: str = Field(min_length=1)
    reason: str = Field(min_length=1)


@dataclass(frozen=True)
class ExpectedDifference:
    """A difference between what a peer does and what a scenario requires: its place, the clause and the reason.

    `file` and `line` say where it is written.
    """

    vendor: str
    scenario: str
    place: Place
    clause: str
    reason: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.place} [{self.clause}] differs as {self.vendor} is expected to: {self.reason}"


def load_differences(vendor: str, path: Path | None = None) -> tuple[ExpectedDifference, ...]:
    """Read the expected differences of a peer; a peer without a file has none. Raises ScriptError."""
    file = path or FOLDER / f"{vendor}.yaml"
    if path is None and not file.is_file():
        return ()
    root = load_yaml_file(file)
    if not isinstance(root, ListNode):
        raise root.place.error("a list is expected, each {scenario, place, clause, reason}")
    found = []
    for node in root.items:
        entry = bind(node, _Entry)
        if entry.clause not in load_clauses():
            raise node.place.error(f"unknown clause {entry.clause!r}; `lemonade clauses` lists them")
        kind, _, where = entry.place.strip().partition(" ")
        if kind not in {"arrow", "check", "needs"}:
            raise node.place.error(f"unknown place {kind!r}; {nearest(kind, ('arrow', 'check', 'needs'))}")
        where = " ".join(where.split())
        if kind == "arrow":
            where = re.sub(r"\s*:\s*", ": ", _ARROW.sub(r"\1", where), count=1)
        place = Place(kind, where)  # type: ignore[arg-type]  # one of the three
        reason = " ".join(entry.reason.split())
        found.append(
            ExpectedDifference(vendor, entry.scenario, place, entry.clause, reason, node.place.file, node.place.line)
        )
    return tuple(found)


def differences_of(scenario: Scenario, known: Iterable[ExpectedDifference]) -> tuple[ExpectedDifference, ...]:
    """Return the differences for a scenario; raises ScriptError for a place that the scenario does not have."""
    ours = tuple(one for one in known if one.scenario == scenario.name)
    for one in ours:
        if one.place not in (places := _places(scenario)):
            of_kind = [place.where for place in places if place.kind == one.place.kind]
            hint = nearest(one.place.where, of_kind)
            raise ScriptError(
                one.file, one.line, f"{scenario.name} has no {one.place.kind} {one.place.where!r}; {hint}"
            )
    return ours


def _places(scenario: Scenario) -> tuple[Place, ...]:
    needs = [f"{role} {name}" for role, names in scenario.needs.items() for name in names]
    return (
        *(Place("arrow", str(arrow)) for arrow in scenario.ladder.arrows),
        Place("arrow", "end"),
        *(Place("check", words) for words, _, _ in checks_of(scenario)),
        *(Place("needs", text) for text in (*needs, "client")),
    )


def compare(verdict: Verdict, scenario: Scenario, vendors: Sequence[Vendor]) -> Verdict:
    """Return the verdict without the expected differences of the run's peers; raises ScriptError."""
    if not vendors:
        return verdict
    known = [one for vendor in vendors if vendor.listed for one in load_differences(vendor.name)]
    return without(verdict, differences_of(scenario, known), listed=all(vendor.listed for vendor in vendors))


def see_expected(scenarios: Iterable[Scenario], vendors: Sequence[Vendor]) -> None:
    """Check the files of a run's peers before the run begins; raises ScriptError if one is not valid."""
    known = [one for vendor in vendors if vendor.listed for one in load_differences(vendor.name)]
    for scenario in scenarios:
        differences_of(scenario, known)


def without(verdict: Verdict, expected: Sequence[ExpectedDifference], *, listed: bool) -> Verdict:
    """Return the verdict without the expected differences among its reasons.

    If an expected difference is seen, a failed step of the client is taken for its consequence and is left out too. If
    all peers are known ones (`listed`), a lacking capability that no file names is a failure. A verdict with an error
    of the testbed is returned unchanged.
    """
    if any(reason.outcome is Outcome.ERROR for reason in verdict.reasons):
        return verdict
    seen = [one for one in expected if any(reason.place == one.place for reason in verdict.reasons)]
    named = {one.place for one in seen}
    left = [
        reason
        for reason in verdict.reasons
        if reason.place is None or (reason.place not in named and not (named and reason.place.kind == "step"))
    ]
    undeclared = [reason for reason in left if reason.outcome is Outcome.UNSUPPORTED]
    if listed:
        left = [replace(reason, outcome=Outcome.FAIL) if reason in undeclared else reason for reason in left]
    if not undeclared:
        left += [_missing(one) for one in expected if one not in seen and _due(one, verdict, named)]
    lacking = any(reason.outcome is Outcome.UNSUPPORTED and reason.place in named for reason in verdict.reasons)
    found = {reason.outcome for reason in left} | ({Outcome.UNSUPPORTED} if lacking else set())
    outcome = next((one for one in _ORDER if one in found), Outcome.PASS)
    return replace(verdict, reasons=tuple(left), outcome=outcome, differences=tuple(map(str, seen)))


def _due(one: ExpectedDifference, verdict: Verdict, named: Set[Place]) -> bool:
    """Tell whether the run reached the place of a difference, so that it should have been seen."""
    if any(place.kind == "needs" for place in named):
        return False
    if one.place.kind == "check":
        return any(check.words == one.place.where and check.outcome is Outcome.PASS for check in verdict.checks)
    return one.place.kind == "needs" or verdict.ladder.mismatch is None


def _missing(one: ExpectedDifference) -> Reason:
    where = f"{Path(one.file).name}:{one.line}"
    requirement = f"What {where} expects of {one.vendor} happens: {one.reason}"
    return Reason(one.place, requirement, "red", "not red: the expectation is out of date", (one.clause,))
