"""Writes pcapng: what a pcap file holds, with names for addresses and comments on packets.

Block and option numbers are those of draft-ietf-opsawg-pcapng, section 4.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lemonade_testbed.capture.pcap import Pcap
from lemonade_testbed.evidence import Event, World

_SECTION, _INTERFACE, _NAMES, _PACKET, _SECRETS = 0x0A0D0D0A, 1, 4, 6, 10
_TLS_KEY_LOG = 0x544C534B
_COMMENT, _TSRESOL, _NANOSECONDS, _USERAPPL = 1, 9, b"\x09", 4
_IPV4_NAME = 1


def pcapng(
    capture: Pcap, names: Mapping[str, str], comments: Mapping[int, Sequence[str]], keys: bytes = b""
) -> Iterable[bytes]:
    """Yield the blocks of a file; `names` by IPv4 address, `comments` by a packet's place, counted from 0.

    `keys` is a key log, with which a reader sees what TLS sessions said.
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
        told = b"".join(_option(_COMMENT, text.encode()) for text in comments.get(place, ()))
        yield _block(_PACKET, head + _padded(packet.data) + (told + _option(0, b"") if told else b""))


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def names_of(world: World) -> dict[str, str]:
    """Return the names of a world's roles by address."""
    return {role.address: role.name or name for name, role in world.roles.items()}


def step_comments(capture: Pcap, steps: Iterable[Event]) -> dict[int, list[str]]:
    """Return a comment per step of the client that began, on the first packet after its beginning."""
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
    """Write a file that its owner alone may read, whole or not at all."""
    part = path.with_name(path.name + ".part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.writelines(blocks)
    part.replace(path)
