"""Runs each scenario several times with one seed, and shows that all its runs give the same result.

Compared are the verdict, the outcome of every check, the ladder (which expected arrow each message matched; within a
`par` in any order; the media of an RTP arrow by the arrow's bounds alone), and the relay's decisions: which rule
was applied to which message, by the message's identity (`relay/identity.py`). Not compared is what depends on the
clocks of the nodes: times, what was sent on a leg that the relay had cut, and decisions on messages that came in one
run alone, such as one more retransmission or the last packets of a stream.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from rich.console import Console

from lemonade_testbed.evidence import Evidence, load_evidence
from lemonade_testbed.ladder.model import Ladder, arrows_of, parallels_of
from lemonade_testbed.output import Output
from lemonade_testbed.places import Places
from lemonade_testbed.progress import tell, watched
from lemonade_testbed.relay.evidence import relay_events
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

TIMES = 10
AddCommand = Callable[..., argparse.ArgumentParser]
Facts = Mapping[str, tuple[str, ...]]
_SEEDED = ("lost", "duplicated", "reordered", "cut", "healed")


@dataclass(frozen=True)
class Run:
    """What is compared of one run: its facts by name, and the relay's decisions.

    `decided` has the messages on which a rule decided, whatever the decision was: `LEG from SOURCE: KIND` maps to the
    messages' ordinal numbers. `decisions` has the messages that a rule was applied to: the same text, the ordinal
    number, and what was done.
    """

    name: str
    facts: Facts
    decided: Mapping[str, frozenset[int]]
    decisions: tuple[tuple[str, int, str], ...]


def add_command(command: AddCommand, jobs: Callable[[str], int], *parents: argparse.ArgumentParser) -> None:
    """Add `lemonade repeat` to the command line; `command` makes a sub-parser, and `jobs` reads the value of `-j`."""
    text = "run scenarios several times, and show that every run is judged alike (default: those with a relay)"
    added = command("repeat", repeat, text, *parents)
    added.add_argument("names", nargs="*", metavar="NAME", help="scenarios, by name or file")
    added.add_argument("--times", type=_times, default=TIMES, metavar="N", help=f"default: {TIMES}")
    added.add_argument("-j", "--jobs", type=jobs, metavar="N", help="how many at a time")
    added.add_argument("--runtime", choices=("auto", *sorted(RUNTIMES)), default="local", help="default: local")


def repeat(options: argparse.Namespace) -> int:
    """Carry out `lemonade repeat`; returns 1 if the runs of a scenario differ, else the exit code of all runs."""
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
    """Return what is compared of one run, from its verdict and its evidence."""
    verdict = ended.verdict
    checks = {f"check {check.words}": (check.outcome.value,) for check in verdict.checks}
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
    return Run(ended.job.name, facts, _decided(evidence), _decisions(evidence))


def _as_written(ladder: Ladder, matched: Sequence[int | None]) -> list[int | None]:
    """Return the matched arrow indices with those of a `par` sorted as written: any order of them was right."""
    order = [*matched]
    for parallel in parallels_of(ladder.tree):
        own = {arrow.index for arrow in arrows_of(parallel)}
        found = [(place, index) for place, index in enumerate(order) if index is not None and index in own]
        for (place, _), index in zip(found, sorted(index for _, index in found), strict=True):
            order[place] = index
    return order


def summary(scenario: Scenario, runs: Sequence[Run], differences: Sequence[str]) -> str:
    """Return the text that is printed for one scenario: a line, and one more for each difference."""
    outcomes = ", ".join(sorted({run.facts["verdict"][0] for run in runs}))
    decided = ", ".join(sorted({str(len(run.decisions)) for run in runs}))
    line = f"{'DIFFER' if differences else 'equal '}  {scenario.name}, {len(runs)} runs: {outcomes}; "
    line += f"{len(scenario.checks)} checks, {decided} decisions of the relay"
    return "".join(f"{text}\n" for text in (line, *(f"        {difference}" for difference in differences)))


def _decisions(evidence: Evidence) -> tuple[tuple[str, int, str], ...]:
    found = []
    for state in _SEEDED:
        for event in relay_events(evidence, state):
            of = f" from {event.text('source')}: {event.text('of')}" if event.text("of") else ""
            found.append((event.text("leg") + of, event.number("nth"), f"{state} by rule {event.number('rule')}"))
    return tuple(sorted(found))


def _decided(evidence: Evidence) -> Mapping[str, frozenset[int]]:
    """Return the messages on which the relay's rules decided: text of `Run.decided` to ordinal numbers.

    The relay's last event has them as ranges `[first, last]`.
    """
    found: dict[str, frozenset[int]] = {}
    for event in relay_events(evidence, "stopped"):
        decided = event.fields.get("decided")
        for of, places in decided.items() if isinstance(decided, Mapping) else ():
            found[of] = frozenset(place for first, last in places for place in range(first, last + 1))
    return found


def compare(runs: Sequence[Run]) -> list[str]:
    """Return a line for each fact in which a run differs from the first, and one if the relay's decisions differ."""
    first, *others = runs
    lines = []
    for name, value in first.facts.items():
        for other in others:
            if other.facts.get(name) != value:
                lines.append(f"{name}: {_parting(first, value, other, other.facts.get(name, ()))}")
                break
    for other in others:
        mine, theirs = (
            [
                f"{of}, {nth}: {did}" if nth else f"{of}: {did}"
                for of, nth, did in run.decisions
                if not _in_one(of, nth, first, other)
            ]
            for run in (first, other)
        )
        if mine != theirs:
            lines.append(f"relay: {_parting(first, mine, other, theirs)}")
            break
    return lines


def _in_one(of: str, nth: int, first: Run, other: Run) -> bool:
    """Tell whether rules decided on a message in only one of two runs; a decision on a leg (`nth` 0) is in both."""
    return bool(nth) and (nth in first.decided.get(of, ())) != (nth in other.decided.get(of, ()))


def _parting(first: Run, mine: Sequence[str], other: Run, theirs: Sequence[str]) -> str:
    """Return a sentence on the first difference of two runs."""
    mine_first, theirs_first = next(
        (left or "nothing more", right or "nothing more") for left, right in zip_longest(mine, theirs) if left != right
    )
    return f"{first.name} has {mine_first}, {other.name} has {theirs_first}"


def _times(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of runs to compare: 2 or more is expected")
    return int(text)
