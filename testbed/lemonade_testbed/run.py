"""Runs scenarios side by side: one world each, then judged, then reported."""

from __future__ import annotations

import json
import secrets
import shutil
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lemonade_testbed.audio.part import media_length
from lemonade_testbed.capture.store import load_run
from lemonade_testbed.clauses import SCENARIOS
from lemonade_testbed.judge import judge
from lemonade_testbed.ladder.model import Observed
from lemonade_testbed.ownmail import why_too_short
from lemonade_testbed.prune import new_run, point_latest, prune
from lemonade_testbed.runtime.base import ContractBroken, EnvironmentBroken, Runtime, Stopped
from lemonade_testbed.runtime.local import LocalRuntime
from lemonade_testbed.runtime.processes import ProcessTable, reap
from lemonade_testbed.runtime.provision import append
from lemonade_testbed.runtime.world import IMAP_NAME, MEDIA_NAME, SERVERS, Setup
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.signals import ignore_signals, interruptible
from lemonade_testbed.vendors.catalogue import Vendor, write_vendors
from lemonade_testbed.vendors.expected import compare
from lemonade_testbed.verdict import LadderResult, Outcome, Reason, Verdict

CAP = 60.0
"""Seconds that a scenario's client may take."""
BEYOND_MEDIA = 30.0
"""Seconds above the media's length, where that makes a longer cap."""
DEFAULT_JOBS = 6
DOCKER_JOBS = 3

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_ENVIRONMENT, EXIT_CONTRACT, EXIT_NOTHING = range(6)

MakeRuntime = Callable[[ProcessTable], Runtime]


def _docker(table: ProcessTable) -> Runtime:
    from lemonade_testbed.runtime.docker_runtime import DockerRuntime  # noqa: PLC0415  half a second that others save

    return DockerRuntime(table)


RUNTIMES: Mapping[str, MakeRuntime] = {"docker": _docker, "local": LocalRuntime}
Say = Callable[[str, str], None]


@dataclass(frozen=True)
class Job:
    """One run of one scenario; `name` is also its folder's. `faults`: role to fault; `message` replaces the mail;
    `vendors` stand in the place of reference nodes.
    """

    scenario: Scenario
    name: str
    faults: Mapping[str, str] = field(default_factory=dict)
    message: Path | None = None
    profile: str = "draft-07"
    seed: int = 1
    vendors: tuple[Vendor, ...] = ()


@dataclass(frozen=True)
class Ended:
    """How a job ended: its verdict, its folder, what it took in seconds, and the exit code that it stands for."""

    job: Job
    folder: Path
    verdict: Verdict
    seconds: float
    code: int


@dataclass(frozen=True)
class Runner:
    """Where and how jobs are run.

    `runs`: the folder of all runs; `jobs`: how many at a time; `strict`: SHOULDs count as MUSTs; `say` is told the
    name of a job and what it is doing, `done` each end as it comes (from the job's own thread).
    """

    runs: Path
    jobs: int = DEFAULT_JOBS
    strict: bool = False
    make_runtime: MakeRuntime = LocalRuntime
    say: Say = lambda _name, _state: None
    done: Callable[[Ended], None] = lambda _ended: None

    @contextmanager
    def open(self) -> Iterator[Running]:
        """Take a folder for the run; whatever ends the block (a signal too) ends every process of the run.

        What killed runs left behind is reaped first, and old runs are pruned.
        """
        with interruptible():
            self.runs.mkdir(parents=True, exist_ok=True)
            reap(self.runs)
            folder = new_run(self.runs)
            table = ProcessTable(folder)
            try:
                prune(self.runs)
                yield Running(self, folder, table)
            finally:
                ignore_signals()
                table.stop()
                point_latest(folder)


@dataclass(frozen=True)
class Running:
    """A run that goes on, in `folder`."""

    runner: Runner
    folder: Path
    table: ProcessTable

    def run(self, jobs: Sequence[Job]) -> list[Ended]:
        """Run jobs side by side; returns their ends in the order of `jobs`."""
        pool = ThreadPoolExecutor(max(1, self.runner.jobs), thread_name_prefix="scenario")
        try:
            return list(pool.map(self._one, jobs))
        except BaseException:
            ignore_signals()
            self.table.stop()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _one(self, job: Job) -> Ended:
        folder = self.folder / job.name
        began = time.monotonic()
        try:
            folder.mkdir()
            if why := why_too_short(job.scenario, media_length(job.message) if job.message else None):
                return self._ended(job, folder, _unsupported(job.scenario, why), began)
            if swapped := [vendor for vendor in job.vendors if vendor.role in job.scenario.given.wrong]:
                why = f"{swapped[0].name} in the place of an {swapped[0].role} node that is wrong on purpose"
                return self._ended(job, folder, _unsupported(job.scenario, why), began)
            self._walk(job, folder)
            self.runner.say(job.name, "judging")
            verdict = compare(judge(job.scenario, load_run(folder)), job.scenario, job.vendors)
            return self._ended(job, folder, verdict, began)
        except Stopped:
            raise
        except Exception as trouble:
            if self.table.stopping.is_set():
                raise Stopped from trouble
            verdict, code = _trouble(job.scenario, trouble)
            return self._ended(job, folder, verdict, began, code)

    def _ended(self, job: Job, folder: Path, verdict: Verdict, began: float, code: int | None = None) -> Ended:
        code = exit_code(verdict, strict=self.runner.strict) if code is None else code
        ended = Ended(job, folder, verdict, time.monotonic() - began, code)
        self.runner.say(job.name, verdict.outcome.value)
        self.runner.done(ended)
        return ended

    def _runtime(self, job: Job, folder: Path) -> Runtime:
        if not job.vendors:
            return self.runner.make_runtime(self.table)
        from lemonade_testbed.vendors.runtime import VendorRuntime  # noqa: PLC0415  half a second that others save

        write_vendors(folder, job.vendors)
        given, _ = job.scenario.given.owner
        place = f"{given}/{job.scenario.given.mailbox}/message.eml"
        return VendorRuntime(self.table, job.vendors, {place: folder / "message.eml"})

    def _walk(self, job: Job, folder: Path) -> None:
        """Run the scenario's nodes and leave the evidence in `folder`."""
        message = folder / "message.eml"
        shutil.copyfile(job.scenario.path, folder / "scenario.yaml")
        shutil.copyfile(job.message or job.scenario.message_path(), message)
        _keep_name(folder, job.scenario.given.message)
        for name in job.scenario.spoken():
            shutil.copyfile(job.scenario.file(name), folder / name)
        length = media_length(message)
        script = folder / "script.json"
        script.write_text(client_script(job.scenario, length), encoding="utf-8")
        runtime = self._runtime(job, folder)
        self.runner.say(job.name, "starting the nodes")
        world = runtime.prepare(_setup(job, folder))
        world.media_length = length
        try:
            runtime.start(SERVERS)
            self.runner.say(job.name, "filling the mailbox")
            given = job.scenario.given
            if all(vendor.mail == "append" for vendor in job.vendors):
                append(world, runtime.trace, given.owner, given.mailbox, message.read_bytes())
            self.runner.say(job.name, "running the client")
            runtime.exec_client(script, cap(length))
            self.runner.say(job.name, "stopping the nodes")
        finally:
            runtime.stop()
            runtime.collect()


