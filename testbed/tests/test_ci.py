"""The workflow files of two code hosts against `.ci/run` and docs/ci.md: each step is one that `.ci/run` has too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
GITHUB, GITLAB = ".github/workflows/ci.yml", ".gitlab-ci.yml"


def load(name: str) -> dict[str, Any]:
    content = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def commands(name: str) -> Iterator[str]:
    """Yield the commands of a workflow file."""
    content = load(name)
    if name == GITHUB:
        for job in content["jobs"].values():
            yield from (step["run"] for step in job["steps"] if "run" in step)
    else:
        for job in content.values():
            yield from job.get("script", [])


def targets(command: str) -> set[str]:
    """Return the targets of a `make` command, without its variables."""
    program, *words = command.split()
    assert program == "make", f"{command}: a step is a make command, so that it can be run anywhere"
    return {word for word in words if "=" not in word}


def run_by_script() -> set[str]:
    """Return the targets that `.ci/run` makes."""
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    peers = re.search(r"for peer in ([a-z ]+); do", script)
    assert peers
    steps = re.findall(r"^ *step (?:tests )?(?:as_nobody )?(make .*)$", script.replace('"', ""), re.MULTILINE)
    found = set().union(*map(targets, steps))
    assert "scenario-$peer" in found
    return (found - {"scenario-$peer"}) | {f"scenario-{peer}" for peer in peers[1].split()}


@pytest.mark.parametrize("name", [GITHUB, GITLAB])
def test_a_workflow_runs_what_the_script_runs(name: str) -> None:
    assert set().union(*map(targets, commands(name))) == run_by_script()


def test_both_hosts_run_every_python_that_is_supported() -> None:
    github = load(GITHUB)["jobs"]["local"]["strategy"]["matrix"]["python"]
    gitlab = load(GITLAB)["local"]["parallel"]["matrix"][0]["PYTHON_VERSION"]
    assert github == gitlab == ["3.11", "3.12", "3.13"]


def test_the_page_lists_the_steps_of_the_script_in_their_order() -> None:
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    page = (ROOT / "docs/ci.md").read_text(encoding="utf-8")
    steps = re.findall(r"^ *step (?:tests )?(?:as_nobody )?(.*)$", script.replace('"', ""), re.MULTILINE)
    steps = [step.replace("PYTHON=/usr/bin/python3 ", "") for step in steps]
    at = steps.index("make scenario-$peer")
    steps[at : at + 1] = [f"make scenario-{peer}" for peer in ("dovecot", "cyrus", "sipp", "baresip")]
    listed = re.findall(r"^\| [0-9]+ \| `([^`]+)` \|", page, re.MULTILINE)
    assert listed == steps
