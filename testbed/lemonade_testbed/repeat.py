"""Shows that a seed says everything: each scenario several times, and what must be the same in all of its runs.

Compared are the verdict, the outcome of every check, the ladder as far as it matches (which expected arrow each message
took, in a `par` in whatever order; how much media an RTP arrow held only within its arrow's bounds), and the relay's
decisions: which rule struck the how-manieth message of which label, from whom, on which leg. Not compared is what the
peers' clocks decide: times, how often a message was sent again, what met a leg that was cut, and messages beyond those
that came in every run.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from rich.console import Console

from lemonade_testbed.evidence import Event, Evidence, load_evidence
from lemonade_testbed.ladder.model import Ladder, arrows_of, parallels_of
from lemonade_testbed.output import Output
from lemonade_testbed.places import Places
from lemonade_testbed.relay.told import told
from lemonade_testbed.run import (
    EXIT_FAILED,
    EXIT_NOTHING,
    EXIT_OK,
    RUNTIMES,
    Ended,
    Job,
    overall,
)
from lemonade_testbed.runtime.choice import ready
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.watched import tell, watched

TIMES = 10
AddCommand = Callable[..., argparse.ArgumentParser]
Facts = Mapping[str, tuple[str, ...]]
_SEEDED = ("lost", "duplicated", "reordered", "cut", "healed")


@dataclass(frozen=True)
class Run:
    """One run: its name, its facts by name, and how many messages of each label came, by `leg from source: label`."""

    name: str
    facts: Facts
    came: Mapping[str, int]
    decisions: tuple[tuple[str, int, str], ...]
    """What rules decided on which message: its `leg from source: label`, the how-manieth of those, and what."""


def add_command(command: AddCommand, jobs: Callable[[str], int], *parents: argparse.ArgumentParser) -> None:
    """Add `lemonade repeat`; `command` makes a sub-parser of a name, a function and a text, `jobs` reads `-j`."""
    text = "run scenarios several times, and show that every run is judged alike (default: those with a relay)"
    added = command("repeat", repeat, text, *parents)
    added.add_argument("names", nargs="*", metavar="NAME", help="scenarios, by name or file")
    added.add_argument("--times", type=_times, default=TIMES, metavar="N", help=f"default: {TIMES}")
    added.add_argument("-j", "--jobs", type=jobs, metavar="N", help="how many at a time")
    added.add_argument("--runtime", choices=("auto", *sorted(RUNTIMES)), default="local", help="default: local")


def repeat(options: argparse.Namespace) -> int:
    """Run and compare; exit 1 where runs differ, else as a run of them all."""
    places = Places.find(options.scenarios, options.runs)
    scenarios = [one for one in places.load(options.names) if options.names or one.relay is not None]
    if not scenarios:
        return EXIT_NOTHING
    runtime = ready(options.runtime, tell)
    numbers = range(1, options.times + 1)
    jobs = [Job(scenario, f"{scenario.name}-{number}") for number in numbers for scenario in scenarios]
    console = Console()
    names = [job.name for job in jobs]
    with watched(places.runs, names, runtime, console, jobs=options.jobs) as running:
        output = Output(running.folder, Console(quiet=True))
        ended = running.run(jobs)
    output.finish(ended)
    unequal = False
    for scenario in scenarios:
        runs = [run_of(scenario, one) for one in ended if one.job.scenario is scenario]
        differences = compare(runs)
        unequal = unequal or bool(differences)
        console.file.write(summary(scenario, runs, differences))
    console.print(f"evidence: {running.folder}", soft_wrap=True)
    return overall(ended) or (EXIT_FAILED if unequal else EXIT_OK)


def run_of(scenario: Scenario, ended: Ended) -> Run:
    """Return what is compared of one run."""
    verdict = ended.verdict
    checks = {f"check {check.words}": ("holds" if check.result.ok else "red",) for check in verdict.checks}
    arrows = {arrow.index: str(arrow) for arrow in scenario.ladder.arrows}
    matched = [
        seen.text(verdict.ladder.bindings) if index is None else arrows[index]
        for index, seen in zip(
            _as_written(scenario.ladder, verdict.ladder.arrows), verdict.observed.messages, strict=False
        )
    ]
    facts = {"verdict": (verdict.outcome.value,), "ladder": tuple(matched)} | checks
    if not (ended.folder / "world.json").is_file():
        return Run(ended.job.name, facts, {}, ())
    evidence = load_evidence(ended.folder)
    return Run(ended.job.name, facts, _came(evidence), _decisions(evidence))


def _as_written(ladder: Ladder, matched: Sequence[int | None]) -> list[int | None]:
    """Put what matched the arrows of a `par` in the order in which they are written: any order was right."""
    order = [*matched]
    for parallel in parallels_of(ladder.tree):
        own = {arrow.index for arrow in arrows_of(parallel)}
        found = [(place, index) for place, index in enumerate(order) if index is not None and index in own]
        for (place, _), index in zip(found, sorted(index for _, index in found), strict=True):
            order[place] = index
    return order


def summary(scenario: Scenario, runs: Sequence[Run], differences: Sequence[str]) -> str:
    """Return what is printed of one scenario: a line, and one for each difference."""
    outcomes = ", ".join(sorted({run.facts["verdict"][0] for run in runs}))
    decided = ", ".join(sorted({str(len(run.decisions)) for run in runs}))
    line = f"{'DIFFER' if differences else 'equal '}  {scenario.name}, {len(runs)} runs: {outcomes}; "
    line += f"{len(scenario.checks)} checks, {decided} decisions of the relay"
    return "".join(f"{text}\n" for text in (line, *(f"        {difference}" for difference in differences)))


def _decisions(evidence: Evidence) -> tuple[tuple[str, int, str], ...]:
    found = []
    for state in _SEEDED:
        for event in told(evidence, state):
            did = f"{state} by rule {event.number('rule')}"
            if state in {"cut", "healed"}:
                did += f" after {event.number('octets')} octets"
            found.append((_label(event), event.number("nth"), did))
    return tuple(sorted(found))


def _label(event: Event) -> str:
    """Name a message as the relay's own counts of what passed do."""
    return f"{event.text('leg')} from {event.text('source')}: {event.text('message')}"


