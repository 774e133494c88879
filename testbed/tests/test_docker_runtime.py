from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from lemonade_testbed.containers.tools import ROOT
from lemonade_testbed.errors import ContractBroken, RunStopped
from lemonade_testbed.evidence import load_evidence
from lemonade_testbed.run import client_script
from lemonade_testbed.runtime.docker_runtime import DockerRuntime
from lemonade_testbed.runtime.processes import ProcessTable
from lemonade_testbed.runtime.provision import append
from lemonade_testbed.scenario.world import SERVERS, ServerSetup
from lemonade_testbed.scenario_loader import load_scenario
from lemonade_testbed.testing.nodes import make_setup

pytestmark = pytest.mark.usefixtures("images")
MESSAGE = b"From: a@example.com\r\nContent-Type: audio/basic\r\n\r\nx\r\n"


@pytest.fixture
def table(tmp_path: Path, engine: docker.DockerClient) -> Iterator[ProcessTable]:
    run = tmp_path / "run"
    run.mkdir()
    table = ProcessTable(run)
    yield table
    table.stop()
    filters = {"label": f"lemonade.run={run}"}
    assert not engine.containers.list(all=True, filters=filters)
    assert not engine.networks.list(filters=filters)


def find_part(folder: Path) -> Path:
    scenario = load_scenario(ROOT / "scenarios/announcement-service.yaml")
    script = json.loads(client_script(scenario, None)) | {"steps": [{"find-part": {"type": "audio/*"}}]}
    path = folder / "script.json"
    path.write_text(json.dumps(script))
    return path


def packets(path: Path) -> int:
    data = path.read_bytes()
    place = count = 0
    place = 24
    while place < len(data):
        place += 16 + struct.unpack_from("<I", data, place + 8)[0]
        count += 1
    return count


def test_a_scenario_from_start_to_world_json(table: ProcessTable) -> None:
    wanted = make_setup(table)
    runtime = DockerRuntime(table)
    world = runtime.prepare(wanted)
    try:
        runtime.start(SERVERS)
        append(world, runtime.trace, ("joe", "secret"), "INBOX", MESSAGE)
        runtime.exec_client(find_part(wanted.folder), 60)
    finally:
        runtime.stop()
        runtime.stop()
        runtime.collect()
    told = json.loads((wanted.folder / "world.json").read_text())
    assert told["exits"] == {"imap": 0, "media": 0, "client": 0}
    assert (told["runtime"], told["died"]) == ("docker", {})
    merged = [json.loads(line) for line in (wanted.folder / "events.jsonl").read_text().splitlines()]
    assert {event["node"] for event in merged} == {"imap", "media", "client", "testbed"}
    assert "ready on" in (wanted.folder / "imap.log").read_text()

    capture = wanted.folder / told["capture"]["file"]
    assert capture.stat().st_mode & 0o777 == 0o600
    assert capture.parent.stat().st_mode & 0o777 == 0o700
    assert packets(capture) == told["capture"]["packets"] >= told["capture"]["interface"] > 20
    assert told["capture"]["dropped"] == told["capture"]["interface_dropped"] == 0
    seen = capture.read_bytes()
    assert seen.index(told["capture"]["probe"].encode()) < seen.index(b"* OK")
    assert b"UID SEARCH" in seen


def test_named_nodes_run_side_by_side_each_with_its_trace_and_log(table: ProcessTable) -> None:
    servers = (
        ServerSetup("imap", "imap"),
        ServerSetup("imap2", "imap"),
        ServerSetup("ms1", "media", "dead"),
        ServerSetup("ms2", "media", "refuses"),
        ServerSetup("ms3", "media"),
    )
    wanted = make_setup(table, servers=servers)
    runtime = DockerRuntime(table)
    world = runtime.prepare(wanted)
    try:
        runtime.start([server.name for server in servers])
        append(world, runtime.trace, ("joe", "secret"), "INBOX", MESSAGE)
        with pytest.raises(TimeoutError):
            socket.create_connection((world.roles["ms1"].address, 5060), 0.5)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((world.roles["ms2"].address, 5060), 0.5)
        runtime.exec_client(find_part(wanted.folder), 60)
    finally:
        runtime.stop()
        runtime.collect()
    told = json.loads((wanted.folder / "world.json").read_text())
    assert told["exits"] == dict.fromkeys(("imap", "imap2", "ms1", "ms2", "ms3", "client"), 0)
    assert told["died"] == {}
    assert told["roles"]["ms3"]["kind"] == "media"
    evidence = load_evidence(wanted.folder)
    assert evidence.problems == ()
    assert {"imap", "imap2", "ms3", "client", "testbed"} <= {event.node for event in evidence.events}
    assert "listening for SIP" in evidence.files["ms3.log"]


def test_a_server_that_dies_is_noted_with_its_last_words(table: ProcessTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lemonade_testbed.runtime.watching.AFTER_DEATH", 0.3)
    wanted = make_setup(table)
    runtime = DockerRuntime(table)
    world = runtime.prepare(wanted)
    try:
        runtime.start(SERVERS)
        runtime.nodes["media"].kill()
        assert runtime.nodes["media"].ended(20) == -9
        runtime.exec_client(find_part(wanted.folder), 60)
    finally:
        runtime.stop()
    assert world.died["media"]["exit"] == -9
    assert any("listening for SIP" in line for line in world.died["media"]["log"])


def test_a_node_that_is_never_ready_breaks_the_contract(table: ProcessTable) -> None:
    runtime = DockerRuntime(table)
    runtime.prepare(make_setup(table, faults={"imap": "no-such-fault"}))
    with pytest.raises(ContractBroken, match="imap: ended with exit code 2 before it was ready") as caught:
        runtime.start(SERVERS)
    runtime.stop()
    assert any("no-such-fault" in line for line in caught.value.log)


def test_stopping_the_run_ends_everything_within_ten_seconds(table: ProcessTable) -> None:
    runtime = DockerRuntime(table)
    runtime.prepare(make_setup(table))
    runtime.start(SERVERS)
    stop = threading.Timer(0.5, table.stop)
    stop.start()
    with pytest.raises(RunStopped):
        runtime.exec_client(find_part(table.run / "scenario"), 60)
    stop.join()
    began = time.monotonic()
    runtime.stop()
    assert time.monotonic() - began < 10
