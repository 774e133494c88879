"""A server in a process of its own, for tests with clients of other makers."""

from __future__ import annotations

import re
import signal
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Protocol

NAME = "imap.example.com"
_RUN = [sys.executable, "-c", "from lemonade_imap.cli import main; main()"]
_READY = re.compile(r"ready on 127\.0\.0\.1:(\d+)(?:, TLS on 127\.0\.0\.1:(\d+))?")


class Server:
    """A running server: its ports and its output."""

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
        """Read the server's output continuously: a server whose output pipe is full would stop."""
        with self.log.open("a") as log:
            for line in said:
                log.write(line)

    @property
    def trust(self) -> ssl.SSLContext:
        """The TLS context of a client that trusts only the run's certificate authority."""
        context = ssl.create_default_context(cafile=str(self.certs / "ca.pem"))
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    def end(self, how: signal.Signals = signal.SIGTERM) -> str:
        """Stop the server and return its output."""
        self.process.send_signal(how)
        self.process.wait(timeout=10)
        self._listening.join(timeout=10)
        return self.log.read_text()


class StartServer(Protocol):
    """A function that starts a server with more options of the command line."""

    def __call__(self, *more: str) -> Server:
        """Start a server with these options."""
