"""An IMAP client for measurements: many connections on one thread, with as little work for each octet as possible.

The client must be faster than the server that is measured. Octets of literals are counted and dropped, and lines are
read only so far that literals (`{N}` at the end of a line, RFC 3501 section 9) and the tagged response are found.
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
"""Seconds without any octet from the server after which a measurement fails."""


class ServerFailedError(Exception):
    """A server refused a command, closed the connection or did not answer, so that it cannot be measured."""


@dataclass
class BenchAnswer:
    """The server's answer to one command.

    `status` is the tagged line, `lines` the number of lines before it, `kept` the beginning of the first of them, and
    `octets` the number of octets in literals. `sent`, `first` and `ended` are seconds of the monotonic clock; `first`
    is the time of the first octet of the first literal, or of the end if there was no literal.
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
    """Takes the octets that a server sends, and finds the end of the answer to one command."""

    def __init__(self) -> None:
        self._line = b""
        self._left = 0
        self._inside = False
        self.answer = BenchAnswer()

    def take(self, data: memoryview, now: float) -> bool:
        """Take octets that came at `now`; returns whether the tagged line is complete, after which nothing follows."""
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
        """Take lines up to one that announces a literal; returns the number of octets taken, None if it is all."""
        answer, at = self.answer, 0
        if not self._inside and not _interesting(lines):
            # a long answer without literals and without the tagged line: its lines are only counted
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


class BenchConnection:
    """One connection, from the address `source`; as a context manager it is closed at the end.

    Its methods raise ServerFailedError.
    """

    def __init__(self, address: tuple[str, int], source: str = "") -> None:
        self._buffer = memoryview(bytearray(_SIZE))
        self._reader = Reader()
        try:
            self.socket = socket.create_connection(address, PATIENCE, (source, 0) if source else None)
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
        """Send a command, given without tag and CRLF, and note the time."""
        self._reader = Reader()
        self._reader.answer.sent = time.monotonic()
        self.socket.sendall(_TAG + command + b"\r\n")

    def receive(self) -> BenchAnswer | None:
        """Take the octets that have come; returns the answer if it is complete, else None."""
        try:
            size = self.socket.recv_into(self._buffer)
        except OSError as problem:
            raise ServerFailedError(f"no answer: {problem}") from problem
        # the server sends no `+`, because commands have only non-synchronising literals (RFC 7888)
        if not size:
            raise ServerFailedError("closed the connection")
        return self._reader.answer if self._reader.take(self._buffer[:size], time.monotonic()) else None

    def run(self, command: bytes) -> BenchAnswer:
        """Send a command and return its answer, which must be OK."""
        self.send(command)
        while (answer := self.receive()) is None:
            pass
        return must(answer, command)

    def start_idle(self) -> None:
        """Send IDLE (RFC 2177) and return when the server has accepted it; the connection then stays in IDLE."""
        self.socket.sendall(_TAG + b"IDLE\r\n")
        line = b""
        while b"+ " not in line:
            line += self._receive_some()


def must(answer: BenchAnswer, command: bytes) -> BenchAnswer:
    """Return the answer if it is OK; raises ServerFailedError if not, without tickets and passwords in its message."""
    if not answer.ok:
        raise ServerFailedError(f"answered {command.split(b' ')[0].decode()} with {answer.status[:80]!r}")
    return answer


def run_many(
    connections: Sequence[BenchConnection],
    command: bytes | Callable[[int], bytes],
    count: int,
    *,
    good: Callable[[BenchAnswer], bool] = lambda answer: answer.ok,
) -> list[BenchAnswer]:
    """Run a command `count` times on several connections, one at a time on each; returns the answers as they came.

    `command` is the command, or a function that makes it of its number. Raises ServerFailedError for an answer that is
    not `good`, and if nothing comes for PATIENCE seconds.
    """
    make = command if callable(command) else lambda _number: command
    done: list[BenchAnswer] = []
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


def close_all(connections: Iterable[BenchConnection]) -> None:
    """Close connections."""
    for connection in connections:
        connection.socket.close()
