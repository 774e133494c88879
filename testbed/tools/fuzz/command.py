"""Carries out `make fuzz`: fuzzes all targets side by side for a given time, and reports the errors that were found."""

from __future__ import annotations

import argparse
import os
import shutil
import time
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

from fuzz import corpus
from fuzz.target import FuzzTarget
from fuzz.worker import FuzzOutcome, FuzzWorker

PACKAGES = ("lemonade_wire", "lemonade_imap", "lemonade_media", "lemonade_client", "lemonade_testbed")


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and carry it out; returns exit code 1 if an error was found, 2 for a wrong call, else 0."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="for all targets together (default: 1)")
    parser.add_argument("--target", action="append", default=[], metavar="NAME", help="only this one (repeatable)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes side by side (default: CPUs)")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder for logs and errors (default: runs)")
    parser.add_argument("--keep", action="store_true", help="add the inputs that execute something new to the corpus")
    parser.add_argument("--repeat", type=Path, metavar="FILE", help="run the one target with this input, and end")
    options = parser.parse_args(arguments)
    targets = load_targets(instrumented=options.repeat is None)
    if unknown := [name for name in options.target if name not in targets]:
        parser.error(f"there is no target {unknown[0]!r}: known are {', '.join(targets)}")
    chosen = [targets[name] for name in options.target] or list(targets.values())
    if options.repeat is not None:
        if len(chosen) != 1:
            parser.error("--repeat needs one --target")
        return repeat(chosen[0], options.repeat.read_bytes())
    folder = options.runs / "fuzz"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return fuzz(chosen, options.minutes * 60, options.jobs, folder, keep=options.keep)


def load_targets(*, instrumented: bool) -> Mapping[str, FuzzTarget]:
    """Load the packages and return the table of targets; `instrumented`: so that atheris sees what inputs execute."""
    if instrumented:
        import atheris  # noqa: PLC0415  it is there for some machines only

        with atheris.instrument_imports(include=list(PACKAGES)):
            module = import_module("fuzz.targets")
    else:
        module = import_module("fuzz.targets")
    targets: Mapping[str, FuzzTarget] = module.TARGETS
    return targets


def repeat(target: FuzzTarget, octets: bytes) -> int:
    """Run a target with one input; prints the traceback of its error and returns 1, or returns 0 without an error."""
    try:
        target.call(octets)
    except Exception:
        traceback.print_exc()
        return 1
    print(f"{target.name}: no error")
    return 0


def fuzz(targets: Sequence[FuzzTarget], seconds: float, jobs: int, folder: Path, *, keep: bool = False) -> int:
    """Fuzz targets for `seconds` in all; prints a line for each, and returns exit code 1 if one has an error.

    Each target gets its share, in whole seconds, of the time that is left when its turn comes, and a second at least.
    """
    began = time.monotonic()
    waiting, running, errors = list(targets), dict[int, tuple[FuzzTarget, FuzzWorker]](), 0
    while waiting or running:
        while waiting and len(running) < jobs:
            left = began + seconds - time.monotonic()
            share = max(1, int(left * jobs / len(waiting)))
            target = waiting.pop(0)
            found, others = corpus.read_corpus(target.name)
            worker = FuzzWorker(target, [*target.seeds, *found, *others], share, folder)
            running[worker.pid] = target, worker
        pid, status = os.wait()
        if pid not in running:
            continue
        target, worker = running.pop(pid)
        outcome = worker.outcome(status)
        print(told(outcome), flush=True)
        errors += outcome.error is not None
        if keep and outcome.error is None:
            keep_inputs(target, outcome.kept)
    spent = time.monotonic() - began
    print(f"{len(targets)} targets, {errors} with an error, in {spent:.0f} s, {jobs} side by side")
    return 1 if errors else 0


def keep_inputs(target: FuzzTarget, inputs: Sequence[bytes]) -> None:
    """Add inputs to the corpus of a target, as far as they execute something new."""
    found, others = corpus.read_corpus(target.name)
    corpus.write_corpus(target.name, found, corpus.minimise(target, [*target.seeds, *found], [*others, *inputs]))


def told(outcome: FuzzOutcome) -> str:
    """Return an outcome as text: a line, and for an error its text and the command that repeats it."""
    line = f"{outcome.name}: {outcome.runs} inputs, {len(outcome.kept)} kept"
    if outcome.error is None:
        return line
    if outcome.input is None:
        return f"{line}\n  ERROR {outcome.error}"
    command = f'make fuzz ARGS="--target {outcome.name} --repeat {outcome.input}"'
    return f"{line}\n  ERROR {outcome.error}\n  {command}"
