"""Another maker's announcement server with one bug at a time: the judge charges only the media server with the bug."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from lemonade_testbed.clauses import SCENARIOS
from lemonade_testbed.run import Job, ScenarioRunner
from lemonade_testbed.runtime.local import LocalRuntime
from lemonade_testbed.scenario_loader import load_scenario
from lemonade_testbed.verdict import Outcome, Verdict

PROGRAM = Path(__file__).parent / "vendors" / "annc_server.py"


pytestmark = pytest.mark.xdist_group("vendor-servers")


def judged(folder: Path, wrong: str) -> Verdict:
    """Run the announcement of a short mail with the program in the media server's place; general checks alone."""
    scenario = load_scenario(SCENARIOS / "announcement-service.yaml")
    short = replace(scenario, given=replace(scenario.given, message="short.eml"), checks=())
    programs = {"media": [sys.executable, str(PROGRAM), "--wrong", wrong]}
    with ScenarioRunner(folder / "runs", make_runtime=partial(LocalRuntime, programs=programs)).open() as running:
        (ended,) = running.run([Job(short, wrong)])
    return ended.verdict


CHARGED = {
    "ok-before-fetch": "LS-2.5-5",
    "refuses-all": "LS-2.5-5",
    "recvonly-answer": "RFC3264-6.1",
    "no-contact": "RFC3261-12.1.1",
    "other-tag": "RFC3261-8.2.6.2-2",
    "before-ack": "LS-2.5-5",
    "quiet": "LS-2.1-6",
    "shortened-url": "LS-2.8-8",
    "bursts": "LS-2.1-6",
    "other-part": "LS-2.1-6",
    "no-bye": "LS-2.9-1",
    "cseq-stuck": "RFC3261-12.2.1.1-2",
    "other-codec": "LS-2.6-2",
}
"""Each bug of the program, and the clause that it breaks."""


@pytest.mark.parametrize("wrong", ["none", "no-logout", "session-progress"])
def test_a_media_server_with_a_harmless_deviation_passes(tmp_path: Path, wrong: str) -> None:
    verdict = judged(tmp_path, wrong)
    assert verdict.outcome is Outcome.PASS, verdict.reasons


@pytest.mark.parametrize(("wrong", "clause"), CHARGED.items())
def test_each_bug_is_charged_to_the_media_server_alone(tmp_path: Path, wrong: str, clause: str) -> None:
    verdict = judged(tmp_path, wrong)
    assert verdict.outcome is Outcome.FAIL
    assert {reason.node for reason in verdict.reasons} == {"media"}, verdict.reasons
    assert clause in {name for reason in verdict.reasons for name in reason.clauses}
