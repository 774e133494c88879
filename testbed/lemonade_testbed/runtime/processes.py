"""Starts and stops the processes of a run.

Each process is the leader of a session and process group of its own, and is noted in the run's file `pids.json`. Its
environment has the run's folder as a mark, so that the processes of a killed run can be found and killed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from lemonade_testbed.errors import EnvironmentBroken, RunStopped
from lemonade_testbed.procfs import start_time, stat_fields
from lemonade_testbed.runtime.fork_server import ForkServer, module_of

MARK = "LEMONADE_RUN"
PIDS = "pids.json"
GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL."""
_POLL = 0.02


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def members(group: int) -> list[int]:
    """Return the ids of the processes of a process group, without those that have ended (zombies)."""
    found = []
    for pid in _pids():
        fields = stat_fields(pid)
        if fields and int(fields[2]) == group and fields[0] not in {"Z", "X"}:
            found.append(pid)
    return found


def marked(run: Path) -> list[int]:
    """Return the ids of the running processes that have the mark of the run in folder `run` in their environment."""
    mark = f"{MARK}={run}".encode()
    return [pid for pid in _pids() if pid != os.getpid() and mark in _environment(pid) and start_time(pid) is not None]


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


class Process(Protocol):
    """A child process, started from its program or forked."""

    @property
    def pid(self) -> int:
        """The process id."""

    def wait(self, timeout: float) -> int:
        """Return the exit code; raises `subprocess.TimeoutExpired` after `timeout` seconds."""


@dataclass
class NodeProcess:
    """A started node, which is the leader of its own process group; `role` is the node's name."""

    role: str
    process: Process

    @property
    def pid(self) -> int:
        """The process id, which is the id of its process group too."""
        return self.process.pid

    def ended(self, within: float = 0.0) -> int | None:
        """Return the exit code when the node has ended, or None if it still runs after `within` seconds."""
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            return None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole group."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)


def stop_groups(nodes: Sequence[NodeProcess], grace: float = GRACE) -> None:
    """Stop whole process groups: SIGTERM, and SIGKILL for processes that run on after `grace` seconds.

    Returns when all have ended, or `grace` seconds after SIGKILL.
    """
    for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, grace)):
        left = [node for node in nodes if node.ended() is None or members(node.pid)]
        for node in left:
            node.signal(number)
        deadline = time.monotonic() + patience
        for node in left:
            node.ended(max(0.0, deadline - time.monotonic()))
            while members(node.pid) and time.monotonic() < deadline:
                time.sleep(_POLL)


