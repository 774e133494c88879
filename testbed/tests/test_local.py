from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lemonade_testbed.errors import ContractBroken, EnvironmentBroken, RunStopped
from lemonade_testbed.evidence import load_evidence
from lemonade_testbed.runtime.local import LocalRuntime
from lemonade_testbed.runtime.processes import ProcessTable
from lemonade_testbed.runtime.watching import read_trace
from lemonade_testbed.scenario.world import ServerSetup, Setup
from lemonade_testbed.testing.nodes import make_setup, process_table

Programs = Callable[..., dict[str, list[str]]]


@pytest.fixture
def table(tmp_path: Path) -> Iterator[ProcessTable]:
    with process_table(tmp_path) as table:
        yield table


def run_all(runtime: LocalRuntime, wanted: Setup) -> None:
    runtime.prepare(wanted)
    try:
        runtime.start(("imap", "media"))
        runtime.exec_client(wanted.folder / "script.json", 20)
    finally:
        runtime.stop()
        runtime.collect()


def test_a_scenario_from_start_to_world_json(table: ProcessTable, fake_programs: Programs) -> None:
    wanted = make_setup(
        table, identity=("mediaserver", "secret"), faults={"media": "no-bye"}, submit_users=("mediaserver",)
    )
    runtime = LocalRuntime(table, fake_programs())
    run_all(runtime, wanted)
    world = json.loads((wanted.folder / "world.json").read_text())
    assert world["exits"] == {"imap": 0, "media": 0, "client": 0}
    assert world["died"] == {}
    assert world["faults"] == {"media": "no-bye"}
    prefix = world["roles"]["imap"]["address"].rpartition(".")[0]
    assert world["roles"]["media"] == {"address": f"{prefix}.2", "port": 5060, "name": "media.example.net"}
    assert world["started"] < world["ended"]
    merged = [json.loads(line) for line in (wanted.folder / "events.jsonl").read_text().splitlines()]
    assert [event["t"] for event in merged] == sorted(event["t"] for event in merged)
    assert {event["node"] for event in merged} == {"client", "testbed"}
    assert "imap says hello" in (wanted.folder / "imap.log").read_text()
    greeting = next(event for event in merged if event["event"] == "imap")
    assert greeting["text"].startswith("* OK")
    assert greeting["local"].startswith(f"{prefix}.4:")


def test_named_nodes_run_side_by_side_each_with_its_trace_and_log(table: ProcessTable, fake_programs: Programs) -> None:
    servers = (
        ServerSetup("imap1", "imap"),
        ServerSetup("imap2", "imap"),
        ServerSetup("ms1", "media", "dead"),
        ServerSetup("ms2", "media", "refuses"),
        ServerSetup("ms3", "media"),
    )
    wanted = make_setup(table, servers=servers, faults={"ms3": "no-bye"})
    runtime = LocalRuntime(table, fake_programs())
    world = runtime.prepare(wanted)
    try:
        runtime.start([server.name for server in servers])
        assert all("imap says hello" in world.log_tail(name) for name in ("imap1", "imap2"))
        with pytest.raises(TimeoutError):
            socket.create_connection((world.roles["ms1"].address, 5060), 0.3)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((world.roles["ms2"].address, 5060), 0.3)
        runtime.exec_client(wanted.folder / "script.json", 20)
    finally:
        runtime.stop()
        runtime.collect()
    told = json.loads((wanted.folder / "world.json").read_text())
    assert told["exits"] == dict.fromkeys(("imap1", "imap2", "ms1", "ms2", "ms3", "client"), 0)
    assert told["died"] == {}
    assert told["roles"]["imap2"]["kind"] == "imap"
    assert told["roles"]["ms3"]["name"] == "ms3.example.net"
    evidence = load_evidence(wanted.folder)
    assert evidence.world.kind_of("ms3") == "media"
    assert {"imap1.log", "ms1.log", "ms3.log", "trace-client.jsonl"} <= evidence.files.keys()


