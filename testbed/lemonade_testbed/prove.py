"""Proves that the judge detects errors: each scenario passes without a fault, and fails with each fault it names.

A fault is shown if the arrows and checks that the scenario names for it fail and no others do, if the node that has the
fault is charged there, and if the clauses that the scenario names for it are broken there. Each message of the recorded
evidence is also dropped and swapped (see `mutate`), while the faults run. The proof fails for a scenario that does not
pass, a fault that is not shown, a fault that no scenario names, and a check, kind of arrow or clause that no fault
makes fail. In the reports `green` means passed, and `red` means failed.

A run lasts as long as its media: the faults of a scenario with a long mail are tried with a short mail first. What is
not shown is tried again, few runs at a time, because a busy machine delays packets. The table says which lines were
shown by a later attempt, and the proof fails if they are many.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from lemonade_testbed.audio.part import media_length
from lemonade_testbed.clauses import SCENARIOS
from lemonade_testbed.coverage import find_coverage
from lemonade_testbed.evidence import load_evidence
from lemonade_testbed.mutate import NotGreenError, try_mutations
from lemonade_testbed.ownmail import why_too_short
from lemonade_testbed.run import Ended, Job, Running
from lemonade_testbed.scenario.model import NamedFault, Scenario
from lemonade_testbed.verdict import Outcome, Reason


@dataclass(frozen=True)
class Proof:
    """One line of the proof's table: what was tried with which scenario, the expected and the seen result.

    `ok` tells whether they agree; `evidence` is the run's folder, for a run without a fault. `before` is the result of
    the first attempt, if a later one is told here.
    """

    scenario: str
    what: str
    expected: str
    seen: str
    ok: bool
    evidence: str = ""
    before: str = ""


SHORT_MAIL = SCENARIOS / "fixtures" / "short.eml"
_ATTEMPTS = 3
"""How often a line is tried until it is shown."""
_FEW = 2
"""How many runs at a time when something is tried again."""
_LONG = 4.0
"""Seconds: a scenario with longer media has its faults tried with the short mail first."""


def fault_job(scenario: Scenario, fault: NamedFault, message: Path | None = None) -> Job:
    """Return the job that runs a scenario with a fault; `message` replaces the scenario's mail."""
    name = f"{scenario.name}--{fault.role}-{fault.name}"
    return Job(scenario, f"{name}--short" if message else name, {fault.role: fault.name}, message)


def short_mail(scenario: Scenario) -> Path | None:
    """Return the short mail if the faults of a scenario are to be tried with it first, else None."""
    length = media_length(scenario.message_path())
    worth_it = length is not None and length > _LONG
    return SHORT_MAIL if worth_it and why_too_short(scenario, media_length(SHORT_MAIL)) is None else None


def prove(running: Running, scenarios: Sequence[Scenario]) -> list[Proof]:
    """Run all scenarios without a fault, then all faults of those that passed; returns the table's lines."""
    jobs = [Job(scenario, scenario.name) for scenario in scenarios]
    green = _attempt(running, jobs, lambda ended, _: _green(ended))
    sound = [ended for _, ended in green if ended.verdict.accepted()]
    beside = ThreadPoolExecutor(1, thread_name_prefix="mutations")
    try:
        mutations = beside.map(mutated, sound)
        faults = _prove_faults(running, [ended.job.scenario for ended in sound])
        changed = list(chain.from_iterable(mutations))
    finally:
        beside.shutdown(cancel_futures=True)
    return [*(line for line, _ in green), *faults, *_again_changed(running, sound, changed)]


def _attempt(running: Running, jobs: Sequence[Job], tell: Callable[[Ended, int], Proof]) -> list[tuple[Proof, Ended]]:
    """Run the jobs, and those again that are not shown; `tell` makes a line of a result and the place of its job."""
    done = [(tell(ended, place), ended) for place, ended in enumerate(running.run(jobs))]
    for attempt in range(2, _ATTEMPTS + 1):
        missing = [place for place, (line, _) in enumerate(done) if not line.ok]
        again = [replace(jobs[place], name=f"{jobs[place].name}--{attempt}") for place in missing]
        for place, ended in zip(missing, running.run(again, _FEW), strict=True):
            before = done[place][0]
            done[place] = (replace(tell(ended, place), before=before.before or before.seen), ended)
    return done


