"""Writes `docs/clause-coverage.md`: what judges each clause, and which arrow or check each fault makes fail."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from lemonade_testbed.coverage import Coverage, Covered
from lemonade_testbed.scenario.model import Scenario

_SOME = 3
"""The most scenarios, places or faults that a cell of a table names; of more it gives the number."""
_LONGEST = 190
"""Characters of the texts that a cell names; fewer are named where they are longer."""
_HEAD = """# Which clause is judged by what

This page is generated from the scenario files by `lemonade clauses --coverage --page docs/clause-coverage.md`.
`make lint` fails where a clause that can be observed is judged by no arrow or check, or where no named fault of a node
that the clause binds turns such a place red. `make prove` runs every fault and shows that the place turns red, for
that clause and at that node.
"""


def coverage_page(coverage: Coverage, scenarios: Iterable[Scenario], summaries: Mapping[str, str]) -> str:
    """Return the page as Markdown; `summaries` maps each fault (`ROLE=NAME`) to what its node does wrong."""
    lines = [_HEAD, *_clauses(coverage), *_scenarios(scenarios), *_checks(coverage), *_faults(coverage, summaries)]
    return "\n".join(lines) + "\n"


def _clauses(coverage: Coverage) -> Iterator[str]:
    judged = [one for one in coverage.clauses.values() if not one.clause.unobservable]
    yield "## Clauses\n"
    yield from _table(("clause", "level", "roles", "arrows and checks", "scenarios", "faults"), map(_row, judged))
    yield "\n## Clauses that cannot be observed\n"
    hidden = [one.clause for one in coverage.clauses.values() if one.clause.unobservable]
    yield from _table(("clause", "level", "why"), [(one.id, one.level, one.unobservable) for one in hidden])


def _row(one: Covered) -> Sequence[str]:
    if one.clause.planned:
        return (one.clause.id, one.clause.level, ", ".join(one.clause.roles), f"planned: {one.clause.planned}", "", "")
    places = [f"`{arrow}`" for arrow in one.arrows] + [f"check {words}" for words in one.checks]
    every = "every scenario with such messages" if one.checks and not one.scenarios else _some(one.scenarios)
    return (one.clause.id, one.clause.level, ", ".join(one.clause.roles), _some(places), every, _some(one.faults))


def _scenarios(scenarios: Iterable[Scenario]) -> Iterator[str]:
    yield "\n## Scenarios\n"
    yield "The general checks run in every scenario besides.\n"
    yield "Each is followed by the clauses of its arrows and its own checks.\n"
    yield from (f"* {one.name}: {' '.join(one.clauses)}" for one in scenarios)


def _checks(coverage: Coverage) -> Iterator[str]:
    yield "\n## Checks and arrows\n"
    both = {f"check {words}": faults for words, faults in coverage.checks.items()}
    both |= {f"arrow {kind}": faults for kind, faults in coverage.arrows.items()}
    yield from _table(
        ("place", "faults that turn it red"), [(place, _some(list(faults))) for place, faults in both.items()]
    )


def _faults(coverage: Coverage, summaries: Mapping[str, str]) -> Iterator[str]:
    yield "\n## Kinds of bug\n"
    rows: dict[str, list[str]] = {}
    for shown in coverage.faults:
        clauses = f" ({' '.join(shown.clauses)})" if shown.clauses else ""
        rows.setdefault(f"{shown.role}={shown.name}", []).append(f"{shown.scenario}: {shown.place}{clauses}")
    yield from _table(
        ("fault", "what the node does", "red in"),
        [(name, summaries.get(name, ""), _some(places)) for name, places in sorted(rows.items())],
    )


def _some(texts: Sequence[str]) -> str:
    named = list(texts[:_SOME])
    while len(named) > 1 and len("; ".join(named)) > _LONGEST - len("; and 99 more"):
        named.pop()
    rest = len(texts) - len(named)
    return "; ".join(named) + (f"; and {rest} more" if rest > 0 else "")


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "---|" * len(heads)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
