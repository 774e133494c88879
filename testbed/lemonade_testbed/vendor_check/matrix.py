"""Makes the jobs that run scenarios with every combination of known peers, and a table of their outcomes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

from rich.table import Table
from rich.text import Text

from lemonade_testbed.run import Ended, Job
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.scenario.world import ROLES
from lemonade_testbed.vendors.catalogue import REFERENCE, Vendor, title_of
from lemonade_testbed.verdict import Outcome

_STYLES = {Outcome.PASS: "green", Outcome.NONSTRICT: "yellow", Outcome.UNSUPPORTED: "dim"}


def combinations(known: Mapping[str, Vendor]) -> list[tuple[Vendor, ...]]:
    """Return every choice of a peer or the reference node for each role; the first one has only reference nodes."""
    choices = [[None, *(vendor for vendor in known.values() if vendor.role == role)] for role in ROLES]
    return [tuple(vendor for vendor in choice if vendor is not None) for choice in product(*choices)]


def jobs_of(scenarios: Sequence[Scenario], combos: Sequence[tuple[Vendor, ...]]) -> list[Job]:
    """Return a job for each scenario with each combination."""
    return [
        Job(scenario, f"{scenario.name}--{'-'.join(vendor.name for vendor in combo) or REFERENCE}", vendors=combo)
        for combo in combos
        for scenario in scenarios
    ]


def rows(ended: Sequence[Ended]) -> dict[tuple[Vendor, ...], list[Ended]]:
    """Return the results of the jobs by combination, in their order."""
    found: dict[tuple[Vendor, ...], list[Ended]] = {}
    for one in ended:
        found.setdefault(one.job.vendors, []).append(one)
    return found


def table(ended: Sequence[Ended]) -> Table:
    """Return the outcomes as a table, with a row for each combination and a column for each scenario."""
    columns = list(dict.fromkeys(one.job.scenario.name for one in ended))
    made = Table(*ROLES, *columns, box=None, pad_edge=False, title_justify="left")
    for combo, ends in rows(ended).items():
        cells = {one.job.scenario.name: _cell(one) for one in ends}
        made.add_row(*_peers(combo).values(), *(cells[name] for name in columns))
    return made


def _cell(one: Ended) -> Text:
    verdict = one.verdict
    text = verdict.outcome.value + (f" ({len(verdict.differences)} expected)" if verdict.differences else "")
    return Text(text, _STYLES.get(verdict.outcome, "bold red"))


def _peers(combo: tuple[Vendor, ...]) -> dict[str, str]:
    names: dict[str, str] = {vendor.role: vendor.word for vendor in combo}
    return {role: names.get(role, REFERENCE) for role in ROLES}


def lines(ended: Sequence[Ended]) -> list[str]:
    """Return the outcomes as lines of text, one for each combination, for an output that is no terminal."""
    return [
        f"{title_of(combo)}: " + ", ".join(f"{one.job.scenario.name} {_cell(one).plain}" for one in ends)
        for combo, ends in rows(ended).items()
    ]


def add_to_result(folder: Path, ended: Sequence[Ended]) -> None:
    """Add the matrix to the run's `result.json`, under the key `matrix`."""
    path = folder / "result.json"
    result = json.loads(path.read_text("utf-8"))
    result["matrix"] = [
        _peers(combo)
        | {
            "scenarios": {
                one.job.scenario.name: {
                    "outcome": one.verdict.outcome.value,
                    "differences": list(one.verdict.differences),
                    "folder": one.folder.name,
                }
                for one in ends
            }
        }
        for combo, ends in rows(ended).items()
    ]
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
