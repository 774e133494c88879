from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from lemonade_testbed.clauses import SCENARIOS
from lemonade_testbed.errors import LoginRefused
from lemonade_testbed.ladder.model import LadderResult, Observed
from lemonade_testbed.ladder.parser import parse_ladder
from lemonade_testbed.run import (
    Ended,
    Job,
    ScenarioRunner,
    cap,
    client_script,
    exit_code,
    faults_by_name,
    overall,
    why_not_swapped,
)
from lemonade_testbed.runtime.local import LocalRuntime
from lemonade_testbed.runtime.processes import PIDS, marked
from lemonade_testbed.scenario.model import Given, Scenario
from lemonade_testbed.scenario.world import ServerSetup
from lemonade_testbed.vendors.catalogue import Vendor
from lemonade_testbed.verdict import Outcome, Verdict

Programs = Callable[..., dict[str, list[str]]]
PATIENCE = 30.0
"""Seconds that an action may take on a busy machine."""


def verdict(outcome: Outcome) -> Verdict:
    return Verdict("one", outcome, (), Observed(()), LadderResult(()))


@pytest.fixture
def scenario(tmp_path: Path) -> Scenario:
    (tmp_path / "mail.eml").write_text("Subject: x\n\nno sound\n")
    (tmp_path / "one.yaml").write_text("scenario: one\n")
    ladder = parse_ladder("client->>imap: IMAP FETCH BODYSTRUCTURE")
    given = Given("mail.eml", {"joe": "secret"}, identity=("mediaserver", "secret"))
    steps = ({"find-part": {"type": "audio/*"}},)
    return Scenario("one", "", "", (), {}, given, steps, ladder, (), (), tmp_path / "one.yaml", (tmp_path,))


@pytest.fixture
def runner(tmp_path: Path, fake_programs: Programs) -> Callable[..., ScenarioRunner]:
    def make(**modes: str) -> ScenarioRunner:
        runtime = partial(LocalRuntime, programs=fake_programs(**modes), patience=5)
        return ScenarioRunner(tmp_path / "runs", make_runtime=runtime)

    return make


