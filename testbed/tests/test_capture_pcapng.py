"""pcapng blocks against octets written by hand, and what is told in them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from lemonade_testbed.capture.pcap import Packet, Pcap
from lemonade_testbed.capture.pcapng import names_of, pcapng, step_comments, write_secret
from lemonade_testbed.evidence import Event, Role, World

CAPTURE = Pcap(1, 65535, (Packet(1_000_000_000_005, b"abcde", 9), Packet(2_000_000_000_000, b"wxyz", 4)))


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


def test_keys_stand_before_every_packet() -> None:
    made = list(blocks(b"".join(pcapng(CAPTURE, {}, {}, b"CLIENT_RANDOM a b\n"))))
    assert [kind for kind, _ in made] == [0x0A0D0D0A, 1, 10, 4, 6, 6]
    assert made[2][1] == b"KSLT" + struct.pack("<I", 18) + b"CLIENT_RANDOM a b\n" + bytes(2)


def test_a_step_is_told_on_the_first_packet_after_it_began() -> None:
    def step(t: float, index: int, state: str = "started") -> Event:
        return Event(t, "client", index, "step", {"index": index, "verb": "listen", "state": state})

    steps = [step(999.0, 1), step(1000.0, 2), step(1500.0, 3), step(1600.0, 3, "done"), step(2500.0, 4)]
    assert step_comments(CAPTURE, steps) == {
        0: ["step 1: listen", "step 2: listen"],
        1: ["step 3: listen"],
    }


def test_roles_have_the_names_of_their_world() -> None:
    world = World({"imap": Role("10.0.0.1", 143, "imap.example.com"), "client": Role("10.0.0.3")})
    assert names_of(world) == {"10.0.0.1": "imap.example.com", "10.0.0.3": "client"}


def test_what_is_written_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "capture.pcapng"
    path.write_bytes(b"old")
    path.chmod(0o644)
    write_secret(path, [b"a", b"b"])
    assert path.read_bytes() == b"ab"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
