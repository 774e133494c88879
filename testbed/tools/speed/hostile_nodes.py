"""Starts the nodes that are attacked, as processes on a loopback network, and reads what Linux says of them.

Memory is the highest resident set of a process since `begin` (VmHWM of proc(5), which a write to `clear_refs` resets).
Waiting is the time that a thread was ready to run but had no processor (the second number of `schedstat`): a machine
that is busy with other work delays a node by it.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import wave
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from lemonade_testbed.runtime.network import Network, claim
from speed.client import ServerFailedError

IMAP_PORT, SIP_PORT = 1143, 5060
NAME = "imap.example.com"
PASSWORD = "secret"  # noqa: S105  of accounts that exist for the length of a measurement
CONTROL, STRANGER = "ann", "joe"
"""The account of the control connection, and that of the attack."""
_PATIENCE = 20.0
_SECONDS = 60
"""Length of the sound that the control call plays."""


@dataclass(frozen=True)
class HostilePlace:
    """The addresses of a measurement, and its folder. `source(n)` is an address of the attack."""

    prefix: str
    folder: Path

    @property
    def imap(self) -> tuple[str, int]:
        """Where the IMAP server listens."""
        return f"{self.prefix}.2", IMAP_PORT

    @property
    def media(self) -> tuple[str, int]:
        """Where the media server listens for SIP."""
        return f"{self.prefix}.3", SIP_PORT

    @property
    def control(self) -> str:
        """The address of the control connection and of the control call."""
        return f"{self.prefix}.4"

    def source(self, number: int) -> str:
        """Return one of 200 addresses of the attack."""
        return f"{self.prefix}.{20 + number % 200}"


@dataclass
class WatchedNode:
    """A node that runs: its first process, and the memory of its processes at the beginning and at its highest."""

    process: subprocess.Popen[bytes]
    log: Path
    idle: dict[int, int] = field(default_factory=dict)
    decoders: dict[int, tuple[int, int]] = field(default_factory=dict)

    def begin(self) -> None:
        """Note the idle memory of all processes, and count their highest memory from now on."""
        self.decoders.clear()
        own, decoding = self._processes()
        for pid in (*own, *decoding):
            with suppress(OSError):
                Path(f"/proc/{pid}/clear_refs").write_text("5")
        self.idle = {pid: _highest(pid) for pid in own}
        self.sample()

    def sample(self) -> None:
        """Note the memory of the decoding processes, of which each lives for one part."""
        for pid in self._processes()[1]:
            most = _highest(pid)
            first, before = self.decoders.get(pid, (most, most))
            self.decoders[pid] = first, max(before, most)

    @property
    def growth(self) -> float:
        """By how many MB (10^6 octets) the node's processes without decoders grew, added up."""
        own = self._processes()[0]
        return sum(max(0, _highest(pid) - self.idle.get(pid, 0)) for pid in own) / 1e6

    @property
    def decoder_growth(self) -> float:
        """By how many MB the decoding process grew that grew most."""
        return max((most - first for first, most in self.decoders.values()), default=0) / 1e6

    def waiting(self) -> int:
        """Return the nanoseconds that the reactor's thread has waited for a processor."""
        return waiting_of(self.process.pid)

    def _processes(self) -> tuple[list[int], list[int]]:
        """Return the node's own processes, and the processes that decode: children of its children."""
        children = _children(self.process.pid)
        return [self.process.pid, *children], [pid for child in children for pid in _children(child)]


def waiting_of(pid: int | str) -> int:
    """Return the nanoseconds that the first thread of a process has waited for a processor."""
    try:
        return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[1])
    except (OSError, IndexError):
        return 0


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                found += map(int, (task / "children").read_text().split())
    return found


def _highest(pid: int) -> int:
    """Return the highest resident memory of a process in octets, 0 if it has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


@contextmanager
def place(folder: Path) -> Iterator[HostilePlace]:
    """Claim a loopback network for the time of the context."""
    network: Network = claim()
    try:
        yield HostilePlace(network.prefix, folder)
    finally:
        network.release()


@contextmanager
def imap_node(at: HostilePlace) -> Iterator[WatchedNode]:
    """Run the IMAP server, with its limits as they are by default; raises ServerFailedError if it does not start."""
    accounts = [f"--user={name}:{PASSWORD}" for name in (CONTROL, STRANGER)]
    options = ["--data", str(at.folder / "data"), "--name", NAME, *accounts]
    with _run("lemonade-imap", at.imap, options, at.folder, "ready on") as node:
        yield node


@contextmanager
def media_node(at: HostilePlace, mail: tuple[str, int]) -> Iterator[WatchedNode]:
    """Run the media server with its limits as they are; `mail` is where it finds the IMAP server that URLs name."""
    provisioned = at.folder / "provisioned"
    provisioned.mkdir()
    with wave.open(str(provisioned / "control.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16_000 * _SECONDS))
    options = ["--rtp-ports", "20000-29999", "--provisioned", str(provisioned)]
    options += ["--allow-imap", f"{NAME}=127.0.0.0/8", "--resolve", f"{NAME}={mail[0]}:{mail[1]}"]
    with _run("lemonade-media", at.media, options, at.folder, "listening for SIP") as node:
        yield node


@contextmanager
def _run(program: str, at: tuple[str, int], options: Sequence[str], folder: Path, ready: str) -> Iterator[WatchedNode]:
    log = folder / f"{program}.log"
    command = [str(Path(sys.executable).parent / program), "--listen", f"{at[0]}:{at[1]}", *options]
    with log.open("wb") as sink:
        process = subprocess.Popen(command, stderr=sink, start_new_session=True)  # noqa: S603  the project's own program
    try:
        deadline = time.monotonic() + _PATIENCE
        while ready not in log.read_text():
            if process.poll() is not None or time.monotonic() > deadline:
                raise ServerFailedError(f"{program} does not start: {log.read_text()[-500:]}")
            time.sleep(0.02)
        yield WatchedNode(process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
