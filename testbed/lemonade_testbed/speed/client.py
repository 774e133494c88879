"""Many IMAP connections on one thread, each as lean as Python allows: what is measured is the server, not its client.

Octets of literals are counted and thrown away; lines are read just far enough to find literals and the tagged answer.
"""

from __future__ import annotations

import re
import selectors
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

_LITERAL = re.compile(rb"\{(\d+)\}\r\n\Z")
_TAG = b"s "
_SIZE = 256 * 1024
_KEPT = 4096
PATIENCE = 120.0
"""Seconds in which something must come from a server that was asked something."""


class ServerFailedError(Exception):
    """A server refused, broke off or stayed silent: there is nothing to measure."""


@dataclass
class Answer:
    """What one command brought: its tagged line, how many lines before it, the start of them, and when what came.

    `octets`: of literals. `sent`, `first`, `ended`: seconds of the monotonic clock; `first` is the first octet of the
    first literal, or the end where none came.
    """

    status: bytes = b""
    lines: int = 0
    kept: bytes = b""
    octets: int = 0
    sent: float = 0.0
    first: float = 0.0
    ended: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the answer is OK."""
        return self.status.startswith(_TAG + b"OK")


class Reader:
    """Finds the end of an answer in what a server says; octets in, an `Answer` out."""

    def __init__(self) -> None:
        self._line = b""
        self._left = 0
        self._inside = False
        self.answer = Answer()

    def take(self, data: memoryview, now: float) -> bool:
        """Take octets that came at `now`; returns whether the tagged answer is complete (nothing follows it)."""
        answer = self.answer
        at = 0
        while at < len(data):
            if not self._left:
                lines = self._line + bytes(data[at:])
                self._line = b""
                used = self._take_lines(lines, now)
                if used is None:
                    return bool(answer.status)
                at += used - (len(lines) - (len(data) - at))
                continue
            step = min(self._left, len(data) - at)
            answer.first = answer.first or now
            answer.octets += step
            self._left -= step
            at += step
        return False

    def _take_lines(self, lines: bytes, now: float) -> int | None:
        """Take lines up to one that announces a literal, and return how many octets; None when all are taken."""
        answer, at = self.answer, 0
        if not self._inside and not _interesting(lines):
            # a long answer without literals: nothing in it needs a look of its own
            at = lines.rfind(b"\n") + 1
            answer.lines += lines.count(b"\n")
            answer.kept = answer.kept or lines[:_KEPT]
        while (stop := lines.find(b"\n", at)) >= 0:
            line = lines[at : stop + 1]
            at = stop + 1
            found = _LITERAL.search(line)
            if found:
                self._left = int(found[1])
                self._inside = True
                return at
            if self._inside:
                self._inside = False
                answer.lines += 1
            elif line.startswith(_TAG):
                answer.status = line.rstrip()
                answer.ended = now
                answer.first = answer.first or now
                return None
            else:
                answer.lines += 1
                answer.kept = answer.kept or line[:_KEPT]
        self._line = lines[at:]
        return None


def _interesting(lines: bytes) -> bool:
    return lines.startswith(_TAG) or b"\n" + _TAG in lines or b"}\r\n" in lines


class Connection:
    """One connection; as a context manager it is closed at the end. Raises ServerFailedError."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._buffer = memoryview(bytearray(_SIZE))
        self._reader = Reader()
        try:
            self.socket = socket.create_connection(address, PATIENCE)
        except OSError as problem:
            raise ServerFailedError(f"cannot be reached: {problem}") from problem
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._greet()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.socket.close()

    def _greet(self) -> None:
        line = b""
        while not line.endswith(b"\n"):
            line += self._receive_some()
        if not line.startswith(b"* OK"):
            raise ServerFailedError(f"greeted with {line!r}")

    def _receive_some(self) -> bytes:
        try:
            data = self.socket.recv(_SIZE)
        except OSError as problem:
            raise ServerFailedError(f"no answer: {problem}") from problem
        if not data:
            raise ServerFailedError("closed the connection")
        return data

    def send(self, command: bytes) -> None:
        """Send a command without its tag and CRLF, and begin to wait for its answer."""
        self._reader = Reader()
        self._reader.answer.sent = time.monotonic()
        self.socket.sendall(_TAG + command + b"\r\n")

    def receive(self) -> Answer | None:
        """Take what is there; returns the answer when it is complete."""
        try:
            size = self.socket.recv_into(self._buffer)
        except OSError as problem:
            raise ServerFailedError(f"no answer: {problem}") from problem
        # a request for more lines (`+`) never comes: commands are sent with non-synchronising literals alone
        if not size:
            raise ServerFailedError("closed the connection")
        return self._reader.answer if self._reader.take(self._buffer[:size], time.monotonic()) else None

    def run(self, command: bytes) -> Answer:
        """Send a command and return its answer, which must be OK."""
        self.send(command)
        while (answer := self.receive()) is None:
            pass
        return must(answer, command)

    def start_idle(self) -> None:
        """Enter IDLE (RFC 2177) and stay there."""
        self.socket.sendall(_TAG + b"IDLE\r\n")
        line = b""
        while b"+ " not in line:
            line += self._receive_some()


def must(answer: Answer, command: bytes) -> Answer:
    """Return an answer that is OK; raises ServerFailedError for any other. Tickets and passwords are not shown."""
    if not answer.ok:
        raise ServerFailedError(f"answered {command.split(b' ')[0].decode()} with {answer.status[:80]!r}")
    return answer


def run_many(
    connections: Sequence[Connection],
    command: bytes | Callable[[int], bytes],
    count: int,
    *,
    good: Callable[[Answer], bool] = lambda answer: answer.ok,
) -> list[Answer]:
    """Run `command` `count` times over all connections, one at a time on each; returns the answers as they came.

    Raises ServerFailedError for an answer that is not `good`, and where nothing comes for PATIENCE seconds.
    """
    make = command if callable(command) else lambda _number: command
    done: list[Answer] = []
    sent = 0
    with selectors.DefaultSelector() as selector:
        for connection in connections[:count]:
            connection.send(make(sent))
            sent += 1
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        while len(done) < count:
            ready = selector.select(PATIENCE)
            if not ready:
                raise ServerFailedError(f"said nothing for {PATIENCE:.0f} s")
            for key, _ in ready:
                answer = key.data.receive()
                if answer is None:
                    continue
                if not good(answer):
                    raise ServerFailedError(f"answered {answer.status[:80]!r} with {answer.octets} octets")
                done.append(answer)
                if sent < count:
                    key.data.send(make(sent))
                    sent += 1
    return done


def close_all(connections: Iterable[Connection]) -> None:
    """Close connections."""
    for connection in connections:
        connection.socket.close()
