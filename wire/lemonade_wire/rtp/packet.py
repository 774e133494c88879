"""RTP packets (RFC 3550 section 5.1)."""

from __future__ import annotations

import struct
from dataclasses import dataclass


class RtpError(ValueError):
    """The octets are not a valid RTP or RTCP packet; a receiver drops them."""


_HEADER = struct.Struct("!BBHII")
_RTCP_TYPES = range(64, 96)  # with the marker bit set these are the RTCP types 192 to 223 (RFC 5761 section 4)


@dataclass(frozen=True)
class RtpPacket:
    """One RTP packet. `extension` is (profile, octets), a multiple of 4 octets; `padding` is in octets."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False
    csrcs: tuple[int, ...] = ()
    extension: tuple[int, bytes] | None = None
    padding: int = 0

    # RFC 3550 section 5.1 (V version, P padding, X extension, CC number of CSRCs, M marker, PT payload type):
    #
    #    0                   1                   2                   3
    #    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    #   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    #   |V=2|P|X|  CC   |M|     PT      |       sequence number         |
    #   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    #   |                           timestamp                           |
    #   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    #   |                             SSRC                              |
    #   +=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
    #   |              CSRC, 0 to 15 of 32 bits each (CC)               |
    #   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    #   |  header extension (if X), payload, padding (if P; the last    |
    #   |  octet is the number of octets of padding, itself included)   |
    #   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    @classmethod
    def parse(cls, octets: bytes) -> RtpPacket:
        """Parse a packet; raises RtpError and no other exception."""
        if len(octets) < _HEADER.size:
            raise RtpError(f"{len(octets)} octets are too few for RTP")
        first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(octets)
        if first >> 6 != 2:
            raise RtpError(f"version {first >> 6} is not RTP's")
        payload_type = second & 0x7F
        if second >> 7 and payload_type in _RTCP_TYPES:
            raise RtpError("an RTCP packet where RTP belongs")
        count = first & 0x0F
        place = _HEADER.size + 4 * count
        if len(octets) < place:
            raise RtpError("cut off within the CSRC list")
        csrcs = struct.unpack_from(f"!{count}I", octets, _HEADER.size)
        extension = None
        if first & 0x10:
            extension, place = _extension(octets, place)
        padding = 0
        if first & 0x20:
            padding = octets[-1]
            if not 0 < padding <= len(octets) - place:
                raise RtpError(f"{padding} octets of padding do not fit")
        payload = octets[place : len(octets) - padding]
        return cls(payload_type, sequence, timestamp, ssrc, payload, bool(second >> 7), csrcs, extension, padding)

    def __bytes__(self) -> bytes:
        first = 0x80 | bool(self.padding) << 5 | (self.extension is not None) << 4 | len(self.csrcs)
        second = self.marker << 7 | self.payload_type
        head = _HEADER.pack(first, second, self.sequence, self.timestamp, self.ssrc)
        head += struct.pack(f"!{len(self.csrcs)}I", *self.csrcs)
        if self.extension is not None:
            head += struct.pack("!HH", self.extension[0], len(self.extension[1]) // 4) + self.extension[1]
        tail = bytes(self.padding - 1) + bytes([self.padding]) if self.padding else b""
        return head + self.payload + tail


# RFC 3550 section 5.3.1: 16 bits defined by the profile, 16 bits length in words of 32 bits, and the words.
def _extension(octets: bytes, place: int) -> tuple[tuple[int, bytes], int]:
    """Parse the header extension at `place`; returns it and the index of the payload."""
    if len(octets) < place + 4:
        raise RtpError("cut off within the extension")
    profile, words = struct.unpack_from("!HH", octets, place)
    end = place + 4 + 4 * words
    if len(octets) < end:
        raise RtpError("cut off within the extension")
    return (profile, octets[place + 4 : end]), end
