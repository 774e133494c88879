"""The command `lemonade bench`."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from lemonade_testbed.places import Places, UsageError
from lemonade_testbed.run import EXIT_FAILED, EXIT_OK
from lemonade_testbed.runtime.base import EnvironmentBroken
from lemonade_testbed.vendors.catalogue import REFERENCE, load_vendors
from lemonade_testbed.vendors.prepare import ready_for_vendors
from lemonade_testbed.watched import tell

if TYPE_CHECKING:
    from lemonade_testbed.speed.measures import Line, Measure

PEERS = ("dovecot", "cyrus")
"""Whom the reference IMAP server is measured beside."""


def add_command(command: Callable[..., argparse.ArgumentParser], runs: argparse.ArgumentParser) -> None:
    """Add the command; `command` makes a sub-parser of a name, a function and a text."""
    text = "measure the reference IMAP server beside those of other makers, in containers"
    bench = command("bench", run_bench, text, runs)
    bench.add_argument("names", nargs="*", metavar="MEASURE", help="some of the measures (default: all)")


def run_bench(options: argparse.Namespace) -> int:
    """Measure; exit 1 where a target is not met. Figures and ratios are printed, and kept in `bench.json`."""
    from lemonade_testbed.speed.client import ServerFailedError  # noqa: PLC0415  half a second that others save
    from lemonade_testbed.speed.measures import IMAP, measured  # noqa: PLC0415
    from lemonade_testbed.speed.servers import CROWD, servers  # noqa: PLC0415

    measures = _chosen(options.names, IMAP)
    known = load_vendors()
    vendors = [known[name] for name in PEERS]
    ready_for_vendors(vendors, tell)
    folder = Places.find(runs=options.runs).runs / "bench" / time.strftime("%Y-%m-%d_%H-%M-%S")
    console = Console()
    lines: list[Line] = []
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


def told(line: Line) -> str:
    """Return a line for people: figures by server, the ratio, the target and whether it is met."""
    figures = ", ".join(f"{name} {figure:.4g}" for name, figure in line.medians.items())
    ratio = "" if line.ratio is None else f"; ratio {line.ratio:.2f}"
    word = {True: "met", False: "MISSED", None: "no peer"}[line.met]
    return f"{line.figure} ({line.target.unit}): {figures}{ratio}; {line.target}: {word}"


def _keep(folder: Path, lines: Sequence[Line]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    found = [asdict(line) | {"ratio": line.ratio, "met": line.met} for line in lines]
    text = json.dumps({"reference": REFERENCE, "figures": found}, indent=1, default=str)
    (folder / "bench.json").write_text(text + "\n", encoding="utf-8")
