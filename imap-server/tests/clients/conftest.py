"""Fixtures: a server in a process of its own, with certificates of `lemonade certs`, for clients of other makers."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lemonade_imap.testing.processes import NAME, Server, StartServer


@pytest.fixture(scope="session")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of certificates that `lemonade certs` made."""
    folder = tmp_path_factory.mktemp("certs")
    command = [sys.executable, "-m", "lemonade_testbed.cli", "certs", "--out", str(folder)]
    subprocess.run(
        [*command, "--name", f"{NAME},localhost,127.0.0.1"], check=True, timeout=60, stdout=subprocess.DEVNULL
    )
    return folder


@pytest.fixture
def start(tmp_path: Path, certs: Path) -> Iterator[StartServer]:
    """Return a function that starts a server with more options; the server ends with the test."""
    running: list[Server] = []

    def run(*more: str) -> Server:
        running.append(Server(tmp_path, certs, *more))
        return running[-1]

    yield run
    for server in running:
        if server.process.poll() is None:
            server.end(signal.SIGKILL)


@pytest.fixture
def server(start: StartServer) -> Server:
    """A server with the usual settings."""
    return start()
