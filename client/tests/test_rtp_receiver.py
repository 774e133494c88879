"""The receiver of one m-line: which packets are traced, counted and recorded, and which are ignored."""

from __future__ import annotations

import io
import json
from base64 import b64decode

import pytest

from lemonade_client.rtp_receiver import CallReceiver, HeardRecorder
from lemonade_wire.redaction import Redactor
from lemonade_wire.sdp.codec import PCMU, TELEPHONE_EVENT, Codec
from lemonade_wire.trace import Trace

PEER = ("127.0.0.2", 16384)
G722 = Codec("G722", 8000)


class Ear:
    """A receiver with its trace in memory."""

    def __init__(self) -> None:
        self.sink = io.StringIO()
        self.recorder = HeardRecorder()
        self.recorder.begin()
        self.listener = CallReceiver(
            ("127.0.0.3", 20000),
            {0: PCMU, 9: G722, 101: TELEPHONE_EVENT},
            {"127.0.0.2"},
            Trace("client", self.sink, Redactor("s")),
            self.recorder,
        )

    @property
    def events(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.sink.getvalue().splitlines()]


def packet(number: int, payload: bytes = b"\xff" * 160, kind: int = 0) -> bytes:
    """Return one RTP packet, octet by octet (RFC 3550 section 5.1)."""
    return bytes([0x80, kind, 0, number]) + (number * 160).to_bytes(4, "big") + b"\x00\x00\x00\x2a" + payload


@pytest.fixture
def ear() -> Ear:
    return Ear()


def test_every_packet_is_traced_with_its_arrival_and_payload(ear: Ear) -> None:
    assert ear.listener.rtp_received(packet(1), PEER, 1000.5) is not None
    assert ear.listener.rtp_received(packet(2), PEER, 1000.52) is None  # reports have begun
    first = ear.events[0]
    assert b64decode(str(first.pop("payload"))) == b"\xff" * 160
    assert first == {
        "t": 1000.5,
        "node": "client",
        "n": 1,
        "event": "rtp",
        "way": "received",
        "local": "127.0.0.3:20000",
        "remote": "127.0.0.2:16384",
        "ssrc": 42,
        "seq": 1,
        "ts": 160,
        "pt": 0,
        "marker": False,
    }


def test_heard_time_counts_each_packet_once_and_no_gap(ear: Ear) -> None:
    for number in (1, 2, 2, 5):
        ear.listener.rtp_received(packet(number), PEER, 1000 + number * 0.02)
    assert ear.listener.heard == pytest.approx(0.06)
    assert len(ear.recorder.samples()) == 5 * 160  # the two that are missing are silence
    assert not ear.recorder.samples().any()


def test_other_addresses_and_unknown_payload_types_are_traced_and_ignored(ear: Ear) -> None:
    ear.listener.rtp_received(packet(1), ("127.0.0.9", 16384), 1000.0)
    ear.listener.rtp_received(packet(2, kind=77), PEER, 1000.0)
    assert (ear.listener.strangers, ear.listener.heard, ear.listener.receivers) == (2, 0.0, {})
    assert [event["event"] for event in ear.events] == ["rtp", "rtp"]


def test_packets_from_the_address_of_the_answer_are_accepted(ear: Ear) -> None:
    ear.listener.peers.add("127.0.0.9")
    assert ear.listener.rtp_received(packet(1), ("127.0.0.9", 1), 1000.0) is not None


@pytest.mark.parametrize("octets", [b"", b"\x80", b"\x00" * 20, b"\xff" * 11])
def test_a_datagram_that_is_not_rtp_is_ignored(ear: Ear, octets: bytes) -> None:
    assert ear.listener.rtp_received(octets, PEER, 1000.0) is None
    ear.listener.rtcp_received(octets, PEER, 1000.0)
    assert ear.events == []


def test_keys_are_not_heard_and_undecodable_codecs_are_only_measured(ear: Ear) -> None:
    ear.listener.rtp_received(packet(1, b"\x06\x8a\x06\x40", 101), PEER, 1000.0)
    assert ear.listener.heard == 0.0
    ear.listener.rtp_received(packet(2, kind=9), PEER, 1000.0)
    assert ear.listener.heard == pytest.approx(0.02)
    assert len(ear.recorder.samples()) == 0


def test_finish_traces_packets_losses_and_lateness(ear: Ear) -> None:
    for number in (1, 2, 4):
        ear.listener.rtp_received(packet(number), PEER, 1000 + number * 0.02 + (0.007 if number == 4 else 0))
    ear.listener.finish()
    heard = ear.events[-1]
    assert (heard["event"], heard["packets"], heard["lost"], heard["ssrc"]) == ("heard", 3, 1, 42)
    assert heard["late_ms"] == pytest.approx(7.0, abs=0.01)


def test_rtcp_is_traced_by_its_kinds(ear: Ear) -> None:
    # SR without blocks, then SDES with CNAME "a" (RFC 3550 sections 6.4.1, 6.5)
    report = bytes.fromhex("80c80006 0000002a 0000000100000000 000000a0 00000001 000000a0")
    names = bytes.fromhex("81ca0002 0000002a 01016100")
    ear.listener.rtcp_received(report + names, ("127.0.0.2", 16385), 1000.0)
    event = ear.events[0]
    assert (event["event"], event["way"], event["kinds"], event["local"]) == (
        *("rtcp", "received"),
        ["SR", "SDES"],
        "127.0.0.3:20001",
    )
