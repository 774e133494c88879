from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_testbed.relay.reading import Message, read_datagram

INVITE = b"INVITE sip:annc@media.example.net;play=x SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\n"
OK = b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a\r\ncseq :  7  INVITE\r\n\r\nCSeq: 8 BYE\r\n"
RTP = bytes.fromhex("80000fa0000000a0deadbeef") + b"\xff" * 160
SENDER_REPORT = bytes.fromhex("80c80006deadbeef") + bytes(20)


@pytest.mark.parametrize(
    ("data", "message", "label"),
    [
        (INVITE, Message("SIP", method="INVITE"), "SIP INVITE"),
        (OK, Message("SIP", "200", "INVITE"), "SIP 200 INVITE"),
        (b"SIP/2.0 180\r\n\r\n", Message("SIP", "180"), "SIP 180"),
        (RTP, Message("RTP", sequence=4000), "RTP"),
        (SENDER_REPORT, Message("RTCP"), "RTCP"),
        (b"\r\n\r\n", Message("UDP"), "UDP"),
        (b"", Message("UDP"), "UDP"),
        (b"INVITE sip:x SIP/3.0\r\n\r\n", Message("UDP"), "UDP"),
    ],
)
def test_what_a_datagram_is(data: bytes, message: Message, label: str) -> None:
    assert read_datagram(data) == message
    assert read_datagram(data).label == label


@given(st.binary(max_size=200))
def test_any_octets_are_some_kind_of_datagram(data: bytes) -> None:
    assert read_datagram(data).kind in {"SIP", "RTP", "RTCP", "UDP"}
