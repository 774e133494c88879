"""Chooses the runtime, and has ready what it needs before the first scenario."""

from __future__ import annotations

from collections.abc import Callable

from lemonade_testbed.runtime.base import EnvironmentBroken

AUTO, DOCKER, LOCAL = "auto", "docker", "local"
Say = Callable[[str], None]


def ready(name: str, say: Say) -> str:
    """Return the runtime that `name` stands for, ready to be used; `say` is told which, and what is made for it.

    `auto` takes containers where an engine answers. What killed runs left in the engine is removed. Raises
    EnvironmentBroken where containers are wanted and cannot be had.
    """
    if name == LOCAL:
        return LOCAL
    from lemonade_testbed.runtime import docker_engine  # noqa: PLC0415  a third of a second that local runs save
    from lemonade_testbed.runtime.docker_images import ensure_images  # noqa: PLC0415

    try:
        engine = docker_engine.connect()
    except EnvironmentBroken as problem:
        if name == DOCKER:
            raise
        say(f"runtime: local; {problem}")
        return LOCAL
    if name == AUTO:
        say(f"runtime: containers, by Docker Engine {engine.version()['Version']}")
    for run in docker_engine.reap(engine):
        say(f"removed the containers that a killed run left: {run}")
    ensure_images(engine, say)
    engine.close()
    return DOCKER


def make_images(say: Say, *, base: bool = False) -> None:
    """Build the images that are not up to date; with `base` make the base image alone. Raises EnvironmentBroken."""
    from lemonade_testbed.runtime import docker_engine  # noqa: PLC0415
    from lemonade_testbed.runtime.docker_images import ensure_images, make_base  # noqa: PLC0415

    engine = docker_engine.connect()
    if base:
        make_base(say)
    elif not ensure_images(engine, say):
        say("the images are up to date")
    engine.close()
