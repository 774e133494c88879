"""RTP packets, octet by octet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_wire.rtp.packet import RtpError, RtpPacket

VECTORS = {
    "plain": ("80 00 00 01 00 00 00 a0 de ad be ef 01 02", RtpPacket(0, 1, 160, 0xDEADBEEF, b"\1\2")),
    "marker, PCMA": ("80 88 ff ff ff ff ff ff 00 00 00 00", RtpPacket(8, 65535, 2**32 - 1, 0, b"", marker=True)),
    "key 6 of RFC 4733": (
        "80 65 00 05 00 00 06 40 00 00 00 07 06 8a 06 40",
        RtpPacket(101, 5, 1600, 7, bytes.fromhex("068a0640")),
    ),
    "padding": ("a0 00 00 01 00 00 00 a0 00 00 00 01 aa 00 00 03", RtpPacket(0, 1, 160, 1, b"\xaa", padding=3)),
    "CSRC": (
        "82 00 00 01 00 00 00 a0 00 00 00 01 00 00 00 02 00 00 00 03 aa",
        RtpPacket(0, 1, 160, 1, b"\xaa", csrcs=(2, 3)),
    ),
    "extension": (
        "90 00 00 01 00 00 00 a0 00 00 00 01 be de 00 01 10 ff 00 00 aa",
        RtpPacket(0, 1, 160, 1, b"\xaa", extension=(0xBEDE, bytes.fromhex("10ff0000"))),
    ),
    "everything": (
        "b1 e0 00 01 00 00 00 a0 00 00 00 01 00 00 00 09 00 01 00 00 aa 01",
        RtpPacket(96, 1, 160, 1, b"\xaa", marker=True, csrcs=(9,), extension=(1, b""), padding=1),
    ),
}
BAD = {
    "empty": "",
    "short": "80 00 00 01 00 00 00 a0 00 00 00",
    "version 1": "40 00 00 01 00 00 00 a0 00 00 00 01",
    "CSRC cut": "81 00 00 01 00 00 00 a0 00 00 00 01 00 00",
    "extension cut": "90 00 00 01 00 00 00 a0 00 00 00 01 be de 00",
    "extension too long": "90 00 00 01 00 00 00 a0 00 00 00 01 be de 00 01 aa",
    "padding 0": "a0 00 00 01 00 00 00 a0 00 00 00 01 aa 00",
    "padding too long": "a0 00 00 01 00 00 00 a0 00 00 00 01 aa 03",
    "padding of nothing": "a0 00 00 01 00 00 00 a0 00 00 00 01",
    "an RTCP SR": "80 c8 00 06 00 00 00 01 00 00 00 00 00 00 00 00",
}


@pytest.mark.parametrize("name", VECTORS)
def test_read_and_written(name: str) -> None:
    text, packet = VECTORS[name]
    assert RtpPacket.parse(bytes.fromhex(text)) == packet
    assert bytes(packet) == bytes.fromhex(text)


@pytest.mark.parametrize("name", BAD)
def test_malformed_packets_are_refused(name: str) -> None:
    with pytest.raises(RtpError):
        RtpPacket.parse(bytes.fromhex(BAD[name]))


@given(st.binary(max_size=64))
def test_nothing_else_is_raised_and_what_is_read_is_written(octets: bytes) -> None:
    for body in (octets, b"\xb1" + octets):
        try:
            packet = RtpPacket.parse(body)
        except RtpError:
            continue
        assert RtpPacket.parse(bytes(packet)) == packet
        assert len(bytes(packet)) == len(body)
