"""The process of the RTP sender: `python -m lemonade_media.rtp.sender.process CHANNEL TABLE`.

Both arguments are numbers of inherited file descriptors. One thread sleeps until the next packet is due, and sends it.
The process ends when the other end of the channel closes. It does not import Twisted, so that no other work delays the
packets.
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

from lemonade_media.faults.rtp import STREAM_FAULTS, PacketEdit, StreamFault
from lemonade_media.rtp.sender import reports as tables
from lemonade_media.rtp.sender.engine import Octets, PacketBatch, SenderEngine
from lemonade_media.rtp.sender.protocol import (
    MAX_MESSAGE,
    AddStream,
    ChangeStream,
    ContentFinished,
    ContentSought,
    ContentStarted,
    ContentStopped,
    LoadContent,
    RemoveStream,
    ReportSent,
    decode,
    encode,
)
from lemonade_wire.rtp.rtcp import kinds, parse_compound, traced_values

_COMMANDS_PER_TURN = 32  # so that a flood of commands delays no packet for long


class Clock:
    """A clock that shows CLOCK_MONOTONIC in seconds, or runs at another speed for a fault."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._shown = self._since
        self._speed = 1.0

    def now(self) -> float:
        """Return the time that the clock shows, in seconds."""
        return self._shown + (time.monotonic() - self._since) * self._speed

    def until(self, due: float) -> float:
        """Return the seconds of real time until the clock shows `due`; 0 if that time has passed."""
        return max(due - self.now(), 0) / self._speed

    def run_at(self, speed: float) -> None:
        """Set the clock's speed from now on; 1 is the speed of real time."""
        self._shown, self._since, self._speed = self.now(), time.monotonic(), speed


class Sender:
    """Runs the engine with the sockets of its streams and the channel to the media server."""

    def __init__(self, channel: socket.socket, table: tables.Table) -> None:
        self._channel = channel
        self._engine = SenderEngine(table, unix_offset=time.time() - time.monotonic())
        self._faults: dict[int, StreamFault] = {}
        self._edits: dict[int, PacketEdit] = {}
        self._clock = Clock()
        self._sockets: dict[int, tuple[AddStream, socket.socket, socket.socket]] = {}
        self._events: deque[bytes] = deque()
        self._open = True
        channel.setblocking(False)

    def run(self) -> None:
        """Send packets until the other end of the channel closes, then send an RTCP BYE for each stream."""
        while self._open:
            due = self._engine.next_due()
            timeout = None if due is None else self._clock.until(due)
            readable, _, _ = select.select([self._channel], [self._channel] if self._events else [], [], timeout)
            self._put(self._engine.advance(self._clock.now()))
            if readable:
                self._read()
            self._write()
        for stream in self._engine.streams():
            self._engine.apply(RemoveStream(stream), self._clock.now())
        self._put(self._engine.advance(self._clock.now()))

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
        now = self._clock.now()
        if isinstance(command, LoadContent):
            self._engine.load(command, _map(descriptors, command.octets))
            return
        if isinstance(command, AddStream):
            self._close(command.stream)
            rtp, rtcp = (socket.socket(fileno=descriptor) for descriptor in descriptors)
            if command.fault:
                command, rtp = self._spoil(command, rtp)
            self._sockets[command.stream] = (command, rtp, rtcp)
        if isinstance(command, ChangeStream) and command.stream in self._sockets:
            setup, rtp, rtcp = self._sockets[command.stream]
            setup = replace(setup, destination=command.destination, rtcp_destination=command.rtcp_destination)
            self._sockets[command.stream] = (setup, rtp, rtcp)
        if not isinstance(command, ContentStarted | ContentSought | ContentFinished | ContentStopped | ReportSent):
            self._engine.apply(command, now)
        if isinstance(command, RemoveStream):
            self._put(self._engine.advance(now))  # sends the RTCP BYE before the sockets are closed
            self._close(command.stream)

    def _spoil(self, command: AddStream, rtp: socket.socket) -> tuple[AddStream, socket.socket]:
        """Apply the fault of a stream; returns the command with its changes, and the socket to send RTP from."""
        fault = self._faults[command.stream] = STREAM_FAULTS[command.fault]
        self._edits[command.stream] = fault.new_edit()
        self._clock.run_at(fault.speed)
        command = replace(command, ptime_ms=fault.ptime_ms or command.ptime_ms)
        if fault.own_port:
            return command, rtp
        other = socket.socket(rtp.family, socket.SOCK_DGRAM)
        other.bind((rtp.getsockname()[0], 0))
        rtp.close()
        return command, other

    def _put(self, batch: PacketBatch) -> None:
        sockets = self._sockets
        for stream, packet in batch.rtp:
            setup, rtp, _ = sockets[stream]
            if stream in self._edits:
                self._edits[stream](packet)
            # If the socket's buffer is full or the network refuses the packet, it is lost, as UDP packets may be.
            with contextlib.suppress(OSError):
                rtp.sendto(packet, setup.destination)
        for stream, report in batch.rtcp:
            setup, _, rtcp = sockets[stream]
            names, fault = kinds(parse_compound(report)), self._faults.get(stream)
            withheld = fault is not None and (not fault.reports or ("BYE" in names and not fault.goodbye))
            if setup.rtcp_destination is None or withheld:
                continue
            for octets in (report,) if fault is None else fault.reported(report):
                with contextlib.suppress(OSError):
                    rtcp.sendto(octets, setup.rtcp_destination)
                    source, told = rtcp.getsockname()[:2], parse_compound(octets)
                    sent = ReportSent(source, setup.rtcp_destination, tuple(kinds(told)), traced_values(told))
                    self._events.append(encode(sent))
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
        self._faults.pop(stream, None)
        self._edits.pop(stream, None)
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
    """Run the sender on the two file descriptors of the command line."""
    channel, table = (int(number) for number in sys.argv[1:3])
    # The process ends with its parent. It ignores Ctrl-C and a SIGTERM to the process group, so that the media server
    # can still end its calls with RTCP BYE.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)  # fails without the privilege for it
    gc.freeze()
    Sender(socket.socket(fileno=channel), tables.attach(table)).run()


if __name__ == "__main__":
    main()
