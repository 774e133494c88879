"""Receives the RTP of a call, and records its sound to a WAV file: 8,000 Hz, mono, 16 bits, with gaps as silence.

Packets from addresses other than the media server's are traced and counted, and not measured or recorded.
"""

from __future__ import annotations

import os
import wave
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from lemonade_wire.rtp.g711 import Samples, decode_alaw, decode_ulaw
from lemonade_wire.rtp.packet import RtpError, RtpPacket
from lemonade_wire.rtp.receiver import StreamReceiver
from lemonade_wire.rtp.recording import Recording
from lemonade_wire.rtp.rtcp import SenderReport, kinds, parse_compound, traced_values
from lemonade_wire.sdp.codec import PCMA, PCMU, Codec
from lemonade_wire.trace import Trace

RATE = 8000
_DECODERS = {PCMU: decode_ulaw, PCMA: decode_alaw}
Source = tuple[str, int]
PACKET_SECONDS = 0.02
"""The duration that a packet of a codec counts that cannot be decoded."""


def decodable(codec: Codec) -> bool:
    """Return whether this client can decode the codec; streams of other codecs are received and measured only."""
    return codec in _DECODERS


class HeardRecorder:
    """Collects the packets of all audio streams of a script, in the order of the calls."""

    def __init__(self) -> None:
        self._recordings: list[Recording] = []

    def begin(self) -> None:
        """Start the recording of another call, whose timestamps do not continue those of the call before."""
        self._recordings.append(Recording(_samples, RATE))

    def add(self, packet: RtpPacket, codec: Codec) -> None:
        """Add a packet; one whose codec cannot be decoded is ignored."""
        if codec in _DECODERS and self._recordings:
            # Each packet is decoded on its own, since the payload type may change from packet to packet.
            samples = _DECODERS[codec](packet.payload)
            self._recordings[-1].add(replace(packet, payload=samples.astype(np.int16).tobytes()))

    def samples(self) -> Samples:
        """Return the samples of all sound received so far."""
        parts = [recording.timeline() for recording in self._recordings]
        return np.concatenate(parts) if parts else np.zeros(0, np.int16)

    def write(self, path: Path) -> None:
        """Write the WAV file under a temporary name and rename it, so that the file is complete when it exists."""
        part = path.with_name(path.name + ".part")
        with wave.open(str(part), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(self.samples().astype("<i2").tobytes())
        os.replace(part, path)


def _samples(octets: bytes) -> Samples:
    return np.frombuffer(octets, np.int16)


@dataclass
class CallReceiver:
    """Receives the packets of one m-line: its methods take a datagram's octets, source and arrival time.

    `local` is the address of the RTP port, for the trace. `codecs` maps the payload types of the client's offer to
    codecs. `peers` are the IP addresses whose packets are accepted: at first that of the server called, later also that
    in its answer. `recorder` is None for a stream that is not audio. `strangers` counts the packets that were not
    accepted. Arrival times are in seconds since 1970.
    """

    local: Source
    codecs: Mapping[int, Codec]
    peers: set[str]
    trace: Trace
    recorder: HeardRecorder | None = None
    heard: float = 0.0
    """Seconds of media received; each packet counts once, and lost packets do not count."""
    receivers: dict[int, StreamReceiver] = field(default_factory=dict)
    strangers: int = 0

    def rtp_received(self, octets: bytes, source: Source, arrival: float) -> StreamReceiver | None:
        """Handle a datagram; returns the source's receiver at its first packet, when reports begin, else None."""
        try:
            packet = RtpPacket.parse(octets)
        except RtpError:
            return None  # RFC 3550 appendix A.1: a datagram that is not RTP is ignored
        self.trace_rtp("received", packet, source, arrival)
        codec = self.codecs.get(packet.payload_type)
        if source[0] not in self.peers or codec is None:  # RFC 3550 section 5.1: an unknown payload type is ignored
            self.strangers += 1
            return None
        if codec.is_telephone_event:
            return None
        first = packet.ssrc not in self.receivers
        receiver = self.receivers.setdefault(packet.ssrc, StreamReceiver(codec.clock))
        if receiver.receive(packet, arrival) is None:
            return None
        self.heard += len(packet.payload) / RATE if decodable(codec) else PACKET_SECONDS
        if self.recorder is not None:
            self.recorder.add(packet, codec)
        return receiver if first else None

    def trace_rtp(self, way: str, packet: RtpPacket, remote: Source, at: float | None = None) -> None:
        """Write a packet to the trace; `way` is "received" or "sent"."""
        self.trace.emit(
            "rtp",
            at=at,
            way=way,
            local=_text(self.local),
            remote=_text(remote),
            ssrc=packet.ssrc,
            seq=packet.sequence,
            ts=packet.timestamp,
            pt=packet.payload_type,
            marker=packet.marker,
            payload=b64encode(packet.payload).decode("ascii"),
        )

    def rtcp_received(self, octets: bytes, source: Source, arrival: float) -> None:
        """Handle a compound RTCP packet: the next report of the client refers to the last SR in it."""
        try:
            packets = parse_compound(octets)
        except RtpError:
            return
        self.trace_rtcp("received", kinds(packets), source, arrival, traced_values(packets))
        if source[0] not in self.peers:
            return
        for packet in packets:
            if isinstance(packet, SenderReport) and packet.ssrc in self.receivers:
                self.receivers[packet.ssrc].sender_report(packet, arrival)

    def trace_rtcp(
        self,
        way: str,
        names: list[str],
        remote: Source,
        at: float | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> None:
        """Write a compound RTCP packet to the trace, with the `values` in it.

        The RTCP port is the RTP port plus one.
        """
        local = _text((self.local[0], self.local[1] + 1))
        self.trace.emit("rtcp", at=at, way=way, local=local, remote=_text(remote), kinds=[*names], **(values or {}))

    def finish(self) -> None:
        """Write a `heard` record to the trace for each source: packets, losses, jitter and lateness."""
        for receiver in self.receivers.values():
            measured = receiver.measure()
            self.trace.emit(
                "heard",
                ssrc=measured.ssrc,
                packets=measured.packets,
                lost=measured.lost,
                jitter_ms=round(measured.jitter_ms, 3),
                late_ms=round(measured.late_ms, 3),
            )


def _text(address: Source) -> str:
    return f"{address[0]}:{address[1]}"
