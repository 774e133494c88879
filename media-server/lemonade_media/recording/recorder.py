"""Records the caller's sound, without file or clock: it takes RTP packets and returns mu-law (RFC 5022 section 6.5.2).

The length of a recording follows the time, not the packets: a missing or late packet leaves silence. Sound that is
`DELAY_SECONDS` old is settled: it is given out, and searched for a voice. The position of a packet in the recording
follows from its timestamp, that of the first packet from its arrival. If a source starts anew, stalls for longer than
the delay, or jumps ahead, the position of its next packet follows from the arrival again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lemonade_media.model.actions import RecordingEnd
from lemonade_wire.rtp.g711 import decode_alaw, decode_ulaw, encode_ulaw
from lemonade_wire.rtp.packet import RtpPacket
from lemonade_wire.sdp.codec import PCMA, Codec

RATE = 8000
DELAY_SECONDS = 0.2
"""How late a packet may arrive to be recorded."""
VOICE_DBM0 = -40.0
"""The lowest level, in dBm0, of 20 ms of sound that may be a voice: line noise is below -50, speech is about -20."""
VOICE_BLOCKS = 3
"""The number of consecutive loud blocks of 20 ms that make a voice, so that a click is not one."""
BLOCK = 160
"""Samples of a block, 20 ms, whose level is measured."""
_SILENCE = b"\xff"  # the mu-law octet of the sample 0
_TICK = RATE // 10  # samples between two calls of `handle_timer`: 100 ms
_AHEAD = RATE  # a packet whose timestamp is more than 1 s ahead of its arrival is placed by its arrival
# A sine of full scale in mu-law has +3.17 dBm0 (G.711); 32124 is the largest decoded sample.
_VOICE_POWER = (32124**2 / 2) * 10 ** ((VOICE_DBM0 - 3.17) / 10)


@dataclass
class _Anchor:
    """The position in the recording that belongs to a timestamp of a source, and its highest sequence number."""

    ssrc: int
    timestamp: int
    place: int
    sequence: int


class CallRecorder:
    """One recording. `now` is in seconds, monotonic; positions and lengths are in samples of 1/8000 s.

    Three timers end a recording; None: the timer is not used. `ended` is the reason then.

    | timer | runs from | reason | length of the recording |
    |---|---|---|---|
    | `limit_ms` | the start | `limit` | the limit |
    | `first_silence_ms` | the start, until the first voice | `first-silence` | 0 |
    | `last_silence_ms` | the end of the last voice | `last-silence` | up to the end of that voice |

    `lost_every` is for a fault: packets whose sequence number is a multiple of it are ignored.
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
        """Record a packet of PCMU or PCMA; packets may come in any order and more than once."""
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
        """Return the time at which `handle_timer` must be called; None if the recording has ended."""
        return None if self.ended else self._began + (self._settled + _TICK) / RATE + DELAY_SECONDS

    def handle_timer(self, now: float) -> None:
        """Settle the sound that is old enough, and end the recording if a timer has expired."""
        if self.ended is None:
            self._settle(self._elapsed(now - DELAY_SECONDS))

    def stop(self, now: float) -> None:
        """End the recording now, with all sound that has arrived."""
        if self.ended is not None:
            return
        end = max(self._elapsed(now), self._settled + len(self._ahead))
        end = end if self._limit is None else min(end, self._limit)
        self._give(end - self._settled)
        self._end("stopped", end)

    def take(self) -> bytes:
        """Return the sound that was settled since the last call of this method.

        After the end, the recording is the first `length` octets of all that was returned.
        """
        octets, self._given = bytes(self._given), bytearray()
        return octets

    # -- places --------------------------------------------------------------------------------------------------------

    def _elapsed(self, now: float) -> int:
        return max(0, round((now - self._began) * RATE))

    def _place(self, packet: RtpPacket, count: int, now: float) -> int:
        """Return a packet's position in the recording; the part of it that lies before the settled sound is ignored."""
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
        """End the recording if one of its timers has expired at the position `end`."""
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
