"""Builds the images of the nodes and of the capture if their sources have changed, and removes old ones."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import docker
from docker.errors import APIError, ImageNotFound
from docker.models.containers import Container
from requests.exceptions import RequestException

from lemonade_testbed.containers.engine import LABEL, connect, remove
from lemonade_testbed.containers.tools import ROOT, TOOLS, ensure_compose, mirror, mmdebstrap
from lemonade_testbed.errors import EnvironmentBroken
from lemonade_testbed.runtime.docker_node import GRACE, DockerNode
from lemonade_testbed.runtime.settings import EVIDENCE
from lemonade_testbed.scenario.world import SERVERS

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
"""The source files and folders of each image; the image of a role is called `lemonade-ROLE`."""
Say = Callable[[str], None]


def ensure_images(client: docker.DockerClient, say: Say, wanted: Iterable[str] = SOURCES) -> list[str]:
    """Build the images that are missing or whose sources have changed; returns their names.

    Raises EnvironmentBroken.
    """
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
    """Return the id of an image and the fingerprint of its sources, or None if there is no such image."""
    try:
        image = client.images.get(f"lemonade-{name}")
    except ImageNotFound:
        return None
    return str(image.id), str(image.labels.get(SOURCE, ""))


def _forget(client: docker.DockerClient, old: tuple[str, str] | None, new: tuple[str, str] | None) -> None:
    """Remove the old image after a new one got its name, unless a container still uses it."""
    if old is not None and new is not None and old[0] != new[0]:
        with suppress(APIError):
            client.images.remove(old[0])


def fingerprint(paths: Iterable[str], root: Path = ROOT) -> str:
    """Return 16 hexadecimal digits of a SHA-256 over the content of files and folders, without their times."""
    digest = hashlib.sha256()
    for path in paths:
        place = root / path
        for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if file.is_file() and "__pycache__" not in file.parts:
                content = hashlib.sha256(file.read_bytes()).hexdigest()
                digest.update(f"{file.relative_to(root)} {content}\n".encode())
    return digest.hexdigest()[:16]


def ensure_base(client: docker.DockerClient, say: Say) -> None:
    """Make sure that the base image exists: pull it from its registry, or else make it of Debian packages.

    Raises EnvironmentBroken with both reasons if neither is possible.
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
    """Make the base image of Debian packages, with the name of the public one; raises EnvironmentBroken."""
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
    """Hold a lock, so that two runs do not build images or unpack tools at the same time."""
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "images.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ensure_compose()
        yield


_SERVICE = "com.docker.compose.service"


def servers_run(run: Path) -> bool:
    """Tell whether both servers of the run in folder `run` run; raises EnvironmentBroken."""
    with closing(connect()) as client:
        running = client.containers.list(ignore_removed=True, filters={"label": f"{LABEL}={run}"})
    return set(SERVERS) <= {container.labels.get(_SERVICE) for container in running}


def bring_down(run: Path) -> bool:
    """Stop and remove all containers and networks of the run in folder `run`; tells whether there were any.

    The servers' logs and traces are written into the folder, if it exists. Raises EnvironmentBroken.
    """
    with closing(connect()) as client:
        return _bring_down(client, run)


def _bring_down(client: docker.DockerClient, run: Path) -> bool:
    filters = {"label": f"{LABEL}={run}"}
    made = client.containers.list(all=True, ignore_removed=True, filters=filters)
    found = bool(made or client.networks.list(filters=filters))
    # the IMAP server is stopped last, so that the media server can log out
    _stop([container for container in made if container.labels.get(_SERVICE) != "imap"])
    _stop([container for container in made if container.labels.get(_SERVICE) == "imap"])
    for container in made:
        role = container.labels.get(_SERVICE)
        if role in SERVERS and run.is_dir():
            node, trace = DockerNode(role, container), f"trace-{role}.jsonl"
            (run / f"{role}.log").write_bytes(node.log())
            node.bring(EVIDENCE, {trace: run / trace})
    remove(client, str(run))
    return found


def _stop(containers: Sequence[Container]) -> None:
    def stop(container: Container) -> None:
        with suppress(APIError, RequestException):
            container.stop(timeout=GRACE)

    with ThreadPoolExecutor(max(1, len(containers))) as pool:
        list(pool.map(stop, containers))
