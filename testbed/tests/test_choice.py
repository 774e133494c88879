from __future__ import annotations

import pytest

from lemonade_testbed.errors import EnvironmentBroken
from lemonade_testbed.runtime.choice import make_images, ready


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    return []


def test_auto_takes_the_local_runtime_where_no_engine_answers_and_says_why(said: list[str]) -> None:
    assert ready("auto", said.append) == "local"
    assert said == ["runtime: local; no container engine answers (No such file or directory)"]


def test_local_asks_no_engine(said: list[str]) -> None:
    assert ready("local", said.append) == "local"
    assert said == []


def test_docker_without_an_engine_is_a_broken_environment(said: list[str]) -> None:
    for wanted in (lambda: ready("docker", said.append), lambda: make_images(said.append)):
        with pytest.raises(EnvironmentBroken, match="no container engine answers"):
            wanted()
