"""Checks of the logs and traces themselves: no ticket may stand in them."""

from __future__ import annotations

from lemonade_testbed.checks.base import Check
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import CheckResult
from lemonade_wire.redact import Redactor


def _no_ticket(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "no log and no trace shows a ticket's token"
    redactor = Redactor(evidence.world.salt)
    leaks = [
        f"{name}, line {number}"
        for name, text in sorted(evidence.files.items())
        for number, line in enumerate(text.splitlines(), 1)
        if ":" in line and redactor.text(line) != line
    ]
    seen = ", ".join(leaks[:5]) + (f" and {len(leaks) - 5} more" if len(leaks) > 5 else "")
    return CheckResult(not leaks, requirement, "fingerprints alone", seen or "fingerprints alone")


CHECKS = (Check("no ticket in any log", ("LS-3-11",), "logs and traces hold fingerprints, never tokens", _no_ticket),)