def _prove_faults(running: Running, scenarios: Iterable[Scenario]) -> list[Proof]:
    """Return a line for each fault; a fault that the short mail does not show is tried with the scenario's own mail."""
    faults, short = [], []
    for scenario in scenarios:
        mail = short_mail(scenario)
        faults += [(scenario, fault) for fault in scenario.faults]
        short += [(scenario, fault, mail) for fault in scenario.faults if mail]
    ended = running.run([fault_job(*one) for one in short])
    quick = [_red(fault, one) for (_, fault, _), one in zip(short, ended, strict=True)]
    shown = {(line.scenario, line.what): line for line in quick if line.ok}
    rest = [(scenario, fault) for scenario, fault in faults if (scenario.name, _what(fault)) not in shown]
    long = _attempt(running, [fault_job(*one) for one in rest], lambda one, place: _red(rest[place][1], one))
    return [*shown.values(), *(line for line, _ in long)]


def _again_changed(running: Running, sound: Iterable[Ended], lines: list[Proof]) -> list[Proof]:
    """Return the lines of the mutations; where one was not reported right, those of another run of its scenario."""
    wrong = {line.scenario: line for line in lines if not line.ok}
    jobs = [replace(one.job, name=f"{one.job.name}--changed") for one in sound if one.job.scenario.name in wrong]
    again = [line for ended in running.run(jobs, _FEW) for line in mutated(ended)]
    kept = [line for line in lines if line.scenario not in wrong]
    return kept + [replace(line, before=wrong[line.scenario].what) for line in again]


def too_many_repeated(proofs: Collection[Proof]) -> bool:
    """Tell whether more lines than one in twenty were shown by a later attempt only."""
    return sum(bool(proof.before) for proof in proofs) * 20 > len(proofs)


def unnamed(known: Mapping[str, Collection[str]], scenarios: Iterable[Scenario]) -> list[Proof]:
    """Return a failed line for each fault that no scenario names, and for each clause, check and arrow without a fault.

    `known` maps each role to its faults. A scenario names a fault in its list of faults, or as a node that is wrong on
    purpose.
    """
    read = list(scenarios)
    named = {(fault.kind or fault.role, fault.name) for scenario in read for fault in scenario.faults}
    wrong = [(one.given.kinds.get(node, node), name) for one in read for node, name in one.given.wrong.items()]
    named |= {*wrong}
    faults = [
        Proof("-", f"fault {role}={name}", "named by a scenario", "named by none", ok=False)
        for role, names in known.items()
        for name in names
        if (role, name) not in named
    ]
    lacking = find_coverage(read).lacking()
    return faults + [Proof("-", sentence, "a fault that turns it red", "none", ok=False) for sentence in lacking]


def _green(ended: Ended) -> Proof:
    seen = ended.verdict.outcome.value
    reason = next(iter(ended.verdict.reasons), None)
    if reason is not None:
        seen += f" at {reason.place or reason.requirement}: {reason.seen}"
    return Proof(ended.job.scenario.name, "no fault", "green", seen, ended.verdict.accepted(), str(ended.folder))


def _red(fault: NamedFault, ended: Ended) -> Proof:
    """Return the line of a run with a fault."""
    expected = ", ".join(map(str, fault.places))
    verdict = ended.verdict
    if verdict.outcome is Outcome.ERROR and fault.role != "relay":
        wrong = f"error: {verdict.reasons[0].seen}"
    else:
        wrong = verdict.off_target(fault.places) or ("" if fault.role == "relay" else _off_node(fault, verdict.reasons))
    ok = not wrong and verdict.outcome is not Outcome.PASS
    seen = wrong or f"red at {', '.join(map(str, verdict.red()))}"
    return Proof(ended.job.scenario.name, _what(fault), f"red at {expected}", seen, ok)


def _what(fault: NamedFault) -> str:
    return f"fault {fault.role}={fault.name}"


def _off_node(fault: NamedFault, reasons: Iterable[Reason]) -> str:
    """Return the error if another node than the fault's is charged, or if a clause is missing; else an empty text."""
    for place in fault.places:
        here = [reason for reason in reasons if reason.place == place]
        if strangers := {one.node for one in here if fault.role not in {one.node, one.role}}:
            return f"at {place} the {', '.join(sorted(strangers))} is charged"
        broken = {name for reason in here for name in reason.clauses}
        if missing := [name for name in fault.clauses.get(place, ()) if name not in broken]:
            return f"at {place} not for {', '.join(missing)}, but for {', '.join(sorted(broken)) or 'no clause'}"
    return ""


def mutated(ended: Ended) -> list[Proof]:
    """Return two lines, for all drops and for all swaps of a run, and one for each that was not reported right."""
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
