from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container

from lemonade_testbed.runtime.docker_engine import LABEL, labels, reap, remove
from lemonade_testbed.runtime.docker_images import BASE, ensure_base
from lemonade_testbed.runtime.docker_kept import bring_down, servers_run

SERVICE = "com.docker.compose.service"
SERVER = (
    "mkdir -p /evidence; echo line >/evidence/trace-$ROLE.jsonl; echo $ROLE is up; trap 'echo asked; exit 0' TERM; "
    "while :; do sleep 0.1; done"
)
Make = Callable[..., Container]


@pytest.fixture
def make(engine: docker.DockerClient, tmp_path: Path) -> Iterator[Make]:
    """Return a maker of started containers of the run in `tmp_path`, or of another one."""
    ensure_base(engine, print)
    other = tmp_path / "other"

    def run(role: str, *, of: Path = tmp_path) -> Container:
        own = labels(of, keep=True) | ({SERVICE: role} if role else {})
        return engine.containers.run(
            BASE, ["sh", "-c", SERVER], detach=True, init=True, labels=own, environment={"ROLE": role}
        )

    yield run
    for folder in (tmp_path, other):
        remove(engine, str(folder))


def test_both_servers_or_none(make: Make, tmp_path: Path) -> None:
    make("imap")
    make("media", of=tmp_path / "other")
    assert not servers_run(tmp_path)
    media = make("media")
    assert servers_run(tmp_path)
    media.kill()
    assert not servers_run(tmp_path)


def test_all_of_one_run_is_brought_down_with_its_words(make: Make, engine: docker.DockerClient, tmp_path: Path) -> None:
    for role in ("imap", "media", ""):
        make(role)
    engine.networks.create(f"lemonade-test-{tmp_path.name}", labels=labels(tmp_path, keep=True))
    other = make("imap", of=tmp_path / "other")
    assert str(tmp_path) not in reap(engine)
    assert bring_down(tmp_path)
    for role in ("imap", "media"):
        assert (tmp_path / f"{role}.log").read_text() == f"{role} is up\nasked\n"
        assert (tmp_path / f"trace-{role}.jsonl").read_text() == "line\n"
    filters = {"label": f"{LABEL}={tmp_path}"}
    assert not engine.containers.list(all=True, filters=filters)
    assert not engine.networks.list(filters=filters)
    other.reload()
    assert other.status == "running"
    assert not bring_down(tmp_path)


def test_what_is_half_made_goes_too_and_needs_no_folder(
    make: Make, engine: docker.DockerClient, tmp_path: Path
) -> None:
    folder = tmp_path / "other"
    engine.containers.create(BASE, labels=labels(folder, keep=True) | {SERVICE: "imap"})
    assert bring_down(folder)
    assert not engine.containers.list(all=True, filters={"label": f"{LABEL}={folder}"})
    assert not folder.exists()
