from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lemonade_testbed.errors import EnvironmentBroken, RunStopped
from lemonade_testbed.procfs import start_time
from lemonade_testbed.runtime.processes import PIDS, ProcessTable, is_running, marked, members, reap

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "subprocess.Popen([sys.executable, '-c', 'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    'print("child", flush=True); time.sleep(600)\']); time.sleep(600)',
]


def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come about"
        time.sleep(0.01)


def said(log: Path, word: str) -> Callable[[], bool]:
    return lambda: log.exists() and word in log.read_text()


def test_only_a_running_process_has_a_start_time() -> None:
    assert start_time(os.getpid()) == start_time(os.getpid())
    assert start_time(os.getpid())
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    until(lambda: start_time(child.pid) is None)  # a zombie is gone
    child.wait()
    assert start_time(child.pid) is None


def test_a_node_leads_its_own_session_and_carries_the_mark(tmp_path: Path) -> None:
    table = ProcessTable(tmp_path)
    node = table.start("imap", SLEEPER, tmp_path / "imap.log")
    assert os.getsid(node.pid) == node.pid
    until(lambda: marked(tmp_path) == [node.pid])
    noted = json.loads((tmp_path / PIDS).read_text())
    assert noted["runner"] == {"pid": os.getpid(), "started": start_time(os.getpid())}
    assert noted["nodes"] == [{"role": "imap", "pid": node.pid, "started": start_time(node.pid)}]
    assert is_running(tmp_path)
    table.stop()
    assert node.ended() == -signal.SIGTERM
    assert not (tmp_path / PIDS).exists()
    assert not is_running(tmp_path)


def test_a_node_that_ignores_sigterm_is_killed_with_its_children(tmp_path: Path) -> None:
    table = ProcessTable(tmp_path)
    node = table.start("media", DEAF, tmp_path / "media.log")
    until(said(tmp_path / "media.log", "child"))
    assert len(members(node.pid)) == 2
    began = time.monotonic()
    table.stop()
    assert time.monotonic() - began > 1.9  # it was asked first
    assert members(node.pid) == []
    assert node.ended() == -signal.SIGKILL


def test_a_child_that_outlives_its_leader_is_stopped_too(tmp_path: Path) -> None:
    leader = f"import subprocess, sys; subprocess.Popen({SLEEPER!r})"
    table = ProcessTable(tmp_path)
    node = table.start("media", [sys.executable, "-c", leader], tmp_path / "media.log")
    until(lambda: node.ended() == 0)
    until(said(tmp_path / "media.log", "up"))
    assert len(members(node.pid)) == 1
    table.end(node)
    assert members(node.pid) == []
    table.stop()


def test_nothing_starts_once_the_run_is_being_stopped(tmp_path: Path) -> None:
    table = ProcessTable(tmp_path)
    table.stop()
    with pytest.raises(RunStopped):
        table.start("imap", SLEEPER, tmp_path / "imap.log")


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    table = ProcessTable(tmp_path)
    with pytest.raises(EnvironmentBroken, match=r"/no/such cannot be run .*make setup"):
        table.start("imap", ["/no/such"], tmp_path / "imap.log")
    table.stop()


RUNNER = """
import sys, time
from pathlib import Path
from lemonade_testbed.runtime.processes import ProcessTable
run = Path(sys.argv[1])
run.mkdir(parents=True)
table = ProcessTable(run)
table.start("imap", {sleeper!r}, run / "imap.log")
table.start("media", {deaf!r}, run / "media.log")
print("started", flush=True)
time.sleep(600)
"""


def test_the_next_start_reaps_what_a_killed_runner_left_and_nothing_else(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    mine = runs / "mine"
    mine.mkdir(parents=True)
    table = ProcessTable(mine)  # another run, alive
    bystander = table.start("imap", SLEEPER, mine / "imap.log")
    left = runs / "left"
    runner = subprocess.Popen(
        [sys.executable, "-c", RUNNER.format(sleeper=SLEEPER, deaf=DEAF), str(left)], stdout=subprocess.PIPE, text=True
    )
    assert runner.stdout is not None
    assert runner.stdout.readline() == "started\n"
    until(said(left / "media.log", "child"))
    assert reap(runs) == []  # its runner lives
    runner.kill()
    runner.communicate()
    orphans = marked(left)
    assert len(orphans) == 3
    assert reap(runs) == sorted(orphans)
    until(lambda: marked(left) == [])
    assert not (left / PIDS).exists()
    assert bystander.ended() is None
    table.stop()


def test_a_process_that_reuses_a_noted_id_is_not_killed(tmp_path: Path) -> None:
    run = tmp_path / "old"
    run.mkdir()
    stranger = subprocess.Popen(SLEEPER, stdout=subprocess.DEVNULL)
    started = start_time(stranger.pid)
    (run / PIDS).write_text(
        json.dumps(
            {
                "runner": {"pid": stranger.pid, "started": 1},
                "nodes": [{"role": "imap", "pid": stranger.pid, "started": started}],
            }
        )
    )
    assert reap(tmp_path) == []
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()
