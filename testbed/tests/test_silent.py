"""The program that stands for a server that is down: `dead` answers no packet, `refuses` has no open port."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lemonade_testbed.runtime import silent

HOST = "127.96.1.1"
PORT = 5060


@contextmanager
def host(state: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(Path(silent.__file__)), state, f"{HOST}:{PORT}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().rstrip() == silent.READY
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def connect() -> None:
    socket.create_connection((HOST, PORT), 0.3).close()


def send() -> None:
    """Send a datagram over a connected socket, which gets an error if the port is closed."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.settimeout(0.3)
        sender.connect((HOST, PORT))
        sender.send(b"INVITE")
        sender.recv(100)


@pytest.mark.parametrize("act", [connect, send])
def test_a_dead_host_answers_no_packet(act: Callable[[], None]) -> None:
    with host("dead"), pytest.raises(TimeoutError):
        act()


@pytest.mark.parametrize("act", [connect, send])
def test_a_host_that_refuses_has_no_open_port(act: Callable[[], None]) -> None:
    with host("refuses"), pytest.raises(ConnectionRefusedError):
        act()
