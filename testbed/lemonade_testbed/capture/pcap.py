"""Reads packets from pcap files (the format of libpcap), and writes them as pcapng with names and comments.

A pcap file:

    file header, 24 octets: magic (4), version (2 + 2), reserved (4 + 4), snaplen (4), link type (4, its lower 16 bits)
    packet header, 16 octets: seconds (4), micro- or nanoseconds (4), octets kept (4), octets on the wire (4)

The octets of the packet follow its header. The magic number tells the unit of the times and the byte order.

A pcapng file (draft-ietf-opsawg-pcapng, section 4, has the numbers of blocks and options; all numbers are written in
little-endian order):

    block  = type (4 octets), total length (4), body padded to 4 octets, total length (4)
    option = code (2 octets), length of the value (2), value padded to 4 octets; code 0 and length 0 end a list
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lemonade_testbed.evidence import Event, RecordedWorld

# The magic number: the byte order in the notation of `struct`, and nanoseconds in a unit of the times' fraction.
_MAGIC = {
    b"\xd4\xc3\xb2\xa1": ("<", 1_000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\xc3\xd4": (">", 1_000),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
_BIGGEST = 1 << 20
"""Octets: a packet header with a greater length is an error in the file, and no memory is allocated for it."""
_SECTION, _INTERFACE, _NAMES, _PACKET, _SECRETS = 0x0A0D0D0A, 1, 4, 6, 10
_TLS_KEY_LOG = 0x544C534B
_COMMENT, _TSRESOL, _NANOSECONDS, _USERAPPL = 1, 9, b"\x09", 4
_IPV4_NAME = 1


class PcapError(ValueError):
    """The file is no pcap file, or a packet header in it is not valid; the text then names the octet."""


@dataclass(frozen=True)
class CapturedPacket:
    """One captured packet: its time in nanoseconds since 1970, the octets that were kept, its length on the wire."""

    ns: int
    data: bytes
    length: int


@dataclass(frozen=True)
class Pcap:
    """A capture: its packets in the order of the file.

    `link` is the number of the link layer (LINKTYPE), `snaplen` the most octets that were kept of a packet.
    """

    link: int
    snaplen: int
    packets: tuple[CapturedPacket, ...]
    whole: bool = True
    """False if the file ends inside a packet, as it does after its writer was killed."""


def read_pcap(path: Path) -> Pcap:
    """Read a file; raises PcapError if it is no valid pcap file, OSError if it cannot be opened."""
    with path.open("rb") as file:
        header = file.read(24)
        if len(header) < 24 or header[:4] not in _MAGIC:
            raise PcapError(f"{path}: not a pcap file")
        order, scale = _MAGIC[header[:4]]
        snaplen, link = struct.unpack(f"{order}II", header[16:])
        packets = list(_packets(file, order, scale, path))
    whole = not packets or packets[-1] is not None
    return Pcap(link & 0xFFFF, snaplen, tuple(packet for packet in packets if packet is not None), whole)


def _packets(file: BinaryIO, order: str, scale: int, path: Path) -> Iterator[CapturedPacket | None]:
    """Yield the packets, and then None if the file ends inside a packet."""
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
        yield CapturedPacket(seconds * 1_000_000_000 + parts * scale, data, length)


def pcapng(
    capture: Pcap, names: Mapping[str, str], comments: Mapping[int, Sequence[str]], keys: bytes = b""
) -> Iterable[bytes]:
    """Yield the blocks of a file.

    `names` maps an IPv4 address to a name, `comments` maps a packet's position (from 0) to its comments. `keys` is a
    key log in the format of NSS, with which a reader can decrypt TLS.
    """
    application = _option(_USERAPPL, b"lemonade")
    yield _block(_SECTION, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + application + _option(0, b""))
    resolution = _option(_TSRESOL, _NANOSECONDS) + _option(0, b"")
    yield _block(_INTERFACE, struct.pack("<HHI", capture.link, 0, capture.snaplen) + resolution)
    if keys:
        yield _block(_SECRETS, struct.pack("<II", _TLS_KEY_LOG, len(keys)) + _padded(keys))
    records = b"".join(
        _option(_IPV4_NAME, socket.inet_aton(address) + name.encode() + b"\0") for address, name in names.items()
    )
    yield _block(_NAMES, records + _option(0, b""))
    for place, packet in enumerate(capture.packets):
        head = struct.pack("<IIIII", 0, packet.ns >> 32, packet.ns & 0xFFFFFFFF, len(packet.data), packet.length)
        options = b"".join(_option(_COMMENT, text.encode()) for text in comments.get(place, ()))
        yield _block(_PACKET, head + _padded(packet.data) + (options + _option(0, b"") if options else b""))


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def names_of(world: RecordedWorld) -> dict[str, str]:
    """Return the host names of a run's nodes by address."""
    return {role.address: role.name or name for name, role in world.roles.items()}


def step_comments(capture: Pcap, steps: Iterable[Event]) -> dict[int, list[str]]:
    """Return a comment for each step of the client's script, by the position of the first packet after its start.

    `steps` are the client's `step` events; those that start a step are used.
    """
    comments: dict[int, list[str]] = {}
    for step in steps:
        if step.text("state") != "started":
            continue
        began = int(step.t * 1_000_000) * 1_000
        place = next((place for place, packet in enumerate(capture.packets) if packet.ns >= began), None)
        if place is not None:
            comments.setdefault(place, []).append(f"step {step.number('index')}: {step.text('verb')}")
    return comments


def write_secret(path: Path, blocks: Iterable[bytes]) -> None:
    """Write a file with mode 0600; it is written under another name and then renamed, so it is never half written."""
    part = path.with_name(path.name + ".part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.writelines(blocks)
    part.replace(path)
