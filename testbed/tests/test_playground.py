from __future__ import annotations

import io
import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from lemonade_testbed.errors import ContractBroken, EnvironmentBroken
from lemonade_testbed.places import prune
from lemonade_testbed.playground import FOLDER, LINES, down, up
from lemonade_testbed.runtime.choice import LOCAL
from lemonade_testbed.runtime.network import claim
from lemonade_testbed.runtime.processes import is_running, marked, reap

Programs = Callable[..., dict[str, list[str]]]


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=80)


def said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_up_starts_the_servers_once_and_down_stops_them(
    tmp_path: Path, fake_programs: Programs, console: Console
) -> None:
    assert up(tmp_path, console, LOCAL, programs=fake_programs()) == 0
    folder = tmp_path / FOLDER
    try:
        assert len(marked(folder)) == 2
        place = json.loads((folder / "world.json").read_text())["roles"]["imap"]
        with socket.create_connection((place["address"], place["port"]), 5) as connection:
            assert connection.recv(99).startswith(b"* OK")
        assert f"nc -C {place['address']} 1143\n" in said(console)
        assert "joe:secret" in said(console)
        assert "--script" in (folder / LINES).read_text()
        # later runs neither stop it nor use its network
        assert is_running(folder)
        assert reap(tmp_path) == []
        assert prune(tmp_path, keep=0) == []
        other = claim()
        assert other.places()["imap"].address != place["address"]
        other.release()
        before = marked(folder)
        assert up(tmp_path, console, LOCAL, programs=fake_programs()) == 0  # again: the same ones
        assert marked(folder) == before
        assert "up already" in said(console)
    finally:
        assert down(tmp_path, console) == 0
    assert marked(folder) == []
    assert not is_running(folder)
    down(tmp_path, console)
    assert said(console).endswith("The playground is down.\nThe playground was not up.\n")


def test_a_playground_that_fails_leaves_nothing(tmp_path: Path, fake_programs: Programs, console: Console) -> None:
    with pytest.raises(ContractBroken, match="imap: refused the message: NO full"):
        up(tmp_path, console, LOCAL, programs=fake_programs(imap="refuses"))
    assert marked(tmp_path / FOLDER) == []


def test_containers_that_cannot_be_reached_are_not_said_to_be_down(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    folder = tmp_path / FOLDER
    folder.mkdir()
    (folder / LINES).write_text("lines\n")
    (folder / "world.json").write_text('{"runtime": "docker"}')
    with pytest.raises(EnvironmentBroken, match="no container engine answers"):
        down(tmp_path, console)
    (folder / "world.json").write_text('{"runtime": "local"}')
    assert down(tmp_path, console) == 0
    assert said(console) == "The playground was not up.\n"


def test_servers_of_a_killed_up_are_started_again(tmp_path: Path, fake_programs: Programs, console: Console) -> None:
    folder = tmp_path / FOLDER
    up(tmp_path, console, LOCAL, programs=fake_programs())
    try:
        before = marked(folder)
        (folder / LINES).unlink()  # it is written last
        up(tmp_path, console, LOCAL, programs=fake_programs())
        assert len(marked(folder)) == 2
        assert not set(before) & set(marked(folder))
        assert "up already" not in said(console)
    finally:
        down(tmp_path, console)
