"""Keys in RTP (RFC 4733): telephone-event payloads, the packets of a key press, and the receiver of key presses.

The RTP timestamp identifies a press. Each packet of a press reports it from its beginning, so that one packet is enough
to detect it, and the packets may arrive in any order and repeatedly.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from lemonade_wire.rtp.packet import RtpError, RtpPacket
from lemonade_wire.sip.message.dtmf import KEYS

UPDATE_MS = 50
"""Milliseconds between the packets of one event (RFC 4733 section 2.5.1.2)."""
LAPSE_SECONDS = 3 * UPDATE_MS / 1000
"""A press without further packets ends after three packet intervals (section 2.5.2.2)."""
MAX_DURATION = 0xFFFF
_FINALS = 3
_VOLUME = 10
_REPORT = struct.Struct("!BBH")
_REMEMBERED = 32
_FORGET_SECONDS = 60.0
_WRAP = 1 << 32


@dataclass(frozen=True)
class EventReport:
    """One event in a payload (section 2.3): its code, its duration up to now in timestamp units, and its end bit.

    `volume` is the level in dBm0 without its sign, 0 to 63.
    """

    event: int
    duration: int
    end: bool = False
    volume: int = _VOLUME

    @property
    def key(self) -> str | None:
        """The key, one of `0-9*#ABCD`; None for an event that is no key (16 and up)."""
        return KEYS[self.event] if self.event < len(KEYS) else None

    def __bytes__(self) -> bytes:
        return _REPORT.pack(self.event, self.end << 7 | self.volume, self.duration)


# RFC 4733 section 2.3 (E end, R reserved, duration in timestamp units):
#
#    0                   1                   2                   3
#    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#   |     event     |E|R|  volume   |           duration            |
#   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
def read_reports(payload: bytes) -> tuple[EventReport, ...]:
    """Parse the reports of a payload; raises RtpError.

    Each event begins at the end of the one before it (section 2.5.2.4).
    """
    if not payload or len(payload) % _REPORT.size:
        raise RtpError(f"{len(payload)} octets are no telephone-events: 4 for each are expected")
    return tuple(
        EventReport(event, duration, bool(flags & 0x80), flags & 0x3F)
        for event, flags, duration in _REPORT.iter_unpack(payload)
    )


# -- sending -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class EventPacket:
    """One packet of a press: sent `after_ms` after the key went down, its timestamp `ticks` after that of the press."""

    after_ms: int
    ticks: int
    marker: bool
    payload: bytes


def packets_of(key: str, held_ms: int, *, clock: int = 8000) -> Iterator[EventPacket]:
    """Yield the packets of a key that is held for `held_ms` (1 or more), in the order of sending; `clock` is in Hz.

    A press longer than 0xFFFF timestamp units has several segments. The last packet of the event and of each segment is
    sent three times (sections 2.5.1.3 and 2.5.1.4).
    """
    code, total = KEYS.index(key), held_ms * clock // 1000
    finals: list[tuple[int, EventReport, int]] = []  # for each segment: its start, its last report, times left to send
    began = sent = told = 0
    after = 0
    while told < _FINALS:
        after += UPDATE_MS
        ticks = min(after * clock // 1000, total)
        while ticks - began > MAX_DURATION:
            finals.append((began, EventReport(code, MAX_DURATION), _FINALS))
            began += MAX_DURATION
        for start, report, _ in finals:
            yield EventPacket(after, start, sent == 0, bytes(report))
            sent += 1
        finals = [(start, report, left - 1) for start, report, left in finals if left > 1]
        yield EventPacket(after, began, sent == 0, bytes(EventReport(code, ticks - began, end=ticks == total)))
        sent += 1
        told += ticks == total


# -- receiving ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class KeyPressed:
    """A key was pressed, at about the time `at` in seconds. Reported once, with the first packet that arrives."""

    key: str
    at: float


@dataclass(frozen=True)
class KeyReleased:
    """A key was released after `held_ms`. Reported once for each press, at its end or when its packets stop."""

    key: str
    held_ms: float


KeyEvent = KeyPressed | KeyReleased


@dataclass
class _Press:
    """The state of a press: the timestamps of its segments, and `ticks` from the first of them to its latest end."""

    ssrc: int
    event: int
    key: str
    sequence: int
    heard: float
    stamps: list[int]
    ticks: int = 0
    ended: bool = False
    """Its end was reported: a later timestamp is another press."""
    released: bool = False

    def goes_on(self, timestamp: int, sequence: int, *, marker: bool) -> bool:
        """Return whether a report of the same event with a new timestamp belongs to this press."""
        behind = _ahead(timestamp, self.stamps[0])
        if behind < 0:  # section 2.5.2.3: a segment begins 0xFFFF after the one before it, and may arrive before it
            return behind % MAX_DURATION == 0
        if marker:
            return False
        if behind % MAX_DURATION == 0:
            return not self.ended
        # Some senders change the timestamp within an event. Their reports of one event overlap, or a report without a
        # marker begins exactly at the end of the last one, with no packet missing in between: no new event either.
        follows = not self.ended and behind == self.ticks and sequence == (self.sequence + 1) % 0x10000
        return behind < self.ticks or follows

    def take(self, report: EventReport, timestamp: int, sequence: int, now: float) -> None:
        """Update the press with a report of it."""
        if timestamp not in self.stamps:
            self.stamps.append(timestamp)
        before = _ahead(self.stamps[0], timestamp)
        if before > 0:  # a segment that arrives late is before the first known one
            self.stamps.remove(timestamp)
            self.stamps.insert(0, timestamp)
            self.ticks += before
        self.ticks = max(self.ticks, _ahead(timestamp, self.stamps[0]) + report.duration)
        self.ended |= report.end
        if _ahead16(sequence, self.sequence) > 0:
            self.sequence = sequence
        self.heard = now


@dataclass
class KeyReceiver:
    """Detects key presses in telephone-event packets. `now` is in seconds of any one clock; `clock` is in Hz.

    Events that are no keys, and reports with duration 0 (which only states may have, section 2.3.5), are ignored. The
    volume is ignored too, because the sender has already detected the key.
    """

    clock: int = 8000
    _presses: deque[_Press] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))

    def receive(self, packet: RtpPacket, now: float) -> list[KeyEvent]:
        """Process a telephone-event packet; returns the events. A malformed packet is ignored."""
        try:
            reports = read_reports(packet.payload)
        except RtpError:
            return []
        events: list[KeyEvent] = self.handle_timer(now)
        timestamp = packet.timestamp
        # The marker of a packet with several reports does not say which of them is a new event.
        marker = packet.marker and len(reports) == 1
        for report in reports:
            if report.key is not None and report.duration:
                events += self._report(packet, report, report.key, timestamp, now, marker=marker)
            timestamp = (timestamp + report.duration) % _WRAP
        return events

    def next_timer(self) -> float | None:
        """Return the time at which `handle_timer` is to be called; None if no key is down."""
        return min((press.heard + LAPSE_SECONDS for press in self._presses if not press.released), default=None)

    def handle_timer(self, now: float) -> list[KeyEvent]:
        """Release the keys whose packets have stopped, and delete old presses; returns the events."""
        lapsed = [press for press in self._presses if not press.released and press.heard + LAPSE_SECONDS <= now]
        while self._presses and self._presses[0].released and self._presses[0].heard + _FORGET_SECONDS < now:
            self._presses.popleft()
        return [event for press in lapsed for event in self._release(press)]

    def _report(
        self, packet: RtpPacket, report: EventReport, key: str, timestamp: int, now: float, *, marker: bool
    ) -> Iterator[KeyEvent]:
        known = [press for press in self._presses if (press.ssrc, press.event) == (packet.ssrc, report.event)]
        press = next((one for one in known if timestamp in one.stamps), None) or next(
            (one for one in known if one.goes_on(timestamp, packet.sequence, marker=marker)), None
        )
        if press is not None:
            press.take(report, timestamp, packet.sequence, now)
        else:
            # A new press releases an earlier one whose end was lost.
            earlier = [one for one in self._presses if one.ssrc != packet.ssrc or _ahead(timestamp, one.stamps[0]) > 0]
            yield from (event for one in earlier for event in self._release(one))
            press = _Press(packet.ssrc, report.event, key, packet.sequence, now, [timestamp])
            press.take(report, timestamp, packet.sequence, now)
            self._presses.append(press)
            yield KeyPressed(key, now - press.ticks / self.clock)
        if press.ended:
            yield from self._release(press)

    def _release(self, press: _Press) -> Iterator[KeyEvent]:
        if not press.released:
            press.released = True
            yield KeyReleased(press.key, press.ticks * 1000 / self.clock)


def _ahead(timestamp: int, of: int) -> int:
    """Return the signed difference of two 32-bit timestamps, across a wrap."""
    return (timestamp - of + _WRAP // 2) % _WRAP - _WRAP // 2


def _ahead16(sequence: int, of: int) -> int:
    return (sequence - of + 0x8000) % 0x10000 - 0x8000
