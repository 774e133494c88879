"""Records what a caller says, without file or clock: packets and time in, mu-law octets out (RFC 5022 section 6.5.2).

A recording goes on with time, not with packets: where none came, or none came in time, is silence. What is
`DELAY_SECONDS` old is settled: given out, and listened to for a voice. A packet's place follows from its timestamp, the
first one's from its arrival; a source that starts anew, stalls for longer than the delay, or jumps ahead finds its
place by arrival again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lemonade_media.service import RecordingEnd
from lemonade_wire.rtp.g711 import decode_alaw, decode_ulaw, encode_ulaw
from lemonade_wire.rtp.packet import RtpPacket
from lemonade_wire.sdp.codec import PCMA, Codec

RATE = 8000
DELAY_SECONDS = 0.2
"""How late a packet may be and still find its place."""
VOICE_DBM0 = -40.0
"""From which level on 20 ms of sound may be a voice: noise of a line is below -50, speech about -20."""
VOICE_BLOCKS = 3
"""So many of them make one: a click is no voice."""
BLOCK = 160
_SILENCE = b"\xff"
_TICK = RATE // 10
_AHEAD = RATE
# G.711: a sine of full scale is +3.17 dBm0 in mu-law
_VOICE_POWER = (32124**2 / 2) * 10 ** ((VOICE_DBM0 - 3.17) / 10)


@dataclass
class _Anchor:
    """Where a source's timestamps are in the recording, and its highest sequence number."""

    ssrc: int
    timestamp: int
    place: int
    sequence: int


class Recorder:
    """One recording. `now` is in seconds, monotonic; places and lengths are in samples of 1/8000 s.

    It ends after `limit_ms`; after `first_silence_ms` without a voice, and then it holds nothing; after
    `last_silence_ms` behind a voice, and then it ends with that voice. None: not for that. `ended` says why.
    `lost_every` is for a fault: packets with a multiple of it for a number are lost.
    """

    def __init__(
        self,
        now: float,
        *,
        limit_ms: float | None = None,
        first_silence_ms: float | None = None,
        last_silence_ms: float | None = None,
        lost_every: int = 0,
    ) -> None:
        self.ended: RecordingEnd | None = None
        self.length = 0
        self._began = now
        self._limit = _samples(limit_ms)
        self._first_silence = _samples(first_silence_ms)
        self._last_silence = _samples(last_silence_ms)
        self._settled = 0
        self._ahead = bytearray()  # what is not settled, from there on
        self._given = bytearray()
        self._anchor: _Anchor | None = None
        self._loud_blocks = 0
        self._voice_end: int | None = None
        self._lost_every = lost_every
        self._look(0)

    def receive(self, packet: RtpPacket, codec: Codec, now: float) -> None:
        """Take a packet of PCMU or PCMA, in any order and any number of copies."""
        if self.ended is not None or not packet.payload:
            return
        if self._lost_every and packet.sequence % self._lost_every == 0:
            return
        octets = packet.payload if codec != PCMA else encode_ulaw(decode_alaw(packet.payload))
        place = self._place(packet, len(octets), now) - self._settled
        if place < 0:
            octets, place = octets[-place:], 0
        self._ahead += _SILENCE * (place + len(octets) - len(self._ahead))
        self._ahead[place : place + len(octets)] = octets

    def next_timer(self) -> float | None:
        """Return when `handle_timer` is to be called; None: it has ended."""
        return None if self.ended else self._began + (self._settled + _TICK) / RATE + DELAY_SECONDS

    def handle_timer(self, now: float) -> None:
        """Settle what is old enough."""
        if self.ended is None:
            self._settle(self._elapsed(now - DELAY_SECONDS))

    def stop(self, now: float) -> None:
        """End the recording now, with all that has arrived."""
        if self.ended is not None:
            return
        end = max(self._elapsed(now), self._settled + len(self._ahead))
        end = end if self._limit is None else min(end, self._limit)
        self._give(end - self._settled)
        self._end("stopped", end)

    def take(self) -> bytes:
        """Return, once, what was settled; of all that was returned, `length` counts in the end."""
        octets, self._given = bytes(self._given), bytearray()
        return octets

    # -- places --------------------------------------------------------------------------------------------------------

    def _elapsed(self, now: float) -> int:
        return max(0, round((now - self._began) * RATE))

    def _place(self, packet: RtpPacket, count: int, now: float) -> int:
        """Return where a packet belongs; what lies behind what is settled is no longer wanted."""
        arrived, anchor = self._elapsed(now), self._anchor
        if anchor is not None and anchor.ssrc == packet.ssrc:
            newest = 0 < (packet.sequence - anchor.sequence) % 0x10000 < 0x8000
            place = anchor.place + (packet.timestamp - anchor.timestamp + (1 << 31)) % (1 << 32) - (1 << 31)
            if newest:
                anchor.sequence = packet.sequence
            if place <= arrived + _AHEAD and (place + count > self._settled or not newest):
                return place
        self._anchor = _Anchor(packet.ssrc, packet.timestamp, arrived, packet.sequence)
        return arrived

    # -- silence and end -----------------------------------------------------------------------------------------------

    def _settle(self, end: int) -> None:
        count = (end - self._settled) // BLOCK
        if count <= 0:
            return
        began = self._settled
        blocks = decode_ulaw(self._give(count * BLOCK)).astype(np.float64).reshape(count, BLOCK)
        for number, loud in enumerate((blocks**2).mean(axis=1) >= _VOICE_POWER, 1):
            self._loud_blocks = self._loud_blocks + 1 if loud else 0
            if self._loud_blocks >= VOICE_BLOCKS:
                self._voice_end = began + number * BLOCK
            self._look(began + number * BLOCK)
            if self.ended is not None:
                return

    def _give(self, count: int) -> bytes:
        octets = bytes(self._ahead[:count]).ljust(count, _SILENCE)
        del self._ahead[:count]
        self._settled += count
        self._given += octets
        return octets

    def _look(self, end: int) -> None:
        """End the recording if what it is now up to `end` is enough."""
        if self._voice_end is None:
            if self._first_silence is not None and end >= self._first_silence:
                self._end("first-silence", 0)
                return
        elif self._last_silence is not None and end - self._voice_end >= self._last_silence:
            self._end("last-silence", self._voice_end)
            return
        if self._limit is not None and end >= self._limit:
            self._end("limit", self._limit)

    def _end(self, why: RecordingEnd, length: int) -> None:
        self.ended, self.length = why, length


def _samples(ms: float | None) -> int | None:
    return None if ms is None else round(ms * RATE / 1000)
