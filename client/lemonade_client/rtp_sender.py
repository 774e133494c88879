"""Makes the RTP packets that the client sends in one stream, without a socket: sound and keys (RFC 3550, RFC 4733)."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from heapq import heappop, heappush
from pathlib import Path

import numpy as np

from lemonade_client.behaviour import CORRECT, ClientBehaviour
from lemonade_wire.rtp.g711 import Samples
from lemonade_wire.rtp.packet import RtpPacket
from lemonade_wire.rtp.telephone_event import packets_of
from lemonade_wire.sdp.offer import NegotiatedStream

PACKET_MS = 20
FORM = (8000, 16, 1)
"""The form of WAV files that can be sent: samples per second, bits per sample, channels."""


def read_speech(file: Path) -> Samples:
    """Return the samples of a WAV file of 8,000 Hz, 16 bits, mono; raises ValueError for any other file."""
    try:
        with wave.open(str(file), "rb") as speech:
            form = (speech.getframerate(), 8 * speech.getsampwidth(), speech.getnchannels())
            if form != FORM:
                raise ValueError(
                    f"{file.name}: {form[0]} Hz, {form[1]} bits, {form[2]} channels; 8000, 16, 1 are expected"
                )
            return np.frombuffer(speech.readframes(speech.getnframes()), "<i2").astype(np.int16)
    except OSError as problem:
        raise ValueError(f"{file.name}: {problem.strerror}") from problem
    except (wave.Error, EOFError) as problem:
        raise ValueError(f"{file.name} is no WAV file of linear samples") from problem


@dataclass(order=True, frozen=True)
class _Due:
    """A packet to be sent at the time `at`; packets with the same time are sent in the order of `place`."""

    at: float
    place: int
    payload_type: int
    timestamp: int
    marker: bool
    payload: bytes


class Voice:
    """The packets of one RTP stream. `now` is in seconds, monotonic.

    `sequence` and `timestamp` are the values at the start. `stream` is the stream that was negotiated; it is replaced
    after another negotiation.
    """

    def __init__(
        self,
        stream: NegotiatedStream,
        ssrc: int,
        sequence: int,
        timestamp: int,
        now: float,
        *,
        behaviour: ClientBehaviour = CORRECT,
    ) -> None:
        self.stream = stream
        self._behaviour = behaviour
        self._ssrc = ssrc
        self._sequence = sequence
        self._timestamp = timestamp
        self._began = now
        self._queue: list[_Due] = []
        self._places = 0

    def press(self, key: str, held_ms: int, now: float) -> float:
        """Add the packets of a key press from now on (RFC 4733); returns the time of the last one, in seconds.

        Raises ValueError if the answer does not agree to telephone-event.
        """
        number = self.stream.telephone_event
        if number is None:
            raise ValueError("the media server's answer does not agree to telephone-event")
        start = self._ticks(now)
        last = now
        for one in self._behaviour.key_packets(list(packets_of(key, held_ms, clock=self.stream.codec.clock))):
            last = now + one.after_ms / 1000
            self._add(last, self._behaviour.key_type(number), start + one.ticks, one.payload, marker=one.marker)
        return last

    def say(self, sound: bytes, now: float) -> float:
        """Add the packets of sound, octets of G.711, from now on; returns the time of its end, in seconds.

        Raises ValueError if the answer does not let the client send.
        """
        if not self.stream.direction.sends:
            raise ValueError("the media server's answer does not let the client send")
        sound = self._behaviour.sound_to_send(sound)
        size = self.stream.codec.clock * PACKET_MS // 1000
        start = self._ticks(now)
        for place in range(0, len(sound), size):
            at = now + place / self.stream.codec.clock / self._behaviour.pace
            # RFC 3551 section 4.1: the marker bit is set on the first packet of a talkspurt.
            self._add(at, self.stream.payload_type, start + place, sound[place : place + size], marker=place == 0)
        return now + len(sound) / self.stream.codec.clock / self._behaviour.pace

    def next_timer(self) -> float | None:
        """Return the time at which `take` must be called; None if no packet is to be sent."""
        return self._queue[0].at if self._queue else None

    def take(self, now: float) -> list[RtpPacket]:
        """Return the packets that are due, and remove them."""
        packets = []
        while self._queue and self._queue[0].at <= now:
            due = heappop(self._queue)
            packets.append(
                RtpPacket(due.payload_type, self._sequence, due.timestamp, self._ssrc, due.payload, due.marker)
            )
            self._sequence = self._behaviour.number_after(self._sequence)
        return packets

    def _ticks(self, now: float) -> int:
        return self._timestamp + round((now - self._began) * self.stream.codec.clock)

    def _add(self, at: float, payload_type: int, timestamp: int, payload: bytes, *, marker: bool) -> None:
        self._places += 1
        heappush(self._queue, _Due(at, self._places, payload_type, timestamp % (1 << 32), marker, payload))
