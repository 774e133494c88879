"""The RTP ports of calls, with real sockets: time heard in several calls, RTCP reports and BYE, keys."""

from __future__ import annotations

import io
import json
import os
import socket
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from lemonade_client.call_media import CallMedia
from lemonade_client.rtp_receiver import HeardRecorder
from lemonade_wire.address import Resolver
from lemonade_wire.redaction import Redactor
from lemonade_wire.rtp.endpoint import RtpPorts
from lemonade_wire.rtp.rtcp import kinds, parse_compound
from lemonade_wire.sdp.codec import PCMA, PCMU, TELEPHONE_EVENT
from lemonade_wire.sdp.description import Direction
from lemonade_wire.sdp.offer import NegotiatedStream
from lemonade_wire.trace import Trace

HOST, PEER, BEHIND = (f"127.92.{os.getpid() % 250}.{last}" for last in (3, 2, 22))
PACKET = bytes([0x80, 0, 0, 1, 0, 0, 0, 160, 0, 0, 0, 42]) + b"\xff" * 160


def _udp(port: int = 0) -> socket.socket:
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.settimeout(5)
    one.bind((PEER, port))
    return one


def _stream(port: int, rtp: socket.socket, rtcp: socket.socket, address: str) -> NegotiatedStream:
    return NegotiatedStream(
        index=0,
        media="audio",
        codec=PCMU,
        payload_type=0,
        fmtp=None,
        direction=Direction.SENDRECV,
        remote_address=address,
        remote_port=rtp.getsockname()[1],
        remote_rtcp_port=rtcp.getsockname()[1],
        local_port=port,
        telephone_event=101,
    )


class TestCallMedia(TestCase):
    def setUp(self) -> None:
        self.sink = io.StringIO()
        self.heard: list[float] = []
        trace = Trace("client", self.sink, Redactor("s"))
        resolver = Resolver.parse([f"{BEHIND}={PEER}"])
        self.media = CallMedia(
            reactor, RtpPorts(HOST, 21000, 21020), trace, "joe@example", HeardRecorder(), resolver=resolver
        )
        self.addCleanup(self.media.close)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.sink.getvalue().splitlines()]

    async def test_heard_time_adds_up_over_calls_and_rtcp_bye_is_sent(self) -> None:
        await self.two_calls(PEER)

    async def test_the_address_of_the_answer_is_mapped_by_the_resolver(self) -> None:
        await self.two_calls(BEHIND)

    async def two_calls(self, answered: str) -> None:
        with _udp() as rtp, _udp() as rtcp:
            for call in (1, 2):
                port = self.media.open("audio", {0: PCMU}, "127.91.251.99")
                told: Deferred[float] = Deferred()
                self.media.on_heard = told.callback
                self.media.expect((_stream(port, rtp, rtcp, answered),))
                rtp.sendto(PACKET, (HOST, port))
                assert await told == pytest.approx(0.02 * call)
                self.media.close()
                assert kinds(parse_compound(rtcp.recv(2048))) == ["RR", "SDES", "BYE"]
        assert self.media.heard == pytest.approx(0.04)
        assert [event["event"] for event in self.events] == ["rtp", "rtcp", "heard"] * 2

    async def test_renewed_codecs_and_ports_are_received_beside_the_earlier_ones(self) -> None:
        with _udp() as rtp:
            before = self.media.open("audio", {0: PCMU}, PEER)
            assert self.media.renew({8: PCMA}, move=False) == before
            after = self.media.renew({8: PCMA}, move=True)
            assert after != before
            self.media.stay()
            assert self.media.renew({8: PCMA}, move=False) == before
            for heard, (port, payload_type) in enumerate(((before, 0), (after, 8), (after, 0)), 1):
                told: Deferred[float] = Deferred()
                self.media.on_heard = told.callback
                rtp.sendto(bytes([0x80, payload_type, 0, heard]) + PACKET[4:], (HOST, port))
                assert await told == pytest.approx(0.02 * heard)
            self.media.close()
        assert [event["event"] for event in self.events].count("heard") == 2
        with _udp() as rtp:
            again = [self.media.open("audio", {0: PCMU}, PEER) for _ in range(2)]
            assert len({before, after, *again}) == 4

    async def test_a_key_is_sent_from_the_port_of_the_call_packet_by_packet(self) -> None:
        with _udp() as rtp, _udp() as rtcp:
            port = self.media.open("audio", {0: PCMU, 101: TELEPHONE_EVENT}, PEER)
            self.media.expect((_stream(port, rtp, rtcp, PEER),))
            assert self.media.press("6", 70) == pytest.approx(0.2, abs=0.001)
            for sent in range(4):
                await deferLater(reactor, 0.05, lambda: None)
                packet, source = rtp.recvfrom(2048)
                # RFC 4733 section 2.3: key 6, volume 10, 50 ms and then three times the end after 70 ms
                assert packet[12:].hex() == ("060a0190" if sent == 0 else "068a0230")
                assert (packet[1], source) == (0xE5 if sent == 0 else 0x65, (HOST, port))
        traced = [event for event in self.events if event["event"] == "rtp"]
        assert [(event["way"], event["pt"], event["marker"]) for event in traced] == [
            ("sent", 101, True),
            *[("sent", 101, False)] * 3,
        ]
        assert len({event["seq"] for event in traced}) == 4

    def test_a_key_press_without_an_answer_raises_value_error(self) -> None:
        self.media.open("audio", {0: PCMU}, PEER)
        with pytest.raises(ValueError, match="no audio stream"):
            self.media.press("6", 160)

    def test_a_call_without_packets_traces_nothing(self) -> None:
        self.media.open("audio", {0: PCMU}, PEER)
        self.media.close()
        assert self.events == []

    def test_open_raises_os_error_when_no_pair_of_ports_is_free(self) -> None:
        self.media = CallMedia(reactor, RtpPorts(HOST, 21030, 21031), Trace("client", None, Redactor("s")), "c", None)
        self.media.open("audio", {0: PCMU}, PEER)
        with pytest.raises(OSError, match="no free pair"):
            self.media.open("video", {}, PEER)
        self.media.close()
        assert self.media.open("audio", {0: PCMU}, PEER) == 21030
        self.media.close()
