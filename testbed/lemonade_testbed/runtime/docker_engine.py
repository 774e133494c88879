"""The container engine of this machine: reached by the `docker` SDK, its things labelled with whose they are."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import docker
from docker.errors import APIError, DockerException, NotFound
from docker.models.containers import Container
from docker.models.networks import Network

from lemonade_testbed.runtime.base import EnvironmentBroken
from lemonade_testbed.runtime.processes import start_time

OLDEST_API = (1, 41)
"""Engine 20.10."""
LABEL = "lemonade.run"
OWNER = "lemonade.owner"
HOST = "lemonade.host"
PATIENCE = 60
"""Seconds that the engine may take for one answer."""


def connect() -> docker.DockerClient:
    """Return a client of this machine's engine; raises EnvironmentBroken with what is wrong with it."""
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
    """Return the innermost reason, which is the one that a person can act on."""
    while problem.__context__ is not None:
        problem = problem.__context__
    return str(getattr(problem, "strerror", None) or problem)


def labels(run: Path, *, keep: bool = False) -> dict[str, str]:
    """Return the labels of what the run in folder `run` makes; with `keep` it outlives this process."""
    pid = os.getpid()
    return {LABEL: str(run), OWNER: "" if keep else f"{pid}:{start_time(pid)}", HOST: this_host()}


def this_host() -> str:
    """Return this host's name, its boot and its space of process ids: a process id says something in all three."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{socket.gethostname()} {boot} {os.readlink('/proc/self/ns/pid')}"


def is_left(given: Mapping[str, str], here: str | None = None) -> bool:
    """Tell whether labels name an owner on this host that is gone; who is not known for sure is let alone."""
    owner, host = given.get(OWNER, ""), given.get(HOST, "").split()
    name, boot, space = (here or this_host()).split()
    if not owner or len(host) != 3 or host[0] != name:
        return False
    if host[1] != boot:
        return True
    pid, _, started = owner.partition(":")
    return host[2] == space and pid.isdigit() and str(start_time(int(pid))) != started


def reap(client: docker.DockerClient) -> list[str]:
    """Remove the containers and networks whose runner was killed; returns the runs that left them."""
    filters = {"label": LABEL}
    made = client.containers.list(all=True, ignore_removed=True, filters=filters)
    containers = [container for container in made if is_left(_labels(container))]
    networks = [network for network in client.networks.list(filters=filters) if is_left(_labels(network))]
    _remove(containers, networks)
    return sorted({_labels(thing)[LABEL] for thing in (*containers, *networks)})


def remove(client: docker.DockerClient, run: str, project: str | None = None) -> None:
    """Remove every container and network of a run, or of one project of it; what is gone already is no trouble."""
    wanted = [f"{LABEL}={run}"] + ([f"com.docker.compose.project={project}"] if project else [])
    filters = {"label": wanted}
    containers = client.containers.list(all=True, ignore_removed=True, filters=filters)
    _remove(containers, client.networks.list(filters=filters))


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
