"""The processes that decode: a host, which has FFmpeg's libraries loaded, and one forked process for each part.

The media server asks the host for a process with a packet that carries one end of a Unix socket. The host forks a
process, which sends its process descriptor (pidfd) over that socket. It then waits for one job, decodes it under limits
on memory and processor time, answers and ends. A part that makes FFmpeg crash, loop or take all memory therefore ends
one process and changes nothing for the next part.

A job is a JSON object (`DecodeJob`), with two file descriptors: the part's octets, and an empty file for the sound. The
answer is a JSON object with either the number of `octets` that were written and the share that was `unreadable`, or
`why` the part cannot be played.

The host ends when the media server's end of the channel closes, and ends its processes with it.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import select
import signal
import socket
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from lemonade_media.decoding.decode import (
    RATE,
    DecodingTally,
    Law,
    MediaError,
    MediaReading,
    decode_blocks,
    encode_block,
)

MAX_MESSAGE = 8192
"""Octets of the longest message between the media server and these processes."""
_NICENESS = 10  # SIP and RTP come first where there are fewer processors than work


@dataclass(frozen=True)
class DecodeJob:
    """A part to decode: how it is read, the encoding of the sound, and limits (octets of memory, seconds)."""

    form: str | None
    options: dict[str, str]
    law: Law
    max_seconds: float
    memory: int
    cpu_seconds: int

    def encode(self) -> bytes:
        """Return the job as a message."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def parse(cls, message: bytes) -> DecodeJob:
        """Read a message; raises ValueError, TypeError or KeyError for one that is malformed."""
        return cls(**json.loads(message))


def serve(channel: socket.socket) -> None:
    """Fork a process for each socket that comes over the channel, until its other end closes. Does not return."""
    # The media server ends this process by closing the channel, after it has ended its calls.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _close_others(channel.fileno())
    gc.collect()
    gc.freeze()  # else the collector would write to all objects, and their memory would no longer be shared
    children: dict[int, int] = {}  # pidfd: process id
    while True:
        poll = select.poll()
        for descriptor in (channel.fileno(), *children):
            poll.register(descriptor, select.POLLIN)
        for descriptor, _ in poll.poll():
            if descriptor in children:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(children.pop(descriptor), 0)
                os.close(descriptor)
                continue
            try:
                request, sockets, _, _ = socket.recv_fds(channel, 16, 1)
            except OSError:
                request, sockets = b"", []
            if not request:
                for child in children:
                    signal.pidfd_send_signal(child, signal.SIGKILL)
                os._exit(0)
            for number in sockets:
                _fork(number, channel, children)


def _fork(number: int, channel: socket.socket, children: dict[int, int]) -> None:
    """Fork a process that works for the other end of the socket `number`, which this process closes."""
    try:
        child = os.fork()
    except OSError:  # no memory or no process: the media server finds the socket closed, and asks again later
        os.close(number)
        return
    if child:
        os.close(number)
        children[os.pidfd_open(child)] = child
        return
    try:
        channel.close()
        for sibling in children:
            os.close(sibling)
        work(socket.socket(fileno=number))
    finally:
        os._exit(0)


def _close_others(channel: int) -> None:
    """Close all inherited descriptors but the channel and the standard error output."""
    for number in map(int, os.listdir("/proc/self/fd")):
        if number not in {0, 1, 2, channel}:
            with contextlib.suppress(OSError):
                os.close(number)
    empty = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1):
        os.dup2(empty, number)
    os.close(empty)


def work(server: socket.socket) -> None:
    """Introduce this process to the media server, wait for one job, and carry it out."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)
    itself = os.pidfd_open(os.getpid())
    socket.send_fds(server, [b"ready"], [itself])
    os.close(itself)
    message, descriptors, _, _ = socket.recv_fds(server, MAX_MESSAGE, 2)
    if len(descriptors) != 2:
        return  # the media server has ended, or does not need this process
    answer: dict[str, object]
    try:
        octets, unreadable = decode_job(DecodeJob.parse(message), *descriptors)
        answer = {"octets": octets, "unreadable": unreadable}
    except MediaError as problem:
        answer = {"why": str(problem)[:200]}
    server.send(json.dumps(answer).encode())


def decode_job(job: DecodeJob, source: int, target: int) -> tuple[int, float]:
    """Decode the file `source` and write the sound to the file `target`. Raises MediaError.

    Returns the octets that were written, and the share of the part, from 0 to 0.5, that could not be decoded.
    The limits of the job hold for this process from now on. Memory and processor time that it has taken already do not
    count.
    """
    limit_resources(job)
    written, tally = 0, DecodingTally()
    try:
        with os.fdopen(source, "rb") as part, os.fdopen(target, "wb") as sound:
            for block in decode_blocks(part, MediaReading(job.form, job.options), job.max_seconds, tally):
                written += sound.write(encode_block(block, job.law))
    except (MemoryError, OSError) as problem:
        raise MediaError("the part's audio takes more than this server allows") from problem
    return written, tally.share


def limit_resources(job: DecodeJob) -> None:
    """Limit address space, processor time and file size of this process (RLIMIT_AS, RLIMIT_CPU, RLIMIT_FSIZE)."""
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + 1 + job.cpu_seconds
    for limit, most in (
        (resource.RLIMIT_AS, taken + job.memory),
        (resource.RLIMIT_CPU, seconds),  # the default action for SIGXCPU ends the process
        (resource.RLIMIT_FSIZE, int(job.max_seconds * RATE) + 1_000_000),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(limit)
        resource.setrlimit(limit, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
