"""The state of all streams in memory that media server and RTP sender share, and the RTCP packets of each stream.

The sender writes it. After the death of a sender, its successor continues from it, and the media server reads from it
which commands were carried out. Ticks are milliseconds of CLOCK_MONOTONIC, which is the same for all processes of a
machine.
"""

from __future__ import annotations

import heapq
import mmap
import os
import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lemonade_wire.rtp.rtcp import (
    Goodbye,
    ReceiverReport,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    ntp_time,
    write_compound,
)

ROW = np.dtype(
    [
        ("base_tick", "i8"),  # the tick at which the timestamp was, or would have been, base_timestamp
        ("base_timestamp", "i8"),
        ("first_timestamp", "i8"),
        ("slot", "i8"),  # the nominal tick of the next packet
        ("due", "i8"),  # the tick at which it may be sent: later than slot after a stall
        ("last_sent", "i8"),
        ("position", "i8"),  # of the next octet in the content
        ("end", "i8"),  # of the content
        ("left", "i8"),  # octets until the limit of the playing, silence counted as octets
        ("again", "i8"),  # repetitions to come
        ("delay", "i8"),  # ms of silence before each of them, whole packets
        ("played", "i8"),  # octets sent of this playing
        ("packets", "i8"),
        ("octets", "i8"),
        ("serial", "i8"),  # of the last command carried out
        ("play_serial", "i8"),  # of the last PlayContent carried out
        ("content", "i8"),
        ("ssrc", "i8"),
        ("sequence", "i8"),
        ("clock", "i8"),
        ("ptime", "i8"),  # ms
        ("phase", "i8"),
        ("frame", "i8"),  # octets per packet
        ("unit_octets", "i8"),
        ("unit_ms", "i8"),
        ("payload_type", "i8"),
        ("burst", "i8"),
        ("marker", "i8"),
        ("reset_on_seek", "i8"),
        ("held", "i8"),  # 1: the playing is paused, no packet is sent
        ("state", "i8"),  # one of the four below
    ]
)
IDLE, PLAYING, FINISHED, STOPPED = range(4)

Table = NDArray[Any]
# Times of RTCP packets (RFC 3550 sections 6.2, 6.3.1 and 6.3.7); the two intervals are multiplied by a random number
# from 0.5 to 1.5, and divided by 1.21828:
#   first report: INTERVAL / 2 after the first RTP packet
#   next report:  INTERVAL after the last one
#   BYE:          when the stream is removed
INTERVAL = 5.0  # seconds: the minimum interval, which applies to a session of two members


def create(capacity: int) -> int:
    """Return the file descriptor of a new table for so many streams, all zero."""
    descriptor = os.memfd_create("rtp-streams")
    os.ftruncate(descriptor, capacity * ROW.itemsize)
    return descriptor


def attach(descriptor: int) -> Table:
    """Return the table of a file descriptor; all processes that have it share the memory."""
    return np.frombuffer(mmap.mmap(descriptor, 0), ROW)


def in_ms(table: Table, stream: int, octets: int) -> int:
    """Return the playing time, in ms, of so many octets of a stream's content."""
    return int(octets) * int(table["unit_ms"][stream]) // max(int(table["unit_octets"][stream]), 1)


def timestamp_at(table: Table, stream: int, ms: float) -> int:
    """Return the RTP timestamp of a stream at a time in ms of CLOCK_MONOTONIC, which may have a fraction."""
    row = table[stream]
    elapsed = (ms - float(row["base_tick"])) * float(row["clock"]) / 1000
    return (int(row["base_timestamp"]) + int(elapsed)) & 0xFFFFFFFF


@dataclass
class Schedule:
    """The schedule of the reports of all streams that have sent a packet.

    CLOCK_MONOTONIC in seconds plus `unix_offset` is the time since 1970.
    """

    rng: random.Random
    unix_offset: float
    _times: dict[int, float] = field(default_factory=dict)
    _cnames: dict[int, str] = field(default_factory=dict)
    _heap: list[tuple[float, int]] = field(default_factory=list)  # an entry counts if `_times` agrees

    def start(self, stream: int, cname: str, now: float) -> None:
        """Schedule the first report of a stream that sends its first packet: after half the interval (section 6.2)."""
        self._cnames[stream] = cname
        self._plan(stream, now, INTERVAL / 2)

    def end(self, table: Table, stream: int, now: float) -> bytes | None:
        """Return the compound packet with BYE for a stream; None if it never sent a packet (section 6.3.7)."""
        cname = self._cnames.pop(stream, None)
        self._times.pop(stream, None)
        if cname is None:
            return None
        return write_compound([*self._report(table, stream, cname, now), Goodbye((int(table["ssrc"][stream]),))])

    def due(self, table: Table, now: float) -> list[tuple[int, bytes]]:
        """Return the reports that are due, as (stream, compound packet), and schedule the next ones."""
        out = []
        while self._heap and self._heap[0][0] <= now:
            time, stream = heapq.heappop(self._heap)
            if self._times.get(stream) == time:
                out.append((stream, write_compound(self._report(table, stream, self._cnames[stream], now))))
                self._plan(stream, now, INTERVAL)
        return out

    def next_due(self) -> float | None:
        """Return the time of the next report, in seconds; None if there is none."""
        return self._heap[0][0] if self._heap else None

    def _plan(self, stream: int, now: float, mean: float) -> None:
        # Section 6.3.1: half to one and a half of the interval, divided by e - 1.5
        self._times[stream] = now + mean * self.rng.uniform(0.5, 1.5) / 1.21828
        heapq.heappush(self._heap, (self._times[stream], stream))

    def _report(self, table: Table, stream: int, cname: str, now: float) -> list[RtcpPacket]:
        row = table[stream]
        ssrc = int(row["ssrc"])
        report: RtcpPacket = ReceiverReport(ssrc)
        # Section 6.4: a stream that has sent RTP within the last two intervals sends an SR, else an RR.
        if now - row["last_sent"] / 1000 <= 2 * INTERVAL:
            timestamp = timestamp_at(table, stream, now * 1000)
            ntp = ntp_time(now + self.unix_offset)
            report = SenderReport(ssrc, ntp, timestamp, int(row["packets"]), int(row["octets"]))
        return [report, SourceDescription(((ssrc, cname),))]
