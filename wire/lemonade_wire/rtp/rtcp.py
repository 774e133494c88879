"""RTCP compound packets: parser and writer for SR, RR, SDES and BYE (RFC 3550 section 6)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Union

from lemonade_wire.rtp.packet import RtpError

_BLOCK = struct.Struct("!IIIIII")
_SENDER = struct.Struct("!IQIII")
_NTP_EPOCH = 2_208_988_800  # from 1900 to 1970, in seconds
_SR, _RR, _SDES, _BYE = 200, 201, 202, 203
_NAMES = {_SR: "SR", _RR: "RR", _SDES: "SDES", _BYE: "BYE"}
_CNAME = 1


@dataclass(frozen=True)
class ReportBlock:
    """A reception report of one source (RFC 3550 section 6.4.1).

    `lost` is signed, 24 bits; `jitter` is in timestamp units, `delay_since_sr` in 1/65536 s.
    """

    ssrc: int
    fraction_lost: int
    lost: int
    highest_sequence: int
    jitter: int
    last_sr: int
    delay_since_sr: int


@dataclass(frozen=True)
class SenderReport:
    """A sender report (SR): `ntp` is a 64-bit NTP time, `timestamp` the RTP timestamp of the same time."""

    ssrc: int
    ntp: int
    timestamp: int
    packets: int
    octets: int
    blocks: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True)
class ReceiverReport:
    """A receiver report (RR), from a side that sends no media."""

    ssrc: int
    blocks: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True)
class SourceDescription:
    """A source description (SDES): the CNAME of each source; the parser ignores other items."""

    cnames: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Goodbye:
    """A BYE: the sources that leave, and the reason as text."""

    ssrcs: tuple[int, ...]
    reason: str = ""


@dataclass(frozen=True)
class OtherRtcp:
    """A packet of another type (APP, feedback), not parsed: its type, its count field and its body."""

    packet_type: int
    count: int
    body: bytes


RtcpPacket = Union[SenderReport, ReceiverReport, SourceDescription, Goodbye, OtherRtcp]  # noqa: UP007  runtime alias


# RFC 3550 section 6.4; each packet begins with 32 bits (V version 2, P padding, count of blocks, chunks or SSRCs):
#
#    0                   1                   2                   3
#    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#   |V=2|P|  count  |  packet type  | length in 32-bit words less 1 |
#   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#
#   Type  Name  Body
#   200   SR    SSRC, NTP time (64 bits), RTP timestamp, packet count, octet count, report blocks
#   201   RR    SSRC, report blocks
#   202   SDES  chunks: SSRC, items (type, length, text), one to four zero octets up to the next 32 bits
#   203   BYE   SSRCs, optionally the length and the text of the reason
#
# A report block: SSRC, fraction lost (8 bits), packets lost (24), highest sequence number (32), jitter, LSR, DLSR.
def parse_compound(octets: bytes) -> tuple[RtcpPacket, ...]:
    """Parse a compound packet (RFC 3550 appendix A.2); raises RtpError and no other exception.

    The first packet must be an SR or RR without padding. It may be the only one, as from senders of reduced-size RTCP.
    """
    packets: list[RtcpPacket] = []
    place = 0
    while place < len(octets):
        if len(octets) - place < 4:
            raise RtpError("cut off within an RTCP header")
        first, packet_type, words = struct.unpack_from("!BBH", octets, place)
        end = place + 4 + 4 * words
        if first >> 6 != 2 or end > len(octets):
            raise RtpError("not RTCP, or cut off")
        if not packets and (packet_type not in (_SR, _RR) or first & 0x20):
            raise RtpError("a compound packet begins with SR or RR")
        body = octets[place + 4 : end]
        if first & 0x20:
            # Only the last packet may have padding (RFC 3550 section 6.4.1).
            if end != len(octets) or not body or body[-1] % 4 or not 0 < body[-1] <= len(body):
                raise RtpError("bad RTCP padding")
            body = body[: len(body) - body[-1]]
        packets.append(_parse_one(packet_type, first & 0x1F, body))
        place = end
    if not packets:
        raise RtpError("no RTCP packet")
    return tuple(packets)


def write_compound(packets: Sequence[RtcpPacket]) -> bytes:
    """Return the octets of a compound packet."""
    return b"".join(map(_write_one, packets))


def kinds(packets: Sequence[RtcpPacket]) -> list[str]:
    """Return the names of the packets (SR, RR, SDES, BYE, or the number) for traces."""
    return [_NAMES.get(number, str(number)) for number in map(_type_of, packets)]


def traced_values(packets: Sequence[RtcpPacket]) -> dict[str, Any]:
    """Return the values of a compound packet for a trace; what the packet does not have is left out.

    `reporter` is the SSRC of the first report. `ssrc`, `ntp`, `timestamp`, `packets` and `octets` are those of a sender
    report. `reported` are the SSRCs of the report blocks, `gone` those in BYE; `cnames` maps SSRCs (as text) to names.
    """
    values: dict[str, Any] = {}
    for packet in packets:
        match packet:
            case SenderReport():
                names = ("ssrc", "ntp", "timestamp", "packets", "octets")
                values |= {"reporter": packet.ssrc, **{name: getattr(packet, name) for name in names}}
            case ReceiverReport():
                values.setdefault("reporter", packet.ssrc)
            case SourceDescription(cnames):
                values["cnames"] = {str(ssrc): name for ssrc, name in cnames}
            case Goodbye(ssrcs):
                values["gone"] = [*ssrcs]
        if isinstance(packet, SenderReport | ReceiverReport) and packet.blocks:
            values["reported"] = [block.ssrc for block in packet.blocks]
    return values


def ntp_time(unix: float) -> int:
    """Return seconds since 1970 as a 64-bit NTP time (RFC 3550 section 4)."""
    seconds = int(unix)
    return (seconds + _NTP_EPOCH & 0xFFFFFFFF) << 32 | int((unix - seconds) * 2**32)


def _type_of(packet: RtcpPacket) -> int:
    if isinstance(packet, OtherRtcp):
        return packet.packet_type
    return {SenderReport: _SR, ReceiverReport: _RR, SourceDescription: _SDES, Goodbye: _BYE}[type(packet)]


def _parse_one(packet_type: int, count: int, body: bytes) -> RtcpPacket:
    try:
        if packet_type == _SR:
            ssrc, ntp, timestamp, packets, octets = _SENDER.unpack_from(body)
            return SenderReport(ssrc, ntp, timestamp, packets, octets, _parse_blocks(body, _SENDER.size, count))
        if packet_type == _RR:
            return ReceiverReport(struct.unpack_from("!I", body)[0], _parse_blocks(body, 4, count))
        if packet_type == _SDES:
            return SourceDescription(_parse_chunks(body, count))
        if packet_type == _BYE:
            return _parse_bye(body, count)
    except (struct.error, IndexError) as error:
        raise RtpError(f"cut off within {_NAMES[packet_type]}") from error
    return OtherRtcp(packet_type, count, body)


def _parse_blocks(body: bytes, place: int, count: int) -> tuple[ReportBlock, ...]:
    blocks = []
    for index in range(count):
        ssrc, loss, highest, jitter, last, delay = _BLOCK.unpack_from(body, place + index * _BLOCK.size)
        lost = loss & 0xFFFFFF
        lost -= (lost & 0x800000) << 1
        blocks.append(ReportBlock(ssrc, loss >> 24, lost, highest, jitter, last, delay))
    return tuple(blocks)


def _parse_chunks(body: bytes, count: int) -> tuple[tuple[int, str], ...]:
    cnames = []
    place = 0
    for _ in range(count):
        (ssrc,) = struct.unpack_from("!I", body, place)
        place += 4
        while body[place] != 0:
            kind, end = body[place], place + 2 + body[place + 1]
            if kind == _CNAME:
                cnames.append((ssrc, body[place + 2 : end].decode(errors="replace")))
            place = end
        place += 4 - place % 4  # the list ends with one to four zero octets
    return tuple(cnames)


def _parse_bye(body: bytes, count: int) -> Goodbye:
    ssrcs = struct.unpack_from(f"!{count}I", body)
    rest = body[4 * count :]
    return Goodbye(ssrcs, rest[1 : 1 + rest[0]].decode(errors="replace") if rest else "")


def _write_one(packet: RtcpPacket) -> bytes:
    if isinstance(packet, SenderReport):
        count, body = (
            len(packet.blocks),
            _SENDER.pack(
                packet.ssrc, packet.ntp, packet.timestamp, packet.packets & 0xFFFFFFFF, packet.octets & 0xFFFFFFFF
            ),
        )
        body += _write_blocks(packet.blocks)
    elif isinstance(packet, ReceiverReport):
        count, body = len(packet.blocks), struct.pack("!I", packet.ssrc) + _write_blocks(packet.blocks)
    elif isinstance(packet, SourceDescription):
        count, body = len(packet.cnames), b"".join(_write_chunk(ssrc, name) for ssrc, name in packet.cnames)
    elif isinstance(packet, Goodbye):
        count, body = len(packet.ssrcs), struct.pack(f"!{len(packet.ssrcs)}I", *packet.ssrcs)
        reason = packet.reason.encode()[:255]
        body += _filled(bytes([len(reason)]) + reason) if reason else b""
    else:
        count, body = packet.count, packet.body
    return struct.pack("!BBH", 0x80 | count, _type_of(packet), len(body) // 4) + body


def _write_blocks(blocks: Sequence[ReportBlock]) -> bytes:
    return b"".join(
        _BLOCK.pack(
            block.ssrc,
            block.fraction_lost << 24 | min(max(block.lost, -0x800000), 0x7FFFFF) & 0xFFFFFF,
            block.highest_sequence,
            block.jitter,
            block.last_sr,
            block.delay_since_sr,
        )
        for block in blocks
    )


def _write_chunk(ssrc: int, name: str) -> bytes:
    text = name.encode()[:255]
    return _filled(struct.pack("!IBB", ssrc, _CNAME, len(text)) + text + b"\0")


def _filled(octets: bytes) -> bytes:
    return octets + bytes(-len(octets) % 4)