def test_every_node_is_told_the_name_of_the_scenario(
    table: ProcessTable, fake_programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEMONADE_SCENARIO", "of-the-runner-s-own-shell")
    saying = [sys.executable, "-c", "import os; print('told', os.environ.get('LEMONADE_SCENARIO'))"]
    for name, told in (("stranger", "told stranger"), ("", "told None")):
        wanted = make_setup(table, f"folder-{name}", scenario=name)
        run_all(LocalRuntime(table, fake_programs() | {"client": saying}), wanted)
        assert told in (wanted.folder / "client.log").read_text()


def test_two_worlds_at_the_same_time_do_not_disturb_each_other(tmp_path: Path, fake_programs: Programs) -> None:
    tables = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        tables.append(ProcessTable(tmp_path / name))
    runtimes = [LocalRuntime(table, fake_programs()) for table in tables]
    worlds = [runtime.prepare(make_setup(table)) for runtime, table in zip(runtimes, tables, strict=True)]
    assert worlds[0].roles["imap"].address != worlds[1].roles["imap"].address
    for runtime in runtimes:
        runtime.start(("imap", "media"))
    tables[0].stop()
    with socket.create_connection((worlds[1].roles["imap"].address, 1143), 5) as connection:
        assert connection.recv(100).startswith(b"* OK")
    runtimes[1].exec_client(Path("script.json"), 20)
    assert not worlds[1].died
    for runtime in runtimes:
        runtime.stop()
    tables[1].stop()


@pytest.mark.parametrize(
    ("modes", "why"),
    [
        ({"imap": "exits"}, "imap: ended with exit code 7 before it was ready"),
        ({"media": "silent"}, "media: not ready within 1 s: SIP OPTIONS not answered with 200"),
        ({"media": "busy"}, "media: not ready within 1 s: SIP OPTIONS not answered with 200"),
        ({"imap": "silent"}, "imap: not ready within 1 s: no IMAP greeting seen"),
    ],
)
def test_a_node_that_is_never_ready_breaks_the_contract(
    table: ProcessTable, fake_programs: Programs, modes: dict[str, str], why: str
) -> None:
    runtime = LocalRuntime(table, fake_programs(**modes), patience=1)
    with pytest.raises(ContractBroken) as caught:
        run_all(runtime, make_setup(table))
    assert str(caught.value) == why
    assert any("says hello" in line for line in caught.value.log)
    if "exits" in modes.values():
        assert caught.value.log[-1] == "cannot go on"


def test_a_port_in_use_is_a_broken_environment(table: ProcessTable, fake_programs: Programs) -> None:
    with pytest.raises(EnvironmentBroken, match=r":1143 is taken"):
        run_all(LocalRuntime(table, fake_programs(imap="taken")), make_setup(table))


def test_a_missing_program_is_a_broken_environment(table: ProcessTable) -> None:
    with pytest.raises(EnvironmentBroken, match=r"imap node is missing: /no/lemonade-imap; run `make setup`"):
        LocalRuntime(table, {"imap": ["/no/lemonade-imap"]}).prepare(make_setup(table))


def test_a_server_that_dies_is_noted_with_its_last_words(
    table: ProcessTable, fake_programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lemonade_testbed.runtime.watching.AFTER_DEATH", 0.3)
    wanted = make_setup(table)
    runtime = LocalRuntime(table, fake_programs(imap="dies-of-append", client="hangs"))
    world = runtime.prepare(wanted)
    runtime.start(("imap", "media"))
    with socket.create_connection((world.roles["imap"].address, 1143), 5) as connection:
        connection.sendall(b"a APPEND INBOX {3}\r\n")
        while connection.recv(4096):
            pass
    before = time.monotonic()
    runtime.exec_client(Path("script.json"), 20)
    assert time.monotonic() - before < 10  # not the whole 20 s
    runtime.stop()
    runtime.collect()
    died = json.loads((wanted.folder / "world.json").read_text())["died"]
    assert list(died) == ["imap"]
    assert died["imap"]["exit"] == 9
    assert died["imap"]["why"] == "ended with exit code 9"
    assert "APPEND" in died["imap"]["log"][-1]


def test_a_client_beyond_its_time_is_stopped(table: ProcessTable, fake_programs: Programs) -> None:
    runtime = LocalRuntime(table, fake_programs(client="hangs"))
    world = runtime.prepare(make_setup(table))
    runtime.exec_client(Path("script.json"), 0.3)
    runtime.stop()
    assert world.died["client"]["why"] == "not done within 0 s"
    assert world.exits["client"] in {0, -15}  # -15 if its signal handler is not set yet


def test_stopping_the_run_ends_the_wait_for_the_client(table: ProcessTable, fake_programs: Programs) -> None:
    runtime = LocalRuntime(table, fake_programs(client="hangs"))
    runtime.prepare(make_setup(table))
    threading.Timer(0.3, table.stop).start()
    with pytest.raises(RunStopped):
        runtime.exec_client(Path("script.json"), 30)
    runtime.stop()


def test_an_unfinished_last_line_of_a_trace_is_left_out(tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    trace.write_text('{"t": 1.5, "n": 1}\n[1]\n{"t": 2')
    assert read_trace(trace) == [{"t": 1.5, "n": 1}]
    assert read_trace(tmp_path / "none") == []
