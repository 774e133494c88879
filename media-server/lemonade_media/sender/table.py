"""The state of all streams as one array, in memory that media server and sender share.

The sender writes it; when the sender dies, its successor takes it as it is and the media server reads in it what was
carried out. Ticks are milliseconds of CLOCK_MONOTONIC, which all processes of a machine share.
"""

from __future__ import annotations

import mmap
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROW = np.dtype(
    [
        ("base_tick", "i8"),  # the tick at which the timestamp was, or would have been, base_timestamp
        ("base_timestamp", "i8"),
        ("first_timestamp", "i8"),
        ("slot", "i8"),  # the nominal tick of the next packet
        ("due", "i8"),  # the tick at which it may go: later than slot while catching up
        ("last_sent", "i8"),
        ("position", "i8"),  # of the next octet in the content
        ("end", "i8"),  # of the content
        ("left", "i8"),  # octets until the limit of the playing, as many as its time would hold
        ("again", "i8"),  # repetitions to come
        ("delay", "i8"),  # ms of silence before each of them, whole packets
        ("played", "i8"),  # octets sent of this playing
        ("packets", "i8"),
        ("octets", "i8"),
        ("serial", "i8"),  # of the last command carried out
        ("play_serial", "i8"),  # of the Play that is, or was last, carried out
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
        ("held", "i8"),  # 1: a playing stands still, no packet is sent
        ("state", "i8"),  # one of the four below
    ]
)
IDLE, PLAYING, FINISHED, STOPPED = range(4)

Table = NDArray[Any]


def create(capacity: int) -> int:
    """Return the descriptor of a new empty table."""
    descriptor = os.memfd_create("rtp-streams")
    os.ftruncate(descriptor, capacity * ROW.itemsize)
    return descriptor


def attach(descriptor: int) -> Table:
    """Return the table behind a descriptor, shared with all that hold it."""
    return np.frombuffer(mmap.mmap(descriptor, 0), ROW)


def in_ms(table: Table, stream: int, octets: int) -> int:
    """Return how many ms of a stream's content so many octets are."""
    return int(octets) * int(table["unit_ms"][stream]) // max(int(table["unit_octets"][stream]), 1)


def timestamp_at(table: Table, stream: int, ms: float) -> int:
    """Return the RTP timestamp of a stream at a time, which need not be a whole tick."""
    row = table[stream]
    elapsed = (ms - float(row["base_tick"])) * float(row["clock"]) / 1000
    return (int(row["base_timestamp"]) + int(elapsed)) & 0xFFFFFFFF
