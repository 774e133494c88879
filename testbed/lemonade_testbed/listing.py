"""Prints the lists that an author of scenarios needs: scenarios, verbs, checks, clauses and their coverage.

On a terminal a list is a table; elsewhere it is one line per row with tabs between the columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lemonade_testbed.checks.registry import CHECKS
from lemonade_testbed.clauses import load_clauses
from lemonade_testbed.coverage import find_coverage
from lemonade_testbed.report.coverage_page import coverage_page
from lemonade_testbed.scenario.model import Scenario
from lemonade_wire.script import VERBS


def scenarios(found: Iterable[Scenario], console: Console) -> int:
    """Print each scenario's name, title and faults; returns 0."""
    return _print(
        console,
        ("scenario", "title", "faults"),
        [(one.name, one.title, " ".join(f"{fault.role}={fault.name}" for fault in one.faults)) for one in found],
    )


def verbs(console: Console) -> int:
    """Print each verb of a client's script with its arguments; returns 0."""
    for name, verb in VERBS.items():
        console.print(Text.assemble((name, "bold"), f"  {verb.summary}"), soft_wrap=True)
        for field, info in verb.model_fields.items():
            default = "" if info.is_required() or info.default is None else f" (default: {_written(info.default)})"
            console.print(Text(f"    {info.alias or field}: {info.description or ''}{default}"), soft_wrap=True)
    console.print(Text("Every step also takes `within: 10 s`, its deadline."))
    return 0


def _written(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return f"{value:g} s" if isinstance(value, float) else str(value)


def checks(console: Console) -> int:
    """Print each check with its clauses; returns 0."""
    rows = [(check.words, check.summary, " ".join(check.clauses)) for check in CHECKS.values()]
    return _print(console, ("check", "what it asks", "clauses"), rows)


def clauses(console: Console) -> int:
    """Print each clause; returns 0."""
    rows = [(one.id, ",".join(one.roles), one.level, one.says) for one in load_clauses().values()]
    return _print(console, ("clause", "roles", "level", "what it says"), rows)


def coverage(
    found: Sequence[Scenario], known: Mapping[str, Mapping[str, str]], console: Console, page: Path | None
) -> int:
    """Print what judges each clause, and which clauses each scenario and check judges.

    `known` maps each role to its faults and their summaries. If `page` is given, the coverage page is written to it.
    Returns 1 if a clause that can be observed, a check or a kind of arrow has no fault that makes it fail, else 0.
    """
    covered = find_coverage(found)
    rows = [
        (name, one.status, ", ".join((*one.arrows, *one.checks)), " ".join(one.scenarios), " ".join(one.faults))
        for name, one in covered.clauses.items()
    ]
    _print(console, ("clause", "status", "arrows and checks", "scenarios", "faults"), rows)
    own = [(scenario.name, " ".join(scenario.clauses)) for scenario in found]
    own += [(f"check {check.words}", " ".join(check.clauses)) for check in CHECKS.values()]
    _print(console, ("scenario or check", "clauses"), own)
    if page is not None:
        summaries = {f"{role}={name}": text for role, names in known.items() for name, text in names.items()}
        page.write_text(coverage_page(covered, found, summaries), encoding="utf-8")
    lacking = list(covered.lacking())
    for sentence in lacking:
        console.print(Text(sentence, "red"), soft_wrap=True)
    return 1 if lacking else 0


def _print(console: Console, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> int:
    if not console.is_terminal:
        for row in rows:
            console.file.write("\t".join(row) + "\n")
        return 0
    table = Table(*heads, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)
    return 0
