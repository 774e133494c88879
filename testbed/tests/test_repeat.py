"""Comparing several runs of one scenario: what must be equal, what may differ, and that real runs are equal."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lemonade_testbed.cli import main
from lemonade_testbed.ladder.model import LadderResult, Observed, ObservedMessage, arrows_of, parallels_of
from lemonade_testbed.repeat import Run, compare, run_of
from lemonade_testbed.run import EXIT_OK, EXIT_USAGE, Ended, Job
from lemonade_testbed.scenario_loader import load_scenario
from lemonade_testbed.verdict import CheckResult, CheckVerdict, Outcome, Verdict

SCENARIOS = Path(__file__).parents[2] / "scenarios"
LEMONADE = Path(sys.executable).parent / "lemonade"
RTP = "client-media from media: RTP 0 stream 1 start 1"
FACTS = {"verdict": ("pass",), "ladder": ("a->>b: c", "b-->>a: d"), "check x": ("holds",)}
ONE = Run("one", FACTS, {RTP: frozenset(range(1, 601))}, ((RTP, 4, "lost by rule 1"), (RTP, 30, "lost by rule 1")))
TWO = replace(ONE, name="two")


def test_equal_runs_have_no_differences() -> None:
    assert compare([ONE, TWO, replace(ONE, name="three")]) == []


@pytest.mark.parametrize(
    ("other", "line"),
    [
        (replace(TWO, facts=FACTS | {"verdict": ("fail",)}), "verdict: one has pass, two has fail"),
        (replace(TWO, facts=FACTS | {"check x": ("red",)}), "check x: one has holds, two has red"),
        (
            replace(TWO, facts=FACTS | {"ladder": FACTS["ladder"][:1]}),
            "ladder: one has b-->>a: d, two has nothing more",
        ),
        (
            replace(TWO, decisions=((RTP, 5, "lost by rule 1"), (RTP, 30, "lost by rule 1"))),
            f"relay: one has {RTP}, 4: lost by rule 1, two has {RTP}, 5: lost by rule 1",
        ),
        (
            replace(TWO, decisions=ONE.decisions[:1]),
            f"relay: one has {RTP}, 30: lost by rule 1, two has nothing more",
        ),
    ],
)
def test_a_difference_is_named_with_both_runs(other: Run, line: str) -> None:
    assert compare([ONE, replace(ONE, name="alike"), other]) == [line]


def test_a_decision_on_a_message_that_came_in_one_run_alone_is_no_difference() -> None:
    came = frozenset(range(1, 601))
    shorter = replace(TWO, decided={RTP: came - {*range(30, 601)}}, decisions=ONE.decisions[:1])
    assert compare([ONE, shorter]) == []
    gap = replace(TWO, decided={RTP: came - {4}}, decisions=ONE.decisions[1:])
    assert compare([ONE, gap]) == []
    assert compare([ONE, replace(shorter, decided={RTP: came})]) != []


def test_a_cut_of_a_leg_is_compared() -> None:
    cut = replace(ONE, decisions=(("media-imap", 0, "cut by rule 1"),))
    assert compare([cut, replace(cut, name="two")]) == []
    (line,) = compare([cut, replace(cut, name="two", decisions=())])
    assert line == "relay: one has media-imap: cut by rule 1, two has nothing more"


def test_a_run_without_evidence_is_compared_by_its_verdict(tmp_path: Path) -> None:
    scenario = load_scenario(SCENARIOS / "relay" / "invite-lost.yaml")
    check = CheckVerdict("relay did as told", (), CheckResult("", "", ""), Outcome.FAIL)
    verdict = Verdict("invite-lost", Outcome.ERROR, (), Observed(()), LadderResult(()), (check,))
    run = run_of(scenario, Ended(Job(scenario, "invite-lost-1"), tmp_path, verdict, 1.0, 3))
    assert run.facts == {"verdict": ("error",), "ladder": (), "check relay did as told": ("fail",)}
    assert (run.decided, run.decisions) == ({}, ())


def test_a_par_is_equal_in_any_order_and_nothing_else_is(tmp_path: Path) -> None:
    scenario = load_scenario(SCENARIOS / "moved-call.yaml")
    (parallel,) = parallels_of(scenario.ladder.tree)
    first, *_, last = (arrow.index for arrow in arrows_of(parallel))
    written = [arrow.index for arrow in scenario.ladder.arrows]

    def run(order: list[int]) -> Run:
        messages = tuple(ObservedMessage(0.0, "client", "media", response=False, words=("SIP",)) for _ in order)
        verdict = Verdict("x", Outcome.PASS, (), Observed(messages), LadderResult(tuple(order)), ())
        return run_of(scenario, Ended(Job(scenario, "x"), tmp_path, verdict, 1.0, 3))

    inside = [*written[: first - 1], *written[first:last], first, *written[last:]]
    outside = [2, 1, *written[2:]]
    assert inside != written
    assert compare([run(written), run(inside)]) == []
    assert compare([run(written), run(outside)]) != []
    assert compare([run(written), run(written[:-1])]) != []


@pytest.mark.parametrize("times", ["1", "many"])
def test_fewer_than_two_runs_are_refused(times: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["repeat", "--times", times])
    assert caught.value.code == EXIT_USAGE
    assert "2 or more is expected" in capsys.readouterr().err


def test_one_seed_equal_runs_of_the_real_nodes(tmp_path: Path) -> None:
    names = ("fetch-cut", "info-lost", "rtp-loss")
    command: list[str | Path] = [LEMONADE, "repeat", *names, "--times", "3", "-j", "3", "--runs", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == EXIT_OK, done.stdout + done.stderr
    for name, decided in zip(names, (2, 2, 36), strict=True):
        assert f"equal   {name}, 3 runs: pass; " in done.stdout
        assert f"{decided} decisions of the relay" in done.stdout.partition(f"equal   {name}, ")[2].partition("\n")[0]
