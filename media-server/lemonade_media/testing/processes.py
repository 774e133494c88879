"""Helpers for tests of the real `lemonade-media` on loopback: the program, IMAP servers, and callers with sockets."""

from __future__ import annotations

import itertools
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol

from lemonade_wire.address import Address
from lemonade_wire.rtp.packet import RtpPacket
from lemonade_wire.sdp.codec import PCMU
from lemonade_wire.sdp.offer import make_offer
from lemonade_wire.sip.event import Event, SendDatagram
from lemonade_wire.sip.netann import AnnouncementUri
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.sip.ua import UserAgent

COMMAND = [sys.executable, "-c", "from lemonade_media.cli import main; main()"]
NUMBERS = itertools.count(2)
TOKEN = "0a" * 32
URL = f"imap://joe@imap.example.com/INBOX/;UID=20/;SECTION=2;URLAUTH=anonymous:INTERNAL:{TOKEN}"
CONTENT = bytes(range(160, 320 - 64)) * 40  # 3840 octets: 24 packets, 0.48 s
OPTIONS = (
    "OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{number};rport\r\nMax-Forwards: 70\r\n"
    "From: <sip:probe@example.com>;tag=1\r\nTo: <sip:127.0.0.1>\r\nCall-ID: {number}@probe\r\nCSeq: 1 OPTIONS\r\n"
    "Content-Length: 0\r\n\r\n"
)


def own_address() -> str:
    """Return a loopback address that no other test uses, whichever process it runs in."""
    return f"127.{20 + os.getpid() % 200}.{os.getpid() // 200 % 250}.{next(NUMBERS)}"


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
        self.withheld: tuple[bytes, ...] = ()
        """Messages that begin with one of these are not sent."""

    def ask_options(self, seconds: float = 10) -> bytes:
        """Send OPTIONS until an answer comes."""
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
        """Exchange SIP messages until `done()` is true."""
        deadline = time.monotonic() + seconds
        while not done():
            now = time.monotonic()
            assert now < deadline, f"too late; {self.events}"
            for output in self.ua.outputs():
                if isinstance(output, SendDatagram) and not output.data.startswith(self.withheld):
                    self.sip.sendto(output.data, self.server)
            self.events += self.ua.events()
            waiting = select.select([self.sip, self.rtp], [], [], 0.02)[0]
            # after a BYE, the packets that came before it are still read
            for ready in [self.rtp] if self.rtp in waiting else waiting:
                data = ready.recv(65536)
                if ready is self.rtp:
                    self.packets.append(RtpPacket.parse(data))
                else:
                    self.ua.datagram_received(data, Address(*self.server), time.monotonic())
            self.ua.handle_timer(time.monotonic())

    def had(self, count: int, kind: type[Event]) -> bool:
        """Tell whether so many events of this class have come."""
        return sum(isinstance(event, kind) for event in self.events) == count

    def call(self, play: str = URL, *, locale: str = "", rtp: socket.socket | None = None) -> str:
        """Send an INVITE that asks for an announcement; returns the identifier of the call."""
        offer = make_offer("127.0.0.1", (rtp or self.rtp).getsockname()[1], [PCMU])
        return self.ua.invite(
            AnnouncementUri(play, locale=locale).uri(*self.server),
            next_hop=Address(*self.server),
            now=time.monotonic(),
            body=bytes(offer),
        )

    def close(self) -> None:
        """Close both sockets."""
        self.sip.close()
        self.rtp.close()


def serve_mail(listener: socket.socket, content: bytes | None, asked: threading.Event) -> None:
    """Serve IMAP to one connection after the other; without content, URLFETCH is never answered."""
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


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait until a condition holds; raises AssertionError where it does not in so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "too late"
        time.sleep(0.005)


@contextmanager
def mail(content: bytes | None, asked: threading.Event | None = None) -> Iterator[list[str]]:
    """Run an IMAP server with this content within the context; yields the media server's options for it.

    Without content it answers no URLFETCH, and sets `asked` when one has come.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        arguments = (listener, content, asked or threading.Event())
        threading.Thread(target=serve_mail, args=arguments, daemon=True).start()
        port = listener.getsockname()[1]
        yield ["--allow-imap", "imap.example.com", "--resolve", f"imap.example.com=127.0.0.1:{port}"]
        listener.shutdown(socket.SHUT_RDWR)


class RunMedia(Protocol):
    """A function that runs a media server with these options, and a caller, within a context."""

    def __call__(self, *options: str) -> AbstractContextManager[tuple[subprocess.Popen[bytes], Peer]]:
        """Return the context, which yields the process and the caller."""


@contextmanager
def run_media(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], Peer]]:
    """Run a media server with these options, and a caller; its `media.log` and `trace.jsonl` are in `folder`."""
    host = own_address()
    where = ["--listen", f"{host}:5060", "--rtp-ports", "23100-23399", "--trace", str(folder / "trace.jsonl")]
    command = [*COMMAND, *where, *options]
    with (folder / "media.log").open("wb") as log, subprocess.Popen(command, stderr=log) as running:
        peer = Peer(host)
        try:
            yield running, peer
        finally:
            peer.close()
            if running.poll() is None:
                running.kill()
