"""The sender without sockets: commands in, packets and events out, time as an argument.

Every stream has slots, `ptime` apart for ever; a packet's timestamp is that of its slot, so that it advances by the
elapsed time over any gap (RFC 3550 section 5.1, stored media). The slots of all streams are spread over the
milliseconds. After a stall a stream catches up with packets half a ptime apart; after one of more than a second it goes
on at its next slot, and the stall has become a gap.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lemonade_media.sender.protocol import (
    AddStream,
    ChangeStream,
    Command,
    DropContent,
    Event,
    Finished,
    LoadContent,
    Play,
    RemoveStream,
    Seek,
    Sought,
    Started,
    Stopped,
)
from lemonade_media.sender.reports import Schedule
from lemonade_media.sender.table import FINISHED, PLAYING, ROW, STOPPED, Table, in_ms

PHASES = 20
MAX_CATCH_UP_MS = 1000
_NO_LIMIT = 1 << 60
_NEVER = -1
_HEADER = np.dtype([("first", "u1"), ("second", "u1"), ("sequence", ">u2"), ("timestamp", ">u4"), ("ssrc", ">u4")])

Octets = NDArray[np.uint8]
Rows = NDArray[np.int64]


@dataclass
class Batch:
    """What is to go out now: RTP and RTCP as (stream, packet), and the events."""

    rtp: list[tuple[int, memoryview]] = field(default_factory=list)
    rtcp: list[tuple[int, bytes]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


class SenderEngine:
    """All streams of a sender. `now` is CLOCK_MONOTONIC in seconds; with `unix_offset` added, seconds since 1970.

    Commands to streams that are not there are passed over; a Play of a missing content is stopped at once.
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
        self._out = Batch()

    def load(self, command: LoadContent, data: Octets) -> None:
        """Take content, which the caller has mapped."""
        self._contents[command.content] = (command, data)

    def apply(self, command: Command, now: float) -> None:
        """Carry out a command (LoadContent goes to `load`); what comes of it is in the next batch."""
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
            if isinstance(command, Play):
                self._play(command, tick)
            elif isinstance(command, ChangeStream):
                self._change(command, tick)
            elif self._table["state"][command.stream] == PLAYING:
                if isinstance(command, Seek):
                    self._seek(command)
                else:
                    self._end(command.stream, STOPPED)
            self._table["serial"][command.stream] = command.serial

    def advance(self, now: float) -> Batch:
        """Return everything that is due at `now`."""
        tick = _tick(now)
        due = self._pop(tick)
        if len(due):
            due = self._re_anchor(due, tick)
            ended = self._at_end(due)
            # A playing is over when its last packet has been heard: at the slot after it.
            again = [stream for stream in due[ended].tolist() if self._repeat(stream)]
            due = sending = np.concatenate((due[~ended], np.array(again, np.int64)))
            sent = 0
            while len(sending):
                self._send(sending, tick, now)
                sent += 1
                sending = sending[(self._table["burst"][sending] > sent) & ~self._at_end(sending)]
            self._schedule(due, tick)
        self._out.rtcp += self._reports.due(self._table, now)
        out, self._out = self._out, Batch()
        return out

    def next_due(self) -> float | None:
        """Return when `advance` is to be called next, in seconds, or None while nothing is to be done."""
        times = [self._ticks[0] / 1000] if self._ticks else []
        report = self._reports.next_due()
        return min(times if report is None else [*times, report], default=None)

    def streams(self) -> list[int]:
        """Return the streams there are."""
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

    def _play(self, command: Play, tick: int) -> None:
        stream, table = command.stream, self._table
        if table["state"][stream] == PLAYING:
            self._end(stream, STOPPED)
        content = self._contents.get(command.content)
        if content is None:
            self._out.events.append(Stopped(stream, command.serial, 0, command.offset_ms))
            return
        load, data = content
        ptime = int(table["ptime"][stream])
        # No slot is used twice: the one of this very millisecond may be.
        slot = max(tick + (int(table["phase"][stream]) - tick) % ptime, int(table["slot"][stream]))
        if not table["packets"][stream]:
            table["base_tick"][stream] = slot
        row: dict[str, Any] = {
            # RFC 3551 section 4.1: M on the first packet after a gap. Going on in the next slot is none.
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
            "delay": -(-command.delay_ms // ptime) * ptime,  # a packet goes in its slot, and never early
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
            # The slots that passed were a gap: timestamps go on by the time, and M is set (RFC 3551 section 4.1).
            late = max(tick - int(table["slot"][stream]), 0)
            table["slot"][stream] += -(-late // command.ptime_ms) * command.ptime_ms
            table["marker"][stream] = 1
        if command.held or released:
            self._schedule_one(stream, int(table["last_sent"][stream]))

    def _repeat(self, stream: int) -> bool:
        """Begin the next repetition of a playing at its end, or finish it; return whether its packet goes now."""
        row = self._table[stream]
        if row["again"] <= 0 or row["left"] <= 0 or not row["played"]:  # nothing is not repeated for ever
            self._end(stream, FINISHED)
            return False
        left_ms = int(row["left"]) * int(row["unit_ms"]) // int(row["unit_octets"])
        delay_ms = min(int(row["delay"]), left_ms)  # the limit may be reached in silence
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
        self._out.events.append(Sought(stream, int(table["play_serial"][stream]), *times))
        if after == table["end"][stream] and table["again"][stream] <= 0:
            self._end(stream, FINISHED)  # RFC 5022 section 6.4.2: past the end the sequence is complete

    def _end(self, stream: int, state: int) -> None:
        table = self._table
        table["state"][stream] = state
        kind = Finished if state == FINISHED else Stopped
        played = in_ms(table, stream, int(table["played"][stream]))
        # An offset past the end stays what it was: the caller's word.
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
        """Return the playing streams whose time has come."""
        found: list[int] = []
        while self._ticks and self._ticks[0] <= tick:
            when = heapq.heappop(self._ticks)
            streams = np.fromiter(self._buckets.pop(when), np.int64)
            counts = (self._table["due"][streams] == when) & (self._table["state"][streams] == PLAYING)
            found += [stream for stream in streams[counts].tolist() if stream in self._streams]
        return np.array(found, np.int64)

    def _re_anchor(self, due: Rows, tick: int) -> Rows:
        """Move streams that are too late to their next slot; return those whose packet goes now."""
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
        """Set when the next packet may go: in its slot, and not within half a ptime of the last one."""
        table = self._table
        # A tick is cut down to whole ms, so the last packet may have gone nearly one later than it says.
        due = np.maximum(table["slot"][streams], last_sent + 1 + table["ptime"][streams] // 2)
        table["due"][streams] = due
        for stream, tick in zip(streams.tolist(), due.tolist(), strict=True):
            if tick not in self._buckets:
                self._buckets[tick] = set()
                heapq.heappush(self._ticks, tick)
            self._buckets[tick].add(stream)

    def _send(self, streams: Rows, tick: int, now: float) -> None:
        """Write one packet of every stream given, and move its row on."""
        rows = self._table[streams]
        lengths = np.minimum(np.minimum(rows["frame"], rows["end"] - rows["position"]), rows["left"])
        width = _HEADER.itemsize + int(lengths.max())
        packets = np.zeros((len(rows), width), np.uint8)
        self._fill(packets, rows, lengths)
        for stream in streams[rows["packets"] == 0].tolist():
            self._reports.start(stream, self._streams[stream].cname, now)
        for index in np.flatnonzero(rows["played"] == 0).tolist():
            self._out.events.append(Started(int(streams[index]), int(rows["play_serial"][index])))
        # The rows move on before the packets go: a sender that dies in between loses a packet and repeats none.
        rows["sequence"] = (rows["sequence"] + 1) & 0xFFFF
        rows["slot"] += rows["ptime"]
        rows["position"] += lengths
        rows["left"] -= rows["frame"]  # a packet takes its time, however short
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
