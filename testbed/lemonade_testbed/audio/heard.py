"""What a client heard: the packets of one RTP stream laid out on their own timeline."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lemonade_testbed.evidence import Event
from lemonade_wire.rtp.g711 import decode_alaw, decode_ulaw

PCMU, PCMA = 0, 8
RATE = 8000
WRAP = 1 << 32
SILENCE = {PCMU: 0xFF, PCMA: 0xD5}


@dataclass(frozen=True)
class Packet:
    """One packet as it arrived; `time` in seconds since 1970, `timestamp` in ticks of 1/8000 s from the first one."""

    time: float
    sequence: int
    timestamp: int
    payload_type: int
    payload: bytes


@dataclass(frozen=True)
class Heard:
    """A stream as heard: `octets` of G.711 by position, silence where nothing arrived.

    `missing` says which positions no packet filled; `lost` counts the packets that did not come, of `sent`.
    """

    payload_type: int
    packets: tuple[Packet, ...]
    octets: NDArray[np.uint8]
    missing: NDArray[np.bool_]
    lost: int

    @property
    def sent(self) -> int:
        """Packets that the sender must have sent, going by the sequence numbers."""
        return len(self.packets) + self.lost

    @property
    def samples(self) -> NDArray[np.int16]:
        """The sound, 8,000 samples a second."""
        decode = decode_alaw if self.payload_type == PCMA else decode_ulaw
        return decode(self.octets.tobytes())

    @property
    def length(self) -> float:
        """Seconds from the first sample to the last."""
        return len(self.octets) / RATE

    def position_at(self, time: float) -> int:
        """Return the sample that the first packet arriving at or after `time` starts with."""
        return next((packet.timestamp for packet in self.packets if packet.time >= time), len(self.octets))


def hear(events: Iterable[Event]) -> Heard | None:
    """Lay out the `rtp` events that the client received; the SSRC with the most G.711 packets is heard.

    Duplicates are heard once. Returns None where no such packet arrived.
    """
    by_source: dict[int, list[Event]] = {}
    for event in events:
        told = (event.kind, event.node, event.text("way"))
        if told == ("rtp", "client", "received") and event.number("pt") in SILENCE:
            by_source.setdefault(event.number("ssrc"), []).append(event)
    if not by_source:
        return None
    stream = max(by_source.values(), key=len)
    first = stream[0]
    packets: dict[int, Packet] = {}
    for event in stream:
        sequence = _signed(event.number("seq") - first.number("seq"), 1 << 16)
        timestamp = _signed(event.number("ts") - first.number("ts"), WRAP)
        packets.setdefault(sequence, Packet(event.t, sequence, timestamp, event.number("pt"), _payload(event)))
    return _lay_out([packets[sequence] for sequence in sorted(packets)])


def _payload(event: Event) -> bytes:
    try:
        return base64.b64decode(event.text("payload"), validate=True)
    except binascii.Error:
        return b""


def _signed(difference: int, modulus: int) -> int:
    """Read a difference of counters that wrap at `modulus` as the nearest signed number."""
    half = modulus // 2
    return (difference + half) % modulus - half


def _lay_out(packets: list[Packet]) -> Heard:
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
