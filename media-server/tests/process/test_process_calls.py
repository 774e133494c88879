"""Calls to the real `lemonade-media`: the octets that are heard, and the ends of the calls."""

from __future__ import annotations

import json
import select
import signal
import socket
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from lemonade_media.decoding.decode import EncodedMedia
from lemonade_media.testing.processes import RunMedia, mail, until
from lemonade_wire.rtp.packet import RtpPacket
from lemonade_wire.sdp.codec import PCMA, PCMU, Codec
from lemonade_wire.sdp.description import Direction
from lemonade_wire.sdp.offer import make_offer
from lemonade_wire.sip.event import ByeReceived, CallAnswered, CallRefused, ReinviteAnswered

CONTENT = bytes(range(160, 320 - 64)) * 40  # 3840 octets: 24 packets, 0.48 s
TOKEN = "0a" * 32


def test_announcement_plays_octet_by_octet_and_ends_in_bye(media: RunMedia, tmp_path: Path) -> None:
    with mail(CONTENT) as imap, media(*imap) as (run, peer):
        peer.ask_options()
        peer.call()
        peer.run(lambda: any(isinstance(event, ByeReceived) for event in peer.events))
        assert b"".join(packet.payload for packet in peer.packets) == CONTENT
        assert {packet.payload_type for packet in peer.packets} == {0}
        assert len({packet.ssrc for packet in peer.packets}) == 1
        run.send_signal(signal.SIGTERM)
        assert run.wait(5) == 0
    for name in ("media.log", "trace.jsonl"):
        text = (tmp_path / name).read_text()
        assert "URLFETCH" in text or "fetching" in text
        assert TOKEN not in text
    traced = [json.loads(line) for line in (tmp_path / "trace.jsonl").read_text().splitlines()]
    played = [event for event in traced if event["event"] == "media"]
    assert [(event["state"], event["played_ms"], event["offset_ms"]) for event in played] == [
        ("playing", 0, 0),
        ("finished", 480, 480),
    ]


def payloads(rtp: socket.socket) -> list[tuple[int, bytes]]:
    """Return sequence number and payload of every packet that a socket holds."""
    rtp.setblocking(False)
    held = []
    with suppress(BlockingIOError):
        while True:
            data = rtp.recv(65536)
            if not 192 <= data[1] <= 223:  # RTCP, meant for the port above a neighbour's (RFC 5761, 4)
                packet = RtpPacket.parse(data)
                held.append((packet.sequence, packet.payload))
    return held


def test_a_hundred_announcements_at_once_are_all_complete(media: RunMedia, tmp_path: Path) -> None:
    with ExitStack() as stack:
        imap = stack.enter_context(mail(CONTENT))
        _, peer = stack.enter_context(media(*imap))
        sockets = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(100)]
        peer.ask_options()
        for rtp in sockets:
            rtp.bind(("127.0.0.1", 0))
            peer.call(rtp=rtp)
        peer.run(lambda: sum(isinstance(event, ByeReceived) for event in peer.events) == 100, 60)
        assert sum(isinstance(event, CallAnswered) for event in peer.events) == 100
        for rtp in sockets:
            held = payloads(rtp)
            assert b"".join(payload for _, payload in held) == CONTENT
            assert [sequence for sequence, _ in held] == [held[0][0] + step & 0xFFFF for step in range(24)]
    assert "Traceback" not in (tmp_path / "media.log").read_text()


def test_cancel_ends_the_fetch(media: RunMedia) -> None:
    asked = threading.Event()
    with mail(None, asked) as imap, media(*imap) as (_, peer):
        peer.ask_options()
        call = peer.call()
        peer.run(asked.is_set)
        peer.ua.cancel(call, now=time.monotonic())
        peer.run(lambda: any(isinstance(event, CallRefused) for event in peer.events))
        refused = next(event for event in peer.events if isinstance(event, CallRefused))
        assert refused.response is not None
        assert refused.response.status == 487
        until(lambda: not asked.is_set())


def test_provisioned_content_needs_no_imap_server(media: RunMedia, tmp_path: Path) -> None:
    folder = tmp_path / "provisioned"
    (folder / "de").mkdir(parents=True)
    (folder / "hello.ulaw").write_bytes(CONTENT)
    (folder / "de" / "hello.ulaw").write_bytes(CONTENT[::-1])
    (tmp_path / "secret.ulaw").write_bytes(CONTENT)
    with media("--provisioned", str(folder)) as (_, peer):
        peer.ask_options()
        for play, locale, heard in (("hello", "", CONTENT), ("hello", "de_AT", CONTENT[::-1])):
            peer.packets.clear()
            peer.events.clear()
            peer.call(f"/provisioned/{play}", locale=locale)
            peer.run(lambda: any(isinstance(event, ByeReceived) for event in peer.events))
            assert b"".join(packet.payload for packet in peer.packets) == heard
        for play in ("nobody", "../secret", "..%2Fsecret"):
            peer.events.clear()
            peer.call(f"/provisioned/{play}")
            peer.run(lambda: any(isinstance(event, CallRefused) for event in peer.events))
            (refused,) = (event.response for event in peer.events if isinstance(event, CallRefused))
            assert refused is not None
            assert (refused.status, refused.reason) == (404, "Announcement content not found")


def test_a_held_call_continues_at_another_address_in_another_codec(media: RunMedia) -> None:
    with (
        mail(CONTENT * 20) as imap,
        media(*imap) as (_, peer),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
    ):
        other.bind(("127.0.0.1", 0))
        peer.ask_options()
        call = peer.call()
        peer.run(lambda: len(peer.packets) > 5)

        def reinvite(port: int, codec: Codec, direction: Direction, version: int) -> None:
            offer = make_offer("127.0.0.1", port, [codec], direction=direction, version=version)
            peer.ua.reinvite(call, bytes(offer), now=time.monotonic())
            peer.run(lambda: isinstance(peer.events[-1], ReinviteAnswered))
            answered = peer.events.pop()
            assert isinstance(answered, ReinviteAnswered)
            assert answered.response is not None
            assert answered.response.status == 200

        reinvite(peer.rtp.getsockname()[1], PCMU, Direction.INACTIVE, 2)
        # All packets that were sent have come if none comes for three packet times.
        peer.run(lambda: not select.select([peer.rtp], [], [], 0.06)[0])
        held = len(peer.packets)
        reinvite(other.getsockname()[1], PCMA, Direction.RECVONLY, 3)
        until(lambda: bool(select.select([other], [], [], 1)[0]))
        first = RtpPacket.parse(other.recv(65536))
        last = peer.packets[-1]
        assert len(peer.packets) == held
        assert (first.payload_type, first.ssrc, first.marker) == (8, last.ssrc, True)
        assert first.sequence == (last.sequence + 1) & 0xFFFF
        # The playing was paused on hold.
        place = 160 * held % len(CONTENT)
        assert first.payload == EncodedMedia("PCMU", (CONTENT * 2)[place : place + 160], "").to("PCMA").octets
