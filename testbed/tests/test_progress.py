from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from lemonade_testbed.progress import Board, tell, watched
from lemonade_testbed.run import DEFAULT_JOBS, DOCKER_JOBS


def test_without_a_terminal_a_plain_line_is_written_when_a_scenario_ends() -> None:
    text = io.StringIO()
    with Board(["one", "two"], Console(file=text, width=20)) as board:
        board.say("one", "starting the nodes")
        board.say("two", "starting the nodes")
        board.end("two", "fail")
        board.end("one", "pass")
    lines = text.getvalue().splitlines()
    assert [line.rsplit("  ", 1)[0] for line in lines] == ["two  fail", "one  pass"]
    assert all(line.endswith(" s") for line in lines)


def test_on_a_terminal_each_scenario_keeps_one_line() -> None:
    text = io.StringIO()
    with Board(["one", "two"], Console(file=text, width=80, force_terminal=True, color_system=None)) as board:
        board.say("one", "running the client")
        board.end("one", "pass")
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text.getvalue()).splitlines()[-2:]
    assert last[0].split()[:2] == ["one", "pass"]
    assert last[1].split() == ["two", "waiting"]


@pytest.mark.parametrize(
    ("runtime", "given", "jobs"), [("local", None, DEFAULT_JOBS), ("docker", None, DOCKER_JOBS), ("docker", 7, 7)]
)
def test_the_number_of_jobs_depends_on_the_runtime_unless_it_is_given(
    tmp_path: Path, runtime: str, given: int | None, jobs: int
) -> None:
    console = Console(file=io.StringIO())
    with watched(tmp_path / "runs", ["one"], runtime, console, jobs=given, strict=True) as running:
        assert (running.runner.jobs, running.runner.strict) == (jobs, True)
        assert running.folder.parent == tmp_path / "runs"


def test_a_line_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    tell("building")
    assert capsys.readouterr() == ("", "building\n")
