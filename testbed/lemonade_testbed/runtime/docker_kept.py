"""Containers that outlive the program that started them (the playground): found by their labels, and brought down."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import docker
from docker.errors import APIError
from docker.models.containers import Container
from requests.exceptions import RequestException

from lemonade_testbed.runtime.docker_compose import EVIDENCE
from lemonade_testbed.runtime.docker_engine import LABEL, connect, remove
from lemonade_testbed.runtime.docker_node import GRACE, DockerNode
from lemonade_testbed.runtime.world import SERVERS

_SERVICE = "com.docker.compose.service"


def servers_run(run: Path) -> bool:
    """Tell whether both servers of the run in folder `run` are up; raises EnvironmentBroken."""
    with closing(connect()) as client:
        running = client.containers.list(ignore_removed=True, filters={"label": f"{LABEL}={run}"})
    return set(SERVERS) <= {container.labels.get(_SERVICE) for container in running}


def bring_down(run: Path) -> bool:
    """Stop and remove all that carries the label of the run in folder `run`; tells whether there was anything.

    The servers' logs and traces are written into the folder, where it is still there. Raises EnvironmentBroken.
    """
    with closing(connect()) as client:
        return _bring_down(client, run)


def _bring_down(client: docker.DockerClient, run: Path) -> bool:
    filters = {"label": f"{LABEL}={run}"}
    made = client.containers.list(all=True, ignore_removed=True, filters=filters)
    found = bool(made or client.networks.list(filters=filters))
    _stop([container for container in made if container.labels.get(_SERVICE) != "imap"])
    _stop([container for container in made if container.labels.get(_SERVICE) == "imap"])  # the media server logs out
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
