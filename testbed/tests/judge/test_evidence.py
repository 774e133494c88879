"""Evidence from the folder of a run: a missing or damaged line of any trace is reported."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from lemonade_testbed.clauses import SCENARIOS, load_clauses
from lemonade_testbed.evidence import load_evidence
from lemonade_testbed.judge import judge
from lemonade_testbed.scenario_loader import load_scenario
from lemonade_testbed.testing.flow import Flow

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["annc", "ivr"])
def folder(request: pytest.FixtureRequest) -> Path:
    """Return the folder of a run of either diagram, with little RTP, and with steps of the client after the last
    message.
    """
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


def test_a_missing_trace_is_a_problem(folder: Path) -> None:
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
def test_the_unfinished_last_line_of_a_killed_node_is_ignored(folder: Path, end: dict[str, Any]) -> None:
    trace = folder / "trace-client.jsonl"
    whole = load_evidence(folder)
    trace.write_text(trace.read_text() + '{"t": 1.0, "node": "client", "n": 9')
    assert load_evidence(folder).problems == ("trace-client.jsonl: its last line is not whole",)
    world = json.loads((folder / "world.json").read_text())
    (folder / "world.json").write_text(json.dumps(world | end))
    assert load_evidence(folder).problems == ()
    assert load_evidence(folder).events == whole.events


def test_without_counts_of_lines_the_numbers_of_the_lines_show_gaps(folder: Path) -> None:
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
    assert {*evidence.world.roles, "relay"} >= {event.node for event in evidence.events}


def test_a_trace_is_of_the_node_whose_name_its_file_has(annc: Flow) -> None:
    whole, folder = annc.evidence(), annc.folder
    rename_node(folder, "media", "ms1")
    evidence = load_evidence(folder)
    assert evidence.problems == ()
    assert "media" not in {event.node for event in evidence.events}
    assert len(evidence.of("sip", "ms1")) == len(whole.of("sip", "media")) > 0
    assert evidence.of("sip", "media") == evidence.of("sip", "ms1")
    assert [evidence.world.kind_of(name) for name in ("ms1", "imap", None)] == ["media", "imap", ""]


def test_a_run_with_named_nodes_is_judged_by_their_names(annc: Flow, tmp_path: Path) -> None:
    text = (SCENARIOS / "announcement-service.yaml").read_text()
    named = re.sub(r"\bmedia(?=-?->>)|(?<=->>)media\b", "ms1", text)
    named = named.replace("given:\n", "given:\n  nodes: {media: [ms1]}\n")
    path = tmp_path / "named.yaml"
    path.write_text(named)
    scenario = load_scenario(path)
    annc.evidence()
    rename_node(annc.folder, "media", "ms1")
    assert judge(scenario, load_evidence(annc.folder), load_clauses()).ladder.mismatch is None
    annc.change("urlfetch", "/INBOX", "/Another-mailbox")
    annc.evidence()
    rename_node(annc.folder, "media", "ms1")
    reasons = judge(scenario, load_evidence(annc.folder), load_clauses()).reasons
    assert ("ms1", "media") in {(reason.node, reason.role) for reason in reasons}


def rename_node(folder: Path, role: str, name: str) -> None:
    """Change the folder of a run to one in which the node of a role has a name of its own."""
    (folder / f"trace-{role}.jsonl").rename(folder / f"trace-{name}.jsonl")
    world = json.loads((folder / "world.json").read_text())
    world["roles"][name] = world["roles"].pop(role) | {"kind": role}
    for key in ("lines", "exits"):
        if role in world.get(key, {}):
            world[key][name] = world[key].pop(role)
    (folder / "world.json").write_text(json.dumps(world))
