"""The real `lemonade-media` on loopback: ready by OPTIONS, plays a call, hangs up, ends on SIGTERM, leaves nothing."""

from __future__ import annotations

import itertools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from lemonade_media.decode import EncodedMedia
from lemonade_wire.address import Address
from lemonade_wire.rtp.packet import RtpPacket
from lemonade_wire.sdp.codec import PCMA, PCMU, Codec
from lemonade_wire.sdp.description import Direction
from lemonade_wire.sdp.offer import make_offer
from lemonade_wire.sip.event import (
    ByeReceived,
    CallAnswered,
    CallRefused,
    Event,
    ReinviteAnswered,
    SendDatagram,
)
from lemonade_wire.sip.netann import AnnouncementUri
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.sip.ua import UserAgent

COMMAND = [sys.executable, "-c", "from lemonade_media.cli import main; main()"]
NUMBERS = itertools.count(2)
TOKEN = "0a" * 32
URL = f"imap://joe@imap.example.com/INBOX/;UID=20/;SECTION=2;URLAUTH=anonymous:INTERNAL:{TOKEN}"
LEADS_TO = "--allow-imap imap.example.com --resolve imap.example.com=127.0.0.1:{}"
CONTENT = bytes(range(160, 320 - 64)) * 40  # 3840 octets: 24 packets, 0.48 s
OPTIONS = (
    "OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{number};rport\r\nMax-Forwards: 70\r\n"
    "From: <sip:probe@example.com>;tag=1\r\nTo: <sip:127.0.0.1>\r\nCall-ID: {number}@probe\r\nCSeq: 1 OPTIONS\r\n"
    "Content-Length: 0\r\n\r\n"
)


def own_address() -> str:
    """Return a loopback address that no other test uses, whichever process it runs in."""
    return f"127.{20 + os.getpid() % 200}.{os.getpid() // 200 % 250}.{next(NUMBERS)}"


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "too late"
        time.sleep(0.005)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Peer:
    """A caller's SIP and RTP sockets."""

    def __init__(self, server: str) -> None:
        self.server = (server, 5060)
        self.sip = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sip.bind(("127.0.0.1", 0))
        self.rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.rtp.bind(("127.0.0.1", 0))
        self.address = Address(*self.sip.getsockname())
        self.ua = UserAgent(UaSettings(self.address))
        self.events: list[Event] = []
        self.packets: list[RtpPacket] = []

    def ask_options(self, seconds: float = 10) -> bytes:
        """Send OPTIONS until there is an answer."""
        deadline = time.monotonic() + seconds
        for number in range(1000):
            self.sip.sendto(OPTIONS.format(here=self.address, number=number).encode(), self.server)
            if select.select([self.sip], [], [], 0.1)[0]:
                try:
                    return self.sip.recv(65536)
                except ConnectionError:
                    time.sleep(0.05)
            assert time.monotonic() < deadline, "no answer to OPTIONS"
        raise AssertionError

    def run(self, done: Callable[[], bool], seconds: float = 10) -> None:
        """Move messages until `done`."""
        deadline = time.monotonic() + seconds
        while not done():
            now = time.monotonic()
            assert now < deadline, f"too late; {self.events}"
            for output in self.ua.outputs():
                if isinstance(output, SendDatagram):
                    self.sip.sendto(output.data, self.server)
            self.events += self.ua.events()
            waiting = select.select([self.sip, self.rtp], [], [], 0.02)[0]
            # a BYE is no reason to leave packets that came before it unread
            for ready in [self.rtp] if self.rtp in waiting else waiting:
                data = ready.recv(65536)
                if ready is self.rtp:
                    self.packets.append(RtpPacket.parse(data))
                else:
                    self.ua.datagram_received(data, Address(*self.server), time.monotonic())
            self.ua.handle_timer(time.monotonic())

    def call(self, play: str = URL, *, locale: str = "", rtp: socket.socket | None = None) -> str:
        offer = make_offer("127.0.0.1", (rtp or self.rtp).getsockname()[1], [PCMU])
        return self.ua.invite(
            AnnouncementUri(play, locale=locale).uri(*self.server),
            next_hop=Address(*self.server),
            now=time.monotonic(),
            body=bytes(offer),
        )

    def close(self) -> None:
        self.sip.close()
        self.rtp.close()


