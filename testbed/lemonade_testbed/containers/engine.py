"""Connects to the container engine of this machine (`docker` SDK), and removes containers that killed runs left.

Each container and network of the testbed has labels that name its run, and the process and host that made it.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import docker
from docker.errors import APIError, DockerException, NotFound
from docker.models.containers import Container
from docker.models.networks import Network

from lemonade_testbed.errors import EnvironmentBroken
from lemonade_testbed.procfs import start_time

OLDEST_API = (1, 41)
"""The API version of Docker Engine 20.10."""
LABEL = "lemonade.run"
OWNER = "lemonade.owner"
HOST = "lemonade.host"
PATIENCE = 60
"""Seconds after which a request to the engine fails."""
_LOOK = 0.1
"""Seconds between two looks for what an interrupted command creates."""


def connect() -> docker.DockerClient:
    """Return a client of this machine's engine; raises EnvironmentBroken if it does not answer or cannot be used.

    The engine must run on this machine and not in a virtual machine, since the capture needs its bridges.
    """
    where = os.environ.get("DOCKER_HOST", "unix://")
    if not where.startswith("unix://"):
        raise EnvironmentBroken(f"DOCKER_HOST is {where}: only an engine on this machine will do, for its bridges")
    try:
        client = docker.from_env(timeout=PATIENCE)
        version = client.version()
    except (DockerException, OSError) as problem:
        raise EnvironmentBroken(f"no container engine answers ({_reason(problem)})") from problem
    api = tuple(int(number) for number in str(version["ApiVersion"]).split("."))
    if api < OLDEST_API:
        raise EnvironmentBroken(f"the container engine {version['Version']} is too old: 20.10 or later is needed")
    if version.get("KernelVersion") not in {None, os.uname().release}:
        raise EnvironmentBroken("the container engine runs in a machine of its own: its bridges are out of reach")
    return client


def _reason(problem: BaseException) -> str:
    """Return the text of the innermost exception, which names the real cause."""
    while problem.__context__ is not None:
        problem = problem.__context__
    return str(getattr(problem, "strerror", None) or problem)


def labels(run: Path, *, keep: bool = False) -> dict[str, str]:
    """Return the labels of the containers and networks of the run in folder `run`.

    With `keep` they name no owner, so that the containers are not removed after this process has ended.
    """
    pid = os.getpid()
    return {LABEL: str(run), OWNER: "" if keep else f"{pid}:{start_time(pid)}", HOST: this_host()}


def this_host() -> str:
    """Return the host's name, boot id and PID namespace: a process id identifies a process only within all three."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{socket.gethostname()} {boot} {os.readlink('/proc/self/ns/pid')}"


def is_left(given: Mapping[str, str], here: str | None = None) -> bool:
    """Tell whether the owner that labels name has ended.

    The result is False if the labels name no owner, or one on another host or in another PID namespace, of which that
    is not known.
    """
    owner, host = given.get(OWNER, ""), given.get(HOST, "").split()
    name, boot, space = (here or this_host()).split()
    if not owner or len(host) != 3 or host[0] != name:
        return False
    if host[1] != boot:
        return True
    pid, _, started = owner.partition(":")
    return host[2] == space and pid.isdigit() and str(start_time(int(pid))) != started


def reap(client: docker.DockerClient) -> list[str]:
    """Remove the containers and networks whose owner has ended; returns the folders of their runs."""
    filters = {"label": LABEL}
    made = client.containers.list(all=True, ignore_removed=True, filters=filters)
    containers = [container for container in made if is_left(_labels(container))]
    networks = [network for network in client.networks.list(filters=filters) if is_left(_labels(network))]
    _remove(containers, networks)
    return sorted({_labels(thing)[LABEL] for thing in (*containers, *networks)})


def remove(client: docker.DockerClient, run: str, project: str | None = None, *, settling: float = 0.0) -> None:
    """Remove every container and network of a run, or of one compose project of it, as far as they exist.

    The engine may finish after this what an interrupted command has begun to create: nothing new is seen for `settling`
    seconds when the function returns, but it gives up after ten times as long.
    """
    wanted = [f"{LABEL}={run}"] + ([f"com.docker.compose.project={project}"] if project else [])
    filters = {"label": wanted}
    now = time.monotonic()
    quiet, end = now + settling, now + 10 * settling
    while True:
        containers = client.containers.list(all=True, ignore_removed=True, filters=filters)
        networks = client.networks.list(filters=filters)
        _remove(containers, networks)
        now = time.monotonic()
        if containers or networks:
            quiet = now + settling
        if now >= min(quiet, end):
            return
        time.sleep(_LOOK)


def _remove(containers: Iterable[Container], networks: Iterable[Network]) -> None:
    for container in containers:
        with suppress(NotFound, APIError):
            container.remove(force=True, v=True)
    for network in networks:
        with suppress(NotFound, APIError):
            network.remove()


def _labels(thing: object) -> Mapping[str, str]:
    attributes = getattr(thing, "attrs", {})
    return attributes.get("Labels") or attributes.get("Config", {}).get("Labels") or {}
