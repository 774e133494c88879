"""Runs in containers that are stopped half-way: no process, container or network is left.

Where the tests run as root the command runs as nobody, who may open every file and makes none of root's.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from lemonade_testbed.containers.engine import LABEL, remove
from lemonade_testbed.runtime.processes import marked, members

LEMONADE = Path(sys.executable).parent / "lemonade"
NOBODY = 65534
UID = os.getuid() or NOBODY
RIGHT = "+dac_override"
AS_USER = [
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *(f"--inh-caps={RIGHT}", f"--ambient-caps={RIGHT}"),
]
PATIENCE = 60.0

pytestmark = [pytest.mark.usefixtures("images"), pytest.mark.xdist_group("end-to-end")]
Left = Callable[[], list[str]]


@pytest.fixture
def runs(tmp_path: Path, engine: docker.DockerClient) -> Iterator[Path]:
    made = tmp_path / "runs"
    made.mkdir()
    os.chown(made, UID, -1)
    yield made
    for run in (made / "playground", *made.glob("2*")):
        remove(engine, str(run))


@pytest.fixture
def left(engine: docker.DockerClient, runs: Path) -> Left:
    """Return a function that lists what exists of any run in `runs`: roles of containers, names of other things."""

    def look() -> list[str]:
        filters = {"label": LABEL}
        containers = engine.containers.list(all=True, ignore_removed=True, filters=filters)
        named = [(container, container.labels.get("com.docker.compose.service")) for container in containers]
        named += [(network, network.name) for network in engine.networks.list(filters=filters)]
        named += [(volume, volume.name) for volume in engine.volumes.list(filters=filters)]
        return [str(name) for thing, name in named if label(thing).startswith(str(runs))]

    return look


def label(thing: docker.models.resource.Model) -> str:
    labels = thing.attrs.get("Labels") or thing.attrs.get("Config", {}).get("Labels") or {}
    return str(labels.get(LABEL, ""))


def begin(runs: Path, *words: str) -> subprocess.Popen[str]:
    """Start the command in a process group of its own, as a shell does."""
    command: list[str | Path] = [
        *([] if os.getuid() else AS_USER),
        LEMONADE,
        *words,
        "--runtime",
        "docker",
        "--runs",
        runs,
    ]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def wait_for(reached: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not reached():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def client_runs(engine: docker.DockerClient, runs: Path) -> bool:
    filters = {"label": [LABEL, "com.docker.compose.service=client"], "status": "running"}
    found = engine.containers.list(ignore_removed=True, filters=filters)
    return any(label(container).startswith(str(runs)) for container in found)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["as things are made", "as the client runs"])
def test_a_signal_leaves_nothing_behind(
    engine: docker.DockerClient, runs: Path, left: Left, number: signal.Signals, moment: str
) -> None:
    process = begin(runs, "run", "ivr-service")
    if moment == "as the client runs":
        wait_for(lambda: client_runs(engine, runs), process)
    else:
        wait_for(lambda: bool(left()), process)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # Ctrl-C reaches whatever the command has started too
    else:
        process.send_signal(number)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + number, said
    assert f"stopped by {number.name}; everything it started is stopped" in said
    assert left() == []
    assert members(process.pid) == []
    (run,) = (path for path in runs.iterdir() if not path.is_symlink())
    assert marked(run) == []
    assert {path.lstat().st_uid for path in runs.rglob("*")} == {UID}


def test_an_interrupted_start_of_the_playground_leaves_nothing_behind(runs: Path, left: Left) -> None:
    process = begin(runs, "up")
    wait_for(lambda: "imap" in left(), process)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + signal.SIGTERM, said
    assert left() == []
    assert members(process.pid) == []


def test_the_next_start_reaps_what_a_killed_run_left(engine: docker.DockerClient, runs: Path, left: Left) -> None:
    process = begin(runs, "run", "ivr-service")
    wait_for(lambda: client_runs(engine, runs), process)
    assert {"imap", "media", "client", "capture"} < set(left())
    process.kill()
    process.communicate(timeout=PATIENCE)
    following = begin(runs, "run", "expired-ticket")
    said, _ = following.communicate(timeout=2 * PATIENCE)
    assert following.returncode == 0, said
    assert left() == []  # the start of another test may have removed it already
    assert members(process.pid) == members(following.pid) == []
    assert {path.lstat().st_uid for path in runs.rglob("*")} == {UID}
