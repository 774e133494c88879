"""The sender's process: `python -m lemonade_media.sender.process CHANNEL TABLE`, both numbers of inherited descriptors.

One thread that sleeps until the engine's next time and sends; it ends when the other end of the channel closes. It
imports no Twisted, so that nothing but pacing runs in it.
"""

from __future__ import annotations

import contextlib
import gc
import mmap
import os
import select
import signal
import socket
import sys
import time
from collections import deque
from dataclasses import replace

import numpy as np

from lemonade_media.sender import table as tables
from lemonade_media.sender.engine import Batch, Octets, SenderEngine
from lemonade_media.sender.protocol import (
    MAX_MESSAGE,
    AddStream,
    ChangeStream,
    Finished,
    LoadContent,
    RemoveStream,
    Sought,
    Started,
    Stopped,
    decode,
    encode,
)

_COMMANDS_PER_TURN = 32  # so that a flood of commands delays no packet for long


class Sender:
    """The engine, the sockets of its streams, and the channel to the media server."""

    def __init__(self, channel: socket.socket, table: tables.Table) -> None:
        self._channel = channel
        self._engine = SenderEngine(table, unix_offset=time.time() - time.monotonic())
        self._sockets: dict[int, tuple[AddStream, socket.socket, socket.socket]] = {}
        self._events: deque[bytes] = deque()
        self._open = True
        channel.setblocking(False)

    def run(self) -> None:
        """Send until the other end of the channel closes, then say goodbye for every stream."""
        while self._open:
            due = self._engine.next_due()
            timeout = None if due is None else max(due - time.monotonic(), 0)
            readable, _, _ = select.select([self._channel], [self._channel] if self._events else [], [], timeout)
            self._put(self._engine.advance(time.monotonic()))
            if readable:
                self._read()
            self._write()
        for stream in self._engine.streams():
            self._engine.apply(RemoveStream(stream), time.monotonic())
        self._put(self._engine.advance(time.monotonic()))

    def _read(self) -> None:
        for _ in range(_COMMANDS_PER_TURN):
            try:
                octets, descriptors, _, _ = socket.recv_fds(self._channel, MAX_MESSAGE, 2, socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                return
            except OSError:
                octets, descriptors = b"", []
            if not octets:
                self._open = False
                return
            self._carry_out(octets, descriptors)

    def _carry_out(self, octets: bytes, descriptors: list[int]) -> None:
        command = decode(octets)
        now = time.monotonic()
        if isinstance(command, LoadContent):
            self._engine.load(command, _map(descriptors, command.octets))
            return
        if isinstance(command, AddStream):
            self._close(command.stream)
            rtp, rtcp = (socket.socket(fileno=descriptor) for descriptor in descriptors)
            self._sockets[command.stream] = (command, rtp, rtcp)
        if isinstance(command, ChangeStream) and command.stream in self._sockets:
            setup, rtp, rtcp = self._sockets[command.stream]
            setup = replace(setup, destination=command.destination, rtcp_destination=command.rtcp_destination)
            self._sockets[command.stream] = (setup, rtp, rtcp)
        if not isinstance(command, Started | Sought | Finished | Stopped):
            self._engine.apply(command, now)
        if isinstance(command, RemoveStream):
            self._put(self._engine.advance(now))  # its BYE goes before its sockets
            self._close(command.stream)

    def _put(self, batch: Batch) -> None:
        sockets = self._sockets
        for stream, packet in batch.rtp:
            setup, rtp, _ = sockets[stream]
            # A full buffer or a refusing network loses a packet, as networks do; the other streams go on.
            with contextlib.suppress(OSError):
                rtp.sendto(packet, setup.destination)
        for stream, report in batch.rtcp:
            setup, _, rtcp = sockets[stream]
            if setup.rtcp_destination is None:
                continue
            with contextlib.suppress(OSError):
                rtcp.sendto(report, setup.rtcp_destination)
        self._events += map(encode, batch.events)

    def _write(self) -> None:
        try:
            while self._events:
                self._channel.send(self._events[0])
                self._events.popleft()
        except BlockingIOError:
            return
        except OSError:
            self._open = False

    def _close(self, stream: int) -> None:
        if stream in self._sockets:
            _, rtp, rtcp = self._sockets.pop(stream)
            rtp.close()
            rtcp.close()


def _map(descriptors: list[int], octets: int) -> Octets:
    try:
        if not octets:
            return np.zeros(0, np.uint8)
        return np.frombuffer(mmap.mmap(descriptors[0], octets, prot=mmap.PROT_READ), np.uint8)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def main() -> None:
    """Run the sender on the descriptors named on the command line."""
    channel, table = (int(number) for number in sys.argv[1:3])
    # It ends with its parent, not with the terminal's Ctrl-C or the group's SIGTERM: a call may still say goodbye.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)  # only where it is allowed
    gc.freeze()
    Sender(socket.socket(fileno=channel), tables.attach(table)).run()


if __name__ == "__main__":
    main()
