"""Carries out `lemonade bench`: measures the reference IMAP server beside other makers' servers, keeps the figures."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from lemonade_testbed.errors import EnvironmentBroken
from lemonade_testbed.places import Places, UsageError
from lemonade_testbed.progress import tell
from lemonade_testbed.run import EXIT_FAILED, EXIT_OK
from lemonade_testbed.vendors.catalogue import REFERENCE, load_vendors
from lemonade_testbed.vendors.prepare import ready_for_vendors
from speed.client import ServerFailedError
from speed.hostile import run_hostile
from speed.measures import IMAP, BenchFigure, Measure, measured
from speed.servers import CROWD, servers

PEERS = ("dovecot", "cyrus")
"""The servers with which the reference IMAP server is compared."""
HOSTILE = "hostile"
"""The name of the measures of attacks on the reference nodes; `hostile:NAME` is one of them."""


def run_bench(names: Sequence[str], runs: Path | None) -> int:
    """Run the measures of these names, by default all; returns exit code 1 if a target is missed, else 0.

    `hostile` is measured alone, without containers (`speed.hostile`). Prints the figures, and keeps them in
    `bench/TIME/bench.json` of the folder `runs`. Raises UsageError for an unknown name, EnvironmentBroken, and
    ContractBroken if a server does not become ready.
    """
    if attacks := [name for name in names if name.partition(":")[0] == HOSTILE]:
        if len(attacks) < len(names):
            raise UsageError(f"{HOSTILE} is measured alone")
        try:
            return run_hostile([name.partition(":")[2] for name in attacks if ":" in name], runs)
        except ServerFailedError as problem:
            raise EnvironmentBroken(str(problem)) from problem
    measures = _chosen(names, IMAP)
    known = load_vendors()
    vendors = [known[name] for name in PEERS]
    ready_for_vendors(vendors, tell)
    folder = Places.find(runs=runs).runs / "bench" / time.strftime("%Y-%m-%d_%H-%M-%S")
    console = Console()
    lines: list[BenchFigure] = []
    crowd = CROWD if any(measure.name == "crowd" for measure in measures) else 0
    try:
        with servers(folder, vendors, crowd=crowd) as running:
            for measure in measures:
                console.print(measure.title, soft_wrap=True, highlight=False)
                for line in measured(measure, running):
                    console.print(f"  {told(line)}", soft_wrap=True, highlight=False, markup=False)
                    lines.append(line)
    except ServerFailedError as problem:
        raise EnvironmentBroken(f"nothing to compare: {problem}") from problem
    finally:
        _keep(folder, lines)
    missed = [line for line in lines if line.met is False]
    met = f"{len(lines) - len(missed)} of {len(lines)} targets met"
    console.print(f"{met}; figures: {folder / 'bench.json'}", soft_wrap=True)
    return EXIT_FAILED if missed else EXIT_OK


def _chosen(names: Sequence[str], all_of_them: Sequence[Measure]) -> Sequence[Measure]:
    known = {measure.name: measure for measure in all_of_them}
    for name in names:
        if name not in known:
            raise UsageError(f"there is no measure {name!r}: known are {', '.join(known)}")
    return [known[name] for name in names] or all_of_them


def told(line: BenchFigure) -> str:
    """Return a figure as a line of text: the values by server, the ratio, the target and whether it is met."""
    figures = ", ".join(f"{name} {figure:.4g}" for name, figure in line.medians.items())
    ratio = "" if line.ratio is None else f"; ratio {line.ratio:.2f}"
    word = {True: "met", False: "MISSED", None: "no peer"}[line.met]
    return f"{line.figure} ({line.target.unit}): {figures}{ratio}; {line.target}: {word}"


def _keep(folder: Path, lines: Sequence[BenchFigure]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    found = [asdict(line) | {"ratio": line.ratio, "met": line.met} for line in lines]
    text = json.dumps({"reference": REFERENCE, "figures": found}, indent=1, default=str)
    (folder / "bench.json").write_text(text + "\n", encoding="utf-8")
