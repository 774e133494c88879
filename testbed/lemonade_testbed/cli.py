"""The `lemonade` command line: parses the arguments and carries out one sub-command.

Exit codes: 0 every scenario ended as expected, 1 a scenario failed, 2 wrong usage, 3 the environment is broken, 4 a
node broke the testbed's contract with nodes, 5 nothing ran; 128 and the signal's number after a signal.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from lemonade_testbed import listing, playground
from lemonade_testbed.capture.store import VIEWS
from lemonade_testbed.certs import add_command as add_certs
from lemonade_testbed.errors import ContractBroken, EnvironmentBroken
from lemonade_testbed.evidence import EvidenceError
from lemonade_testbed.faults import UnknownFaultError, known_faults, read_fault
from lemonade_testbed.output import Output, judge_again, print_proof_tally, print_proofs
from lemonade_testbed.ownmail import why_unheard
from lemonade_testbed.places import Places, UsageError, tools_folder
from lemonade_testbed.progress import tell, watched
from lemonade_testbed.prove import prove, unnamed
from lemonade_testbed.repeat import add_command as add_repeat
from lemonade_testbed.run import (
    DEFAULT_JOBS,
    DOCKER_JOBS,
    EXIT_CONTRACT,
    EXIT_ENVIRONMENT,
    EXIT_FAILED,
    EXIT_NOTHING,
    EXIT_OK,
    EXIT_USAGE,
    RUNTIMES,
    Ended,
    Job,
    overall,
)
from lemonade_testbed.runtime.choice import make_images, ready
from lemonade_testbed.runtime.local import installed_programs
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.scenario.world import ROLES
from lemonade_testbed.signals import Interrupted
from lemonade_testbed.vendor_check.command import add_commands
from lemonade_testbed.vendors.catalogue import MAIL_WAYS, chosen_vendors
from lemonade_testbed.vendors.expected import see_expected
from lemonade_testbed.vendors.prepare import ready_for_vendors
from lemonade_wire.profile import DRAFT_07, PROFILES
from lemonade_wire.script import ScriptError


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out the command of `argv` (by default of the process's arguments); returns its exit code."""
    options = _parser().parse_args(argv)
    sys.set_int_max_str_digits(0)  # a node may write numbers of any length, and the judge reads them
    try:
        code: int = options.command(options)
    except Interrupted as stopped:
        print(f"lemonade: {stopped}; everything it started is stopped", file=sys.stderr)  # noqa: T201
        return 128 + stopped.number
    except KeyboardInterrupt:
        return 130
    except (UsageError, ScriptError, UnknownFaultError, EvidenceError) as problem:
        return _say(problem, EXIT_USAGE)
    except EnvironmentBroken as problem:
        return _say(problem, EXIT_ENVIRONMENT)
    except ContractBroken as problem:
        return _say("\n    ".join((str(problem), *problem.log)), EXIT_CONTRACT)
    except BrokenPipeError:  # the reader of the output closed the pipe, as `head` does
        return EXIT_OK
    except OSError as problem:
        return _say(f"{problem}; is there room, and may you write there?", EXIT_ENVIRONMENT)
    return code


