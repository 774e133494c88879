"""`kill -9` of a server at random moments under load: everything that was answered with OK must still exist.

LEMONADE_KILLS=200 pytest imap-server/tests/crash
"""

from __future__ import annotations

import imaplib
import os
import random
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lemonade_imap.testing.crash_records import Promised, make_records

KILLS = int(os.environ.get("LEMONADE_KILLS", "10"))
BASIC = ["--listen", "127.0.0.1:0", "--name", "imap.example.com", "--user", "joe:sesame"]
imaplib.Commands.update(dict.fromkeys(("GENURLAUTH", "URLFETCH"), ("AUTH", "SELECTED")))


class Server:
    """A server in a process of its own."""

    def __init__(self, data: Path) -> None:
        program = "from lemonade_imap.cli import main; main()"
        command = [sys.executable, "-c", program, *BASIC, "--data", str(data)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        found = re.search(r"ready on 127\.0\.0\.1:(\d+)", line)
        assert found, line
        self.port = int(found[1])

    def login(self) -> imaplib.IMAP4:
        client = imaplib.IMAP4("127.0.0.1", self.port, timeout=60)
        client.login("joe", "sesame")
        return client

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.communicate()


class Load(threading.Thread):
    """A client that sends changes until the server has ended."""

    def __init__(
        self,
        server: Server,
        promised: Promised,
    ) -> None:
        super().__init__()
        self._client = server.login()
        self._promised = promised
        self.wrong: BaseException | None = None
        self.working = threading.Event()

    def run(self) -> None:
        try:
            while True:
                self._promised.change(self._client)
                self.working.set()
        except (imaplib.IMAP4.abort, OSError):
            pass
        except BaseException as problem:  # the test checks it later
            self.wrong = problem
        finally:
            self.working.set()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def ticket_of(client: imaplib.IMAP4) -> str:
    """Append a message and return a ticket for it."""
    assert client.append("kept", "", "", b"Subject: t\r\n\r\nticket")[0] == "OK"
    rump = "imap://joe@imap.example.com/kept/;UID=1/;SECTION=TEXT;URLAUTH=anonymous"
    assert client.xatom("GENURLAUTH", f'"{rump}"', "INTERNAL")[0] == "OK"
    (url,) = client.response("GENURLAUTH")[1]
    assert isinstance(url, bytes)
    return url.decode()


def test_what_was_answered_survives_kill_9_at_any_moment(data: Path) -> None:
    seed = random.SystemRandom().getrandbits(32)
    chance = random.Random(seed)
    server = Server(data)
    client = server.login()
    kept = make_records(chance, client)
    ticket = ticket_of(client)
    try:
        for kill in range(KILLS):
            loads = [Load(server, promised) for promised in kept]
            for load in loads:
                load.start()
            for load in loads:
                load.working.wait()
            threading.Event().wait(chance.uniform(0, 0.5))
            server.kill()
            for load in loads:
                load.join()
                assert load.wrong is None, f"seed {seed}, kill {kill}: {load.wrong!r}"
            server = Server(data)
            client = server.login()
            for promised in kept:
                promised.check(client)
            assert client.xatom("URLFETCH", ticket)[0] == "OK"
            assert b"ticket" in repr(client.response("URLFETCH")[1]).encode(), (
                f"kill {kill}: the ticket is worth nothing"
            )
    finally:
        server.kill()
    # A server that never carried out a command would pass all checks.
    for promised in kept:
        assert promised.answered > 2 * KILLS
    done = ", ".join(f"{type(promised).__name__} {promised.answered}" for promised in kept)
    sys.stdout.write(f"{KILLS} kills, commands answered OK: {done}; seed {seed}\n")
