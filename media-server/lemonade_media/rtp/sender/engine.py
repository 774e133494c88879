"""The RTP sender without sockets or clock: it takes commands and the time, and returns packets and events.

The time of each stream is divided into slots, one every packet time (`ptime`). A packet is sent in a slot, and has its
timestamp, so that the timestamp advances by the elapsed time over a gap (RFC 3550 section 5.1, stored media). The slots
of all streams are spread over the milliseconds of a packet time. After a stall of the process, a stream sends its late
packets at least half a packet time apart. After a stall of more than a second it continues at its next slot instead,
and the stall becomes a gap.

A tick is a time in whole milliseconds.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lemonade_media.rtp.sender.protocol import (
    AddStream,
    ChangeStream,
    Command,
    ContentFinished,
    ContentSought,
    ContentStarted,
    ContentStopped,
    DropContent,
    Event,
    LoadContent,
    PlayContent,
    RemoveStream,
    Seek,
)
from lemonade_media.rtp.sender.reports import FINISHED, PLAYING, ROW, STOPPED, Schedule, Table, in_ms

PHASES = 20
"""The number of phases, each of 1 ms, over which the slots of streams are spread."""
MAX_CATCH_UP_MS = 1000
"""After a longer stall a stream continues at its next slot, and does not send its late packets."""
_NO_LIMIT = 1 << 60
_NEVER = -1
# The fixed RTP header (RFC 3550 section 5.1), without padding, extension or CSRC:
#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  |V=2|P|X|  CC   |M|     PT      |       sequence number         |
#  |                           timestamp                           |
#  |                             SSRC                              |
_HEADER = np.dtype([("first", "u1"), ("second", "u1"), ("sequence", ">u2"), ("timestamp", ">u4"), ("ssrc", ">u4")])

Octets = NDArray[np.uint8]
Rows = NDArray[np.int64]


@dataclass
class PacketBatch:
    """The RTP and RTCP packets to send now, as (stream, packet), and the events to report."""

    rtp: list[tuple[int, memoryview]] = field(default_factory=list)
    rtcp: list[tuple[int, bytes]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


class SenderEngine:
    """All streams of a sender. `now` is CLOCK_MONOTONIC in seconds; `now` + `unix_offset` is the time since 1970.

    Commands for streams that do not exist are ignored. PlayContent with a content that does not exist is stopped at
    once (ContentStopped).
    """

    def __init__(self, table: Table, *, unix_offset: float = 0.0, seed: int | None = None) -> None:
        self._table = table
        self._streams: dict[int, AddStream] = {}
        self._contents: dict[int, tuple[LoadContent, Octets]] = {}
        self._dropped: set[int] = set()
        self._buckets: dict[int, set[int]] = {}  # tick to streams; an entry counts if the row's `due` agrees
        self._ticks: list[int] = []
        self._phases = [0] * PHASES
        self._reports = Schedule(random.Random(seed), unix_offset)
        self._out = PacketBatch()

    def load(self, command: LoadContent, data: Octets) -> None:
        """Add a content; `data` are its octets, which the caller has mapped into memory."""
        self._contents[command.content] = (command, data)

    def apply(self, command: Command, now: float) -> None:
        """Carry out a command other than LoadContent (see `load`); `advance` returns the packets and events of it."""
        tick = _tick(now)
        if isinstance(command, AddStream):
            self._add(command, tick, now)
        elif isinstance(command, DropContent):
            self._dropped.add(command.content)
            self._forget_contents()
        elif not isinstance(command, LoadContent) and command.stream in self._streams:
            if isinstance(command, RemoveStream):
                self._remove(command.stream, now)
                return
            if isinstance(command, PlayContent):
                self._play(command, tick)
            elif isinstance(command, ChangeStream):
                self._change(command, tick)
            elif self._table["state"][command.stream] == PLAYING:
                if isinstance(command, Seek):
                    self._seek(command)
                else:
                    self._end(command.stream, STOPPED)
            self._table["serial"][command.stream] = command.serial

    def advance(self, now: float) -> PacketBatch:
        """Return all packets that are due at `now`, and all events since the last call."""
        tick = _tick(now)
        due = self._pop(tick)
        if len(due):
            due = self._re_anchor(due, tick)
            ended = self._at_end(due)
            # A playing ends when the sound of its last packet has been heard, which is at the slot after that packet.
            again = [stream for stream in due[ended].tolist() if self._repeat(stream)]
            due = sending = np.concatenate((due[~ended], np.array(again, np.int64)))
            sent = 0
            while len(sending):
                self._send(sending, tick, now)
                sent += 1
                sending = sending[(self._table["burst"][sending] > sent) & ~self._at_end(sending)]
            self._schedule(due, tick)
        self._out.rtcp += self._reports.due(self._table, now)
        out, self._out = self._out, PacketBatch()
        return out

    def next_due(self) -> float | None:
        """Return the time, in seconds, at which `advance` must be called next; None if nothing is due."""
        times = [self._ticks[0] / 1000] if self._ticks else []
        report = self._reports.next_due()
        return min(times if report is None else [*times, report], default=None)

    def streams(self) -> list[int]:
        """Return the numbers of all streams."""
        return list(self._streams)

    def _add(self, command: AddStream, tick: int, now: float) -> None:
        stream, table = command.stream, self._table
        known = command.resume and table["ssrc"][stream] == command.ssrc and table["ptime"][stream]
        if not known:
            phase = self._phases.index(min(self._phases))
            table[stream] = np.zeros((), ROW)
            row: dict[str, Any] = {
                "ssrc": command.ssrc,
                "sequence": command.sequence,
                "base_timestamp": command.timestamp,
                "first_timestamp": command.timestamp,
                "payload_type": command.payload_type,
                "clock": command.clock,
                "ptime": command.ptime_ms,
                "burst": command.burst,
                "reset_on_seek": command.reset_on_seek,
                "phase": phase,
            }
            for name, value in row.items():
                table[name][stream] = value
        self._streams[stream] = command
        self._phases[int(table["phase"][stream])] += 1
        if known and table["packets"][stream]:
            self._reports.start(stream, command.cname, now)
        if known and table["state"][stream] == PLAYING:
            if int(table["content"][stream]) in self._contents:
                self._schedule_one(stream, tick)
            else:
                self._end(stream, STOPPED)

    def _remove(self, stream: int, now: float) -> None:
        if self._table["state"][stream] == PLAYING:
            self._end(stream, STOPPED)
        goodbye = self._reports.end(self._table, stream, now)
        if goodbye:
            self._out.rtcp.append((stream, goodbye))
        self._phases[int(self._table["phase"][stream])] -= 1
        del self._streams[stream]

    def _play(self, command: PlayContent, tick: int) -> None:
        stream, table = command.stream, self._table
        if table["state"][stream] == PLAYING:
            self._end(stream, STOPPED)
        content = self._contents.get(command.content)
        if content is None:
            self._out.events.append(ContentStopped(stream, command.serial, 0, command.offset_ms))
            return
        load, data = content
        ptime = int(table["ptime"][stream])
        # The slot of this millisecond may have been used already; no slot is used twice.
        slot = max(tick + (int(table["phase"][stream]) - tick) % ptime, int(table["slot"][stream]))
        if not table["packets"][stream]:
            table["base_tick"][stream] = slot
        row: dict[str, Any] = {
            # RFC 3551 section 4.1: the marker bit is set on the first packet after a gap. A playing that begins in the
            # slot after the last packet follows no gap.
            "marker": not (table["packets"][stream] and table["slot"][stream] == slot),
            "slot": slot,
            "content": command.content,
            "unit_octets": load.unit_octets,
            "unit_ms": load.unit_ms,
            "frame": max(ptime // load.unit_ms, 1) * load.unit_octets,
            "position": command.offset_ms // load.unit_ms * load.unit_octets,
            "end": len(data),
            "left": _NO_LIMIT if command.limit_ms is None else command.limit_ms // load.unit_ms * load.unit_octets,
            "again": _NO_LIMIT if command.plays is None else command.plays - 1,
            "delay": -(-command.delay_ms // ptime) * ptime,  # rounded up: a packet is sent in a slot, and never early
            "played": 0,
            "play_serial": command.serial,
            "state": PLAYING,
        }
        for name, value in row.items():
            table[name][stream] = value
        self._schedule_one(stream, int(table["last_sent"][stream]))

    def _change(self, command: ChangeStream, tick: int) -> None:
        stream, table = command.stream, self._table
        playing = table["state"][stream] == PLAYING
        content = self._contents.get(-1 if command.content is None else command.content)
        if playing and content is not None:
            table["content"][stream], table["end"][stream] = command.content, len(content[1])
            self._forget_contents()
        table["payload_type"][stream] = command.payload_type
        table["ptime"][stream] = command.ptime_ms
        if playing:
            unit_ms, unit_octets = int(table["unit_ms"][stream]), int(table["unit_octets"][stream])
            table["frame"][stream] = max(command.ptime_ms // unit_ms, 1) * unit_octets
        released = table["held"][stream] and not command.held
        table["held"][stream] = command.held
        if not playing:
            return
        if released:
            # The time on hold is a gap: the timestamp advances by it, and the marker bit is set (RFC 3551 section 4.1).
            late = max(tick - int(table["slot"][stream]), 0)
            table["slot"][stream] += -(-late // command.ptime_ms) * command.ptime_ms
            table["marker"][stream] = 1
        if command.held or released:
            self._schedule_one(stream, int(table["last_sent"][stream]))

    def _repeat(self, stream: int) -> bool:
        """Begin the next repetition of a playing, or finish the playing; return whether a packet is to be sent now."""
        row = self._table[stream]
        if row["again"] <= 0 or row["left"] <= 0 or not row["played"]:  # an empty content is not repeated without end
            self._end(stream, FINISHED)
            return False
        left_ms = int(row["left"]) * int(row["unit_ms"]) // int(row["unit_octets"])
        delay_ms = min(int(row["delay"]), left_ms)  # the limit may end the playing within the silence
        row["again"] -= 1
        row["position"] = 0
        row["left"] -= delay_ms // int(row["unit_ms"]) * int(row["unit_octets"])
        row["slot"] += delay_ms
        row["marker"] = delay_ms > 0
        if delay_ms:
            self._schedule(np.array([stream]), int(row["last_sent"]))
        return not delay_ms

    def _seek(self, command: Seek) -> None:
        stream, table = command.stream, self._table
        before = int(table["position"][stream])
        step = int(command.by_ms / int(table["unit_ms"][stream])) * int(table["unit_octets"][stream])
        after = min(max(before + step, 0), int(table["end"][stream]))
        table["position"][stream] = after
        if table["reset_on_seek"][stream]:
            table["base_timestamp"][stream] = table["first_timestamp"][stream]
            table["base_tick"][stream] = table["slot"][stream]
        times = in_ms(table, stream, before), in_ms(table, stream, after)
        self._out.events.append(ContentSought(stream, int(table["play_serial"][stream]), *times))
        if after == table["end"][stream] and table["again"][stream] <= 0:
            self._end(stream, FINISHED)  # RFC 5022 section 6.4.2: a skip past the end completes the sequence

    def _end(self, stream: int, state: int) -> None:
        table = self._table
        table["state"][stream] = state
        kind = ContentFinished if state == FINISHED else ContentStopped
        played = in_ms(table, stream, int(table["played"][stream]))
        # An offset past the end is reported as the command gave it.
        offset = in_ms(table, stream, int(table["position"][stream]))
        self._out.events.append(kind(stream, int(table["play_serial"][stream]), played, offset))
        self._forget_contents()

    def _forget_contents(self) -> None:
        for content in list(self._dropped):
            used = (self._table["content"] == content) & (self._table["state"] == PLAYING)
            if not used.any():
                self._dropped.discard(content)
                self._contents.pop(content, None)

    def _pop(self, tick: int) -> Rows:
        """Return the playing streams that are due at this tick, and remove them from the schedule."""
        found: list[int] = []
        while self._ticks and self._ticks[0] <= tick:
            when = heapq.heappop(self._ticks)
            streams = np.fromiter(self._buckets.pop(when), np.int64)
            counts = (self._table["due"][streams] == when) & (self._table["state"][streams] == PLAYING)
            found += [stream for stream in streams[counts].tolist() if stream in self._streams]
        return np.array(found, np.int64)

    def _re_anchor(self, due: Rows, tick: int) -> Rows:
        """Move streams that are more than `MAX_CATCH_UP_MS` late to their next slot; return those that are due now."""
        table = self._table
        late = tick - table["slot"][due]
        lost = due[late > MAX_CATCH_UP_MS]
        if len(lost):
            ptime = table["ptime"][lost]
            table["slot"][lost] += -(-(tick - table["slot"][lost]) // ptime) * ptime
            table["marker"][lost] = 1
            later = lost[table["slot"][lost] > tick]
            self._schedule(later, 0)
            due = due[~np.isin(due, later)]
        return due

    def _at_end(self, streams: Rows) -> NDArray[np.bool_]:
        table = self._table
        ended: NDArray[np.bool_] = (table["position"][streams] >= table["end"][streams]) | (table["left"][streams] <= 0)
        return ended

    def _schedule_one(self, stream: int, last_sent: int) -> None:
        if self._table["held"][stream]:
            self._table["due"][stream] = _NEVER
        else:
            self._schedule(np.array([stream]), last_sent)

    def _schedule(self, streams: Rows, last_sent: int) -> None:
        """Set the time of the next packet: in its slot, but at least half a packet time after the last packet."""
        table = self._table
        # A tick is rounded down to whole ms: the last packet may have been sent almost 1 ms after `last_sent`.
        due = np.maximum(table["slot"][streams], last_sent + 1 + table["ptime"][streams] // 2)
        table["due"][streams] = due
        for stream, tick in zip(streams.tolist(), due.tolist(), strict=True):
            if tick not in self._buckets:
                self._buckets[tick] = set()
                heapq.heappush(self._ticks, tick)
            self._buckets[tick].add(stream)

    def _send(self, streams: Rows, tick: int, now: float) -> None:
        """Write the next packet of each of these streams, and update the stream's row in the table."""
        rows = self._table[streams]
        lengths = np.minimum(np.minimum(rows["frame"], rows["end"] - rows["position"]), rows["left"])
        width = _HEADER.itemsize + int(lengths.max())
        packets = np.zeros((len(rows), width), np.uint8)
        self._fill(packets, rows, lengths)
        for stream in streams[rows["packets"] == 0].tolist():
            self._reports.start(stream, self._streams[stream].cname, now)
        for index in np.flatnonzero(rows["played"] == 0).tolist():
            self._out.events.append(ContentStarted(int(streams[index]), int(rows["play_serial"][index])))
        # The rows are updated before the packets are sent: a sender that dies in between loses packets, but its
        # successor does not send any twice.
        rows["sequence"] = (rows["sequence"] + 1) & 0xFFFF
        rows["slot"] += rows["ptime"]
        rows["position"] += lengths
        rows["left"] -= rows["frame"]  # a packet that is shorter than a frame takes a packet time as well
        rows["played"] += lengths
        rows["octets"] += lengths
        rows["packets"] += 1
        rows["marker"] = 0
        rows["last_sent"] = tick
        self._table[streams] = rows
        flat = packets.reshape(-1).data
        for index, (stream, length) in enumerate(zip(streams.tolist(), lengths.tolist(), strict=True)):
            start = index * width
            self._out.rtp.append((stream, flat[start : start + _HEADER.itemsize + length]))

    def _fill(self, packets: Octets, rows: Table, lengths: Rows) -> None:
        headers = np.zeros(len(rows), _HEADER)
        headers["first"] = 0x80
        headers["second"] = rows["marker"] << 7 | rows["payload_type"]
        headers["sequence"] = rows["sequence"]
        elapsed = (rows["slot"] - rows["base_tick"]) * rows["clock"] // 1000
        headers["timestamp"] = (rows["base_timestamp"] + elapsed) & 0xFFFFFFFF
        headers["ssrc"] = rows["ssrc"]
        size = _HEADER.itemsize
        packets[:, :size] = headers.view(np.uint8).reshape(-1, size)
        for content in np.unique(rows["content"]).tolist():
            data = self._contents[content][1]
            same = np.flatnonzero(rows["content"] == content)
            places = rows["position"][same][:, None] + np.arange(packets.shape[1] - size)
            packets[same, size:] = data[np.minimum(places, len(data) - 1)]


def _tick(now: float) -> int:
    return int(now * 1000 + 1e-6)