@pytest.fixture
def green(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lemonade_testbed.run.judge", lambda _scenario, _evidence, _clauses: verdict(Outcome.PASS))


@pytest.mark.usefixtures("green")
def test_a_node_that_is_wrong_on_purpose_is_told_so_and_has_no_substitute(
    scenario: Scenario, runner: Callable[..., ScenarioRunner]
) -> None:
    wrong = replace(scenario, given=replace(scenario.given, wrong={"imap": "short-part", "media": "no-bye"}))
    vendor = Vendor("mine", "imap", "Mine", "mine:1")
    with runner().open() as running:
        ended = running.run([Job(wrong, "a", {"media": "burst"}), Job(wrong, "b", vendors=(vendor,))])
        told = json.loads((running.folder / "a" / "world.json").read_text())["faults"]
    assert told == {"imap": "short-part", "media": "burst"}
    assert ended[1].verdict.outcome is Outcome.UNSUPPORTED
    assert "wrong on purpose" in ended[1].verdict.reasons[0].seen


@pytest.mark.usefixtures("green")
def test_the_jobs_with_the_longest_media_start_first_and_the_results_keep_their_order(
    scenario: Scenario, runner: Callable[..., ScenarioRunner]
) -> None:
    started: list[str] = []
    fixtures = SCENARIOS / "fixtures"
    jobs = [
        Job(scenario, "none"),
        Job(scenario, "short", message=fixtures / "short.eml"),
        Job(scenario, "long", message=fixtures / "voicemail.eml"),
    ]
    one_at_a_time = replace(runner(), jobs=1, done=lambda ended: started.append(ended.job.name))
    with one_at_a_time.open() as running:
        assert [ended.job.name for ended in running.run(jobs)] == ["none", "short", "long"]
    assert started == ["long", "short", "none"]


@pytest.mark.usefixtures("green")
def test_jobs_run_side_by_side_each_in_its_folder(scenario: Scenario, runner: Callable[..., ScenarioRunner]) -> None:
    said: list[tuple[str, str]] = []
    with runner().open() as running:
        object.__setattr__(running.runner, "say", lambda name, state: said.append((name, state)))
        jobs = [Job(scenario, "a"), Job(scenario, "b", {"media": "no-bye"})]
        ended = running.run(jobs)
    assert [(one.job.name, one.code) for one in ended] == [("a", 0), ("b", 0)]
    folder = ended[1].folder
    assert folder == running.folder / "b"
    assert {path.name for path in folder.iterdir()} == {
        *("scenario.yaml", "script.json", "message.eml", "mail.eml", "world.json", "events.jsonl"),
        *("imap.log", "media.log", "client.log", "trace-testbed.jsonl", "trace-client.jsonl"),
    }
    assert json.loads((folder / "world.json").read_text())["faults"] == {"media": "no-bye"}
    appended = (folder / "trace-testbed.jsonl").read_text()
    assert "APPEND" in appended
    assert [json.loads(line)["n"] for line in appended.splitlines()] == list(range(1, appended.count("\n") + 1))
    assert [state for name, state in said if name == "a"] == [
        *("starting the nodes", "filling the mailbox", "running the client", "stopping the nodes", "judging", "pass")
    ]
    assert (running.folder.parent / "latest").resolve() == running.folder
    assert not (running.folder / PIDS).exists()


def test_a_refused_login_of_the_testbed_is_charged_to_the_imap_server(
    scenario: Scenario, runner: Callable[..., ScenarioRunner], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> None:
        raise LoginRefused("imap", "answered AUTHENTICATE with NO", ("last words",))

    monkeypatch.setattr("lemonade_testbed.run.append", refuse)
    with runner().open() as running:
        (ended,) = running.run([Job(scenario, "one")])
    (reason,) = ended.verdict.reasons
    assert (ended.code, ended.verdict.outcome) == (1, Outcome.FAIL)
    assert (reason.node, reason.clauses, reason.detail) == ("imap", ("RFC3501-6.2",), ("last words",))


@pytest.mark.parametrize(
    ("modes", "code", "seen"),
    [
        ({"imap": "exits"}, 4, "imap: ended with exit code 7 before it was ready"),
        ({"imap": "refuses"}, 4, "imap: refused the message: NO full"),
        ({"imap": "dies-of-append"}, 4, "imap: closed the connection before the answer to APPEND"),
        ({"media": "taken"}, 3, "is taken; stop what listens there"),
    ],
)
def test_a_failed_start_or_provisioning_is_an_error_with_its_exit_code(
    scenario: Scenario, runner: Callable[..., ScenarioRunner], modes: dict[str, str], code: int, seen: str
) -> None:
    with runner(**modes).open() as running:
        (ended,) = running.run([Job(scenario, "one")])
    assert ended.code == code
    assert ended.verdict.outcome is Outcome.ERROR
    assert seen in ended.verdict.reasons[0].seen
    if "imap" in modes:
        assert any("says hello" in line for line in ended.verdict.reasons[0].detail)
    assert marked(running.folder) == []


def test_an_exception_of_the_testbed_charges_no_node(
    scenario: Scenario, runner: Callable[..., ScenarioRunner], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Verdict:
        raise KeyError("oops")

    monkeypatch.setattr("lemonade_testbed.run.judge", broken)
    with runner().open() as running:
        (ended,) = running.run([Job(scenario, "one")])
    assert ended.code == 3
    assert ended.verdict.reasons[0].requirement == "The testbed does its part"
    assert "KeyError: 'oops'" in "".join(ended.verdict.reasons[0].detail)


@pytest.mark.usefixtures("green")
def test_two_runs_at_the_same_time_do_not_disturb_each_other(
    scenario: Scenario, runner: Callable[..., ScenarioRunner], tmp_path: Path
) -> None:
    program = RUNNER.format()
    other = subprocess.Popen([sys.executable, "-c", program, str(tmp_path), *commands_of(runner())])
    with runner().open() as running:
        ended = running.run([Job(scenario, name) for name in "abc"])
    assert [one.code for one in ended] == [0, 0, 0]
    assert other.wait(60) == 0
    folders = [path for path in (tmp_path / "runs").iterdir() if path.is_dir() and not path.is_symlink()]
    assert len(folders) == 2
    worlds = [json.loads(path.read_text()) for path in (tmp_path / "runs").glob("2*/*/world.json")]
    assert len(worlds) == 4
    assert all(world["exits"] == {"imap": 0, "media": 0, "client": 0} for world in worlds)


RUNNER = """
import sys
from functools import partial
from pathlib import Path
import lemonade_testbed.run as run
from lemonade_testbed.ladder.model import Observed
from lemonade_testbed.ladder.parser import parse_ladder
from lemonade_testbed.runtime.local import LocalRuntime
from lemonade_testbed.scenario.model import Given, Scenario
from lemonade_testbed.signals import Interrupted
from lemonade_testbed.ladder.model import LadderResult
from lemonade_testbed.verdict import Outcome, Verdict

home = Path(sys.argv[1])
words = sys.argv[2:]
programs = dict(zip(("imap", "media", "client"), (words[0:4], words[4:8], words[8:12])))
run.judge = lambda *_: Verdict("one", Outcome.PASS, (), Observed(()), LadderResult(()))
ladder = parse_ladder("client->>imap: IMAP FETCH BODYSTRUCTURE")
scenario = Scenario("one", "", "", (), {{}}, Given("mail.eml", {{"joe": "secret"}}), (), ladder, (), (),
                    home / "one.yaml", (home,))
runner = run.ScenarioRunner(home / "runs", make_runtime=partial(LocalRuntime, programs=programs),
                    say=lambda name, state: print(state, flush=True))
try:
    with runner.open() as running:
        print(running.folder, flush=True)
        running.run([run.Job(scenario, "one")])
except Interrupted as stopped:
    sys.exit(128 + stopped.number)
"""


def commands_of(runner: ScenarioRunner) -> list[str]:
    assert isinstance(runner.make_runtime, partial)
    programs = runner.make_runtime.keywords["programs"]
    return [word for role in ("imap", "media", "client") for word in programs[role]]


def start_hanging(tmp_path: Path, runner: ScenarioRunner) -> tuple[subprocess.Popen[str], Path]:
    """Start a runner in a process of its own, whose nodes ignore TERM, and wait until its client runs."""
    program = RUNNER.format()
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path), *commands_of(runner)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
    while (line := process.stdout.readline()) != "running the client\n":
        assert line, "the runner ended"
    deadline = time.monotonic() + PATIENCE
    while len(marked(folder)) < 4:  # imap with a deaf child, media, client
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process, folder


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.usefixtures("scenario")
def test_a_signal_stops_everything(
    tmp_path: Path, runner: Callable[..., ScenarioRunner], number: signal.Signals
) -> None:
    process, folder = start_hanging(tmp_path, runner(client="hangs", imap="deaf"))
    process.send_signal(number)
    deadline = time.monotonic() + PATIENCE
    while len(marked(folder)) == 4:
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGINT)  # a second signal changes nothing
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + number
    assert marked(folder) == []
    assert not (folder / PIDS).exists()


@pytest.mark.usefixtures("green")
def test_processes_of_a_killed_runner_are_killed_by_the_next_start(
    tmp_path: Path, runner: Callable[..., ScenarioRunner], scenario: Scenario
) -> None:
    process, folder = start_hanging(tmp_path, runner(client="hangs", imap="deaf"))
    process.kill()
    process.communicate()
    assert len(marked(folder)) == 4
    with runner().open() as running:
        deadline = time.monotonic() + 5
        while marked(folder):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        (ended,) = running.run([Job(scenario, "one")])
    assert ended.code == 0


def test_the_clients_script_holds_the_account_the_server_and_the_steps(scenario: Scenario) -> None:
    script = json.loads(client_script(scenario, 12.02))
    assert script == {
        "account": {"host": "imap.example.com", "user": "joe", "password": "secret"},
        "media": "sip:media.example.net",
        "media-length": "12.020",
        "steps": [{"find-part": {"type": "audio/*"}}],
    }
    assert "media-length" not in json.loads(client_script(scenario, None))


def test_the_cap_grows_with_the_message() -> None:
    assert (cap(None), cap(12.0), cap(30.0), cap(100.0)) == (60, 60, 60, 130)


def test_the_exit_code_of_a_run_is_that_of_its_worst_job(scenario: Scenario) -> None:
    def ended(outcome: Outcome, code: int | None = None, strict: bool = False) -> Ended:
        one = verdict(outcome)
        return Ended(Job(scenario, "x"), Path(), one, 1.0, exit_code(one, strict=strict) if code is None else code)

    good, bad, odd = ended(Outcome.PASS), ended(Outcome.FAIL), ended(Outcome.UNSUPPORTED)
    broken, trouble = ended(Outcome.ERROR, 4), ended(Outcome.ERROR)
    assert overall([good, odd]) == 0
    assert overall([good, bad, bad]) == 1
    assert overall([bad, broken]) == 4
    assert overall([bad, broken, trouble]) == 3
    assert overall([]) == overall([odd]) == 5
    assert overall([ended(Outcome.NONSTRICT)]) == 0
    assert overall([ended(Outcome.NONSTRICT, strict=True)]) == 1


def test_a_fault_of_a_role_is_that_of_all_its_nodes_and_a_node_s_own_comes_first(scenario: Scenario) -> None:
    servers = (
        ServerSetup("imap", "imap"),
        ServerSetup("ms1", "media"),
        ServerSetup("ms2", "media"),
        ServerSetup("ms3", "media", "dead"),
    )
    given = replace(scenario.given, servers=servers, wrong={"media": "burst", "ms2": "no-bye"})
    assert faults_by_name(given, given.wrong) == {"ms1": "burst", "ms2": "no-bye"}
    assert faults_by_name(given, {"client": "no-ack", "relay": "passes-all"}) == {
        "client": "no-ack",
        "relay": "passes-all",
    }


def test_a_peer_stands_for_no_node_that_is_one_of_several(scenario: Scenario) -> None:
    peer = Vendor("other", "media", "image", "image", listed=False)
    several = replace(
        scenario.given, servers=(ServerSetup("imap", "imap"), ServerSetup("ms1", "media"), ServerSetup("ms2", "media"))
    )
    assert why_not_swapped(scenario.given, (peer,)) == ""
    assert "several media nodes" in why_not_swapped(several, (peer,))
    assert "wrong on purpose" in why_not_swapped(replace(scenario.given, wrong={"media": "burst"}), (peer,))


def test_the_client_is_configured_with_the_first_servers(scenario: Scenario) -> None:
    servers = (
        ServerSetup("imap1", "imap"),
        ServerSetup("imap2", "imap"),
        ServerSetup("ms1", "media"),
        ServerSetup("ms2", "media"),
    )
    several = replace(scenario, given=replace(scenario.given, servers=servers, account="imap2"))
    script = json.loads(client_script(several, None))
    assert (script["account"]["host"], script["media"]) == ("imap2.example.com", "sip:ms1.example.net")
