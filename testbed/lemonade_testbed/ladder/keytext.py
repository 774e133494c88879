"""Reads keys in RTP (RFC 4733) as a trace or a capture has them; shares no code with the nodes."""

from __future__ import annotations

from dataclasses import dataclass, field

KEYS = "0123456789*#ABCD"
"""The keys by their event codes (RFC 4733, section 3.2)."""
_REPORT = 4
_LONGEST = 0xFFFF
_WRAP = 1 << 32


@dataclass(frozen=True)
class KeyReport:
    """One event in a payload: its code, whether this is its last report, and its duration so far in ticks."""

    event: int
    end: bool
    duration: int

    @property
    def key(self) -> str:
        """The key; an empty text if the event is not a key."""
        return KEYS[self.event] if self.event < len(KEYS) else ""


def read_reports(payload: bytes) -> tuple[KeyReport, ...]:
    """Return the events of a payload, 4 octets each (RFC 4733, section 2.3); an empty list for another length."""
    if len(payload) % _REPORT:
        return ()
    return tuple(
        KeyReport(payload[at], payload[at + 1] >= 0x80, int.from_bytes(payload[at + 2 : at + 4], "big"))
        for at in range(0, len(payload), _REPORT)
    )


@dataclass
class _Press:
    """What is known of a key press: its timestamps, ticks since the first of them, its last packet, and its end."""

    ssrc: int
    event: int
    start: int
    seq: int
    stamps: set[int] = field(default_factory=set)
    ticks: int = 0
    ended: bool = False

    def holds(self, timestamp: int, seq: int, *, begins: bool) -> bool:
        """Tell whether a report of the same event that begins at `timestamp` belongs to this press.

        `begins` is True if the marker bit says that an event begins there. A long press is reported in segments of
        65,535 ticks (RFC 4733, section 2.5.1.3). Some senders change the timestamp within an event: its reports
        overlap, or follow each other in packets without a marker bit.
        """
        behind = _signed(timestamp - self.start, _WRAP)
        if timestamp in self.stamps:
            return True
        if behind < 0:
            return behind % _LONGEST == 0
        if begins:
            return False
        if behind % _LONGEST == 0:
            return not self.ended
        return behind < self.ticks or (not self.ended and behind == self.ticks and seq == (self.seq + 1) % 65536)

    def extend(self, timestamp: int, report: KeyReport, seq: int) -> None:
        """Add a report to this press."""
        self.stamps.add(timestamp)
        behind = _signed(timestamp - self.start, _WRAP)
        if behind < 0:
            self.start = timestamp
            self.ticks -= behind
            behind = 0
        self.ticks = max(self.ticks, behind + report.duration)
        self.ended |= report.end
        if _signed(seq - self.seq, 65536) > 0:
            self.seq = seq


@dataclass
class PressReader:
    """Finds the key presses in one stream of telephone-events; packets may be lost, duplicated or out of order."""

    _presses: list[_Press] = field(default_factory=list)

    def read(self, ssrc: int, seq: int, timestamp: int, payload: bytes, *, marker: bool) -> list[str]:
        """Take a packet; returns the keys whose presses this packet shows first."""
        found = []
        reports = read_reports(payload)
        for report in reports:
            if report.key and report.duration:
                begins = marker and len(reports) == 1  # the marker bit does not say which of several events begins
                known = (one for one in self._presses if (one.ssrc, one.event) == (ssrc, report.event))
                press = next((one for one in known if one.holds(timestamp, seq, begins=begins)), None)
                if press is None:
                    press = _Press(ssrc, report.event, timestamp, seq)
                    self._presses.append(press)
                    found.append(report.key)
                press.extend(timestamp, report, seq)
            timestamp = (timestamp + report.duration) % _WRAP
        return found


def _signed(difference: int, modulus: int) -> int:
    """Return the difference of two counters that wrap at `modulus` as the nearest signed number."""
    return (difference + modulus // 2) % modulus - modulus // 2
