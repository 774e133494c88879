from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_testbed.relay.reading import RelayedMessage, read_datagram

INVITE = b"INVITE sip:annc@media.example.net;play=x SIP/2.0\r\nCSeq: 1 INVITE\r\nCall-ID: a@b \r\n\r\n"
OK = b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a\r\ni:c\r\ncseq :  7  INVITE\r\n\r\nCSeq: 8 BYE\r\n"
RTP = bytes.fromhex("80000fa0000000a0deadbeef") + b"\xff" * 160
KEY = RTP[:1] + b"\xe5" + RTP[2:]
SENDER_REPORT = bytes.fromhex("80c80006deadbeef") + bytes(20)


@pytest.mark.parametrize(
    ("data", "message", "label"),
    [
        (INVITE, RelayedMessage("SIP", method="INVITE", request="a@b 1"), "SIP INVITE"),
        (OK, RelayedMessage("SIP", "200", "INVITE", "c 7"), "SIP 200 INVITE"),
        (b"SIP/2.0 180\r\n\r\n", RelayedMessage("SIP", "180"), "SIP 180"),
        (RTP, RelayedMessage("RTP", sequence=4000, ssrc=0xDEADBEEF), "RTP"),
        (KEY, RelayedMessage("RTP", sequence=4000, ssrc=0xDEADBEEF, payload_type=101, marker=True), "RTP"),
        (SENDER_REPORT, RelayedMessage("RTCP"), "RTCP"),
        (b"\r\n\r\n", RelayedMessage("UDP"), "UDP"),
        (b"", RelayedMessage("UDP"), "UDP"),
        (b"INVITE sip:x SIP/3.0\r\n\r\n", RelayedMessage("UDP"), "UDP"),
    ],
)
def test_a_datagram_is_read_as_sip_rtp_rtcp_or_udp(data: bytes, message: RelayedMessage, label: str) -> None:
    assert read_datagram(data) == message
    assert read_datagram(data).label == label


@given(st.binary(max_size=200))
def test_any_octets_are_some_kind_of_datagram(data: bytes) -> None:
    assert read_datagram(data).kind in {"SIP", "RTP", "RTCP", "UDP"}
