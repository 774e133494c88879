"""Ten thousand calls leave no memory in use: user agent and media server in memory, with hand-written octets."""

from __future__ import annotations

import gc
import random
import sys
from dataclasses import replace

from lemonade_media.calls.core import ACCEPTED, MediaServer
from lemonade_media.config import Limits
from lemonade_media.decoding.decode import EncodedMedia
from lemonade_media.model.commands import Command, OpenMedia, PlayMedia, StartFetch
from lemonade_media.testing import CALLER, CONFIG, SERVER
from lemonade_wire.sdp.codec import PCMU
from lemonade_wire.sdp.offer import make_offer
from lemonade_wire.sip.event import SendDatagram
from lemonade_wire.sip.netann import AnnouncementUri
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.sip.ua import UserAgent
from lemonade_wire.sip.ua.session_timer import TIMER

URL = "imap://joe@imap.example.com/INBOX;UIDVALIDITY=9/;UID=20/;SECTION=2;URLAUTH=anonymous:INTERNAL:" + "0a" * 32
ANNC = str(AnnouncementUri(URL).uri("192.0.2.2"))
OFFER = bytes(make_offer("192.0.2.3", 20000, [PCMU])).decode()
OTHER = OFFER.replace("a=recvonly", "a=inactive")
MEDIA = EncodedMedia("PCMU", bytes(160), "media")
HEAD = (
    "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.3;branch=z9hG4bK{branch}\r\nFrom: <sip:a@192.0.2.3>;tag=1\r\n"
    "To: <sip:media.example.net>{tag}\r\nCall-ID: {call}\r\nCSeq: {number} {method}\r\nContact: <sip:a@192.0.2.3>\r\n"
)


class Calls:
    """Makes calls of every kind, one after the other."""

    def __init__(self) -> None:
        settings = UaSettings(SERVER, accept=ACCEPTED, supported=(TIMER,))
        self.ua = UserAgent(settings, random.Random(2))
        config = replace(CONFIG, limits=Limits(calls_per_minute=100))
        self.server = MediaServer(self.ua, config, SERVER.host)
        self.now = 0.0
        self.number = 0
        self.tag = ""
        self.done: list[Command] = []

    def next(self) -> None:
        """Make one call: answered, played, changed, cancelled or refused."""
        self.number += 1
        kind = self.number % 5
        uri = "sip:nobody@192.0.2.2" if kind == 4 else "sip:ivr@192.0.2.2"
        if kind in {2, 3}:
            uri = ANNC
        self.tag = ""
        answer = self.give("INVITE", uri, 1, OFFER)
        if kind == 2:
            self.give("CANCEL", uri, 1, branch="INVITE1")
            return
        if kind == 4:
            self.give("ACK", uri, 1, branch="INVITE1")
            return
        if kind == 3:
            fetch = next(command for command in self.done if isinstance(command, StartFetch))
            self.server.fetched(fetch.job, MEDIA, self.now)
            answer = self.settle()
        self.tag = ";tag=" + answer.partition("To: ")[2].partition("tag=")[2].partition("\r\n")[0]
        self.give("ACK", uri, 1)
        if kind == 1:
            self.give("INVITE", uri, 2, OTHER)
            self.give("ACK", uri, 2)
        if kind == 3:
            play = next(command for command in self.done if isinstance(command, PlayMedia))
            self.server.playing_ended(play.call, 20, 20, self.now)
            bye = self.settle().partition("\r\nReason")[0].partition("\r\n")[2]
            self.receive(f"SIP/2.0 200 OK\r\n{bye}\r\nContent-Length: 0\r\n\r\n")
        else:
            self.give("BYE", uri, 3)

    def give(self, method: str, uri: str, number: int, body: str = "", *, branch: str = "") -> str:
        head = HEAD.format(
            method=method,
            uri=uri,
            branch=f"{branch or f'{method}{number}'}x{self.number}",
            tag=self.tag,
            call=self.number,
            number=number,
        )
        kind = "Content-Type: application/sdp\r\n" if body else ""
        return self.receive(f"{head}{kind}Content-Length: {len(body)}\r\n\r\n{body}")

    def receive(self, text: str) -> str:
        self.ua.datagram_received(text.encode(), CALLER, self.now)
        return self.settle()

    def settle(self) -> str:
        """Carry out the commands; returns the last message that was sent."""
        self.done.clear()
        while (events := self.ua.events()) or (commands := self.server.commands()):
            for event in events:
                self.server.sip_event(event, self.now)
            for command in commands if not events else ():
                self.done.append(command)
                if isinstance(command, OpenMedia):
                    self.server.media_opened(command.call, 16384, self.now)
        sent = [output.data for output in self.ua.outputs() if isinstance(output, SendDatagram)]
        return sent[-1].decode() if sent else ""

    def run(self, calls: int) -> None:
        """Make so many calls, one a second, and wait until the last transaction is over."""
        for _ in range(calls):
            self.next()
            self.wait(1)
        self.wait(70)
        assert self.server.idle
        self.done.clear()
        gc.collect()

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while (at := self.ua.next_timer()) is not None and at <= end:
            self.now = max(self.now, at)
            self.ua.handle_timer(self.now)
            self.settle()
        self.now = end


def held() -> tuple[int, int]:
    """Return the number of objects that can hold others, and their octets, which show one more reference as well."""
    objects = gc.get_objects()
    return len(objects), sum(map(sys.getsizeof, objects))


def test_ten_thousand_calls_leave_nothing_behind() -> None:
    calls = Calls()
    calls.run(500)
    assert calls.ua.next_timer() is None
    objects, octets = held()
    calls.run(10_000)
    now_objects, now_octets = held()
    assert calls.number == 10_500
    # One object, or one reference of eight octets, kept of every fifth call would be 2,000 and 16,000.
    assert now_objects - objects < 200
    assert now_octets - octets < 16_000
