"""The commands `lemonade vendor-check`, which checks an image, and `lemonade matrix`, which runs all combinations."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from rich.console import Console

from lemonade_testbed.output import Output
from lemonade_testbed.places import Places
from lemonade_testbed.progress import tell, watched
from lemonade_testbed.run import (
    DOCKER_JOBS,
    EXIT_CONTRACT,
    EXIT_NOTHING,
    EXIT_OK,
    overall,
)
from lemonade_testbed.scenario.world import ROLES
from lemonade_testbed.vendor_check.matrix import add_to_result, combinations, jobs_of, lines, table
from lemonade_testbed.vendors.catalogue import load_vendors
from lemonade_testbed.vendors.expected import see_expected
from lemonade_testbed.vendors.prepare import ready_for_vendors

AddCommand = Callable[..., argparse.ArgumentParser]


def add_commands(command: AddCommand, *parents: argparse.ArgumentParser) -> None:
    """Add both commands to the command line; `command` makes a sub-parser of a name, a function and a help text."""
    checker = command("vendor-check", vendor_check, "see whether an image keeps the vendor contract", *parents)
    checker.add_argument("--role", choices=ROLES, required=True, help="the node that it stands for")
    checker.add_argument("--image", required=True, metavar="IMAGE", help="the image, or a name of vendors.yaml")
    matrix = command("matrix", run_matrix, "run the scenarios with every known combination of peers", *parents)
    matrix.add_argument("names", nargs="*", metavar="NAME", help="scenarios, by name or file")
    matrix.add_argument("-j", "--jobs", type=int, default=DOCKER_JOBS, metavar="N", help="how many at a time")


def vendor_check(options: argparse.Namespace) -> int:
    """Carry out `lemonade vendor-check` for one image; returns exit code 4 if the image breaks the contract."""
    known = load_vendors()
    vendor = known.get(options.image)
    ready_for_vendors([vendor] if vendor else [], tell)
    from lemonade_testbed.vendor_check.contract import check  # noqa: PLC0415  the import takes a third of a second

    folder = Places.find(runs=options.runs).runs / "vendor-check" / time.strftime("%Y-%m-%d_%H-%M-%S")
    folder.mkdir(parents=True)
    verdict = check(options.role, vendor.image if vendor else options.image, folder)
    console = Console()
    for finding in verdict.findings:
        mark = {True: "kept  ", False: "BROKEN", None: "-     "}[finding.kept]
        console.print(
            f"{mark} {finding.name}: {finding.requirement}; seen: {finding.seen}", soft_wrap=True, markup=False
        )
    word = "keeps" if verdict.kept else "breaks"
    console.print(f"{verdict.image} {word} the vendor contract as {verdict.role}; evidence: {folder}", soft_wrap=True)
    return EXIT_OK if verdict.kept else EXIT_CONTRACT


def run_matrix(options: argparse.Namespace) -> int:
    """Carry out `lemonade matrix`: run the scenarios with all combinations; returns the exit code of all runs."""
    places = Places.find(options.scenarios, options.runs)
    known = load_vendors()
    scenarios = places.load(options.names)
    if not scenarios:
        return EXIT_NOTHING
    console = Console()
    see_expected(scenarios, list(known.values()))
    runtime = ready_for_vendors(known.values(), tell)
    jobs = jobs_of(scenarios, combinations(known))
    names = [job.name for job in jobs]
    with watched(places.runs, names, runtime, console, jobs=max(1, options.jobs)) as running:
        output = Output(running.folder, Console(quiet=True))
        ended = running.run(jobs)
    output.finish(ended)
    add_to_result(running.folder, ended)
    if console.is_terminal:
        console.print(table(ended))
    else:
        console.file.write("\n".join(lines(ended)) + "\n")
    console.print(f"evidence: {running.folder}", soft_wrap=True)
    return overall(ended)
