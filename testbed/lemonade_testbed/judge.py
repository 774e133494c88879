"""The judge: a pure function of a scenario and the evidence of a run.

Every breach is charged to one node. The earliest one that fails is the root cause. What other nodes did after it may be
its consequence, and is `not reached`, unless a message shows its breach by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from lemonade_testbed.checks.registry import checks_of
from lemonade_testbed.checks.ticket_path import ticket_lines
from lemonade_testbed.checks.timing import measure
from lemonade_testbed.clauses import Clause
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.matcher import Matcher
from lemonade_testbed.ladder.model import Observed
from lemonade_testbed.ladder.observe import observe
from lemonade_testbed.reasons import Judged, find_reasons, find_trouble
from lemonade_testbed.relay.evidence import relay_summary
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import CheckVerdict, ClauseVerdict, Outcome, Place, Reason, Verdict

_WORST = (Outcome.ERROR, Outcome.FAIL, Outcome.UNSUPPORTED, Outcome.NONSTRICT)
"""The outcomes other than `pass`; the first one that occurs is the verdict."""


def judge(
    scenario: Scenario, evidence: Evidence, clauses: Mapping[str, Clause], observed: Observed | None = None
) -> Verdict:
    """Judge a run by the clauses, which have their ids as keys: all that the scenario and the checks name.

    `observed` replaces the ladder of the evidence (a proof drops and swaps its arrows).
    """
    observed = observe(evidence, scenario.ladder.named) if observed is None else observed
    matcher = Matcher(scenario.ladder, evidence.world.media_length)
    results = {words: check.run(scenario, evidence, file) for words, check, file in checks_of(scenario)}
    judged = Judged(scenario, evidence, matcher, observed, matcher.match(observed), results, clauses)
    reasons = (*find_trouble(scenario, evidence), *keep_root_causes(find_reasons(judged)))
    checks = tuple(_check_verdict(judged, words, check.clauses, reasons) for words, check, _ in checks_of(scenario))
    outcome = _outcome(reasons)
    return Verdict(
        scenario.name,
        outcome,
        reasons,
        observed,
        judged.ladder,
        checks,
        tuple(_clauses(judged, outcome, checks, reasons)),
        (*observed.remarks, *evidence.remarks),
        measure(evidence),
        observed.ignored,
        ticket_lines(evidence),
        relay=relay_summary(evidence),
    )


def keep_root_causes(found: Iterable[Reason]) -> list[Reason]:
    """Return the reasons that are not consequences of earlier ones, the earliest first.

    The root cause is the first reason that fails or that is unsupported, or a mismatch of the ladder, even if it breaks
    a SHOULD alone. After it, reasons of the same node are kept, and another node is charged only for messages that show
    their breach by themselves. A failed step of the client is a consequence of any root cause, even of one that is
    found only at the end of the run.
    """
    kept: list[Reason] = []
    root: Reason | None = None
    for reason in sorted(found, key=_when):
        if reason.place is not None and reason.place.kind == "step" and root is not None:
            continue
        same = root is not None and reason.node == root.node and root.outcome is not Outcome.UNSUPPORTED
        if root is None or same or reason.alone:
            kept.append(reason)
        if root is None and (reason.ends or reason.outcome is not Outcome.NONSTRICT):
            root = reason
    return kept


def _when(reason: Reason) -> tuple[bool, float, bool]:
    """Order reasons by time, failed steps last; at the same time checks come before the ladder, which says less."""
    kind = reason.place.kind if reason.place else ""
    return (kind == "step", reason.t, kind == "arrow")


def _outcome(reasons: Sequence[Reason]) -> Outcome:
    """Return the outcome of all reasons: the worst one."""
    found = {reason.outcome for reason in reasons}
    return next((outcome for outcome in _WORST if outcome in found), Outcome.PASS)


def _check_verdict(judged: Judged, words: str, clauses: tuple[str, ...], reasons: Sequence[Reason]) -> CheckVerdict:
    place = Place("check", words)
    red = [reason.outcome for reason in reasons if reason.place == place]
    if red:
        outcome = next(one for one in _WORST if one in red)
    else:
        outcome = Outcome.PASS if judged.results[words].ok else Outcome.NOT_REACHED
    return CheckVerdict(words, clauses, judged.results[words], outcome)


def _clauses(
    judged: Judged, outcome: Outcome, checks: Sequence[CheckVerdict], reasons: Sequence[Reason]
) -> Iterator[ClauseVerdict]:
    """Yield the verdict on each clause that the scenario names, or that a check or a breach observed."""
    red: dict[str, list[Reason]] = {}
    for reason in reasons:
        for name in reason.clauses:
            red.setdefault(name, []).append(reason)
    green: dict[str, list[str]] = {}
    taken = {index for index in judged.ladder.arrows if index is not None}
    for arrow in judged.scenario.ladder.arrows:
        for name in arrow.clauses if arrow.index in taken else ():
            green.setdefault(name, []).append(f"arrow {arrow.index}")
    for check in checks:
        if check.outcome in {Outcome.ERROR, Outcome.NOT_REACHED, Outcome.UNSUPPORTED}:
            continue
        for name in check.clauses if check.result.reached is None else check.result.reached:
            green.setdefault(name, []).append(f"check {check.words}")
    for name in dict.fromkeys((*judged.scenario.clauses, *red, *green)):
        level = judged.known[name].level
        if broken := red.get(name):
            worst = Outcome.NONSTRICT if judged.known[name].is_should else Outcome.FAIL
            places = tuple(dict.fromkeys(str(reason.place) for reason in broken))
            yield ClauseVerdict(name, level, worst, places, tuple(dict.fromkeys(reason.node for reason in broken)))
        elif name in green:
            yield ClauseVerdict(name, level, Outcome.PASS, tuple(green[name]))
        else:
            none = Outcome.UNSUPPORTED if outcome is Outcome.UNSUPPORTED else Outcome.NOT_REACHED
            yield ClauseVerdict(name, level, none, ())
