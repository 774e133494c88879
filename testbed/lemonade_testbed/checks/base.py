"""The description of a check: its words, its clauses, and a pure function of scenario and evidence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lemonade_testbed.evidence import Evidence
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import Breach, CheckResult

CheckFunction = Callable[[Scenario, Evidence, str], CheckResult]


@dataclass(frozen=True)
class Check:
    """One entry of the list of checks.

    `words` is the name of the check as a scenario writes it. The word FILE in it stands for the name of a file, which
    `run` gets as its third argument (an empty text for all other checks). `clauses` are those that the check judges,
    and `summary` describes it in one line. A `general` check runs in every scenario, and is `not reached` in a run
    without material for it. Any other check runs only in scenarios that list it.
    """

    words: str
    clauses: tuple[str, ...]
    summary: str
    run: CheckFunction
    general: bool = True


def conclude(
    ok: bool, requirement: str, expected: str, seen: str, *, node: str, clauses: tuple[str, ...], t: float
) -> CheckResult:
    """Return the result of a check with a single answer: if it is not `ok`, `node` broke `clauses` at the time `t`."""
    breaches = () if ok else (Breach(node, clauses, expected, seen, t),)
    return CheckResult(requirement, expected, seen, breaches)
