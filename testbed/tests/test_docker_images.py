from __future__ import annotations

from pathlib import Path

import pytest
from docker.errors import APIError, ImageNotFound

from lemonade_testbed.runtime import docker_images
from lemonade_testbed.runtime.base import EnvironmentBroken
from lemonade_testbed.runtime.docker_images import SOURCES, ensure_base, fingerprint
from lemonade_testbed.runtime.docker_tools import ROOT


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


def test_a_base_image_that_is_here_is_taken() -> None:
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


def test_both_reasons_are_told_where_neither_is_possible(monkeypatch: pytest.MonkeyPatch) -> None:
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
