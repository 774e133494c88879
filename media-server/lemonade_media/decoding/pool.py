"""Decodes parts in the processes of a host, as the queue decides (Twisted).

Processes are started beforehand. Each decodes one part; when it ends, in whatever way, another is started. The death of
a process, and the end of the time for a part, fail that part alone. The host is started anew if it dies.
"""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.base import DelayedCall
from twisted.internet.defer import Deferred, fail

from lemonade_media.decoding.decode import RATE, Law, MediaError, MediaReading
from lemonade_media.decoding.host import Host
from lemonade_media.decoding.process import MAX_MESSAGE, DecodeJob
from lemonade_media.decoding.queue import DecodeQueue
from lemonade_media.decoding.settings import DecodeLimits

_MAX_WAIT = 5.0  # seconds: the longest delay before a process is started again; it begins at 0.05 s and doubles


class DecodersBusyError(Exception):
    """A part has waited too long for a decoding process."""


@dataclass(frozen=True)
class DecodedSound:
    """The sound of a part in the wanted encoding, and the share of the part, from 0 to 0.5, that was left out."""

    octets: bytes
    unreadable: float


@dataclass
class _Part:
    """A part that waits for a process or is decoded; its sound goes to the file `sound`."""

    job: DecodeJob
    source: int
    sound: int
    done: Deferred[DecodedSound] = field(default_factory=Deferred)
    timer: DelayedCall | None = None
    process: DecodingProcess | None = None

    def close(self) -> None:
        """Close the files."""
        os.close(self.source)
        os.close(self.sound)


class _Readable:
    """A socket that the reactor watches; `take` is called whenever it can be read."""

    def __init__(self, reactor: Any, sock: socket.socket, take: Callable[[], None]) -> None:  # noqa: ANN401  as in Twisted
        self._reactor = reactor
        self.socket = sock
        self._take = take
        reactor.addReader(self)

    def fileno(self) -> int:
        """Return the file descriptor for the reactor."""
        return self.socket.fileno()

    def logPrefix(self) -> str:  # noqa: N802  Twisted's name
        """Return the name for errors of this class in the reactor's log."""
        return "decoding"

    def connectionLost(self, reason: object) -> None:  # noqa: N802  Twisted's name
        """Do nothing when the reactor stops; `close` closes the socket."""

    def doRead(self) -> None:  # noqa: N802  Twisted's name
        """Have the owner read from the socket."""
        self._take()

    def close(self) -> None:
        """Close the socket."""
        if self.socket.fileno() >= 0:
            self._reactor.removeReader(self)
            self.socket.close()


class DecodingProcess:
    """One decoding process: the socket to it, its pidfd once it is ready, and the number of the part it decodes."""

    def __init__(self, reactor: Any, sock: socket.socket, on_message: Callable[[DecodingProcess, bytes], None]) -> None:  # noqa: ANN401  as in Twisted
        self._on_message = on_message
        self._link = _Readable(reactor, sock, self._read)
        self._pidfd: int | None = None
        self.part: int | None = None

    @property
    def idle(self) -> bool:
        """Whether the process waits for a part."""
        return self._pidfd is not None and self.part is None

    def send(self, job: DecodeJob, source: int, sound: int) -> None:
        """Give the process a part; if it has ended, `on_message` is called with b"" as at any end."""
        with suppress(OSError):
            socket.send_fds(self._link.socket, [job.encode()], [source, sound])

    def kill(self) -> None:
        """End the process at once, whatever it does; `on_message` is not called any more."""
        self._link.close()
        if self._pidfd is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            os.close(self._pidfd)
            self._pidfd = None

    def _read(self) -> None:
        try:
            message, descriptors, _, _ = socket.recv_fds(self._link.socket, MAX_MESSAGE, 1)
        except BlockingIOError:
            return
        except OSError:
            message, descriptors = b"", []
        if self._pidfd is None and descriptors:
            self._pidfd = descriptors[0]
        self._on_message(self, message)


