"""The relay in the local runtime: every role has a front, host names lead to it, and the relay starts first."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lemonade_testbed.errors import EnvironmentBroken
from lemonade_testbed.evidence import load_evidence
from lemonade_testbed.relay.rules import Plan, parse_rule
from lemonade_testbed.runtime.local import LocalRuntime
from lemonade_testbed.runtime.processes import ProcessTable
from lemonade_testbed.scenario.world import Setup
from lemonade_testbed.testing.nodes import process_table

Programs = Callable[..., dict[str, list[str]]]
PLAN = Plan(7, (parse_rule({"leg": "client-media", "lose": "SIP INVITE", "times": "1"}),))


@pytest.fixture
def table(tmp_path: Path) -> Iterator[ProcessTable]:
    with process_table(tmp_path) as table:
        yield table


def setup(table: ProcessTable) -> Setup:
    folder = table.run / "scenario"
    folder.mkdir()
    return Setup(folder=folder, users={"joe": "secret"}, salt="00", relay=PLAN)


def test_with_a_relay_nodes_reach_each_other_by_their_fronts(table: ProcessTable, fake_programs: Programs) -> None:
    wanted = setup(table)
    runtime = LocalRuntime(table, fake_programs())
    world = runtime.prepare(wanted)
    prefix = world.roles["imap"].address.rpartition(".")[0]
    assert world.rules() == [
        f"imap.example.com={prefix}.11:1143",
        f"media.example.net={prefix}.12:5060",
        f"{prefix}.1={prefix}.11",
        f"{prefix}.2={prefix}.12",
        f"{prefix}.3={prefix}.13",
    ]
    try:
        runtime.start(("imap", "media"))
        source = (world.roles["client"].address, 0)
        with socket.create_connection((f"{prefix}.11", 1143), 10, source_address=source) as connection:
            assert connection.recv(100).startswith(b"* OK")
        runtime.exec_client(wanted.folder / "script.json", 20)
    finally:
        runtime.stop()
        runtime.collect()
    told = json.loads((wanted.folder / "world.json").read_text())
    assert told["roles"]["media"]["aliases"] == [f"{prefix}.12"]
    assert "aliases" not in told["roles"]["testbed"]
    assert told["exits"]["relay"] == 0
    states = [event.text("state") for event in load_evidence(wanted.folder).of("relay", "relay")]
    assert states == ["started", "stopped"]
    merged = [json.loads(line) for line in (wanted.folder / "events.jsonl").read_text().splitlines()]
    assert "relay" in {event["node"] for event in merged}


def test_a_relay_that_cannot_start_is_a_broken_environment(table: ProcessTable, fake_programs: Programs) -> None:
    runtime = LocalRuntime(table, fake_programs())
    world = runtime.prepare(setup(table))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((world.roles["media"].aliases[0], 5060))
        with pytest.raises(EnvironmentBroken, match=r"the relay ended with exit code 1: .*in use"):
            runtime.start(("imap", "media"))
    runtime.stop()
