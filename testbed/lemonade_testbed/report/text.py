"""The report of one scenario as a person reads it, on the terminal and in `verdict.txt`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

from lemonade_testbed.ladder.draw import draw, mermaid
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import Outcome, Reason, Verdict

_WIDTH = 114


def scenario_text(
    scenario: Scenario, verdict: Verdict, folder: Path | None, command: str, *, strict: bool = False
) -> str:
    """Return the whole report: both ladders, verdict, what is wrong, what was checked, ignored and measured.

    `folder` holds the evidence; `command` repeats the run and is shown where the verdict is not accepted.
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
    """Return how many scenarios of a run were accepted, and a line for each of the others, what failed last."""
    others = {name: verdict for name, verdict in verdicts.items() if not verdict.accepted(strict)}
    lines = [f"{len(verdicts) - len(others)} of {len(verdicts)} scenarios accepted"]
    for name, verdict in sorted(others.items(), key=lambda item: item[1].failed(strict)):
        places = [str(reason.place or reason.requirement) for reason in verdict.reasons]
        why = ", ".join(dict.fromkeys(places or verdict.differences))
        lines.append(f"{name}  {verdict.outcome.value}{_strictly(verdict, strict)}: {why}")
    return "\n".join(lines) + "\n"


def _strictly(verdict: Verdict, strict: bool) -> str:
    return " (a failure with --strict)" if verdict.outcome is Outcome.NONSTRICT and strict else ""


def _reason(reason: Reason) -> Iterator[str]:
    clauses = f" [{' '.join(reason.clauses)}]" if reason.clauses else ""
    yield f"{reason.outcome.value.upper()} at {reason.place or 'the testbed'}{clauses}"
    for name, text in (("requirement", reason.requirement), ("expected", reason.expected), ("seen", reason.seen)):
        yield from _wrapped(f"  {name + ':':13}", text)
    yield from (f"    {line}".rstrip() for line in reason.detail)


def _wrapped(head: str, text: str) -> list[str]:
    body = textwrap.wrap(text, _WIDTH, initial_indent=head, subsequent_indent=" " * len(head), break_on_hyphens=False)
    return body or [head.rstrip()]


def _summary(verdict: Verdict) -> Iterator[str]:
    for check in verdict.checks:
        yield from _wrapped(f"{'ok ' if check.result.ok else 'RED'} check ", f"{check.words}: {check.result.seen}")
    for outcome in Outcome:
        names = [clause.id for clause in verdict.clauses if clause.outcome is outcome]
        if names:
            word = "not reached" if outcome is Outcome.UNSUPPORTED else outcome.value
            yield from _wrapped("clauses:  ", f"{word}: {', '.join(names)}")
    for one in verdict.rtp:
        yield (
            f"RTP:      {one.codec} {one.seconds:.2f} s, {one.packets} packets, {one.lost} lost, at most"
            f" {one.early_ms:.1f} ms early and {one.late_ms:.1f} ms late, jitter {one.jitter_ms:.2f} ms,"
            f" rate {100 * one.rate:.2f} %"
        )
    if verdict.ignored:
        told = ", ".join(f"{name} {count}" for name, count in verdict.ignored.items())
        yield from _wrapped("ignored:  ", told)
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


def ladder_md(scenario: Scenario, verdict: Verdict) -> str:
    """Return `ladder.md`: the expected and the observed ladder as Mermaid diagrams."""
    return mermaid(scenario.ladder, verdict.observed, verdict.ladder.bindings, f"{scenario.name}: {scenario.title}")
