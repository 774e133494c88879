"""Runs scenarios in parallel: each has its own nodes and addresses, and is judged from its evidence."""

from __future__ import annotations

import json
import secrets
import shutil
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lemonade_testbed.audio.part import media_length
from lemonade_testbed.capture.store import load_run
from lemonade_testbed.clauses import SCENARIOS, load_clauses
from lemonade_testbed.errors import ContractBroken, EnvironmentBroken, LoginRefused, RunStopped
from lemonade_testbed.judge import judge
from lemonade_testbed.ladder.model import LadderResult, Observed
from lemonade_testbed.ownmail import why_too_short
from lemonade_testbed.places import new_run, point_latest, prune
from lemonade_testbed.runtime.base import Runtime
from lemonade_testbed.runtime.local import LocalRuntime
from lemonade_testbed.runtime.processes import ProcessTable, reap
from lemonade_testbed.runtime.provision import append
from lemonade_testbed.scenario.model import Given, Scenario
from lemonade_testbed.scenario.world import Setup
from lemonade_testbed.signals import ignore_signals, interruptible
from lemonade_testbed.vendors.catalogue import Vendor, write_vendors
from lemonade_testbed.vendors.expected import compare
from lemonade_testbed.verdict import Outcome, Place, Reason, Verdict
from lemonade_wire.profile import DRAFT_07

CAP = 60.0
"""Seconds after which a scenario's client is stopped."""
BEYOND_MEDIA = 30.0
"""Seconds that the client may take beyond the media's length, if the sum is above CAP."""
_SIGNALS_WITHIN = 0.5
"""Seconds within which a signal is handled while jobs run."""
DEFAULT_JOBS = 6
DOCKER_JOBS = 3

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_ENVIRONMENT, EXIT_CONTRACT, EXIT_NOTHING = range(6)

MakeRuntime = Callable[[ProcessTable], Runtime]


def _docker(table: ProcessTable) -> Runtime:
    from lemonade_testbed.runtime.docker_runtime import DockerRuntime  # noqa: PLC0415  the import takes half a second

    return DockerRuntime(table)


RUNTIMES: Mapping[str, MakeRuntime] = {"docker": _docker, "local": LocalRuntime}
Say = Callable[[str, str], None]


@dataclass(frozen=True)
class Job:
    """An order to run one scenario once.

    `name` is the name of its folder too. `faults` maps a node, by its name or its role, to a fault. `message` replaces
    the scenario's mail. `default_profile` is used if the scenario names no profile. `vendors` are other makers' nodes,
    which replace reference nodes.
    """

    scenario: Scenario
    name: str
    faults: Mapping[str, str] = field(default_factory=dict)
    message: Path | None = None
    default_profile: str = DRAFT_07.name
    seed: int = 1
    vendors: tuple[Vendor, ...] = ()

    @property
    def profile(self) -> str:
        """The name of the protocol profile that the nodes are started with."""
        return self.scenario.profile or self.default_profile


@dataclass(frozen=True)
class Ended:
    """The result of a job: its folder, its verdict, the seconds that it took, and its exit code."""

    job: Job
    folder: Path
    verdict: Verdict
    seconds: float
    code: int


