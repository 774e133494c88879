"""Chooses the runtime, and prepares it before the first scenario: builds images, removes what killed runs left."""

from __future__ import annotations

from collections.abc import Callable

from lemonade_testbed.errors import EnvironmentBroken

AUTO, DOCKER, LOCAL = "auto", "docker", "local"
Say = Callable[[str], None]


def ready(name: str, say: Say) -> str:
    """Return the name of the runtime for `name`, ready to be used.

    `auto` stands for containers if an engine answers, else for local processes. `say` is called with a line for each
    thing that is done. Containers and networks that killed runs left are removed. Raises EnvironmentBroken if `name` is
    `docker` and no engine can be used.
    """
    if name == LOCAL:
        return LOCAL
    from lemonade_testbed.containers import engine as docker_engine  # noqa: PLC0415  the import takes a third of a second
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
    """Build the images that are not up to date; with `base`, make only the base image. Raises EnvironmentBroken."""
    from lemonade_testbed.containers import engine as docker_engine  # noqa: PLC0415  the import takes a third of a second
    from lemonade_testbed.runtime.docker_images import ensure_images, make_base  # noqa: PLC0415

    engine = docker_engine.connect()
    if base:
        make_base(say)
    elif not ensure_images(engine, say):
        say("the images are up to date")
    engine.close()