class ProcessTable:
    """All processes of one run of one or more scenarios, noted in its `pids.json`; several threads may use it."""

    def __init__(self, run: Path, *, keep: bool = False) -> None:
        """Note this process in the folder `run` as the runner; with `keep` (the playground) the nodes outlive it."""
        self.run = run
        self._keep = keep
        self._nodes: list[NodeProcess] = []
        self._lock = threading.Lock()
        self._forking = False
        self._fork_server: ForkServer | None = None
        self.stopping = threading.Event()
        self._note()

    def fork_nodes(self) -> None:
        """Start reference nodes by the fork server from now on (see `fork_server`).

        That saves time if nodes are started more than once.
        """
        self._forking = True

    def start(
        self,
        role: str,
        command: Sequence[str],
        log: Path,
        *,
        inherit: Sequence[int] = (),
        told: Mapping[str, str] | None = None,
    ) -> NodeProcess:
        """Start `command`, whose output goes to `log`.

        The process inherits the descriptors `inherit`, and gets the variables `told` in its environment. Raises
        EnvironmentBroken if the program cannot be run, and RunStopped if the run is being stopped.
        """
        environment = self._environment() | dict(told or {})
        with self._lock:
            if self.stopping.is_set():
                raise RunStopped
            module = module_of(command) if self._forking and not inherit else None
            with log.open("ab") as sink:
                if module is None:
                    process: Process = _execute(command, sink, environment, inherit)
                else:
                    process = self._forker().start(module, command, environment, sink.fileno())
            node = NodeProcess(role, process)
            self._nodes.append(node)
            self._note()
        return node

    def _environment(self) -> dict[str, str]:
        """Return the environment for the processes of the run: with the mark, without settings of nodes."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LEMONADE_")}
        return kept | {MARK: str(self.run), "PYTHONUNBUFFERED": "1"}

    def _forker(self) -> ForkServer:
        if self._fork_server is None:
            self._fork_server = ForkServer(self._environment(), self.run / "fork-server.log")
        return self._fork_server

    def end(self, *nodes: NodeProcess) -> None:
        """Stop these nodes with their process groups, and remove them from the table."""
        stop_groups(nodes)
        with self._lock:
            self._nodes = [node for node in self._nodes if node not in nodes]
            if not self.stopping.is_set():
                self._note()

    def stop(self) -> None:
        """Stop every process of the run, start no further one, and delete `pids.json`."""
        self.stopping.set()
        with self._lock:
            stop_groups(self._nodes)
            if self._fork_server is not None:
                self._fork_server.close()
                self._fork_server = None
            for pid in marked(self.run):
                kill(pid, self.run)
            (self.run / PIDS).unlink(missing_ok=True)

    def _note(self) -> None:
        record = {
            "runner": None if self._keep else _entry(os.getpid()),
            "nodes": [{"role": node.role, **_entry(node.pid)} for node in self._nodes],
        }
        draft = self.run / f"{PIDS}.new"
        draft.write_text(json.dumps(record) + "\n", encoding="utf-8")
        draft.replace(self.run / PIDS)


def _execute(
    command: Sequence[str], sink: BinaryIO, environment: Mapping[str, str], inherit: Sequence[int]
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own; raises EnvironmentBroken if it cannot be run."""
    try:
        return subprocess.Popen(  # noqa: S603  the command is the testbed's own
            command,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            env=dict(environment),
            start_new_session=True,
            pass_fds=tuple(inherit),
        )
    except OSError as error:
        raise EnvironmentBroken(f"{command[0]} cannot be run ({error.strerror}); `make setup` installs it") from error


def _entry(pid: int) -> dict[str, int | None]:
    return {"pid": pid, "started": start_time(pid)}


def kill(pid: int, run: Path, started: int | None = None) -> bool:
    """Kill `pid` if it is a process of the run in folder `run` and, if `started` is given, was started at that time.

    A pidfd is opened before the process is checked, so that a new process with the same id cannot be killed.
    """
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if f"{MARK}={run}".encode() not in _environment(pid) or start_time(pid) is None:
            return False
        if started is not None and start_time(pid) != started:
            return False
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def is_running(run: Path) -> bool:
    """Tell whether the runner of the run in folder `run` still runs; of a playground, whether one of its nodes does."""
    record = _read(run)
    if record is None:
        return False
    runner = record.get("runner")
    alive = [runner] if runner is not None else record.get("nodes", [])
    return any(start_time(entry["pid"]) == entry["started"] is not None for entry in alive)


def _read(run: Path) -> dict[str, Any] | None:
    try:
        record = json.loads((run / PIDS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def reap(runs: Path) -> list[int]:
    """Kill the processes that killed runners left, for all runs in the folder `runs`; returns their ids."""
    killed: list[int] = []
    for note in sorted(runs.glob(f"*/{PIDS}")):
        run = note.parent
        if not is_running(run):
            killed += end(run)
    return killed


def stop_left(run: Path, grace: float = GRACE) -> list[int]:
    """Stop the processes of the run in folder `run`: SIGTERM, and SIGKILL after `grace` seconds; returns their ids."""
    left = marked(run)
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while marked(run) and time.monotonic() < deadline:
        time.sleep(_POLL)
    end(run)
    return left


def end(run: Path) -> list[int]:
    """Kill every process of the run in folder `run`, noted or marked, and delete `pids.json`; returns their ids."""
    record = _read(run) or {}
    killed = {node["pid"] for node in record.get("nodes", []) if kill(node["pid"], run, node["started"])}
    killed |= {pid for pid in marked(run) if kill(pid, run)}
    (run / PIDS).unlink(missing_ok=True)
    return sorted(killed)
