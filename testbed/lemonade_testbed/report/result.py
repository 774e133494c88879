"""Builds `result.json`: the result of a run for programs."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from lemonade_testbed.ladder.model import LadderResult, Observed
from lemonade_testbed.report.text import count_outcomes, summarise_roles
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import Verdict

Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]
_PACKAGES = ("lemonade-testbed", "lemonade-wire", "lemonade-imap", "lemonade-media", "lemonade-client", "av", "Twisted")


@dataclass(frozen=True)
class Case:
    """One run of one scenario, for the reports.

    `name` is the name of its folder, `seconds` the time that it took, `command` the command that repeats it. `vendors`
    maps a role to the other maker whose node replaced the reference node.
    """

    name: str
    scenario: Scenario
    verdict: Verdict
    seconds: float
    folder: Path
    command: str
    profile: str = "draft-07"
    seed: int = 1
    faults: Mapping[str, str] | None = None
    vendors: Mapping[str, str] | None = None


def run_result(cases: Sequence[Case], seconds: float) -> dict[str, Json]:
    """Return the result of a run: versions, commit, the outcome of the clauses for each role, and each scenario.

    `seconds` is the time that the whole run took.
    """
    return {
        "versions": versions(),
        "commit": commit(),
        "seconds": round(seconds, 3),
        "roles": {
            role: {"counts": count_outcomes(clauses), "clauses": {name: one.value for name, one in clauses.items()}}
            for role, clauses in summarise_roles(case.verdict for case in cases).items()
        },
        "scenarios": [case_result(case) for case in cases],
    }


def case_result(case: Case) -> dict[str, Json]:
    """Return the result of one scenario: its outcome, the clauses, the checks, and the measures of its RTP."""
    verdict = case.verdict
    return {
        "name": case.name,
        "scenario": case.scenario.name,
        "outcome": verdict.outcome.value,
        "seconds": round(case.seconds, 3),
        "profile": case.profile,
        "seed": case.seed,
        "faults": dict(case.faults or {}),
        "vendors": dict(case.vendors or {}),
        "folder": case.folder.name,
        "command": case.command,
        "reasons": [
            {
                "place": str(reason.place) if reason.place else None,
                "outcome": reason.outcome.value,
                "requirement": reason.requirement,
                "expected": reason.expected,
                "seen": reason.seen,
                "clauses": list(reason.clauses),
                "role": reason.role or None,
                "node": reason.node or None,
            }
            for reason in verdict.reasons
        ],
        "ladder": _ladder(verdict.ladder, verdict.observed),
        "checks": [
            {
                "check": check.words,
                "outcome": check.outcome.value,
                "expected": check.result.expected,
                "seen": check.result.seen,
                "breaches": [
                    {"node": one.node, "clauses": list(one.clauses), "expected": one.expected, "seen": one.seen}
                    for one in check.result.breaches
                ],
            }
            for check in verdict.checks
        ],
        "clauses": [
            {
                "id": clause.id,
                "level": clause.level,
                "outcome": clause.outcome.value,
                "places": list(clause.places),
                "nodes": list(clause.nodes),
            }
            for clause in verdict.clauses
        ],
        "rtp": [asdict(measure) for measure in verdict.rtp],
        "ignored": dict(verdict.ignored),
        "retransmissions": verdict.observed.retransmissions,
        "relay": verdict.relay or None,
        "differences": list(verdict.differences),
        "remarks": list(verdict.remarks),
        "ticket": list(verdict.ticket),
    }


def _ladder(result: LadderResult, observed: Observed) -> dict[str, Json]:
    mismatch = result.mismatch
    return {
        "observed": [seen.text(result.bindings) for seen in observed.messages],
        "mismatch": None
        if mismatch is None
        else {
            "index": mismatch.index,
            "how": mismatch.how,
            "wanted": list(mismatch.wanted),
            "seen": mismatch.seen,
        },
    }


def versions() -> dict[str, Json]:
    """Return the versions of Python, of the project's packages, and of PyAV and Twisted, as far as installed."""
    found: dict[str, Json] = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """Return the commit of the Git clone that holds this package, with `+` if files were changed, or None."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"],  # noqa: S607  git is on PATH
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() or None