def serve_mail(listener: socket.socket, content: bytes | None, asked: threading.Event) -> None:
    """Be an IMAP server for one connection after the other; without content, one that never answers URLFETCH."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection, connection.makefile("rb") as lines:
            connection.sendall(b"* OK [CAPABILITY IMAP4rev1 AUTH=ANONYMOUS SASL-IR] ready\r\n")
            for line in lines:
                tag, name = line.split()[:2]
                if name == b"AUTHENTICATE":
                    connection.sendall(tag + b" OK [CAPABILITY IMAP4rev1 URLAUTH=BINARY] in\r\n")
                elif name == b"URLFETCH" and content is None:
                    asked.set()
                    with suppress(ConnectionError):
                        lines.read()
                    asked.clear()
                    break
                elif name == b"URLFETCH" and content is not None:
                    structure = b'(BODYPARTSTRUCTURE ("AUDIO" "BASIC" NIL NIL NIL "BINARY" 3840))'
                    binary = b" (BINARY ~{%d}\r\n" % len(content) + content + b")\r\n"
                    connection.sendall(b'* URLFETCH "' + URL.encode() + b'" ' + structure + binary + tag + b" OK x\r\n")
                else:
                    connection.sendall(b"* BYE\r\n" + tag + b" OK bye\r\n")


@contextmanager
def mail(content: bytes | None, asked: threading.Event | None = None) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        arguments = (listener, content, asked or threading.Event())
        threading.Thread(target=serve_mail, args=arguments, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@contextmanager
def media(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], Peer]]:
    host = own_address()
    where = ["--listen", f"{host}:5060", "--rtp-ports", "23100-23399", "--trace", str(folder / "trace.jsonl")]
    with (folder / "media.log").open("wb") as log, subprocess.Popen([*COMMAND, *where, *options], stderr=log) as run:
        peer = Peer(host)
        try:
            yield run, peer
        finally:
            peer.close()
            if run.poll() is None:
                run.kill()


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_answers_options_and_ends_on_sigterm_with_its_sender(tmp_path: Path) -> None:
    with media(tmp_path) as (run, peer):
        answer = peer.ask_options()
        assert answer.startswith(b"SIP/2.0 200 ")
        assert b"application/mediaservercontrol+xml" in answer
        senders = children(run.pid)
        assert senders, "the RTP sender is a process of its own"
        for octets in (b"", b"\0" * 50, b"INVITE", b"SIP/2.0 200 OK\r\n\r\n", b"\xff" * 2000):
            peer.sip.sendto(octets, peer.server)
        assert peer.ask_options().startswith(b"SIP/2.0 ")
        run.send_signal(signal.SIGTERM)
        assert run.wait(10) == 0
        until(lambda: not any(alive(sender) for sender in senders))
    log = (tmp_path / "media.log").read_text()
    assert "Traceback" not in log
    states = [json.loads(line) for line in (tmp_path / "trace.jsonl").read_text().splitlines()]
    assert [event["state"] for event in states if event["event"] == "node"] == [
        "started",
        "ready",
        "stopping",
        "stopped",
    ]


def test_announcement_plays_octet_by_octet_and_ends_in_bye(tmp_path: Path) -> None:
    with (
        mail(CONTENT) as imap,
        media(tmp_path, "--allow-imap", "imap.example.com", "--resolve", f"imap.example.com=127.0.0.1:{imap}") as (
            run,
            peer,
        ),
    ):
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


def test_a_hundred_announcements_at_once_are_all_whole(tmp_path: Path) -> None:
    resolve = "imap.example.com=127.0.0.1:{}"
    with ExitStack() as stack:
        imap = stack.enter_context(mail(CONTENT))
        options = ("--allow-imap", "imap.example.com", "--resolve", resolve.format(imap))
        _, peer = stack.enter_context(media(tmp_path, *options))
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


def test_cancel_ends_the_fetch(tmp_path: Path) -> None:
    asked = threading.Event()
    with (
        mail(None, asked) as imap,
        media(tmp_path, "--allow-imap", "imap.example.com", "--resolve", f"imap.example.com=127.0.0.1:{imap}") as (
            _,
            peer,
        ),
    ):
        peer.ask_options()
        call = peer.call()
        peer.run(asked.is_set)
        peer.ua.cancel(call, now=time.monotonic())
        peer.run(lambda: any(isinstance(event, CallRefused) for event in peer.events))
        refused = next(event for event in peer.events if isinstance(event, CallRefused))
        assert refused.response is not None
        assert refused.response.status == 487
        until(lambda: not asked.is_set())


def test_provisioned_content_needs_no_imap_server(tmp_path: Path) -> None:
    folder = tmp_path / "provisioned"
    (folder / "de").mkdir(parents=True)
    (folder / "hello.ulaw").write_bytes(CONTENT)
    (folder / "de" / "hello.ulaw").write_bytes(CONTENT[::-1])
    (tmp_path / "secret.ulaw").write_bytes(CONTENT)
    with media(tmp_path, "--provisioned", str(folder)) as (_, peer):
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


def test_a_kept_connection_serves_the_next_call_and_is_left_on_sigterm(tmp_path: Path) -> None:
    with mail(CONTENT) as imap:
        options = ("--allow-imap", "imap.example.com", "--resolve", f"imap.example.com=127.0.0.1:{imap}")
        with media(tmp_path, *options, "--imap-idle", "60") as (run, peer):
            peer.ask_options()
            for number in (1, 2):
                peer.call()
                peer.run(lambda n=number: sum(isinstance(event, ByeReceived) for event in peer.events) == n)
            run.send_signal(signal.SIGTERM)
            assert run.wait(10) == 0
    traced = [json.loads(line) for line in (tmp_path / "trace.jsonl").read_text().splitlines()]
    said = [event["text"].split()[1] for event in traced if event["event"] == "imap" and event["way"] == "sent"]
    assert said == ["AUTHENTICATE", "URLFETCH", "URLFETCH", "LOGOUT"]


def test_a_call_is_held_and_goes_on_elsewhere_in_another_codec(tmp_path: Path) -> None:
    with (
        mail(CONTENT * 20) as imap,
        media(tmp_path, *LEADS_TO.format(imap).split()) as (_, peer),
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
        # What was on its way has come when nothing comes for three packet times.
        peer.run(lambda: not select.select([peer.rtp], [], [], 0.06)[0])
        held = len(peer.packets)
        reinvite(other.getsockname()[1], PCMA, Direction.RECVONLY, 3)
        until(lambda: bool(select.select([other], [], [], 1)[0]))
        first = RtpPacket.parse(other.recv(65536))
        last = peer.packets[-1]
        assert len(peer.packets) == held
        assert (first.payload_type, first.ssrc, first.marker) == (8, last.ssrc, True)
        assert first.sequence == (last.sequence + 1) & 0xFFFF
        # The content stood still while it was on hold.
        place = 160 * held % len(CONTENT)
        assert first.payload == EncodedMedia("PCMU", (CONTENT * 2)[place : place + 160], "").to("PCMA").octets


def ending(folder: Path) -> tuple[float, list[dict[str, Any]]]:
    """Return how many seconds a server's end took, and what it traced meanwhile."""
    traced = [json.loads(line) for line in (folder / "trace.jsonl").read_text().splitlines()]
    states = {event["state"]: index for index, event in enumerate(traced) if event["event"] == "node"}
    last = traced[states["stopping"] : states["stopped"] + 1]
    return last[-1]["t"] - last[0]["t"], last


