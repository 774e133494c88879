"""RTCP compound packets, octet by octet."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_wire.rtp.packet import RtpError
from lemonade_wire.rtp.rtcp import (
    Goodbye,
    OtherRtcp,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    SourceDescription,
    kinds,
    ntp_time,
    parse_compound,
    traced_values,
    write_compound,
)

SR = "80 c8 00 06 00 00 00 07 e0 00 00 00 80 00 00 00 00 00 00 a0 00 00 00 32 00 00 1f 40"
SDES = "81 ca 00 03 00 00 00 07 01 04 61 40 62 63 00 00"
RR = "81 c9 00 07 00 00 00 08 00 00 00 07 40 ff ff fe 00 01 00 05 00 00 00 09 aa aa bb bb 00 01 00 00"
BYE = "81 cb 00 03 00 00 00 07 03 65 6e 64 00 00 00 00"
VECTORS = {
    "SR and SDES": (
        SR + SDES,
        (SenderReport(7, 0xE0000000_80000000, 160, 50, 8000), SourceDescription(((7, "a@bc"),))),
    ),
    "RR with a block": (RR, (ReceiverReport(8, (ReportBlock(7, 64, -2, 65541, 9, 0xAAAABBBB, 65536),)),)),
    "BYE with a reason": (RR + "81 cb 00 02 00 00 00 07 03 65 6e 64", (None, Goodbye((7,), "end"))),
    "BYE without": ("80 c9 00 01 00 00 00 08 81 cb 00 01 00 00 00 07", (ReceiverReport(8), Goodbye((7,)))),
    "APP": (
        "80 c9 00 01 00 00 00 08 85 cc 00 02 00 00 00 07 41 42 43 44",
        (ReceiverReport(8), OtherRtcp(204, 5, bytes.fromhex("0000000741424344"))),
    ),
}
BAD = {
    "empty": "",
    "header cut": "80 c9 00",
    "length too great": "80 c9 00 02 00 00 00 08",
    "version 1": "40 c9 00 01 00 00 00 08",
    "SDES first": SDES,
    "first padded": "a0 c9 00 02 00 00 00 08 00 00 00 04",
    "block missing": "81 c9 00 01 00 00 00 08",
    "SR too short": "80 c8 00 01 00 00 00 07",
    "SDES without end": "80 c9 00 01 00 00 00 08 81 ca 00 01 00 00 00 07",
    "BYE too short": "80 c9 00 01 00 00 00 08 82 cb 00 01 00 00 00 07",
    "rubbish behind": SR + "00 00",
}


@pytest.mark.parametrize("name", VECTORS)
def test_read_and_written(name: str) -> None:
    text, packets = VECTORS[name]
    read = parse_compound(bytes.fromhex(text))
    assert all(expected is None or packet == expected for packet, expected in zip(read, packets, strict=True))
    assert write_compound(read) == bytes.fromhex(text)


@pytest.mark.parametrize("name", BAD)
def test_malformed_compound_packets_are_refused(name: str) -> None:
    with pytest.raises(RtpError):
        parse_compound(bytes.fromhex(BAD[name]))


def test_padding_of_the_last_packet_and_other_items_are_ignored() -> None:
    padded = SR + "a1 ca 00 05 00 00 00 07 02 01 4e 01 04 61 40 62 63 00 00 00 00 00 00 04"
    assert parse_compound(bytes.fromhex(padded))[1] == SourceDescription(((7, "a@bc"),))


def test_loss_is_kept_within_24_bits() -> None:
    (read,) = parse_compound(write_compound([ReceiverReport(1, (ReportBlock(2, 255, 2**30, 0, 0, 0, 0),))]))
    assert isinstance(read, ReceiverReport)
    assert read.blocks[0].lost == 0x7FFFFF


def test_kinds_for_traces() -> None:
    assert kinds(parse_compound(bytes.fromhex(SR + SDES + BYE))) == ["SR", "SDES", "BYE"]
    assert kinds([OtherRtcp(205, 1, b"")]) == ["205"]


def test_values_for_traces() -> None:
    block = ReportBlock(9, 0, 0, 0, 0, 0, 0)
    report = SenderReport(7, 1 << 32, 160, 2, 320, (block,))
    assert traced_values((report, SourceDescription(((7, "m"),)), Goodbye((7,)))) == {
        "reporter": 7, "ssrc": 7, "ntp": 1 << 32, "timestamp": 160, "packets": 2, "octets": 320, "reported": [9],
        "cnames": {"7": "m"}, "gone": [7],
    }  # fmt: skip
    assert traced_values((ReceiverReport(5),)) == {"reporter": 5}


def test_ntp_time_begins_in_1900() -> None:
    assert ntp_time(0) == 2_208_988_800 << 32
    assert ntp_time(1.5) == 2_208_988_801 << 32 | 1 << 31


@given(st.binary(max_size=80))
def test_anything_raises_only_rtp_error(octets: bytes) -> None:
    for body in (octets, bytes.fromhex(RR) + octets, bytes.fromhex(RR + "81 ca 00 02") + octets[:8].ljust(8, b"x")):
        with contextlib.suppress(RtpError):
            parse_compound(body)


@given(st.integers(0, 59), st.integers(0, 255))
def test_one_octet_wrong(place: int, octet: int) -> None:
    body = bytearray.fromhex(SR + RR)
    body[place] = octet
    with contextlib.suppress(RtpError):
        parse_compound(bytes(body))
