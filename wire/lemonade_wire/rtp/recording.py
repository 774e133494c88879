"""Converts received RTP packets to PCM, placed by their RTP timestamps, with silence in the gaps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lemonade_wire.rtp.packet import RtpPacket

Samples = NDArray[np.int16]
_BACK_SECONDS = 1
_AHEAD_SECONDS = 60


@dataclass(frozen=True)
class Segment:
    """A part of a stream without a jump of the timestamps; `gaps` are (first sample, count) filled with silence."""

    ssrc: int
    first_timestamp: int
    samples: Samples
    gaps: tuple[tuple[int, int], ...]


@dataclass
class _Stretch:
    ssrc: int
    newest: int
    packets: dict[int, tuple[bytes, Samples]] = field(default_factory=dict)


class Recording:
    """Collects the packets of a stream in any order and returns its PCM.

    A new segment begins with a timestamp more than a second behind or more than a minute ahead of the newest one, and
    with a new SSRC. The caller must leave out packets of other payload types (telephone-event). `clock` is in Hz.
    """

    def __init__(self, decode: Callable[[bytes], Samples], clock: int = 8000) -> None:
        self._decode = decode
        self._back = _BACK_SECONDS * clock
        self._ahead = _AHEAD_SECONDS * clock
        self._clock = clock
        self._stretches: list[_Stretch] = []

    def add(self, packet: RtpPacket) -> None:
        """Add a packet; of several packets with one timestamp the first is used."""
        if not packet.payload:
            return
        stretch = self._stretches[-1] if self._stretches else None
        if stretch is not None:
            step = (packet.timestamp - stretch.newest + 0x80000000) % 0x100000000 - 0x80000000
            if packet.ssrc == stretch.ssrc and -self._back <= step <= self._ahead:
                timestamp = stretch.newest + step
                stretch.newest = max(stretch.newest, timestamp)
                stretch.packets.setdefault(timestamp, (packet.payload, self._decode(packet.payload)))
                return
        content = (packet.payload, self._decode(packet.payload))
        self._stretches.append(_Stretch(packet.ssrc, packet.timestamp, {packet.timestamp: content}))

    def segments(self) -> tuple[Segment, ...]:
        """Return the segments in the order in which they began."""
        return tuple(map(_lay_out, self._stretches))

    def timeline(self) -> Samples:
        """Return the samples of all segments, joined."""
        parts = [segment.samples for segment in self.segments()]
        return np.concatenate(parts) if parts else np.zeros(0, np.int16)

    def payload(self) -> bytes:
        """Return the payload octets in the order of their timestamps; gaps are left out."""
        return b"".join(stretch.packets[place][0] for stretch in self._stretches for place in sorted(stretch.packets))

    @property
    def seconds(self) -> float:
        """The received media time in seconds: the decoded samples, without the gaps."""
        count = sum(len(samples) for stretch in self._stretches for _, samples in stretch.packets.values())
        return count / self._clock


def _lay_out(stretch: _Stretch) -> Segment:
    first = min(stretch.packets)
    length = max(place + len(samples) for place, (_, samples) in stretch.packets.items()) - first
    timeline = np.zeros(length, np.int16)
    gaps = []
    filled = 0
    for place in sorted(stretch.packets):
        samples = stretch.packets[place][1]
        start = place - first
        if start > filled:
            gaps.append((filled, start - filled))
        timeline[start : start + len(samples)] = samples
        filled = max(filled, start + len(samples))
    return Segment(stretch.ssrc, first % 0x100000000, timeline, tuple(gaps))
