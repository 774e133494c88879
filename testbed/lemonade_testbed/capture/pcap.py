"""Reads pcap files: the format of libpcap, microseconds or nanoseconds, either order of octets."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_MAGIC = {
    b"\xd4\xc3\xb2\xa1": ("<", 1_000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\xc3\xd4": (">", 1_000),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
_BIGGEST = 1 << 20
"""Octets that no captured packet exceeds: more is a broken file, not a packet to allocate."""


class PcapError(ValueError):
    """The file is no pcap file, or broken inside; the text names the octet."""


@dataclass(frozen=True)
class Packet:
    """One captured packet: nanoseconds since 1970, what was kept of it, and its length on the wire."""

    ns: int
    data: bytes
    length: int


@dataclass(frozen=True)
class Pcap:
    """A capture: its packets in the order of the file, and the number of their link layer (LINKTYPE)."""

    link: int
    snaplen: int
    packets: tuple[Packet, ...]
    whole: bool = True
    """False where the file ends inside a packet, as that of a killed writer does."""


def read_pcap(path: Path) -> Pcap:
    """Read a file; raises PcapError where it is no pcap file, OSError where it cannot be opened."""
    with path.open("rb") as file:
        header = file.read(24)
        if len(header) < 24 or header[:4] not in _MAGIC:
            raise PcapError(f"{path}: not a pcap file")
        order, scale = _MAGIC[header[:4]]
        snaplen, link = struct.unpack(f"{order}II", header[16:])
        packets = list(_packets(file, order, scale, path))
    whole = not packets or packets[-1] is not None
    return Pcap(link & 0xFFFF, snaplen, tuple(packet for packet in packets if packet is not None), whole)


def _packets(file: BinaryIO, order: str, scale: int, path: Path) -> Iterator[Packet | None]:
    """Yield the packets, and None in the end where the last one is cut."""
    while head := file.read(16):
        if len(head) < 16:
            yield None
            return
        seconds, parts, kept, length = struct.unpack(f"{order}IIII", head)
        if kept > _BIGGEST:
            raise PcapError(f"{path}: a packet of {kept} octets before octet {file.tell()}")
        data = file.read(kept)
        if len(data) < kept:
            yield None
            return
        yield Packet(seconds * 1_000_000_000 + parts * scale, data, length)