def _say(problem: object, code: int) -> int:
    print(f"lemonade: {problem}", file=sys.stderr)  # noqa: T201  a command line tool prints
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lemonade",
        description="Runs and judges scenarios of streaming internet messaging attachments.",
        epilog="Exit codes: 0 as expected, 1 a scenario failed, 2 a bad scenario or usage, 3 the environment is "
        "broken, 4 a node breaks the contract, 5 nothing ran.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    runs = argparse.ArgumentParser(add_help=False)
    runs.add_argument("--runs", type=Path, metavar="DIR", help="the folder of runs (default: runs)")
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument("--scenarios", type=Path, nargs="+", default=(), metavar="PATH", help="folders and files")

    def command(
        name: str, run: Callable[[argparse.Namespace], int], text: str, *parents: argparse.ArgumentParser
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text, parents=parents, allow_abbrev=False)
        added.set_defaults(command=run)
        return added

    run = command("run", _run, "run scenarios, side by side, and judge them", runs, where)
    prove_text = "show that every check can fail: run all faults, drop and swap all arrows"
    prover = command("prove", _prove, prove_text, runs, where)
    command("list", _list, "list the scenarios", where)
    for added in (run, prover):
        added.add_argument("names", nargs="*", metavar="NAME", help="scenarios, by name or file")
        jobs_text = f"how many at a time (default: {DEFAULT_JOBS}, in containers {DOCKER_JOBS})"
        added.add_argument("-j", "--jobs", type=_count, metavar="N", help=jobs_text)
    run_text = "default: auto, which is docker where an engine answers"
    run.add_argument("--runtime", choices=("auto", *sorted(RUNTIMES)), default="auto", help=run_text)
    prover.add_argument("--runtime", choices=("auto", *sorted(RUNTIMES)), default="local", help="default: local")
    run.add_argument("--all", action="store_true", help="run every scenario")
    run.add_argument("--message", type=Path, metavar="FILE", help="a mail of your own in place of the scenario's")
    run.add_argument("--fault", action="append", default=[], metavar="NODE=NAME", help="make a node wrong in one way")
    profile_text = "of scenarios that name none (default: draft-07)"
    run.add_argument("--profile", choices=sorted(PROFILES), default=DRAFT_07.name, help=profile_text)
    for role in ROLES:
        run.add_argument(f"--{role}", metavar="NAME", help=f"another {role} node: a name of vendors.yaml, or an image")
    mail_text = "who stores the message where --imap names a peer (default: what vendors.yaml says, else append)"
    run.add_argument("--mail", choices=MAIL_WAYS, help=mail_text)
    run.add_argument("--strict", action="store_true", help="a broken SHOULD fails too")
    run.add_argument("--json", action="store_true", help="print the result as JSON")
    judge = command("judge", _judge, "judge a run again, from its evidence alone")
    judge.add_argument("run", type=Path, metavar="RUN", help="a folder below runs, or runs/latest")
    judge.add_argument("--strict", action="store_true", help="a broken SHOULD fails too")
    from_text = "the evidence: the capture alone, the nodes' traces alone, or both, compared, the capture first"
    judge.add_argument("--from", dest="view", choices=VIEWS, default="both", help=f"{from_text} (default)")
    add_repeat(command, _count, runs, where)
    add_commands(command, runs, where)
    bench_text = "measure the reference IMAP server beside those of other makers, in containers; for a clone alone"
    command("bench", _bench, bench_text, runs).add_argument(
        "names", nargs="*", metavar="MEASURE", help="some of the measures (default: all)"
    )
    add_certs(command)
    command("verbs", lambda _: listing.verbs(Console()), "list the verbs of a client's script, with their arguments")
    command("checks", lambda _: listing.checks(Console()), "list the checks of a scenario")
    clauses = command("clauses", _clauses, "list the clauses, or what judges each of them", where)
    coverage_text = (
        "per clause what judges it, per scenario and check what they judge; exit code 1 where one lacks a proof"
    )
    clauses.add_argument("--coverage", action="store_true", help=coverage_text)
    clauses.add_argument("--page", type=Path, metavar="FILE", help="with --coverage: write the page of docs")
    images = command(
        "images", _images, "build the images of the nodes and of the capture, where they are not up to date"
    )
    images.add_argument("--base", action="store_true", help="make the base image of Debian packages, and no other")
    play = command("up", _up, "start both servers for playing by hand", runs)
    play.add_argument("--runtime", choices=("auto", *sorted(RUNTIMES)), default="auto", help=run_text)
    command("down", _down, "stop what `up` started", runs)
    return parser


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of jobs: 1 or more is expected")
    return int(text)


