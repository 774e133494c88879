"""Runs one check on a run that is written by hand."""

from __future__ import annotations

from lemonade_testbed.checks.registry import find_check
from lemonade_testbed.clauses import SCENARIOS
from lemonade_testbed.scenario_loader import load_scenario
from lemonade_testbed.testing.flow import Flow
from lemonade_testbed.verdict import CheckResult

ANNC = load_scenario(SCENARIOS / "announcement-service.yaml")


def run_check(words: str, flow: Flow) -> CheckResult:
    """Return the result of the check with these words, for the scenario announcement-service."""
    check, file = find_check(words)
    return check.run(ANNC, flow.evidence(), file)
