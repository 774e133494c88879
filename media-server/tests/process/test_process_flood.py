"""Floods of the real `lemonade-media`: calls that are never acknowledged, connections, and a lack of descriptors."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from lemonade_media.testing.processes import Peer, RunMedia, mail
from lemonade_wire.sdp.codec import PCMU
from lemonade_wire.sdp.offer import make_offer
from lemonade_wire.sip.event import ByeReceived, CallAnswered, CallRefused

CONTENT = bytes(range(160, 320 - 64)) * 400  # 38,400 octets: 240 packets, 4.8 s


def standing_call(peer: Peer) -> None:
    """Make a call, and wait for its first packets."""
    peer.ask_options()
    peer.call()
    peer.run(lambda: len(peer.packets) > 3)


def assert_complete(peer: Peer) -> None:
    """Wait for the end of the first call, whose sound must have come without a gap."""
    peer.run(lambda: any(isinstance(event, ByeReceived) for event in peer.events), 20)
    ssrc = peer.packets[0].ssrc
    assert b"".join(packet.payload for packet in peer.packets if packet.ssrc == ssrc) == CONTENT


def next_turn() -> Callable[[], bool]:
    """Return a condition that holds when it is asked for the second time: what has come until then is handled."""
    asked = iter((False, True))
    return lambda: next(asked)


def test_two_thousand_calls_that_are_never_acknowledged_leave_a_standing_call_alone(media: RunMedia) -> None:
    with mail(CONTENT) as imap, media(*imap, "--call-rate", "0") as (_, peer):
        standing_call(peer)
        host, port = peer.server
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.1", 0))
            here = f"127.0.0.1:{stranger.getsockname()[1]}"
            offer = bytes(make_offer("127.0.0.1", stranger.getsockname()[1], [PCMU])).decode()
            for number in range(2000):
                invite = (
                    f"INVITE sip:ivr@{host} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{number}\r\n"
                    f"From: <sip:a@{here}>;tag={number}\r\nTo: <sip:ivr@{host}>\r\nCall-ID: {number}@{here}\r\n"
                    f"CSeq: 1 INVITE\r\nContact: <sip:a@{here}>\r\nMax-Forwards: 70\r\n"
                    f"Content-Type: application/sdp\r\nContent-Length: {len(offer)}\r\n\r\n{offer}"
                )
                stranger.sendto(invite.encode(), (host, port))
                if number % 10 == 0:
                    peer.run(next_turn())
        assert_complete(peer)


def test_connections_above_the_limit_close_those_idle_the_longest(media: RunMedia) -> None:
    with media("--max-connections-per-address", "5") as (run, peer):
        peer.ask_options()
        descriptors = Path(f"/proc/{run.pid}/fd")
        before = len(list(descriptors.iterdir()))
        streams = [socket.create_connection(peer.server) for _ in range(50)]
        try:
            with pytest.raises(ConnectionResetError):
                streams[0].recv(1)
            peer.ask_options()
            assert len(list(descriptors.iterdir())) < before + 20
            streams[-1].sendall(b"\r\n\r\n")
            assert streams[-1].recv(2) == b"\r\n"
        finally:
            for stream in streams:
                stream.close()


def test_a_lack_of_descriptors_refuses_new_calls_and_leaves_a_standing_one_alone(media: RunMedia) -> None:
    with mail(CONTENT) as imap, media(*imap) as (run, peer):
        standing_call(peer)
        used = len(os.listdir(f"/proc/{run.pid}/fd"))
        _, hard = resource.prlimit(run.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(run.pid, resource.RLIMIT_NOFILE, (used + 70, hard))
        for _ in range(8):
            peer.call()
        peer.run(lambda: any(isinstance(event, CallRefused) for event in peer.events))
        refused = next(event.response for event in peer.events if isinstance(event, CallRefused))
        assert refused is not None
        assert refused.status == 486
        assert refused.headers.get("Retry-After") == "10"
        assert any(isinstance(event, CallAnswered) for event in peer.events)
        assert_complete(peer)
