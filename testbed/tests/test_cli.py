from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from lemonade_testbed import cli, places
from lemonade_testbed.ladder.model import LadderResult, Observed
from lemonade_testbed.run import RUNTIMES
from lemonade_testbed.runtime.local import LocalRuntime
from lemonade_testbed.verdict import Outcome, Place, Reason, Verdict

SCENARIO = """\
scenario: one
title: A part is found
from: section 2.9.1
clauses: [LS-2.1-1]
given:
  message: mail.eml
  users: {joe: secret}
client:
  - find-part: {type: audio/*}
ladder: |
  client->>imap: IMAP FETCH BODYSTRUCTURE  %% LS-2.1-1
  imap-->>client: IMAP OK FETCH
"""


VOICE = Path(__file__).parents[2] / "scenarios" / "fixtures" / "voicemail.eml"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder with one scenario the current folder, and return it."""
    folder = tmp_path / "scenarios"
    folder.mkdir()
    (folder / "one.yaml").write_text(SCENARIO)
    (folder / "mail.eml").write_text("Subject: x\n\nno sound\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def nodes(fake_programs: Callable[..., dict[str, list[str]]], monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def use(**modes: str) -> None:
        programs = fake_programs(**modes)
        monkeypatch.setitem(RUNTIMES, "local", partial(LocalRuntime, programs=programs, patience=5))
        monkeypatch.setattr(cli, "installed_programs", lambda: programs)
        monkeypatch.setattr(cli, "ready", lambda _name, _say: "local")

    use()
    return use


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> Callable[[Outcome], None]:
    """Let the judge return the same verdict for every run."""

    def say(outcome: Outcome) -> None:
        place = Place("arrow", "client->>imap: IMAP FETCH BODYSTRUCTURE")
        reasons = () if outcome is Outcome.PASS else (Reason(place, "must", "this", "that", (), outcome),)
        verdict = Verdict("one", outcome, reasons, Observed(()), LadderResult(()))
        monkeypatch.setattr("lemonade_testbed.run.judge", lambda *_: verdict)
        monkeypatch.setattr("lemonade_testbed.output.judge", lambda *_: verdict)

    say(Outcome.PASS)
    return say


@pytest.mark.usefixtures("nodes")
@pytest.mark.parametrize(
    ("outcome", "options", "code"),
    [
        (Outcome.PASS, [], 0),
        (Outcome.FAIL, [], 1),
        (Outcome.NONSTRICT, [], 0),
        (Outcome.NONSTRICT, ["--strict"], 1),
        (Outcome.ERROR, [], 3),
        (Outcome.UNSUPPORTED, [], 5),
    ],
)
def test_a_verdict_has_its_exit_code(
    home: Path, judged: Callable[[Outcome], None], outcome: Outcome, options: list[str], code: int
) -> None:
    judged(outcome)
    assert cli.main(["run", "--all", *options]) == code
    folder = home / "runs" / "latest" / "one"
    assert outcome.value in (folder / "verdict.txt").read_text().lower()
    assert (folder / "ladder.md").exists()
    assert (folder.parent / "junit.xml").read_text().startswith("<")
    assert cli.main(["judge", str(folder), *options]) == code
    assert cli.main(["judge", "runs/latest", *options]) == code


@pytest.mark.usefixtures("home", "judged")
@pytest.mark.parametrize(
    ("modes", "code", "said"),
    [
        ({"imap": "exits"}, 4, "imap: ended with exit code 7 before it was ready"),
        ({"media": "taken"}, 3, "is taken; stop what listens there"),
    ],
)
def test_a_failed_start_has_its_exit_code_and_message(
    nodes: Callable[..., None], capsys: pytest.CaptureFixture[str], modes: dict[str, str], code: int, said: str
) -> None:
    nodes(**modes)
    assert cli.main(["run", "one"]) == code
    assert said in capsys.readouterr().out


@pytest.mark.usefixtures("nodes", "judged")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run"], "which scenarios? Name them, or say --all"),
        (["run", "on"], "no scenario 'on'; did you mean 'one'?"),
        (["run", "one", "--message", "nope.eml"], "nope.eml: no such file"),
        (["run", "one", "--message", "scenarios/mail.eml"], "mail.eml has no audio or video part"),
        (["run", "one", "--fault", "media=no-by"], "did you mean 'no-bye'?"),
        (["run", "--all", "--scenarios", "nowhere"], "nowhere is not there"),
        (["judge", "nowhere"], "nowhere is no run"),
    ],
)
def test_bad_usage_exits_with_2_and_says_what_is_allowed(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert cli.main(arguments) == 2
    assert said in capsys.readouterr().err
    assert not (home / "runs").exists()


def test_numbers_of_any_length_are_read(home: Path) -> None:
    before = sys.get_int_max_str_digits()
    try:
        cli.main(["list"])
        assert int("9" * 5000) > 0
    finally:
        sys.set_int_max_str_digits(before)


def test_bench_runs_the_program_of_the_clone(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert cli.main(["bench", "nothing"]) == 2
    assert "there is no measure 'nothing': known are urlfetch-big," in capsys.readouterr().err
    assert not (home / "runs").exists()


def test_bench_needs_a_clone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "TOOLS", tmp_path / "testbed/tools")
    assert cli.main(["bench", "nothing"]) == 2
    assert "needs a clone of the repository" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [[], ["runn"], ["run", "--al"], ["run", "-j", "0"], ["run", "--runtime", "vagrant"]]
)
def test_invalid_arguments_exit_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2


@pytest.mark.usefixtures("nodes", "judged")
def test_an_invalid_scenario_exits_with_2_and_names_file_and_line(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "scenarios" / "one.yaml").write_text(SCENARIO.replace("find-part", "find-prat"))
    assert cli.main(["run", "--all"]) == 2
    assert "one.yaml:9: unknown verb 'find-prat'" in capsys.readouterr().err


@pytest.mark.usefixtures("nodes", "judged")
def test_no_scenario_to_run_exits_with_5(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "scenarios" / "one.yaml").unlink()
    assert cli.main(["run", "--all"]) == 5
    assert "no scenario" in capsys.readouterr().err


@pytest.mark.usefixtures("home", "nodes", "judged")
def test_no_free_network_exits_with_3(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lemonade_testbed.runtime.network.prefixes", lambda: iter(["127.98.7"]))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind("\0lemonade-testbed-127.98.7")
        assert cli.main(["run", "one"]) == 3
    assert "held by other runs" in capsys.readouterr().out


@pytest.mark.usefixtures("home", "nodes", "judged")
def test_json_is_the_whole_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "one", "--json", "--fault", "media=no-bye"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == json.loads(Path("runs/latest/result.json").read_text())
    assert "one  pass" in said.err


@pytest.mark.usefixtures("home", "nodes")
def test_a_failure_shows_the_command_that_repeats_it(
    judged: Callable[[Outcome], None], capsys: pytest.CaptureFixture[str]
) -> None:
    judged(Outcome.FAIL)
    cli.main(["run", "one", "--message", str(VOICE), "--fault", "media=no-bye"])
    said = capsys.readouterr().out
    assert "run one --message" in said
    assert "--fault media=no-bye" in said


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("command", ["list", "verbs", "checks", "clauses"])
def test_scenarios_verbs_checks_and_clauses_are_listed(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([command]) == 0
    said = capsys.readouterr().out
    wanted = {"list": "one\tA part is found", "verbs": "find-part", "checks": "audio heard", "clauses": "LS-2.1-1\t"}
    assert wanted[command] in said
