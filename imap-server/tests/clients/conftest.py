"""A server as a person runs it, with a certificate of `lemonade certs`, for clients that others wrote."""

from __future__ import annotations

import re
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

NAME = "imap.example.com"
_RUN = [sys.executable, "-c", "from lemonade_imap.cli import main; main()"]
_READY = re.compile(r"ready on 127\.0\.0\.1:(\d+)(?:, TLS on 127\.0\.0\.1:(\d+))?")


class Server:
    """A running server: its ports, and what it said."""

    host = "127.0.0.1"

    def __init__(self, folder: Path, certs: Path, *more: str) -> None:
        self.certs = certs
        self.log = folder / "log"
        command = [*_RUN, "--listen", "127.0.0.1:0", "--name", NAME, "--data", str(folder / "data")]
        command += ["--user", "joe:sesame", "--user", "ann:sesame", "--admin", "root:sesame"]
        command += ["--listen-tls", "127.0.0.1:0"]
        command += ["--tls-cert", str(certs / f"{NAME}.pem"), "--tls-key", str(certs / f"{NAME}.key")]
        self.process = subprocess.Popen([*command, *more], stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        with self.log.open("w") as log:
            for line in self.process.stderr:
                log.write(line)
                found = _READY.search(line)
                if found:
                    break
        assert found, self.log.read_text()
        self.port, self.tls_port = int(found[1]), int(found[2])
        self._listening = threading.Thread(target=self._listen, args=(self.process.stderr,))
        self._listening.start()

    def _listen(self, said: IO[str]) -> None:
        """Keep what it says: a server whose pipe is full stands still."""
        with self.log.open("a") as log:
            for line in said:
                log.write(line)

    @property
    def trust(self) -> ssl.SSLContext:
        """What a client is given that trusts the run's authority and no other."""
        context = ssl.create_default_context(cafile=str(self.certs / "ca.pem"))
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    def end(self, how: signal.Signals = signal.SIGTERM) -> str:
        """Stop it; returns what it said."""
        self.process.send_signal(how)
        self.process.wait(timeout=10)
        self._listening.join(timeout=10)
        return self.log.read_text()


@pytest.fixture(scope="session")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of certificates, as `lemonade certs` makes it."""
    folder = tmp_path_factory.mktemp("certs")
    command = [sys.executable, "-m", "lemonade_testbed.cli", "certs", "--out", str(folder)]
    subprocess.run(
        [*command, "--name", f"{NAME},localhost,127.0.0.1"], check=True, timeout=60, stdout=subprocess.DEVNULL
    )
    return folder


@pytest.fixture
def start(tmp_path: Path, certs: Path) -> Iterator[Callable[..., Server]]:
    """Start a server with more options; it ends with the test."""
    running: list[Server] = []

    def run(*more: str) -> Server:
        running.append(Server(tmp_path, certs, *more))
        return running[-1]

    yield run
    for server in running:
        if server.process.poll() is None:
            server.end(signal.SIGKILL)


@pytest.fixture
def server(start: Callable[..., Server]) -> Server:
    """A server with its ordinary settings."""
    return start()