class DecoderPool:
    """The decoding processes of one media server. `host` is a host that runs already; without it one is started.

    Processes are started by `start`, or for the first part. `on_log` is called with a line about each failure of the
    host.
    """

    def __init__(
        self,
        reactor: Any,  # noqa: ANN401  a reactor is several interfaces at once
        limits: DecodeLimits,
        host: Host | None = None,
        on_log: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._reactor = reactor
        self._limits = limits
        self._host = host
        self._on_log = on_log
        self._channel = None if host is None else _Readable(reactor, host.channel, self._host_lost)
        self._queue = DecodeQueue(limits.processes)
        self._parts: dict[int, _Part] = {}
        self._numbers = 0
        self._processes: list[DecodingProcess] = []
        self._wait = 0.0
        self._later: DelayedCall | None = None
        self._closed = False

    def start(self) -> None:
        """Start as many processes as are missing, and the host if there is none."""
        if self._closed or (self._later is not None and self._later.active()):
            return
        try:
            if self._host is None:
                self._host = Host.spawn()
                self._channel = _Readable(self._reactor, self._host.channel, self._host_lost)
            while len(self._processes) < self._limits.processes:
                self._processes.append(DecodingProcess(self._reactor, self._host.ask(), self._message))
        except OSError as problem:
            self._on_log(f"no decoding process could be started: {problem}")
            self._start_later()

    def decode(
        self, source: int, reading: MediaReading, law: Law, max_seconds: float, caller: str
    ) -> Deferred[DecodedSound]:
        """Decode the file with the descriptor `source`; fires with the sound as G.711 in the encoding `law`.

        The descriptor is duplicated. Fails with MediaError, or with DecodersBusyError if no process becomes free in
        time. Cancelling the Deferred ends the decoding.
        """
        limits = self._limits
        job = DecodeJob(reading.form, dict(reading.options), law, max_seconds, limits.memory, limits.cpu_seconds)
        try:
            files = os.dup(source), os.memfd_create("sound")
        except OSError as problem:
            return fail(DecodersBusyError(f"a part cannot be given to a decoding process: {problem}"))
        self._numbers += 1
        number = self._numbers
        part = _Part(job, *files, Deferred(lambda _: self._cancelled(number)))
        self._parts[number] = part
        part.timer = self._reactor.callLater(limits.seconds, self._late, number)
        self._queue.add(number, caller)
        self._go_on()
        return part.done

    def close(self) -> None:
        """End all processes and the host at once; parts that are not decoded are given up without a result."""
        self._closed = True
        if self._later is not None and self._later.active():
            self._later.cancel()
        for number in list(self._parts):
            self._forget(number).close()
        for process in self._processes:
            process.kill()
        self._processes.clear()
        if self._channel is not None:
            self._channel.close()
        if self._host is not None:
            self._host.kill()
            self._host = None

    def _go_on(self) -> None:
        """Start the processes that are missing, and give parts to idle ones."""
        self.start()
        for process in [process for process in self._processes if process.idle]:
            number = self._queue.next()
            if number is None:
                return
            part = self._parts[number]
            process.part, part.process = number, process
            if part.timer is not None:
                part.timer.reset(self._limits.seconds)
            process.send(part.job, part.source, part.sound)

    def _message(self, process: DecodingProcess, message: bytes) -> None:
        if message and process.part is None:
            self._wait = 0.0
            self._go_on()
            return
        self._remove(process)
        if process.part is None:
            self._start_later()  # it ended before it had a part
            return
        part = self._forget(process.part)
        self._go_on()
        self._finish(part, message)

    def _finish(self, part: _Part, message: bytes) -> None:
        """Report the result of a part; the message is empty if its process has died."""
        try:
            answer = json.loads(message) if message else {"why": "its decoding takes more than this server allows"}
            if "why" in answer:
                part.done.errback(MediaError(str(answer["why"])))
                return
            octets = min(int(answer["octets"]), int(part.job.max_seconds * RATE))
            sound = DecodedSound(os.pread(part.sound, octets, 0), float(answer.get("unreadable", 0.0)))
        except (ValueError, TypeError, KeyError, OSError):
            part.done.errback(MediaError("the part's audio cannot be decoded"))
            return
        finally:
            part.close()
        part.done.callback(sound)

    def _late(self, number: int) -> None:
        part = self._give_up(number)
        part.done.errback(
            DecodersBusyError("too many parts wait to be decoded")
            if part.process is None
            else MediaError("its decoding takes more time than this server allows")
        )

    def _cancelled(self, number: int) -> None:
        self._give_up(number)

    def _give_up(self, number: int) -> _Part:
        """Remove a part without a result, and end its process."""
        part = self._forget(number)
        part.close()
        self._go_on()
        return part

    def _forget(self, number: int) -> _Part:
        """Remove a part from all tables, and end its process."""
        part = self._parts.pop(number)
        self._queue.remove(number)
        if part.timer is not None and part.timer.active():
            part.timer.cancel()
        if part.process is not None:
            self._remove(part.process)
        return part

    def _remove(self, process: DecodingProcess) -> None:
        process.kill()
        if process in self._processes:
            self._processes.remove(process)

    def _host_lost(self) -> None:
        """Start a new host after the death of the host; the processes that it forked go on."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._host is not None:
            self._host.kill()
            self._host = None
        self._on_log("the decoding host died")
        self._start_later()

    def _start_later(self) -> None:
        if self._closed or (self._later is not None and self._later.active()):
            return
        self._wait = min(max(2 * self._wait, 0.05), _MAX_WAIT)
        self._later = self._reactor.callLater(self._wait, self._start_again)

    def _start_again(self) -> None:
        self._later = None
        self._go_on()