@pytest.mark.parametrize("answers", [True, False])
def test_sigterm_hangs_up_every_call_and_logs_out_within_two_seconds(tmp_path: Path, answers: bool) -> None:
    """A caller that answers nothing any more is not waited for."""
    with (
        mail(CONTENT * 100) as imap,
        media(tmp_path, *LEADS_TO.format(imap).split(), "--imap-idle", "30") as (run, peer),
    ):
        peer.ask_options()
        for number in range(1, 11):
            peer.call()
            peer.run(lambda up=number: sum(isinstance(event, CallAnswered) for event in peer.events) == up)
        peer.run(lambda: len(peer.packets) > 3)
        senders = children(run.pid)
        run.send_signal(signal.SIGTERM)
        if answers:
            peer.run(lambda: sum(isinstance(event, ByeReceived) for event in peer.events) == 10)
            peer.run(lambda: run.poll() is not None)
        assert run.wait(10) == 0
        assert not any(alive(sender) for sender in senders)
    seconds, traced = ending(tmp_path)
    assert seconds < 2
    byes = [event for event in traced if event["event"] == "sip" and event["text"].startswith("BYE ")]
    assert len({event["text"].partition("Call-ID: ")[2].partition("\r\n")[0] for event in byes}) == 10
    assert any(event["event"] == "imap" and "LOGOUT" in json.dumps(event) for event in traced)
    assert "Traceback" not in (tmp_path / "media.log").read_text()


def test_killed_server_takes_its_sender_with_it(tmp_path: Path) -> None:
    with media(tmp_path) as (run, peer):
        peer.ask_options()
        senders = children(run.pid)
        assert senders
        run.kill()
        run.wait(5)
        until(lambda: not any(alive(sender) for sender in senders), 5)


def test_taken_port_is_told_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = subprocess.run(
            [*COMMAND, "--listen", address, "--rtp-ports", "23100-23199"], capture_output=True, text=True, check=False
        )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert address.rpartition(":")[2] in done.stderr
