"""The processes of a run: each in a session of its own, noted on disk, all stopped whatever happens."""

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
from typing import Any

from lemonade_testbed.runtime.base import EnvironmentBroken, Stopped

MARK = "LEMONADE_RUN"
PIDS = "pids.json"
GRACE = 2.0
"""Seconds between TERM and KILL."""
_POLL = 0.02


def start_time(pid: int) -> int | None:
    """Return when `pid` started (clock ticks since boot, field 22 of its stat), None where it is gone or a zombie."""
    fields = _stat(pid)
    return int(fields[19]) if fields and fields[0] not in {"Z", "X"} else None


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat from the third on: the second may hold blanks and brackets."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def members(group: int) -> list[int]:
    """Return the living processes of a process group (a zombie does not live)."""
    found = []
    for pid in _pids():
        fields = _stat(pid)
        if fields and int(fields[2]) == group and fields[0] not in {"Z", "X"}:
            found.append(pid)
    return found


def marked(run: Path) -> list[int]:
    """Return the living processes that the run in folder `run` started, by the mark in their environment."""
    mark = f"{MARK}={run}".encode()
    return [pid for pid in _pids() if pid != os.getpid() and mark in _environment(pid) and start_time(pid) is not None]


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


@dataclass
class NodeProcess:
    """One started node: the leader of its own process group."""

    role: str
    process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """The process id, which is also its group's."""
        return self.process.pid

    def ended(self, within: float = 0.0) -> int | None:
        """Return the exit code once the node has ended, None where it still runs after `within` seconds."""
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            return None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole group."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)


def stop_groups(nodes: Sequence[NodeProcess], grace: float = GRACE) -> None:
    """Stop whole process groups: TERM, and KILL for what is left after `grace` seconds; returns when all are gone."""
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
    """All processes of one run (several scenarios), noted in its `pids.json`; safe to use from several threads."""

    def __init__(self, run: Path, *, keep: bool = False) -> None:
        """Note the runner in `run`; with `keep` the nodes outlive it (the playground)."""
        self.run = run
        self._keep = keep
        self._nodes: list[NodeProcess] = []
        self._lock = threading.Lock()
        self.stopping = threading.Event()
        self._note()

    def start(
        self,
        role: str,
        command: Sequence[str],
        log: Path,
        *,
        inherit: Sequence[int] = (),
        told: Mapping[str, str] | None = None,
    ) -> NodeProcess:
        """Start `command` with its output going to `log`; `inherit` lists descriptors that it shall hold, `told` is put
        into its environment.

        Raises EnvironmentBroken where the program cannot be run, Stopped while the run is being stopped.
        """
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LEMONADE_")}
        environment |= {**(told or {}), MARK: str(self.run), "PYTHONUNBUFFERED": "1"}
        with self._lock:
            if self.stopping.is_set():
                raise Stopped
            with log.open("ab") as sink:
                try:
                    process = subprocess.Popen(  # noqa: S603  the command is the testbed's own
                        command,
                        stdin=subprocess.DEVNULL,
                        stdout=sink,
                        stderr=sink,
                        env=environment,
                        start_new_session=True,
                        pass_fds=tuple(inherit),
                    )
                except OSError as error:
                    raise EnvironmentBroken(
                        f"{command[0]} cannot be run ({error.strerror}); `make setup` installs it"
                    ) from error
            node = NodeProcess(role, process)
            self._nodes.append(node)
            self._note()
        return node

    def end(self, *nodes: NodeProcess) -> None:
        """Stop these processes and their groups."""
        stop_groups(nodes)
        with self._lock:
            self._nodes = [node for node in self._nodes if node not in nodes]
            if not self.stopping.is_set():
                self._note()

    def stop(self) -> None:
        """Stop every process of the run, let none start any more, and take the note away."""
        self.stopping.set()
        with self._lock:
            stop_groups(self._nodes)
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


def _entry(pid: int) -> dict[str, int | None]:
    return {"pid": pid, "started": start_time(pid)}


def kill(pid: int, run: Path, started: int | None = None) -> bool:
    """Kill `pid` if it is a process of the run in folder `run` (and started at `started`, where that is known).

    The process is held by a descriptor while it is looked at, so that a new process under the same id is safe.
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
    """Tell whether the runner of the run in folder `run` lives, or its nodes are meant to outlive it."""
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
    """Kill what killed runners left behind under the folder `runs`; returns the ids of the processes killed."""
    killed: list[int] = []
    for note in sorted(runs.glob(f"*/{PIDS}")):
        run = note.parent
        if not is_running(run):
            killed += end(run)
    return killed


def stop_left(run: Path, grace: float = GRACE) -> list[int]:
    """Stop what the run in folder `run` left running: TERM, and KILL for what is left after `grace` seconds."""
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
    """Kill every process of the run in folder `run`, noted or only marked, and take the note away."""
    record = _read(run) or {}
    killed = {node["pid"] for node in record.get("nodes", []) if kill(node["pid"], run, node["started"])}
    killed |= {pid for pid in marked(run) if kill(pid, run)}
    (run / PIDS).unlink(missing_ok=True)
    return sorted(killed)