def _came(evidence: Evidence) -> Mapping[str, int]:
    """Return how many messages reached the relay: those that passed, and those that were lost."""
    came: Counter[str] = Counter()
    for event in told(evidence, "stopped"):
        passed = event.fields.get("passed")
        came.update({key: int(count) for key, count in passed.items()} if isinstance(passed, Mapping) else {})
    for event in told(evidence, "lost"):
        came[_label(event)] += 1
    return came


def compare(runs: Sequence[Run]) -> list[str]:
    """Return a line for each fact, and one for the relay's decisions, in which a run differs from the first."""
    first, *others = runs
    lines = []
    for name, value in first.facts.items():
        for other in others:
            if other.facts.get(name) != value:
                lines.append(f"{name}: {_parting(first, value, other, other.facts.get(name, ()))}")
                break
    for other in others:
        mine, theirs = (
            [f"{what} {nth}: {did}" for what, nth, did in run.decisions if nth <= _common(what, first, other)]
            for run in (first, other)
        )
        if mine != theirs:
            lines.append(f"relay: {_parting(first, mine, other, theirs)}")
            break
    return lines


def _common(what: str, one: Run, other: Run) -> float:
    """Return how many messages of a label both runs had; what is no message is in both."""
    counts = [run.came[what] for run in (one, other) if what in run.came]
    return min(counts, default=float("inf"))


def _parting(first: Run, mine: Sequence[str], other: Run, theirs: Sequence[str]) -> str:
    """Name the first place where two runs part."""
    mine_first, theirs_first = next(
        (left or "nothing more", right or "nothing more") for left, right in zip_longest(mine, theirs) if left != right
    )
    return f"{first.name} has {mine_first}, {other.name} has {theirs_first}"


def _times(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of runs to compare: 2 or more is expected")
    return int(text)
