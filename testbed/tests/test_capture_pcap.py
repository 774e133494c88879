"""pcap files, octet by octet."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from lemonade_testbed.capture.pcap import Packet, PcapError, read_pcap

LITTLE_MICRO = bytes.fromhex(
    "d4c3b2a1 0200 0400 00000000 00000000 00000400 01000000"
    "e8030000 07000000 03000000 05000000 616263"
    "e9030000 00000000 00000000 00000000"
)
BIG_NANO = bytes.fromhex(
    "a1b23c4d 0002 0004 00000000 00000000 00040000 00000065 000003e8 00000007 00000001 00000001 7a"
)


def written(folder: Path, octets: bytes) -> Path:
    path = folder / "capture.pcap"
    path.write_bytes(octets)
    return path


def test_microseconds_in_little_endian(tmp_path: Path) -> None:
    capture = read_pcap(written(tmp_path, LITTLE_MICRO))
    assert (capture.link, capture.snaplen, capture.whole) == (1, 262144, True)
    assert capture.packets == (Packet(1_000_000_007_000, b"abc", 5), Packet(1_001_000_000_000, b"", 0))


def test_nanoseconds_in_big_endian(tmp_path: Path) -> None:
    capture = read_pcap(written(tmp_path, BIG_NANO))
    assert (capture.link, capture.packets) == (101, (Packet(1_000_000_000_007, b"z", 1),))


def test_a_capture_without_packets_is_whole(tmp_path: Path) -> None:
    capture = read_pcap(written(tmp_path, LITTLE_MICRO[:24]))
    assert (capture.packets, capture.whole) == ((), True)


@pytest.mark.parametrize("cut", [1, 15, 16, 18])
def test_a_file_that_ends_inside_a_packet_is_not_whole(tmp_path: Path, cut: int) -> None:
    capture = read_pcap(written(tmp_path, LITTLE_MICRO[:-cut]))
    assert len(capture.packets) == (1 if cut <= 16 else 0)
    assert capture.whole is (cut == 16)


@pytest.mark.parametrize("octets", [b"", b"\xd4\xc3\xb2\xa1", b"\x0a\x0d\x0d\x0a" + bytes(40)])
def test_what_is_no_pcap_file_is_refused(tmp_path: Path, octets: bytes) -> None:
    with pytest.raises(PcapError, match="not a pcap file"):
        read_pcap(written(tmp_path, octets))


def test_a_packet_of_absurd_length_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PcapError, match="4294967295 octets"):
        read_pcap(written(tmp_path, LITTLE_MICRO[:24] + struct.pack("<IIII", 1, 1, 0xFFFFFFFF, 1)))
