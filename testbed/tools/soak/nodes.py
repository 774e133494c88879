"""Starts the IMAP server and the media server as processes on loopback, with their limits for one address off."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from lemonade_testbed.runtime.local import installed_programs
from lemonade_wire.address import Address
from soak.calls import HOST
from soak.mail import NAME, PASSWORD, USER, SoakError

UNLIMITED = ("--unlimited", "127.0.0.0/8")
"""The limits for one address are off, since all load comes from one."""
_READY = re.compile(r"ready on [^:]+:([0-9]+)")
_PATIENCE = 30.0


@dataclass
class SoakNode:
    """A node that runs: its name, its process, and the address at which it serves."""

    name: str
    process: subprocess.Popen[bytes]
    address: Address


@contextmanager
def nodes(folder: Path) -> Iterator[tuple[SoakNode, SoakNode]]:
    """Run the IMAP server and the media server, with their data and logs below `folder`; raises SoakError."""
    running: list[subprocess.Popen[bytes]] = []

    def start(name: str, program: str, *options: str) -> Path:
        log = folder / f"{name}.log"
        with log.open("wb") as sink:
            command = [*installed_programs()[program], *options, *UNLIMITED]
            running.append(subprocess.Popen(command, stdout=sink, stderr=sink))  # noqa: S603  the project's own programs
        return log

    try:
        account = f"{USER}:{PASSWORD}"
        data = str(folder / "data")
        log = start("imap", "imap", "--listen", f"{HOST}:0", "--data", data, "--name", NAME, "--user", account)
        imap = Address(HOST, int(_found(log, _READY)[1]))
        media = Address(HOST, _free_port())
        where = ("--allow-imap", f"{NAME}=127.0.0.0/8", "--resolve", f"{NAME}={imap}")
        start("media", "media", "--listen", str(media), "--rtp-ports", "24000-27999", *where)
        _await_options(media)
        yield SoakNode("imap", running[0], imap), SoakNode("media", running[1], media)
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _free_port() -> int:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _found(log: Path, pattern: re.Pattern[str]) -> re.Match[str]:
    deadline = time.monotonic() + _PATIENCE
    while (found := pattern.search(log.read_text(encoding="utf-8", errors="replace"))) is None:
        if time.monotonic() > deadline:
            raise SoakError(f"a node did not become ready; see {log}")
        time.sleep(0.05)
    return found


def _await_options(media: Address) -> None:
    """Wait until the media server answers OPTIONS."""
    deadline = time.monotonic() + _PATIENCE
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        probe.bind((HOST, 0))
        probe.settimeout(0.2)
        here = Address(*probe.getsockname())
        for number in range(1000):
            probe.sendto(
                f"OPTIONS sip:{media} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKs{number}\r\n"
                f"Max-Forwards: 70\r\nFrom: <sip:soak@{HOST}>;tag=1\r\nTo: <sip:{media}>\r\n"
                f"Call-ID: {number}@soak\r\nCSeq: 1 OPTIONS\r\n"
                "Content-Length: 0\r\n\r\n".encode(),
                media,
            )
            try:
                probe.recv(4096)
                return
            except OSError:  # no answer yet, or the port is not open yet
                time.sleep(0.05)
            if time.monotonic() > deadline:
                break
    raise SoakError("the media server does not answer OPTIONS")
