"""Writes the verdict of a scenario and the summary of a run as text."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from lemonade_testbed.clauses import load_clauses
from lemonade_testbed.ladder.draw import draw, mermaid
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import Outcome, Reason, Verdict

NODES = {"imap": "IMAP server", "media": "media server", "client": "client", "relay": "relay"}
"""The names of the roles in reports."""
_JUDGED = ("imap", "media", "client")
_WORST = (Outcome.FAIL, Outcome.NONSTRICT, Outcome.PASS, Outcome.UNSUPPORTED, Outcome.NOT_REACHED)
_SAID = (Outcome.PASS, Outcome.NONSTRICT, Outcome.FAIL, Outcome.NOT_REACHED, Outcome.UNSUPPORTED)
_WIDTH = 114


def summarise_roles(verdicts: Iterable[Verdict]) -> dict[str, dict[str, Outcome]]:
    """Return for each role the outcome of its clauses over all verdicts.

    A clause is broken if one verdict says so, and kept if a verdict says so and none says that it is broken. If only
    nodes of another role broke a clause, that verdict counts as `not reached` for this role.
    """
    known = load_clauses()
    found: dict[str, dict[str, Outcome]] = {role: {} for role in _JUDGED}
    for verdict in verdicts:
        for name, role, outcome in _clause_outcomes(verdict):
            if role in known[name].roles:
                before = found[role].get(name, Outcome.NOT_REACHED)
                found[role][name] = min(before, outcome, key=_WORST.index)
    return found


def _clause_outcomes(verdict: Verdict) -> Iterator[tuple[str, str, Outcome]]:
    """Yield the id, the role and the outcome of each clause of a verdict, for each role."""
    roles = {reason.node: reason.role for reason in verdict.reasons}
    lacking = {reason.role for reason in verdict.reasons if reason.outcome is Outcome.UNSUPPORTED}
    for clause in verdict.clauses:
        broken = {roles.get(node, node) for node in clause.nodes}
        for role in _JUDGED:
            if broken:
                yield clause.id, role, clause.outcome if role in broken else Outcome.NOT_REACHED
            elif clause.outcome is Outcome.UNSUPPORTED and role not in lacking:
                yield clause.id, role, Outcome.NOT_REACHED
            else:
                yield clause.id, role, clause.outcome


def count_outcomes(clauses: Mapping[str, Outcome]) -> dict[str, int]:
    """Return the number of clauses for each outcome that occurs."""
    counts = Counter(clauses.values())
    return {outcome.value: counts[outcome] for outcome in _SAID if counts[outcome]}


def role_lines(verdicts: Iterable[Verdict]) -> list[str]:
    """Return a line for each role: `IMAP server: 23 clauses pass, 2 fail, 5 not reached`."""
    lines = []
    for role, clauses in summarise_roles(verdicts).items():
        counts = [f"{count} {outcome}" for outcome, count in count_outcomes(clauses).items()]
        if counts:
            first, *rest = counts
            lines.append(f"{NODES[role]}: {', '.join([first.replace(' ', ' clauses ', 1), *rest])}")
    return lines


def scenario_text(
    scenario: Scenario, verdict: Verdict, folder: Path | None, command: str, *, strict: bool = False
) -> str:
    """Return the whole report: ladders, verdict, the reasons for it, the checks, ignored messages, and measures.

    `folder` holds the evidence; `command` repeats the run, and is shown if the verdict is a failure.
    """
    lines = [f"{scenario.name}: {scenario.title}", f"({scenario.origin})", ""]
    if verdict.observed.messages:
        lines += [draw(scenario.ladder, verdict.observed, verdict.ladder)]
    lines += [f"verdict: {verdict.outcome.value}{_strictly(verdict, strict)}"]
    for reason in verdict.reasons:
        lines += ["", *_reason(reason)]
    lines += ["", *_summary(verdict)]
    if folder is not None:
        lines.append(f"evidence: {folder}")
    if verdict.failed(strict):
        lines.append(f"again:    {command}")
    return "\n".join(lines) + "\n"


def tally(verdicts: Mapping[str, Verdict], *, strict: bool = False) -> str:
    """Return the last lines of a run: one for each role, the number of accepted scenarios, and one for each other.

    Of these others, the scenarios that failed are last.
    """
    others = {name: verdict for name, verdict in verdicts.items() if not verdict.accepted(strict)}
    lines = [*role_lines(verdicts.values()), f"{len(verdicts) - len(others)} of {len(verdicts)} scenarios accepted"]
    for name, verdict in sorted(others.items(), key=lambda item: item[1].failed(strict)):
        places = [_charged(reason) for reason in verdict.reasons]
        why = ", ".join(dict.fromkeys(places or verdict.differences))
        lines.append(f"{name}  {verdict.outcome.value}{_strictly(verdict, strict)}: {why}")
    return "\n".join(lines) + "\n"


def _charged(reason: Reason) -> str:
    """Return the charged node, the place and the clauses of a reason in one line."""
    node = f"{NODES.get(reason.role, reason.role)}{_named(reason)} at " if reason.role else ""
    clauses = f" [{' '.join(reason.clauses)}]" if reason.clauses else ""
    return f"{node}{reason.place or reason.requirement}{clauses}"


def _strictly(verdict: Verdict, strict: bool) -> str:
    return " (a failure with --strict)" if verdict.outcome is Outcome.NONSTRICT and strict else ""


def _reason(reason: Reason) -> Iterator[str]:
    clauses = f" [{' '.join(reason.clauses)}]" if reason.clauses else ""
    charged = f" by the {NODES.get(reason.role, reason.role)}{_named(reason)}" if reason.role else ""
    yield f"{reason.outcome.value.upper()}{charged} at {reason.place or 'the testbed'}{clauses}"
    known = load_clauses()
    for name in reason.clauses[:1]:
        if known[name].says != reason.requirement:
            yield from _wrapped("  clause:      ", f"{name} ({known[name].level}): {known[name].says}")
    for name, text in (("requirement", reason.requirement), ("expected", reason.expected), ("seen", reason.seen)):
        yield from _wrapped(f"  {name + ':':13}", text)
    yield from (f"    {line}".rstrip() for line in reason.detail)


def _named(reason: Reason) -> str:
    return f" {reason.node}" if reason.node != reason.role else ""


def _wrapped(head: str, text: str) -> list[str]:
    body = textwrap.wrap(text, _WIDTH, initial_indent=head, subsequent_indent=" " * len(head), break_on_hyphens=False)
    return body or [head.rstrip()]


def _summary(verdict: Verdict) -> Iterator[str]:
    yield from _checks(verdict)
    for outcome in Outcome:
        names = [clause.id for clause in verdict.clauses if clause.outcome is outcome]
        if names:
            yield from _wrapped("clauses:  ", f"{outcome.value}: {', '.join(names)}")
    for one in verdict.rtp:
        yield (
            f"RTP:      {one.codec} {one.seconds:.2f} s, {one.packets} packets, {one.lost} lost, at most"
            f" {one.early_ms:.1f} ms early and {one.late_ms:.1f} ms late, jitter {one.jitter_ms:.2f} ms,"
            f" rate {100 * one.rate:.2f} %"
        )
    if verdict.ignored:
        ignored = ", ".join(f"{name} {count}" for name, count in verdict.ignored.items())
        yield from _wrapped("ignored:  ", ignored)
    if verdict.observed.retransmissions:
        yield f"folded:   {verdict.observed.retransmissions} retransmissions"
    for line in verdict.differences:
        yield from _wrapped("expected: ", line)
    if verdict.relay:
        yield from _wrapped("relay:    ", verdict.relay)
    for remark in verdict.remarks:
        yield from _wrapped("remark:   ", remark)
    for line in verdict.ticket:
        yield f"ticket:   {line}"


def _checks(verdict: Verdict) -> Iterator[str]:
    """Yield a line for each check that found messages to judge, and one line with the number of the others."""
    idle = [check for check in verdict.checks if check.outcome is Outcome.NOT_REACHED]
    for check in verdict.checks:
        if check.outcome is Outcome.NOT_REACHED:
            continue
        mark = "ok " if check.outcome is Outcome.PASS else "RED"
        seen = check.result.breaches[0].seen if check.outcome is not Outcome.PASS else check.result.seen
        yield from _wrapped(f"{mark} check ", f"{check.words}: {seen}")
    if idle:
        yield f"--- not reached: {len(idle)} checks"


def ladder_md(scenario: Scenario, verdict: Verdict) -> str:
    """Return `ladder.md`: the expected and the observed ladder as Mermaid diagrams."""
    return mermaid(scenario.ladder, verdict.observed, verdict.ladder.bindings, f"{scenario.name}: {scenario.title}")
