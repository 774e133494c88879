"""Reading a capture with a fake tshark, whose output each test sets."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from lemonade_testbed.capture.reader import read_capture
from lemonade_testbed.capture.tshark import Frame, Tshark
from lemonade_testbed.evidence import NodeAddress, RecordedWorld

WORLD = RecordedWorld(
    {"imap": NodeAddress("10.0.0.1"), "media": NodeAddress("10.0.0.2", 5060), "client": NodeAddress("10.0.0.3", 5060)}
)
SDP = "v=0\r\no=- 1 1 IN IP4 10.0.0.3\r\nm=audio 20000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
READ = {
    "sdp.owner": ["- 1 1 IN IP4 10.0.0.3"],
    "sdp.media": ["audio 20000 RTP/AVP 0 101"],
    "sdp.media_attr": ["rtpmap:101 telephone-event/8000"],
}
KEY = {"rtpevent.event_id": ["6"], "rtpevent.end_of_event": ["False"], "rtpevent.duration": ["400"]}


def invite(read: dict[str, list[str]], body: str = SDP) -> Frame:
    text = f"INVITE sip:ivr@h SIP/2.0\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nContent-Type: application/sdp\r\n\r\n{body}"
    fields = {"udp.payload": text.encode().hex(), "sip.Method": "INVITE", "sip.Call-ID": "c", "sip.CSeq": "1 INVITE"}
    return Frame(1, 1.0, ("ip", "udp", "sip"), "udp", "10.0.0.3:5060", "10.0.0.2:5060", fields, messages=1, bodies=read)


def key(read: dict[str, list[str]], payload_type: int = 101) -> Frame:
    fields = {"rtp.ssrc": "1", "rtp.p_type": str(payload_type), "rtp.payload": "060a0190"}
    return Frame(2, 2.0, ("ip", "udp", "rtp"), "udp", "10.0.0.3:20000", "10.0.0.2:16384", fields, bodies=read)


def remarks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *frames: Frame) -> tuple[str, ...]:
    capture = tmp_path / "capture.pcap"
    capture.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 101))
    monkeypatch.setattr(Tshark, "frames", lambda *_: list(frames))
    reading = read_capture(capture, WORLD, Tshark(lambda *_: b""))
    assert reading.problems == ()
    return reading.remarks


def test_equal_readings_of_a_body_make_no_remark(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert remarks(monkeypatch, tmp_path, invite(READ), key(KEY)) == ()


def test_a_body_that_is_read_otherwise_is_a_remark_without_its_ticket(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = READ | {"sdp.media": ["audio 1 RTP/AVP 0 x:INTERNAL:0123456789abcdef"]}
    (remark,) = remarks(monkeypatch, tmp_path, invite(other), invite(other))
    assert remark.startswith("SIP INVITE client->media: sdp.media is audio 1 RTP/AVP 0 x:INTERNAL:fp-")
    assert remark.endswith("audio 20000 RTP/AVP 0 101 to the ladder (2 packets)")


def test_a_difference_in_a_telephone_event_is_a_remark(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (remark,) = remarks(monkeypatch, tmp_path, invite(READ), key(KEY | {"rtpevent.event_id": ["7"]}))
    assert remark.startswith("RTP client->media: the code of telephone-events is read otherwise")


def test_payload_types_that_are_keys_to_one_reader_alone_are_remarks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (remark,) = remarks(monkeypatch, tmp_path, invite(READ), key({}))
    assert remark == "RTP of payload type 101 is telephone-event to the ladder, and not to the second reader"
    (remark,) = remarks(monkeypatch, tmp_path, invite(READ), key(KEY, 96))
    assert remark == "RTP of payload type 96 is telephone-event to the second reader, and not to the ladder"
