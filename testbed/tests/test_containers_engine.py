from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import docker
import pytest

from lemonade_testbed.containers import engine as docker_engine
from lemonade_testbed.containers.engine import HOST, LABEL, OWNER, is_left, labels, this_host
from lemonade_testbed.errors import EnvironmentBroken
from lemonade_testbed.procfs import start_time

NAME, BOOT, SPACE = this_host().split()
ME = f"{os.getpid()}:{start_time(os.getpid())}"


@pytest.mark.parametrize(
    ("owner", "host", "left"),
    [
        (ME, f"{NAME} {BOOT} {SPACE}", False),
        (f"{os.getpid()}:1", f"{NAME} {BOOT} {SPACE}", True),
        ("4194304:1", f"{NAME} {BOOT} {SPACE}", True),
        (ME, f"{NAME} another-boot {SPACE}", True),
        ("4194304:1", f"elsewhere {BOOT} {SPACE}", False),
        ("4194304:1", f"{NAME} {BOOT} pid:[1]", False),
        ("", f"{NAME} {BOOT} {SPACE}", False),
        ("x:1", f"{NAME} {BOOT} {SPACE}", False),
        ("4194304:1", "", False),
    ],
    ids=["alive", "id taken by another", "gone", "boot", "another host", "another pid space", "kept", "odd", "no host"],
)
def test_only_an_ended_owner_on_this_host_counts_as_ended(owner: str, host: str, left: bool) -> None:
    assert is_left({LABEL: "/run", OWNER: owner, HOST: host}) is left


def test_the_labels_of_a_running_process_count_as_in_use(tmp_path: Path) -> None:
    made = labels(tmp_path)
    assert made == {LABEL: str(tmp_path), OWNER: ME, HOST: this_host()}
    assert not is_left(made)
    assert not is_left(labels(tmp_path, keep=True))


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("tcp://192.0.2.1:2375", "DOCKER_HOST is tcp://192.0.2.1:2375: only an engine on this machine will do"),
        ("unix:///nowhere/docker.sock", r"no container engine answers \(No such file or directory\)"),
    ],
)
def test_an_engine_that_is_remote_or_does_not_answer_is_refused(
    monkeypatch: pytest.MonkeyPatch, where: str, why: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", where)
    with pytest.raises(EnvironmentBroken, match=why):
        docker_engine.connect()


def test_a_killed_runner_s_network_is_reaped_and_a_living_one_s_is_not(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    dead = {LABEL: f"{tmp_path}/dead", OWNER: f"{int(gone.stdout)}:1", HOST: this_host()}
    alive = labels(tmp_path) | {LABEL: f"{tmp_path}/alive"}
    made = [
        engine.networks.create(f"lemonade-test-{os.getpid()}-{n}", labels=own) for n, own in enumerate((dead, alive))
    ]
    try:
        docker_engine.reap(engine)  # or a run beside this test, which does so when it starts
        assert {network.id for network in engine.networks.list()} & {network.id for network in made} == {made[1].id}
    finally:
        for run in ("dead", "alive"):
            docker_engine.remove(engine, f"{tmp_path}/{run}")
    assert not engine.networks.list(filters={"label": f"{LABEL}={tmp_path}/alive"})


class Things:
    """Stands for the containers or networks of an engine: each look finds what the next entry of `found` holds."""

    def __init__(self, *found: list[Mock]) -> None:
        self._found = list(found)

    def list(self, **_filters: object) -> list[Mock]:
        return self._found.pop(0) if self._found else []


def test_what_the_engine_finishes_after_an_interruption_is_removed_too() -> None:
    late = Mock()
    client = Mock(containers=Things([], [], [late]), networks=Things())
    docker_engine.remove(client, "run", settling=0.3)
    assert late.remove.call_count == 1


def test_without_an_interruption_the_engine_is_looked_at_once() -> None:
    now, late = Mock(), Mock()
    client = Mock(containers=Things([now], [late]), networks=Things())
    docker_engine.remove(client, "run")
    assert (now.remove.call_count, late.remove.call_count) == (1, 0)
