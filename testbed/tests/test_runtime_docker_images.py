from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest
from docker.errors import APIError, ImageNotFound
from docker.models.containers import Container

from lemonade_testbed.containers.engine import LABEL, labels, reap, remove
from lemonade_testbed.containers.tools import ROOT
from lemonade_testbed.errors import EnvironmentBroken
from lemonade_testbed.runtime import docker_images
from lemonade_testbed.runtime.docker_images import BASE, SOURCES, bring_down, ensure_base, fingerprint, servers_run


def test_a_fingerprint_tells_content_and_names_and_not_times(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/one.py").write_text("1")
    first = fingerprint(["a"], tmp_path)
    (tmp_path / "a/__pycache__").mkdir()
    (tmp_path / "a/__pycache__/one.pyc").write_text("x")
    (tmp_path / "a/one.py").touch()
    assert fingerprint(["a"], tmp_path) == first
    (tmp_path / "a/one.py").rename(tmp_path / "a/two.py")
    renamed = fingerprint(["a"], tmp_path)
    (tmp_path / "a/two.py").write_text("2")
    assert len({first, renamed, fingerprint(["a"], tmp_path)}) == 3


def test_all_that_goes_into_an_image_is_in_its_fingerprint() -> None:
    for paths in SOURCES.values():
        assert all((ROOT / path).exists() for path in paths)
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    known = {path for paths in SOURCES.values() for path in paths}
    assert all(any(path == here or path.startswith(f"{here}/") for here in known) for path in allowed)


class Images:
    def __init__(self, *, here: bool, refused: bool) -> None:
        self.here, self.refused, self.pulled = here, refused, False

    def get(self, name: str) -> None:
        if not self.here:
            raise ImageNotFound(name)

    def pull(self, name: str) -> None:
        if self.refused:
            raise APIError("no", explanation="no such host")
        self.pulled = name == docker_images.BASE


class Engine:
    def __init__(self, *, here: bool, refused: bool) -> None:
        self.images = Images(here=here, refused=refused)


def test_an_existing_base_image_is_used() -> None:
    engine = Engine(here=True, refused=True)
    ensure_base(engine, pytest.fail)


def test_a_base_image_comes_from_a_registry_where_one_answers() -> None:
    engine = Engine(here=False, refused=False)
    ensure_base(engine, lambda _line: None)
    assert engine.images.pulled


def test_a_base_image_is_made_of_packages_where_no_registry_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[bool] = []
    monkeypatch.setattr(docker_images, "make_base", lambda _say: made.append(True))
    ensure_base(Engine(here=False, refused=True), lambda _line: None)
    assert made == [True]


def test_without_registry_and_packages_the_error_has_both_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise EnvironmentBroken("mmdebstrap does not run here")

    monkeypatch.setattr(docker_images, "mmdebstrap", refuse)
    with pytest.raises(EnvironmentBroken, match=r"registry says no such host; .* mmdebstrap does not run here"):
        ensure_base(Engine(here=False, refused=True), lambda _line: None)


def test_a_build_that_fails_shows_its_last_lines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(docker_images, "LOG", ROOT / ".tools/test-images.log")
    with pytest.raises(EnvironmentBroken, match=r"(?s)could not be built.*first\n    second"):
        docker_images._build(["sh", "-c", "echo first; echo second >&2; exit 3"], {})
    (ROOT / ".tools/test-images.log").unlink()


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


def test_servers_run_needs_both_servers(make: Make, tmp_path: Path) -> None:
    make("imap")
    make("media", of=tmp_path / "other")
    assert not servers_run(tmp_path)
    media = make("media")
    assert servers_run(tmp_path)
    media.kill()
    assert not servers_run(tmp_path)


def test_one_runs_containers_are_removed_and_its_logs_and_traces_kept(
    make: Make, engine: docker.DockerClient, tmp_path: Path
) -> None:
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


def test_a_container_that_was_never_started_is_removed_without_a_folder(
    make: Make, engine: docker.DockerClient, tmp_path: Path
) -> None:
    folder = tmp_path / "other"
    engine.containers.create(BASE, labels=labels(folder, keep=True) | {SERVICE: "imap"})
    assert bring_down(folder)
    assert not engine.containers.list(all=True, filters={"label": f"{LABEL}={folder}"})
    assert not folder.exists()
