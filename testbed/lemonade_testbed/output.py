"""Writes the reports of a run beside its evidence, and prints the verdicts."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lemonade_testbed.capture.store import View, load_run
from lemonade_testbed.clauses import load_clauses
from lemonade_testbed.judge import judge
from lemonade_testbed.places import UsageError, home_folder
from lemonade_testbed.prove import Proof, too_many_repeated
from lemonade_testbed.report.junit import junit_xml
from lemonade_testbed.report.result import Case, run_result
from lemonade_testbed.report.text import ladder_md, scenario_text, tally
from lemonade_testbed.run import Ended, Job, exit_code, overall
from lemonade_testbed.scenario_loader import load_scenario
from lemonade_testbed.vendors.catalogue import read_vendors
from lemonade_testbed.vendors.expected import compare
from lemonade_wire.profile import DRAFT_07

SCENARIO = "scenario.yaml"


@dataclass
class Output:
    """Writes the reports of one run into its folder, and prints each scenario's verdict and a tally to the console."""

    folder: Path
    console: Console
    strict: bool = False
    _began: float = field(default_factory=time.monotonic, init=False)

    def finish(self, ended: Sequence[Ended]) -> str:
        """Write every report and print the verdicts; returns the text of `result.json`, with the run's wall time.

        Scenarios that failed are printed last, and the tally after them: the end of a log is read first.
        """
        wall = time.monotonic() - self._began
        cases = [_case(one) for one in ended]
        for case in sorted(cases, key=lambda case: case.verdict.failed(self.strict)):
            text = scenario_text(case.scenario, case.verdict, case.folder, case.command, strict=self.strict)
            (case.folder / "verdict.txt").write_text(text, encoding="utf-8")
            (case.folder / "ladder.md").write_text(ladder_md(case.scenario, case.verdict), encoding="utf-8")
            self.console.print(Text(text), soft_wrap=True)
        verdicts = {case.name: case.verdict for case in cases}
        if verdicts:
            self.console.print(Text(tally(verdicts, strict=self.strict)), soft_wrap=True)
        result = json.dumps(run_result(cases, wall), indent=1, ensure_ascii=False) + "\n"
        (self.folder / "result.json").write_text(result, encoding="utf-8")
        (self.folder / "junit.xml").write_text(junit_xml(cases, strict=self.strict), encoding="utf-8")
        return result


def _case(one: Ended) -> Case:
    job = one.job
    return Case(
        job.name,
        job.scenario,
        one.verdict,
        one.seconds,
        one.folder,
        repeat(job),
        job.profile,
        job.seed,
        job.faults,
        {vendor.role: vendor.word for vendor in job.vendors},
    )


def repeat(job: Job) -> str:
    """Return the shell command that runs a job again."""
    program = Path(sys.argv[0])
    home = Path.cwd()
    words = [str(program.relative_to(home) if program.is_relative_to(home) else program), "run"]
    ours = job.scenario.path.resolve().is_relative_to(home_folder() / "scenarios")
    words.append(job.scenario.name if ours else str(job.scenario.path))
    if job.message is not None:
        words += ["--message", str(job.message)]
    if job.profile not in {DRAFT_07.name, job.scenario.profile}:
        words += ["--profile", job.profile]
    for role, name in job.faults.items():
        words += ["--fault", f"{role}={name}"]
    for vendor in job.vendors:
        words += [f"--{vendor.role}", vendor.word]
        if vendor.mail != "append":
            words += ["--mail", vendor.mail]
    return shlex.join(words)


def judge_again(run: Path, console: Console, *, strict: bool, view: View = "both") -> int:
    """Judge a recorded run, or one scenario of it, and print the verdicts; returns the exit code.

    `view` chooses the evidence: the capture alone, the traces alone, or both if there is a capture.

    Raises UsageError if the folder holds no run, ScriptError and EvidenceError if it cannot be read.
    """
    folders = [run] if (run / SCENARIO).is_file() else sorted(path.parent for path in run.glob(f"*/{SCENARIO}"))
    if not folders:
        raise UsageError(f"{run} is no run: a folder with {SCENARIO} and world.json, or one that holds such")
    ended = []
    for folder in folders:
        scenario = load_scenario(folder / SCENARIO)
        vendors = read_vendors(folder)
        verdict = compare(judge(scenario, load_run(folder, view), load_clauses()), scenario, vendors)
        one = Ended(
            Job(scenario, folder.name, vendors=vendors), folder, verdict, 0.0, exit_code(verdict, strict=strict)
        )
        text = scenario_text(scenario, verdict, folder, repeat(one.job), strict=strict)
        console.print(Text(text), soft_wrap=True)
        ended.append(one)
    return overall(ended)


def print_proofs(proofs: Sequence[Proof], console: Console) -> None:
    """Print the table at the end of `prove`; without a terminal, one line for each proof."""
    if not console.is_terminal:
        for proof in proofs:
            console.file.write(_proof_line(proof))
        return
    table = Table("", "scenario", "what", "expected", "seen", box=None, pad_edge=False)
    for proof in proofs:
        styled = Text("shown", "green") if proof.ok else Text("NOT SHOWN", "bold red")
        table.add_row(styled, *(Text(text) for text in (proof.scenario, proof.what, proof.expected, proof.seen)))
    console.print(table)


def _proof_line(proof: Proof) -> str:
    mark = "shown    " if proof.ok else "NOT SHOWN"
    return f"{mark}  {proof.scenario}, {proof.what}: expected {proof.expected}; seen {proof.seen}\n"


def print_proof_tally(proofs: Sequence[Proof], folder: Path, console: Console) -> bool:
    """Print what was shown by a later attempt only, what was not shown, and the tally; returns whether the proof holds.

    A log that keeps its end alone thus tells what is wrong.
    """
    repeated = [proof for proof in proofs if proof.ok and proof.before]
    wrong = [proof for proof in proofs if not proof.ok]
    for proof in repeated:
        console.file.write(f"again      {proof.scenario}, {proof.what}: not shown at first; seen {proof.before}\n")
    for proof in wrong:
        console.file.write(_proof_line(proof))
    tally = f"{len(proofs) - len(wrong)} shown, {len(wrong)} not, {len(repeated)} shown by a later attempt only"
    if many := too_many_repeated(proofs):
        tally += " (too many: at most one in twenty)"
    console.print(f"{tally}; evidence: {folder}", soft_wrap=True)
    return not wrong and not many
