"""pcap files, octet by octet."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from lemonade_testbed.capture.pcap import (
    CapturedPacket,
    Pcap,
    PcapError,
    names_of,
    pcapng,
    read_pcap,
    step_comments,
    write_secret,
)
from lemonade_testbed.evidence import Event, NodeAddress, RecordedWorld

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
    assert capture.packets == (CapturedPacket(1_000_000_007_000, b"abc", 5), CapturedPacket(1_001_000_000_000, b"", 0))


def test_nanoseconds_in_big_endian(tmp_path: Path) -> None:
    capture = read_pcap(written(tmp_path, BIG_NANO))
    assert (capture.link, capture.packets) == (101, (CapturedPacket(1_000_000_000_007, b"z", 1),))


def test_a_capture_without_packets_is_whole(tmp_path: Path) -> None:
    capture = read_pcap(written(tmp_path, LITTLE_MICRO[:24]))
    assert (capture.packets, capture.whole) == ((), True)


@pytest.mark.parametrize("cut", [1, 15, 16, 18])
def test_a_file_that_ends_inside_a_packet_is_not_whole(tmp_path: Path, cut: int) -> None:
    capture = read_pcap(written(tmp_path, LITTLE_MICRO[:-cut]))
    assert len(capture.packets) == (1 if cut <= 16 else 0)
    assert capture.whole is (cut == 16)


@pytest.mark.parametrize("octets", [b"", b"\xd4\xc3\xb2\xa1", b"\x0a\x0d\x0d\x0a" + bytes(40)])
def test_a_file_without_a_pcap_header_is_refused(tmp_path: Path, octets: bytes) -> None:
    with pytest.raises(PcapError, match="not a pcap file"):
        read_pcap(written(tmp_path, octets))


def test_a_packet_of_absurd_length_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PcapError, match="4294967295 octets"):
        read_pcap(written(tmp_path, LITTLE_MICRO[:24] + struct.pack("<IIII", 1, 1, 0xFFFFFFFF, 1)))


CAPTURE = Pcap(
    1, 65535, (CapturedPacket(1_000_000_000_005, b"abcde", 9), CapturedPacket(2_000_000_000_000, b"wxyz", 4))
)


def blocks(octets: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(octets):
        kind, length = struct.unpack_from("<II", octets, at)
        assert length % 4 == 0
        assert struct.unpack_from("<I", octets, at + length - 4) == (length,)
        yield kind, octets[at + 8 : at + length - 4]
        at += length


def test_the_blocks_are_those_of_the_format() -> None:
    made = list(blocks(b"".join(pcapng(CAPTURE, {"127.0.0.1": "media.example.net"}, {1: ["step 1: a", "b"]}))))
    assert [kind for kind, _ in made] == [0x0A0D0D0A, 1, 4, 6, 6]
    section, interface, names, first, second = (body for _, body in made)
    assert section[:16] == bytes.fromhex("4d3c2b1a 0100 0000 ffffffffffffffff")
    assert interface[:8] == bytes.fromhex("0100 0000 ffff0000")
    assert interface[8:] == bytes.fromhex("0900 0100 09000000 00000000"), "nanoseconds"
    assert names == b"\x01\0\x16\0\x7f\0\0\x01media.example.net\0\0\0" + bytes(4)
    assert first == struct.pack("<IIIII", 0, 232, 3567587333, 5, 9) + b"abcde\0\0\0"
    assert (232 << 32) + 3567587333 == 1_000_000_000_005
    assert second[20:] == b"wxyz\x01\0\x09\0step 1: a\0\0\0\x01\0\x01\0b\0\0\0" + bytes(4)


def test_the_block_of_keys_is_before_the_packets() -> None:
    made = list(blocks(b"".join(pcapng(CAPTURE, {}, {}, b"CLIENT_RANDOM a b\n"))))
    assert [kind for kind, _ in made] == [0x0A0D0D0A, 1, 10, 4, 6, 6]
    assert made[2][1] == b"KSLT" + struct.pack("<I", 18) + b"CLIENT_RANDOM a b\n" + bytes(2)


def test_the_first_packet_after_a_steps_start_has_its_comment() -> None:
    def step(t: float, index: int, state: str = "started") -> Event:
        return Event(t, "client", index, "step", {"index": index, "verb": "listen", "state": state})

    steps = [step(999.0, 1), step(1000.0, 2), step(1500.0, 3), step(1600.0, 3, "done"), step(2500.0, 4)]
    assert step_comments(CAPTURE, steps) == {
        0: ["step 1: listen", "step 2: listen"],
        1: ["step 3: listen"],
    }


def test_nodes_have_their_host_names() -> None:
    world = RecordedWorld({"imap": NodeAddress("10.0.0.1", 143, "imap.example.com"), "client": NodeAddress("10.0.0.3")})
    assert names_of(world) == {"10.0.0.1": "imap.example.com", "10.0.0.3": "client"}


def test_the_file_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "capture.pcapng"
    path.write_bytes(b"old")
    path.chmod(0o644)
    write_secret(path, [b"a", b"b"])
    assert path.read_bytes() == b"ab"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
