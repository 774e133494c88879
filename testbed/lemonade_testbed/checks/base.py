"""What a check is: words, clauses, and a pure function of scenario and evidence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lemonade_testbed.evidence import Evidence
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import CheckResult

CheckFunction = Callable[[Scenario, Evidence, str], CheckResult]


@dataclass(frozen=True)
class Check:
    """One entry of the list.

    `words` as written in a scenario, FILE standing for a file's name, which `run` gets as its third argument (else
    an empty text); `summary` one line of English.
    """

    words: str
    clauses: tuple[str, ...]
    summary: str
    run: CheckFunction