def _keep_name(folder: Path, name: str) -> None:
    """Let the run's own copy of the scenario find its message, which may have lain beside the scenario alone."""
    place = folder / name
    elsewhere = Path(name).is_absolute() or ".." in Path(name).parts or (SCENARIOS / "fixtures" / name).is_file()
    if not elsewhere and not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to("../" * (len(Path(name).parts) - 1) + "message.eml")


def cap(length: float | None) -> float:
    """Return the seconds that the client may take for a message whose media play `length` seconds."""
    return max(CAP, (length or 0.0) + BEYOND_MEDIA)


def client_script(scenario: Scenario, length: float | None) -> str:
    """Return the client's script for a scenario, as JSON."""
    user, password = scenario.given.owner
    script: dict[str, object] = {
        "account": {"host": IMAP_NAME, "user": user, "password": password},
        "media": f"sip:{MEDIA_NAME}",
    }
    if length:
        script["media-length"] = f"{length:.3f}"
    return json.dumps(script | {"steps": [dict(step) for step in scenario.client]}, indent=1) + "\n"


def exit_code(verdict: Verdict, *, strict: bool) -> int:
    """Return the exit code that one verdict stands for."""
    if verdict.outcome is Outcome.ERROR:
        return EXIT_ENVIRONMENT
    return EXIT_FAILED if verdict.failed(strict) else EXIT_OK


def overall(ended: Sequence[Ended]) -> int:
    """Return the exit code of a whole run: the testbed's trouble, then a broken contract, then a failure.

    A run in which every scenario is unsupported has shown nothing: that is `nothing ran`.
    """
    if all(one.verdict.outcome is Outcome.UNSUPPORTED for one in ended):
        return EXIT_NOTHING
    codes = {one.code for one in ended}
    return next((code for code in (EXIT_ENVIRONMENT, EXIT_CONTRACT, EXIT_FAILED) if code in codes), EXIT_OK)


def _setup(job: Job, folder: Path) -> Setup:
    given = job.scenario.given
    return Setup(
        folder=folder,
        users=given.users,
        identity=given.identity,
        submit_users=given.submit_users,
        applications=given.applications,
        media_servers=given.media_servers or None,
        fetch_users=given.fetch_users,
        anonymous_life=given.anonymous_life,
        trusted_caller=given.trusted_caller,
        profile=job.profile,
        salt=secrets.token_hex(16),
        seed=job.seed,
        services=given.services,
        imap_idle=given.imap_idle,
        imap_contact=given.imap_contact,
        tls=given.tls,
        smime=given.smime,
        imap_fetch_time=given.imap_fetch_time,
        imap_max_part=given.imap_max_part,
        faults={**given.wrong, **job.faults},
        relay=job.scenario.relay,
        scenario=job.scenario.name,
    )


def _unsupported(scenario: Scenario, why: str) -> Verdict:
    reason = Reason(None, "Mail and peers fit the scenario", "the world it asks for", why, (), Outcome.UNSUPPORTED)
    return Verdict(scenario.name, Outcome.UNSUPPORTED, (reason,), Observed(()), LadderResult(()))


def _trouble(scenario: Scenario, trouble: Exception) -> tuple[Verdict, int]:
    """Return a verdict that blames nobody on the wire, and its exit code."""
    code = EXIT_ENVIRONMENT
    detail: tuple[str, ...] = ()
    if isinstance(trouble, ContractBroken):
        code, requirement, detail = EXIT_CONTRACT, "A node is ready by its protocol and stays so", trouble.log
    elif isinstance(trouble, EnvironmentBroken):
        requirement = "The machine lets the testbed run"
    else:
        requirement, detail = "The testbed does its part", tuple(traceback.format_exception(trouble))
    reason = Reason(None, requirement, "no trouble", str(trouble) or repr(trouble), (), Outcome.ERROR, detail)
    return Verdict(scenario.name, Outcome.ERROR, (reason,), Observed(()), LadderResult(())), code
