"""The receiving side of one RTP stream: traced packet by packet, measured, recorded; strangers are not listened to."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field

from lemonade_client.record import RATE, Recorder, decodable
from lemonade_wire.rtp.packet import RtpError, RtpPacket
from lemonade_wire.rtp.receiver import StreamReceiver
from lemonade_wire.rtp.rtcp import SenderReport, kinds, parse_compound
from lemonade_wire.sdp.codec import Codec
from lemonade_wire.trace import Trace

Source = tuple[str, int]
PACKET_SECONDS = 0.02


@dataclass
class Listener:
    """Receives one m-line's packets, without a socket: octets, source and arrival time come in.

    `local` is the address of the RTP port, for the trace. `codecs` says what each payload type of our offer means.
    `peers` are the hosts whose packets count: that of the server called, then that of its answer. `recorder` is None
    for a stream that is not sound. Arrival times are seconds since 1970.
    """

    local: Source
    codecs: Mapping[int, Codec]
    peers: set[str]
    trace: Trace
    recorder: Recorder | None = None
    heard: float = 0.0
    """Seconds of media that arrived, each packet once: what was lost does not count."""
    receivers: dict[int, StreamReceiver] = field(default_factory=dict)
    strangers: int = 0

    def rtp_received(self, octets: bytes, source: Source, arrival: float) -> StreamReceiver | None:
        """Take one datagram; returns the stream's receiver at its first packet, so that reports can begin."""
        try:
            packet = RtpPacket.parse(octets)
        except RtpError:
            return None  # RFC 3550 appendix A.1: what is not RTP is dropped
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
        """Trace one packet, received or sent."""
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
        """Take one compound packet: an SR sets what our next report says."""
        try:
            packets = parse_compound(octets)
        except RtpError:
            return
        self.trace_rtcp("received", kinds(packets), source, arrival)
        if source[0] not in self.peers:
            return
        for packet in packets:
            if isinstance(packet, SenderReport) and packet.ssrc in self.receivers:
                self.receivers[packet.ssrc].sender_report(packet, arrival)

    def trace_rtcp(self, way: str, names: list[str], remote: Source, at: float | None = None) -> None:
        """Trace one compound packet; the RTCP port is the one above the RTP port."""
        local = _text((self.local[0], self.local[1] + 1))
        self.trace.emit("rtcp", at=at, way=way, local=local, remote=_text(remote), kinds=[*names])

    def finish(self) -> None:
        """Say what was heard of each source: the trace's `heard` events."""
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
