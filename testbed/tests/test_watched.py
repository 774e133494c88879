from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from lemonade_testbed.run import DEFAULT_JOBS, DOCKER_JOBS
from lemonade_testbed.watched import tell, watched


@pytest.mark.parametrize(
    ("runtime", "given", "jobs"), [("local", None, DEFAULT_JOBS), ("docker", None, DOCKER_JOBS), ("docker", 7, 7)]
)
def test_as_many_jobs_at_a_time_as_fit_the_runtime(tmp_path: Path, runtime: str, given: int | None, jobs: int) -> None:
    console = Console(file=io.StringIO())
    with watched(tmp_path / "runs", ["one"], runtime, console, jobs=given, strict=True) as running:
        assert (running.runner.jobs, running.runner.strict) == (jobs, True)
        assert running.folder.parent == tmp_path / "runs"


def test_a_line_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    tell("building")
    assert capsys.readouterr() == ("", "building\n")
