"""When the streams of a sender send RTCP, and what (RFC 3550 section 6)."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field

from lemonade_media.sender.table import Table, timestamp_at
from lemonade_wire.rtp.rtcp import (
    Goodbye,
    ReceiverReport,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    ntp_time,
    write_compound,
)

INTERVAL = 5.0  # seconds: RFC 3550 section 6.2, the minimum for a session as small as a call


@dataclass
class Schedule:
    """The reports of streams that have sent; `unix_offset` is what makes of CLOCK_MONOTONIC seconds since 1970."""

    rng: random.Random
    unix_offset: float
    _times: dict[int, float] = field(default_factory=dict)
    _cnames: dict[int, str] = field(default_factory=dict)
    _heap: list[tuple[float, int]] = field(default_factory=list)  # an entry counts if `_times` agrees

    def start(self, stream: int, cname: str, now: float) -> None:
        """Begin at a stream's first packet; the first report comes after half the interval (section 6.2)."""
        self._cnames[stream] = cname
        self._plan(stream, now, INTERVAL / 2)

    def end(self, table: Table, stream: int, now: float) -> bytes | None:
        """Return the compound with BYE, or None for a stream that never sent (section 6.3.7)."""
        cname = self._cnames.pop(stream, None)
        self._times.pop(stream, None)
        if cname is None:
            return None
        return write_compound([*self._report(table, stream, cname, now), Goodbye((int(table["ssrc"][stream]),))])

    def due(self, table: Table, now: float) -> list[tuple[int, bytes]]:
        """Return the reports whose time has come."""
        out = []
        while self._heap and self._heap[0][0] <= now:
            time, stream = heapq.heappop(self._heap)
            if self._times.get(stream) == time:
                out.append((stream, write_compound(self._report(table, stream, self._cnames[stream], now))))
                self._plan(stream, now, INTERVAL)
        return out

    def next_due(self) -> float | None:
        """Return the time of the next report, or None."""
        return self._heap[0][0] if self._heap else None

    def _plan(self, stream: int, now: float, mean: float) -> None:
        # Section 6.3.1: half to one and a half of the interval, divided by e - 1.5
        self._times[stream] = now + mean * self.rng.uniform(0.5, 1.5) / 1.21828
        heapq.heappush(self._heap, (self._times[stream], stream))

    def _report(self, table: Table, stream: int, cname: str, now: float) -> list[RtcpPacket]:
        row = table[stream]
        ssrc = int(row["ssrc"])
        report: RtcpPacket = ReceiverReport(ssrc)
        # Section 6.4: SR from who has sent in the last two intervals, else RR
        if now - row["last_sent"] / 1000 <= 2 * INTERVAL:
            timestamp = timestamp_at(table, stream, now * 1000)
            ntp = ntp_time(now + self.unix_offset)
            report = SenderReport(ssrc, ntp, timestamp, int(row["packets"]), int(row["octets"]))
        return [report, SourceDescription(((ssrc, cname),))]