def _up(options: argparse.Namespace) -> int:
    return playground.up(Places.find(runs=options.runs).runs, Console(), options.runtime, tell)


def _down(options: argparse.Namespace) -> int:
    return playground.down(Places.find(runs=options.runs).runs, Console())


def _bench(options: argparse.Namespace) -> int:
    sys.path.insert(0, str(tools_folder()))
    code: int = importlib.import_module("speed.command").run_bench(options.names, options.runs)
    return code


def _images(options: argparse.Namespace) -> int:
    make_images(tell, base=options.base)
    return EXIT_OK


def _clauses(options: argparse.Namespace) -> int:
    if not options.coverage:
        return listing.clauses(Console())
    known = known_faults(installed_programs())
    scenarios = Places.find(options.scenarios).load(known_faults=known)
    return listing.coverage(scenarios, known, Console(), options.page)


def _list(options: argparse.Namespace) -> int:
    return listing.scenarios(Places.find(options.scenarios).load(), Console())


def _judge(options: argparse.Namespace) -> int:
    return judge_again(options.run, Console(), strict=options.strict, view=options.view)


def _run(options: argparse.Namespace) -> int:
    places = Places.find(options.scenarios, options.runs)
    if not options.names and not options.all and not options.scenarios:
        raise UsageError("which scenarios? Name them, or say --all; `lemonade list` lists them")
    if options.message is not None and not options.message.is_file():
        raise UsageError(f"{options.message}: no such file; --message takes a mail as it is stored (RFC 5322)")
    if options.message is not None and (why := why_unheard(options.message)):
        raise UsageError(f"{options.message}: {why}; --message takes a mail with an audio part")
    scenarios = places.load(options.names)
    faults = _faults(options.fault, scenarios)
    vendors = chosen_vendors(vars(options), faults)
    if not scenarios:
        return _say("there is no scenario to run", EXIT_NOTHING)
    see_expected(scenarios, vendors)
    console = Console(stderr=options.json)
    jobs = [
        Job(
            scenario,
            scenario.name,
            faults,
            options.message and options.message.absolute(),
            options.profile,
            vendors=vendors,
        )
        for scenario in scenarios
    ]
    ended, output = _walk(options, places, jobs, console)
    result = output.finish(ended)
    if options.json:
        sys.stdout.write(result)
    return overall(ended)


def _faults(texts: Sequence[str], scenarios: Sequence[Scenario]) -> Mapping[str, str]:
    if not texts:
        return {}
    known = known_faults(installed_programs())
    kinds = {name: kind for scenario in scenarios for name, kind in scenario.given.kinds.items()}
    return dict(read_fault(text, known, kinds) for text in texts)


def _walk(
    options: argparse.Namespace, places: Places, jobs: Sequence[Job], console: Console
) -> tuple[list[Ended], Output]:
    vendors = {vendor for job in jobs for vendor in job.vendors}
    runtime = ready_for_vendors(vendors, tell) if vendors else ready(options.runtime, tell)
    names = [job.name for job in jobs]
    with watched(places.runs, names, runtime, console, jobs=options.jobs, strict=options.strict) as running:
        output = Output(running.folder, console, strict=options.strict)
        ended = running.run(jobs)
    return ended, output


def _prove(options: argparse.Namespace) -> int:
    places = Places.find(options.scenarios, options.runs)
    known = known_faults(installed_programs())
    scenarios = places.load(options.names, known)
    if not scenarios:
        return _say("there is no scenario to prove", EXIT_NOTHING)
    console = Console()
    names = [scenario.name for scenario in scenarios]
    runtime = ready(options.runtime, tell)
    with watched(places.runs, names, runtime, console, jobs=options.jobs) as running:
        proofs = prove(running, scenarios)
    if not options.names:
        proofs += unnamed(known, scenarios)
    print_proofs(proofs, console)
    return EXIT_OK if print_proof_tally(proofs, running.folder, console) else EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main())
