"""Evidence from a run's folder: whole or not, to the last line of every trace."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from lemonade_testbed.evidence import NODES, load_evidence

if TYPE_CHECKING:
    from pathlib import Path

    from tests.judge.conftest import Flow


@pytest.fixture(params=["annc", "ivr"])
def folder(request: pytest.FixtureRequest) -> Path:
    """Return the folder of a run of either diagram, with little RTP and a client's steps behind the last message."""
    flow: Flow = request.getfixturevalue(request.param)
    for message in flow.messages:
        message.seconds = min(message.seconds, 0.2)
    flow.steps = [{"index": 1, "verb": "listen", "state": state} for state in ("started", "done")]
    assert flow.evidence().problems == ()
    return flow.folder


def test_every_line_that_is_removed_from_a_trace_is_a_problem(folder: Path) -> None:
    removed = 0
    for trace in sorted(folder.glob("trace-*.jsonl")):
        lines = trace.read_text().splitlines(keepends=True)
        for place in range(len(lines)):
            trace.write_text("".join(lines[:place] + lines[place + 1 :]))
            (problem,) = load_evidence(folder).problems
            assert problem.startswith(f"{trace.name}: "), (trace.name, place)
            removed += 1
        trace.write_text("".join(lines))
    assert removed >= 40
    assert load_evidence(folder).problems == ()


def test_a_trace_that_is_gone_is_a_problem(folder: Path) -> None:
    (folder / "trace-imap.jsonl").unlink()
    (problem,) = load_evidence(folder).problems
    assert problem.startswith("trace-imap.jsonl: 0 events of ")


def test_a_line_there_twice_or_that_is_no_event_is_a_problem(folder: Path) -> None:
    trace = folder / "trace-media.jsonl"
    text = trace.read_text()
    trace.write_text(text + text.splitlines(keepends=True)[-1])
    assert [problem for problem in load_evidence(folder).problems if "missing or there twice" in problem]
    trace.write_text(text.replace('"t"', '"time"', 1))
    assert "trace-media.jsonl, line 1: not an event of a trace" in load_evidence(folder).problems


@pytest.mark.parametrize("end", [{"exits": {"client": -9}}, {"exits": {"client": 137}}, {"died": {"client": {}}}])
def test_what_a_killed_node_left_unfinished_is_no_line(folder: Path, end: dict[str, Any]) -> None:
    trace = folder / "trace-client.jsonl"
    whole = load_evidence(folder)
    trace.write_text(trace.read_text() + '{"t": 1.0, "node": "client", "n": 9')
    assert load_evidence(folder).problems == ("trace-client.jsonl: its last line is not whole",)
    world = json.loads((folder / "world.json").read_text())
    (folder / "world.json").write_text(json.dumps(world | end))
    assert load_evidence(folder).problems == ()
    assert load_evidence(folder).events == whole.events


def test_a_run_of_which_no_lines_were_noted_is_judged_by_the_lines_own_numbers(folder: Path) -> None:
    world = json.loads((folder / "world.json").read_text())
    del world["lines"]
    (folder / "world.json").write_text(json.dumps(world))
    assert load_evidence(folder).problems == ()


@pytest.mark.parametrize("separator", ["\u2028", "\x85", "\x0c", "\x1e"])
def test_a_line_ends_at_its_line_feed_alone(folder: Path, separator: str) -> None:
    trace = folder / "trace-imap.jsonl"
    lines = [json.loads(line) for line in trace.read_text().splitlines()]
    lines[0]["text"] += separator
    trace.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    evidence = load_evidence(folder)
    assert evidence.problems == ()
    assert len(evidence.of("imap", "imap")) == len(lines)
    assert set(NODES) >= {event.node for event in evidence.events}
