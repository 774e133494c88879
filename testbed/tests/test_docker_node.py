from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from lemonade_testbed.containers.engine import labels, remove
from lemonade_testbed.runtime.docker_images import BASE, ensure_base
from lemonade_testbed.runtime.docker_node import DockerNode, exit_code


@pytest.mark.parametrize(
    ("status", "code"), [(0, 0), (1, 1), (127, 127), (128, 128), (137, -9), (143, -15), (255, 255)]
)
def test_exit_codes_have_the_form_of_the_local_runtime(status: int, code: int) -> None:
    assert exit_code(status) == code


@pytest.fixture
def make(engine: docker.DockerClient, tmp_path: Path) -> Iterator[Callable[[str], DockerNode]]:
    ensure_base(engine, print)
    engine.networks.create(f"lemonade-test-{os.getpid()}", labels=labels(tmp_path))

    def run(script: str) -> DockerNode:
        network = f"lemonade-test-{os.getpid()}"
        made = engine.containers.create(BASE, ["sh", "-c", script], init=True, labels=labels(tmp_path), network=network)
        return DockerNode("imap", made)

    yield run
    remove(engine, str(tmp_path))
    assert not engine.containers.list(all=True, filters={"label": f"lemonade.run={tmp_path}"})


def test_exit_code_log_and_files_of_a_node_can_be_read(make: Callable[[str], DockerNode], tmp_path: Path) -> None:
    node = make("cat /evidence/script.json; echo said >&2; id -u >/evidence/trace-imap.jsonl; exit 7")
    node.put("/evidence", {"script.json": b"the script\n"})
    assert node.ended() is None
    node.start()
    assert node.ended(20) == 7
    assert sorted(node.log().splitlines()) == [b"said", b"the script"]
    node.bring("/evidence", {"trace-imap.jsonl": tmp_path / "trace", "missing": tmp_path / "missing"})
    assert [path.name for path in tmp_path.iterdir()] == ["trace"]
    assert (tmp_path / "trace").stat().st_uid == os.getuid()
    assert node.get("/nowhere") is None
    node.stop()


def test_a_node_can_be_paused_restarted_disconnected_and_killed(make: Callable[[str], DockerNode]) -> None:
    node = make("trap 'echo asked; exit 0' TERM; echo up; while :; do sleep 0.1; done")
    node.start()
    node.pause()
    node.container.reload()
    assert node.container.status == "paused"
    node.resume()
    node.restart()
    assert node.ended() is None
    node.container.reload()
    (name,) = node.container.attrs["NetworkSettings"]["Networks"]
    node.disconnect()
    node.container.reload()
    assert node.container.attrs["NetworkSettings"]["Networks"] == {}
    node.connect(name)
    node.kill()
    assert node.ended(20) == -9
    assert node.log().count(b"up") == 2
