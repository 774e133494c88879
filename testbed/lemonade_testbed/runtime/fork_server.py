"""The fork server: a process that has the modules of the reference nodes loaded and forks one process for each node.

Loading the modules takes most of the processor time that a node needs in a short run. `ForkServer` is the runner's end:
it starts `python -m lemonade_testbed.runtime.fork_server DESCRIPTOR` and sends it a request for each node. A forked
node is a process and a session of its own, with its own command line and environment; from `main` on it does the same
as a node that was started from its console script.

A request is one packet of a unix socket: a JSON object with the module, the command line and the environment, and two
file descriptors, one for the node's output and one for its exit code. The answer is the process id in decimal.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from lemonade_testbed.errors import EnvironmentBroken

MODULES: Mapping[str, str] = {
    "lemonade-imap": "lemonade_imap.cli",
    "lemonade-media": "lemonade_media.cli",
    "lemonade-client": "lemonade_client.cli",
    "lemonade_testbed.relay": "lemonade_testbed.relay.__main__",
}
"""The programs that can be forked, by console script or module, and the module that has the program's `main`."""
_LONGEST = 1 << 17
"""Octets of the longest request."""
_KILLED = -9
"""The exit code that is assumed for a node whose fork server ended before the node."""


def module_of(command: Sequence[str]) -> str | None:
    """Return the module with the `main` of a command line's program, or None if the program cannot be forked."""
    program, python = Path(command[0]), Path(sys.executable)
    if program == python:
        return MODULES.get(command[2]) if command[1:2] == ["-m"] else None
    return MODULES.get(program.name) if program.parent == python.parent else None


class ForkedProcess:
    """A node that the fork server forked; it has `pid` and `wait` like a `subprocess.Popen`."""

    def __init__(self, pid: int, end: int) -> None:
        """Keep the process id, and the descriptor from which the exit code can be read when the node has ended."""
        self.pid = pid
        self._end = end
        self._code: int | None = None

    def wait(self, timeout: float) -> int:
        """Return the exit code, -N for the signal N; raises `subprocess.TimeoutExpired` after `timeout` seconds."""
        if self._code is None:
            poll = select.poll()
            poll.register(self._end, select.POLLIN)
            if not poll.poll(timeout * 1000):
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            text = os.read(self._end, 16)
            os.close(self._end)
            self._code = int(text) if text else _KILLED
        return self._code


class ForkServer:
    """The runner's end of a fork server, whose process ends when this end is closed.

    Only one thread at a time may use it.
    """

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        """Start the fork server; its own output goes to `log`."""
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, log.open("ab") as sink:
            self._process = subprocess.Popen(  # noqa: S603  the command is the testbed's own
                [sys.executable, "-m", "lemonade_testbed.runtime.fork_server", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                env=dict(environment),
                start_new_session=True,
                pass_fds=[theirs.fileno()],
            )
        self._log = log

    def start(self, module: str, command: Sequence[str], environment: Mapping[str, str], sink: int) -> ForkedProcess:
        """Fork a node that calls the `main` of `module`; its output goes to the descriptor `sink`.

        Raises EnvironmentBroken if the fork server has ended.
        """
        request = json.dumps({"module": module, "command": [*command], "environment": dict(environment)})
        ours, theirs = os.pipe()
        answer = b""
        try:
            with suppress(OSError):
                socket.send_fds(self._channel, [request.encode()], [sink, theirs])
                answer = self._channel.recv(16)
        finally:
            os.close(theirs)
        if not answer:
            os.close(ours)
            raise EnvironmentBroken(f"the process that forks the nodes has ended; {self._log} says why")
        return ForkedProcess(int(answer), ours)

    def close(self) -> None:
        """End the fork server at once; nodes that still run are not ended."""
        self._channel.close()
        self._process.kill()
        self._process.wait()


@dataclass(frozen=True)
class _Request:
    """A request to fork a node: what the forked process has to run, and the descriptor for its output."""

    module: str
    command: Sequence[str]
    environment: Mapping[str, str]
    sink: int


def _read_request(data: bytes, sink: int) -> _Request:
    fields = json.loads(data)
    return _Request(fields["module"], fields["command"], fields["environment"], sink)


def _serve(channel: socket.socket) -> _Request | None:
    """Fork a process for each request.

    Returns the request in each forked process, and None in the fork server when the runner has closed its end.
    """
    children: dict[int, tuple[int, int]] = {}  # pidfd of a child: its process id, the descriptor for its exit code
    while True:
        poll = select.poll()
        for descriptor in (channel.fileno(), *children):
            poll.register(descriptor, select.POLLIN)
        for descriptor, _ in poll.poll():
            if descriptor in children:
                _report_end(descriptor, *children.pop(descriptor))
                continue
            data, descriptors, _, _ = socket.recv_fds(channel, _LONGEST, 2)
            if not data:
                return None
            sink, end = descriptors
            if (pid := os.fork()) == 0:
                os.setsid()  # before the answer, since the runner stops nodes by their process groups
                channel.send(str(os.getpid()).encode())
                channel.close()
                os.close(end)
                for other, (_, its_end) in children.items():
                    os.close(other)
                    os.close(its_end)
                return _read_request(data, sink)
            os.close(sink)
            children[os.pidfd_open(pid)] = (pid, end)


def _report_end(descriptor: int, pid: int, end: int) -> None:
    """Send the exit code of a child that has ended to the runner, which may have closed its end."""
    _, status = os.waitpid(pid, 0)
    os.close(descriptor)
    with suppress(BrokenPipeError):
        os.write(end, str(os.waitstatus_to_exitcode(status)).encode())
    os.close(end)


def _become(request: _Request) -> int:
    """Run a node in this process, as its console script does; returns the exit code unless `main` raises SystemExit."""
    for number in (1, 2):
        os.dup2(request.sink, number)
    os.close(request.sink)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(request.environment)
    options = request.command[3:] if request.command[1:2] == ["-m"] else request.command[1:]
    sys.argv = [request.command[0], *options]
    code: int | None = import_module(request.module).main()
    return code or 0


def main() -> int:
    """Load the nodes' modules and fork nodes until the runner closes its end; in a forked process, run the node."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the runner ends this process, after the nodes
    channel = socket.socket(fileno=int(sys.argv[1]))
    for module in MODULES.values():
        import_module(module)
    gc.collect()
    gc.freeze()  # else the collector would write to all objects, and their memory would no longer be shared
    request = _serve(channel)
    return 0 if request is None else _become(request)


if __name__ == "__main__":
    sys.exit(main())
