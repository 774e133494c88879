"""Proves that the testbed can tell wrong from right: every scenario green, then each fault red exactly where it names.

Then each arrow of the recorded evidence is dropped and swapped (see `mutate`). A fault that no scenario names, a
scenario that is not green, a fault that stays green or turns something else red: each is a failure of the proof.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from lemonade_testbed.evidence import load_evidence
from lemonade_testbed.mutate import NotGreenError, try_mutations
from lemonade_testbed.run import Ended, Job, Running
from lemonade_testbed.scenario.model import NamedFault, Scenario
from lemonade_testbed.verdict import Outcome


@dataclass(frozen=True)
class Proof:
    """One line of the proof's table: what was shown by which scenario, what was expected and seen."""

    scenario: str
    what: str
    expected: str
    seen: str
    ok: bool
    evidence: str = ""


def fault_job(scenario: Scenario, fault: NamedFault) -> Job:
    """Return the run of a scenario with one of its faults."""
    return Job(scenario, f"{scenario.name}--{fault.role}-{fault.name}", {fault.role: fault.name})


def prove(running: Running, scenarios: Sequence[Scenario]) -> list[Proof]:
    """Run all scenarios green, then all faults of those that are; returns the table's lines."""
    green = running.run([Job(scenario, scenario.name) for scenario in scenarios])
    proofs = [_green(ended) for ended in green]
    sound = [ended.job.scenario for ended in green if ended.verdict.accepted()]
    named = [(scenario, fault) for scenario in sound for fault in scenario.faults]
    red = running.run([fault_job(scenario, fault) for scenario, fault in named])
    proofs += [_red(fault, ended) for (_, fault), ended in zip(named, red, strict=True)]
    for ended in green:
        if ended.verdict.accepted():
            running.runner.say(ended.job.name, "dropping and swapping its arrows")
            proofs += mutated(ended)
            running.runner.say(ended.job.name, ended.verdict.outcome.value)
    return proofs


def unnamed(known: Mapping[str, Collection[str]], scenarios: Iterable[Scenario]) -> list[Proof]:
    """Return a failed line for each fault of the nodes that no scenario names, as a fault or as part of its world."""
    read = list(scenarios)
    named = {(fault.role, fault.name) for scenario in read for fault in scenario.faults}
    named |= {wrong for scenario in read for wrong in scenario.given.wrong.items()}
    return [
        Proof("-", f"fault {role}={name}", "named by a scenario", "named by none", ok=False)
        for role, names in known.items()
        for name in names
        if (role, name) not in named
    ]


def _green(ended: Ended) -> Proof:
    seen = ended.verdict.outcome.value
    reason = next(iter(ended.verdict.reasons), None)
    if reason is not None:
        seen += f" at {reason.place or reason.requirement}: {reason.seen}"
    return Proof(ended.job.scenario.name, "no fault", "green", seen, ended.verdict.accepted(), str(ended.folder))


def _red(fault: NamedFault, ended: Ended) -> Proof:
    expected = ", ".join(map(str, fault.places))
    red = ", ".join(map(str, ended.verdict.red())) or "nowhere"
    if ended.verdict.outcome is Outcome.ERROR:
        reason = ended.verdict.reasons[0]
        seen = f"error: {reason.seen}"
    else:
        seen = ended.verdict.off_target(fault.places) or f"red at {red}"
    ok = not ended.verdict.off_target(fault.places) and ended.verdict.outcome not in {Outcome.PASS, Outcome.ERROR}
    return Proof(ended.job.scenario.name, f"fault {fault.role}={fault.name}", f"red at {expected}", seen, ok)


def mutated(ended: Ended) -> list[Proof]:
    """Return two lines, of all drops and of all swaps, for a green run; a wrong one has a line of its own."""
    name = ended.job.scenario.name
    try:
        results = try_mutations(ended.job.scenario, load_evidence(ended.folder))
    except NotGreenError as problem:
        return [Proof(name, "dropping and swapping", "a ladder that matches", str(problem), ok=False)]
    lines = []
    for kind, words in (("drop", "arrows dropped"), ("swap", "neighbours swapped")):
        of_kind = [result for result in results if result.kind == kind]
        right = sum(result.ok for result in of_kind)
        lines.append(
            Proof(
                name, f"{len(of_kind)} {words}", "each noticed at its arrow", f"{right} were", 0 < right == len(of_kind)
            )
        )
        lines += [
            Proof(name, f"{kind} {bad.touched}", f"arrow {bad.expected}", f"arrow {bad.reported}", ok=False)
            for bad in of_kind
            if not bad.ok
        ]
    return lines
