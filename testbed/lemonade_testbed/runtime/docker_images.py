"""The images of the nodes and of the capture: built where they are missing or older than their sources."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import docker
from docker.errors import APIError, ImageNotFound

from lemonade_testbed.runtime.base import EnvironmentBroken
from lemonade_testbed.runtime.docker_tools import ROOT, TOOLS, ensure_compose, mirror, mmdebstrap

BASE = "debian:trixie-slim"
SOURCE = "lemonade.source"
LOG = TOOLS / "images.log"
_WIRE = ("requirements.lock", "wire/pyproject.toml", "wire/lemonade_wire")
SOURCES: Mapping[str, tuple[str, ...]] = {
    "imap": (*_WIRE, "imap-server/Dockerfile", "imap-server/pyproject.toml", "imap-server/lemonade_imap"),
    "media": (*_WIRE, "media-server/Dockerfile", "media-server/pyproject.toml", "media-server/lemonade_media"),
    "client": (*_WIRE, "client/Dockerfile", "client/pyproject.toml", "client/lemonade_client"),
    "relay": (*_WIRE, "compose/relay", "testbed/lemonade_testbed/__init__.py", "testbed/lemonade_testbed/relay"),
    "capture": ("compose/capture/Dockerfile",),
}
"""What each image is made of; the image of a role is called `lemonade-ROLE`."""
Say = Callable[[str], None]


def ensure_images(client: docker.DockerClient, say: Say, wanted: Iterable[str] = SOURCES) -> list[str]:
    """Build the images that are missing or older than their sources; returns which. Raises EnvironmentBroken."""
    with _alone():
        ids = {name: _image(client, name) for name in wanted}
        prints = {name: fingerprint(SOURCES[name]) for name in ids}
        stale = [name for name, image in ids.items() if image is None or image[1] != prints[name]]
        if not stale:
            return []
        ensure_base(client, say)
        say(f"building the images of {', '.join(stale)} (log: {LOG.relative_to(ROOT)})")
        sources = {f"LEMONADE_SOURCE_{name.upper()}": prints[name] for name in stale}
        command = ["docker", "compose", "-f", str(ROOT / "compose/compose.yaml")]
        command += ["--profile", "*", "build", *stale]
        _build(command, sources)
        for name in stale:
            _forget(client, ids[name], _image(client, name))
    return stale


def _image(client: docker.DockerClient, name: str) -> tuple[str, str] | None:
    """Return the id of an image and the fingerprint of its sources, None where there is no such image."""
    try:
        image = client.images.get(f"lemonade-{name}")
    except ImageNotFound:
        return None
    return str(image.id), str(image.labels.get(SOURCE, ""))


def _forget(client: docker.DockerClient, old: tuple[str, str] | None, new: tuple[str, str] | None) -> None:
    """Remove an image that its successor has taken the name from, unless a container uses it still."""
    if old is not None and new is not None and old[0] != new[0]:
        with suppress(APIError):
            client.images.remove(old[0])


def fingerprint(paths: Iterable[str], root: Path = ROOT) -> str:
    """Return what stands for the content of files and of folders of Python code, whatever their times."""
    digest = hashlib.sha256()
    for path in paths:
        place = root / path
        for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if file.is_file() and "__pycache__" not in file.parts:
                content = hashlib.sha256(file.read_bytes()).hexdigest()
                digest.update(f"{file.relative_to(root)} {content}\n".encode())
    return digest.hexdigest()[:16]


def ensure_base(client: docker.DockerClient, say: Say) -> None:
    """Have the base image: the one that is here, else a registry's, else one of our own making.

    Raises EnvironmentBroken where none of them is possible, with both reasons.
    """
    with suppress(ImageNotFound):
        client.images.get(BASE)
        return
    try:
        say(f"pulling {BASE}")
        client.images.pull(BASE)
    except APIError as refused:
        try:
            make_base(say)
        except EnvironmentBroken as problem:
            raise EnvironmentBroken(
                f"there is no {BASE}: the registry says {refused.explanation}; and making it of packages: {problem}"
            ) from problem


def make_base(say: Say) -> None:
    """Make the base image of Debian packages, under the public one's name; raises EnvironmentBroken."""
    program, source = mmdebstrap(), mirror()
    say(f"making {BASE} of Debian packages (log: {LOG.relative_to(ROOT)})")
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    _build([str(ROOT / "compose/base/build"), BASE, source], {"PATH": path})


def _build(command: list[str], environment: Mapping[str, str]) -> None:
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("w", encoding="utf-8") as log:
        ran = subprocess.run(  # noqa: S603  the command is the testbed's own
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False, env=os.environ | environment
        )
    if ran.returncode:
        lines = [line for line in LOG.read_text("utf-8", errors="replace").splitlines() if line.strip()]
        said = "\n    ".join(lines[-12:])
        raise EnvironmentBroken(f"the image could not be built (whole log: {LOG.relative_to(ROOT)})\n    {said}")


@contextmanager
def _alone() -> Iterator[None]:
    """Hold what two runs that start together must not do at the same time."""
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "images.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ensure_compose()
        yield