@dataclass(frozen=True)
class ScenarioRunner:
    """The settings with which jobs are run.

    `runs` is the folder of all runs, `jobs` the number of jobs at a time; with `strict` a broken SHOULD fails too.
    `say` is called with a job's name and its state, `done` with each result; both are called in the job's own thread.
    """

    runs: Path
    jobs: int = DEFAULT_JOBS
    strict: bool = False
    make_runtime: MakeRuntime = LocalRuntime
    say: Say = lambda _name, _state: None
    done: Callable[[Ended], None] = lambda _ended: None

    @contextmanager
    def open(self) -> Iterator[Running]:
        """Make a folder for a run; when the block ends, also by a signal, every process of the run is stopped.

        Processes that killed runs left behind are killed first, and old runs are pruned.
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
    """A run in progress: `folder` is its folder, and `table` holds its processes."""

    runner: ScenarioRunner
    folder: Path
    table: ProcessTable

    def run(self, jobs: Sequence[Job], at_once: int | None = None) -> list[Ended]:
        """Run jobs in parallel, at most `at_once` at a time; returns their results in the order of `jobs`.

        The jobs with the longest media start first, so that none of them runs alone at the end.
        """
        if len(jobs) > 1:
            self.table.fork_nodes()
        pool = ThreadPoolExecutor(
            max(1, min(at_once or self.runner.jobs, self.runner.jobs)), thread_name_prefix="scenario"
        )
        try:
            results = {place: pool.submit(self._one, jobs[place]) for place in _longest_first(jobs)}
            _wait_for(results.values())
            return [results[place].result() for place in range(len(jobs))]
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
            if why := why_not_swapped(job.scenario.given, job.vendors):
                return self._ended(job, folder, _unsupported(job.scenario, why), began)
            self._walk(job, folder)
            self.runner.say(job.name, "judging")
            verdict = compare(judge(job.scenario, load_run(folder), load_clauses()), job.scenario, job.vendors)
            return self._ended(job, folder, verdict, began)
        except RunStopped:
            raise
        except Exception as trouble:
            if self.table.stopping.is_set():
                raise RunStopped from trouble
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
        from lemonade_testbed.vendors.runtime import VendorRuntime  # noqa: PLC0415  the import takes half a second

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
            runtime.start([server.name for server in world.setup.servers])
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


def _wait_for(futures: Iterable[Future[Ended]]) -> None:
    """Wait until all are done, or raise the first exception.

    The wait is cut into short ones: a signal that another thread takes does not wake the main thread, which handles it.
    """
    left = set(futures)
    while left:
        done, left = wait(left, timeout=_SIGNALS_WITHIN, return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()


def _longest_first(jobs: Sequence[Job]) -> list[int]:
    """Return the places of the jobs, those with the longest media first."""
    mails = [job.message or job.scenario.message_path() for job in jobs]
    seconds = {mail: media_length(mail) or 0.0 for mail in set(mails)}
    return sorted(range(len(jobs)), key=lambda place: -seconds[mails[place]])


def _keep_name(folder: Path, name: str) -> None:
    """Link the message under the scenario's name for it, so that the scenario's copy in the run's folder finds it.

    This is needed only if the message lay beside the scenario's file, not in `fixtures` or under an absolute path.
    """
    place = folder / name
    elsewhere = Path(name).is_absolute() or ".." in Path(name).parts or (SCENARIOS / "fixtures" / name).is_file()
    if not elsewhere and not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to("../" * (len(Path(name).parts) - 1) + "message.eml")


def why_not_swapped(given: Given, vendors: Sequence[Vendor]) -> str:
    """Return the reason why these peers cannot replace the scenario's nodes, or an empty text if they can."""
    for vendor in vendors:
        if vendor.role in given.wrong:
            return f"{vendor.name} in the place of an {vendor.role} node that is wrong on purpose"
        if vendor.role not in given.kinds:
            return f"{vendor.name} in the place of several {vendor.role} nodes, of which each has a part of its own"
    return ""


def cap(length: float | None) -> float:
    """Return the seconds after which the client is stopped, for media of `length` seconds."""
    return max(CAP, (length or 0.0) + BEYOND_MEDIA)


def client_script(scenario: Scenario, length: float | None) -> str:
    """Return the client's script for a scenario, as JSON; `length` is the media's length in seconds."""
    user, password = scenario.given.owner
    imap, media = scenario.given.first("imap"), scenario.given.first("media")
    script: dict[str, object] = {
        "account": {"host": imap.host, "user": user, "password": password},
        "media": f"sip:{media.host}",
    }
    if length:
        script["media-length"] = f"{length:.3f}"
    return json.dumps(script | {"steps": [dict(step) for step in scenario.client]}, indent=1) + "\n"


def exit_code(verdict: Verdict, *, strict: bool) -> int:
    """Return the exit code for one verdict."""
    if verdict.outcome is Outcome.ERROR:
        return EXIT_ENVIRONMENT
    return EXIT_FAILED if verdict.failed(strict) else EXIT_OK


def overall(ended: Sequence[Ended]) -> int:
    """Return the exit code of a whole run.

    If jobs have different codes, a broken environment comes before a broken contract, and that before a failed
    scenario. If every scenario is unsupported, the code is that of `nothing ran`.
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
        faults=faults_by_name(given, given.wrong) | faults_by_name(given, job.faults),
        relay=job.scenario.relay,
        scenario=job.scenario.name,
        servers=given.servers,
        account=given.account,
    )


def faults_by_name(given: Given, faults: Mapping[str, str]) -> dict[str, str]:
    """Return the faults by node name; a role's fault applies to all its nodes that have no fault of their own."""
    by_role = sorted(faults.items(), key=lambda item: item[0] in given.kinds)
    return {name: fault for node, fault in by_role for name in given.named(node)}


def _unsupported(scenario: Scenario, why: str) -> Verdict:
    reason = Reason(None, "Mail and peers fit the scenario", "the world it asks for", why, (), Outcome.UNSUPPORTED)
    return Verdict(scenario.name, Outcome.UNSUPPORTED, (reason,), Observed(()), LadderResult(()))


def _trouble(scenario: Scenario, trouble: Exception) -> tuple[Verdict, int]:
    """Return a verdict for an exception, and its exit code.

    A refused login of the testbed is charged to the IMAP server; no other exception charges a node with an error of a
    protocol.
    """
    if isinstance(trouble, LoginRefused):
        return _login_refused(scenario, trouble), EXIT_FAILED
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


def _login_refused(scenario: Scenario, refused: LoginRefused) -> Verdict:
    requirement = "The IMAP server accepts a login with the credentials of an account"
    place = Place("check", "right passwords are accepted")
    reason = Reason(
        place, requirement, "OK", refused.why, ("RFC3501-6.2",), detail=refused.log, node=refused.role, role="imap"
    )
    return Verdict(scenario.name, Outcome.FAIL, (reason,), Observed(()), LadderResult(()))
