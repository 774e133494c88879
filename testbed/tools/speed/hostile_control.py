"""Control connections and calls beside an attack: how long a node does not answer, and what becomes of a call's RTP.

IMAP: a connection that is logged in sends NOOP. SIP: a caller sends OPTIONS, and has a call that plays. Each sends its
next request 5 ms after the one before, or when that is answered, and a stall is the time until an answer. Of it, the
time is taken away in which the reactor's thread or this program was ready to run but had no processor, since other work
of the machine causes it. RTP is timed by the kernel when it arrives.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from speed.client import BenchConnection, ServerFailedError
from speed.hostile_nodes import CONTROL, PASSWORD, HostilePlace, WatchedNode, waiting_of
from speed.hostile_sip import announcement, establish, listen, offer, request

_EVERY = 0.005
_SAMPLE = 0.025
_AGAIN = 0.5
"""Seconds after which a request over UDP is sent again (T1 of RFC 3261, 17.1.1.1)."""
_PTIME = 0.02
_SO_TIMESTAMPNS = 35
"""The option of socket(7) by which the kernel gives the time of each datagram, which Python does not name."""


class Control(Protocol):
    """A control of one node."""

    def send(self, *, again: bool = False) -> None:
        """Send a request, or the last one again where that is needed."""

    def answered(self) -> bool:
        """Read what has come; returns whether the last request is answered now."""

    def sockets(self) -> list[socket.socket]:
        """Return the sockets to wait for."""

    def close(self) -> None:
        """Close the sockets."""


class ImapControl:
    """A connection of another account at another address, which sends NOOP."""

    def __init__(self, at: HostilePlace) -> None:
        self._connection = BenchConnection(at.imap, source=at.control)
        self._connection.run(f"LOGIN {CONTROL} {PASSWORD}".encode())

    def send(self, *, again: bool = False) -> None:
        """Send NOOP, which TCP sends again."""
        if not again:
            self._connection.send(b"NOOP")

    def answered(self) -> bool:
        """Read what has come; returns whether NOOP is answered."""
        return self._connection.receive() is not None

    def sockets(self) -> list[socket.socket]:
        """Return the connection's socket."""
        return [self._connection.socket]

    def close(self) -> None:
        """Close the connection."""
        self._connection.socket.close()


@dataclass
class RtpTally:
    """The packets of one call: sequence numbers without wrapping, and for each by how many seconds it is late."""

    first: int | None = None
    last: int = 0
    count: int = 0
    offsets: list[float] = field(default_factory=list)

    def add(self, packet: bytes, at: float) -> None:
        """Count a packet that arrived at this time in seconds."""
        number = int.from_bytes(packet[2:4], "big")
        if self.first is None:
            self.first = self.last = number
        place = self.last - self.first + ((number - self.last + 0x8000) % 0x10000 - 0x8000)
        self.last = max(self.last, self.first + place)
        self.count += 1
        self.offsets.append(at - place * _PTIME)

    @property
    def lost(self) -> int:
        """Packets that are missing between the first and the last."""
        return 0 if self.first is None else max(0, self.last - self.first + 1 - self.count)

    @property
    def late(self) -> float:
        """Seconds by which the latest packet came after the time that the earliest one sets."""
        return max(self.offsets) - min(self.offsets) if self.offsets else 0.0


class SipControl:
    """A caller at an address of its own, which sends OPTIONS and listens to a call."""

    def __init__(self, at: HostilePlace) -> None:
        self._server = at.media
        self._sip, self._rtp = listen(at.control), listen(at.control)
        self._rtp.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._number = 0
        self.rtp = RtpTally()
        uri = announcement(at.media, "/provisioned/control")
        try:
            establish(self._sip, at.media, uri, "control", offer(self._rtp.getsockname()[1], at.control))
        except OSError as problem:
            raise ServerFailedError(f"the control call fails: {problem}") from problem
        self._sip.setblocking(False)
        self._rtp.setblocking(False)

    def send(self, *, again: bool = False) -> None:
        """Send OPTIONS."""
        self._number += not again
        here = self._sip.getsockname()
        self._sip.sendto(request("OPTIONS", f"sip:{self._server[0]}", here, f"probe{self._number}"), self._server)

    def answered(self) -> bool:
        """Read what has come; returns whether the last OPTIONS is answered."""
        found = False
        while (data := _read(self._sip)) is not None:
            found = found or b"Call-ID: probe%d\r\n" % self._number in data
        while True:
            try:
                packet, notes, _, _ = self._rtp.recvmsg(2048, 64)
            except BlockingIOError:
                return found
            seconds, nanoseconds = struct.unpack("qq", notes[0][2][:16])
            self.rtp.add(packet, seconds + nanoseconds / 1e9)

    def sockets(self) -> list[socket.socket]:
        """Return the sockets of SIP and RTP."""
        return [self._sip, self._rtp]

    def close(self) -> None:
        """Close the sockets; the call ends with the server."""
        self._sip.close()
        self._rtp.close()


def _read(own: socket.socket) -> bytes | None:
    try:
        return own.recv(65536)
    except BlockingIOError:
        return None


@dataclass
class StallTally:
    """The longest times until an answer, in seconds: `longest` without waiting for a processor, `seen` with it."""

    longest: float = 0.0
    seen: float = 0.0
    answers: int = 0


def watch(node: WatchedNode, control: Control, goes_on: Callable[[], bool], seconds: float) -> StallTally:
    """Send requests for so many seconds while `goes_on()`, and sample the memory of the node.

    A request that stays without an answer for `seconds` more counts with that time. Raises ServerFailedError if the
    node ends or closes the control connection.
    """
    tally = StallTally()
    began = time.monotonic()
    due = sample = began
    sent: float | None = None
    waited = 0
    resent = 0.0
    while True:
        now = time.monotonic()
        if node.process.poll() is not None:
            raise ServerFailedError(f"the node ended: {node.log.read_text()[-300:]}")
        if now >= sample:
            node.sample()
            sample = now + _SAMPLE
        if sent is None:
            if now - began > seconds or not goes_on():
                return tally
            if now >= due:
                waited = node.waiting()
                sent = resent = time.monotonic()
                control.send()
                due = sent + _EVERY
        elif now - resent > _AGAIN:
            resent = now
            control.send(again=True)
        own = waiting_of(os.getpid())
        wait = max(0.0, min(due - now, _EVERY)) if sent is None else _EVERY
        ready, _, _ = select.select(control.sockets(), [], [], wait)
        done = bool(ready) and control.answered()
        now = time.monotonic()
        if sent is not None and (done or now - sent > 2 * seconds):
            # this program may have waited for a processor after the answer had come, the node before it
            delayed = node.waiting() - waited + waiting_of(os.getpid()) - own
            tally.seen = max(tally.seen, now - sent)
            tally.longest = max(tally.longest, now - sent - delayed / 1e9)
            tally.answers += done
            if not done:
                return tally
            sent = None
