from __future__ import annotations

import json
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from lemonade_testbed.run import client_script
from lemonade_testbed.runtime.base import ContractBroken, Stopped
from lemonade_testbed.runtime.docker_runtime import DockerRuntime
from lemonade_testbed.runtime.docker_tools import ROOT
from lemonade_testbed.runtime.processes import ProcessTable
from lemonade_testbed.runtime.provision import append
from lemonade_testbed.runtime.world import SERVERS, Setup
from lemonade_testbed.scenario.loader import load_scenario

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


def setup(table: ProcessTable, name: str = "scenario", **more: object) -> Setup:
    folder = table.run / name
    folder.mkdir()
    return Setup(folder=folder, users={"joe": "secret"}, salt="00", **more)  # type: ignore[arg-type]


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
    wanted = setup(table)
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


def test_a_server_that_dies_is_noted_with_its_last_words(table: ProcessTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lemonade_testbed.runtime.watching.AFTER_DEATH", 0.3)
    wanted = setup(table)
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
    runtime.prepare(setup(table, faults={"imap": "no-such-fault"}))
    with pytest.raises(ContractBroken, match="imap: ended with exit code 2 before it was ready") as caught:
        runtime.start(SERVERS)
    runtime.stop()
    assert any("no-such-fault" in line for line in caught.value.log)


def test_stopping_the_run_ends_everything_within_ten_seconds(table: ProcessTable) -> None:
    runtime = DockerRuntime(table)
    runtime.prepare(setup(table))
    runtime.start(SERVERS)
    stop = threading.Timer(0.5, table.stop)
    stop.start()
    with pytest.raises(Stopped):
        runtime.exec_client(find_part(table.run / "scenario"), 60)
    stop.join()
    began = time.monotonic()
    runtime.stop()
    assert time.monotonic() - began < 10
