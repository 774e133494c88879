"""Rebuilds the sound that a client received: places the packets of one RTP stream by their timestamps (RFC 3550)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lemonade_testbed.evidence import Event
from lemonade_wire.rtp.g711 import decode_alaw, decode_ulaw

PCMU, PCMA = 0, 8
RATE = 8000
WRAP = 1 << 32
SILENCE = {PCMU: 0xFF, PCMA: 0xD5}


@dataclass(frozen=True)
class HeardPacket:
    """One RTP packet as it arrived.

    `time` is its arrival in seconds since 1970; `sequence` and `timestamp` are counted from the first packet, without
    wrapping; a timestamp's unit is 1/8000 s.
    """

    time: float
    sequence: int
    timestamp: int
    payload_type: int
    payload: bytes


@dataclass(frozen=True)
class Heard:
    """A received stream: `octets` has one octet of G.711 for each sample, with silence where no packet arrived.

    `payload_type` is that of the first packet. `missing` is True at each sample that no packet holds; `lost` is the
    number of packets that did not arrive, by the sequence numbers.
    """

    payload_type: int
    packets: tuple[HeardPacket, ...]
    octets: NDArray[np.uint8]
    missing: NDArray[np.bool_]
    lost: int

    @property
    def is_mixed(self) -> bool:
        """Whether the stream has packets of several payload types."""
        return any(packet.payload_type != self.payload_type for packet in self.packets)

    @cached_property
    def samples(self) -> NDArray[np.int16]:
        """The decoded sound: 16-bit samples, 8,000 a second."""
        sound = _decoder(self.payload_type)(self.octets.tobytes())
        if self.is_mixed:
            start = min(packet.timestamp for packet in self.packets)
            for packet in self.packets:
                at = packet.timestamp - start
                sound[at : at + len(packet.payload)] = _decoder(packet.payload_type)(packet.payload)
        return sound

    @property
    def sent(self) -> int:
        """The number of packets that the sender sent, by the sequence numbers."""
        return len(self.packets) + self.lost

    @property
    def length(self) -> float:
        """The length of the sound in seconds."""
        return len(self.octets) / RATE

    def position_at(self, time: float) -> int:
        """Return the sample with which the first packet begins that arrived at or after `time` (seconds since 1970).

        If there is no such packet, it is the sample behind the last one.
        """
        return next((packet.timestamp for packet in self.packets if packet.time >= time), len(self.octets))


def hear(events: Iterable[Event], holds: Sequence[tuple[float, float]] = ()) -> Heard | None:
    """Build the received stream from the `rtp` events of the client; of several SSRCs, that with most G.711 packets.

    A duplicate packet counts once. `holds` are periods (from and to, seconds since 1970) in which the call was on hold:
    a gap in the timestamps within one of them is removed, because nothing is played then. Returns None if the client
    received no G.711 packet.
    """
    by_source: dict[int, list[Event]] = {}
    for event in events:
        origin = (event.kind, event.node, event.text("way"))
        if origin == ("rtp", "client", "received") and event.number("pt") in SILENCE:
            by_source.setdefault(event.number("ssrc"), []).append(event)
    if not by_source:
        return None
    stream = max(by_source.values(), key=len)
    first = stream[0]
    packets: dict[int, HeardPacket] = {}
    for event in stream:
        sequence = _signed(event.number("seq") - first.number("seq"), 1 << 16)
        timestamp = _signed(event.number("ts") - first.number("ts"), WRAP)
        packets.setdefault(sequence, HeardPacket(event.t, sequence, timestamp, event.number("pt"), _payload(event)))
    return _lay_out(_without_holds([packets[sequence] for sequence in sorted(packets)], holds))


def _without_holds(packets: Sequence[HeardPacket], holds: Sequence[tuple[float, float]]) -> list[HeardPacket]:
    """Return the packets with the gap of each hold removed from the timestamps of the packets after it."""
    moved, back = list(packets[:1]), 0
    for before, packet in pairwise(packets):
        if any(before.time < end and packet.time > start for start, end in holds):
            back += max(0, packet.timestamp - before.timestamp - len(before.payload))
        moved.append(replace(packet, timestamp=packet.timestamp - back))
    return moved


def _payload(event: Event) -> bytes:
    try:
        return base64.b64decode(event.text("payload"), validate=True)
    except binascii.Error:
        return b""


def _signed(difference: int, modulus: int) -> int:
    """Return the difference of two counters that wrap at `modulus` as a signed number of the least magnitude."""
    half = modulus // 2
    return (difference + half) % modulus - half


def _lay_out(packets: list[HeardPacket]) -> Heard:
    start = min(packet.timestamp for packet in packets)
    end = max(packet.timestamp + len(packet.payload) for packet in packets)
    payload_type = packets[0].payload_type
    octets = np.full(end - start, SILENCE[payload_type], dtype=np.uint8)
    missing = np.ones(end - start, dtype=np.bool_)
    for packet in packets:
        at = slice(packet.timestamp - start, packet.timestamp - start + len(packet.payload))
        octets[at] = np.frombuffer(packet.payload, dtype=np.uint8)
        missing[at] = False
    lost = packets[-1].sequence - packets[0].sequence + 1 - len(packets)
    return Heard(payload_type, tuple(packets), octets, missing, lost)


def _decoder(payload_type: int) -> Callable[[bytes], NDArray[np.int16]]:
    return decode_alaw if payload_type == PCMA else decode_ulaw
