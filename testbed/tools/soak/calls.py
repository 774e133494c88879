"""Calls: announcements that are fetched by IMAP, each with a re-INVITE and a BYE, many side by side."""

from __future__ import annotations

import select
import socket
import time
from dataclasses import dataclass

from lemonade_wire.address import Address
from lemonade_wire.sdp.codec import PCMU
from lemonade_wire.sdp.offer import make_offer
from lemonade_wire.sip.event import CallAnswered, CallEnded, CallRefused, Event, ReinviteAnswered, SendDatagram
from lemonade_wire.sip.netann import AnnouncementUri
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.sip.ua import UserAgent

HOST = "127.0.0.1"
_READ = 65536


@dataclass
class CallCounts:
    """How many calls ended, and how many of them by a failure; `reinvites` counts those that were accepted."""

    ended: int = 0
    reinvites: int = 0
    failed: int = 0


class Caller:
    """A SIP user agent that keeps up to `most` calls at a time, and hangs up after the re-INVITE is answered.

    RTP goes to a socket that is not read: the octets that its buffer does not take are lost.
    """

    def __init__(self, server: Address, most: int) -> None:
        self._server = server
        self._most = most
        self._sip = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for one in (self._sip, self._rtp):
            one.bind((HOST, 0))
        self._agent = UserAgent(UaSettings(Address(*self._sip.getsockname())))
        self._calls: set[str] = set()
        self.counts = CallCounts()

    @property
    def active(self) -> int:
        """The number of calls that are not over."""
        return len(self._calls)

    def call(self, ticket: str) -> None:
        """Begin a call that plays a ticket without end, unless there are `most` calls already."""
        if len(self._calls) < self._most:
            uri = AnnouncementUri(ticket, repeat=None).uri(*self._server)
            now = time.monotonic()
            self._calls.add(self._agent.invite(uri, next_hop=self._server, now=now, body=self._offer(1)))

    def step(self, seconds: float) -> None:
        """Exchange messages for at most so many seconds, until one has come."""
        now = time.monotonic()
        self._agent.handle_timer(now)
        for event in self._agent.events():
            self._take(event, now)
        for output in self._agent.outputs():
            if isinstance(output, SendDatagram):
                self._sip.sendto(output.data, output.destination)
        if select.select([self._sip], [], [], seconds)[0]:
            data, source = self._sip.recvfrom(_READ)
            self._agent.datagram_received(data, Address(*source), time.monotonic())

    def close(self) -> None:
        """Close both sockets."""
        self._sip.close()
        self._rtp.close()

    def _take(self, event: Event, now: float) -> None:
        match event:
            case CallAnswered(call=call):
                self._agent.reinvite(call, self._offer(2), now=now)
            case ReinviteAnswered(call=call, response=response):
                accepted = response is not None and response.status == 200
                self.counts.reinvites += accepted
                self.counts.failed += not accepted
                self._agent.bye(call, now=now)
            case CallRefused(call=call):
                self.counts.failed += 1
                self._over(call)
            case CallEnded(call=call):
                self._over(call)
            case _:
                pass

    def _over(self, call: str) -> None:
        self._calls.discard(call)
        self.counts.ended += 1

    def _offer(self, version: int) -> bytes:
        return bytes(make_offer(HOST, self._rtp.getsockname()[1], [PCMU], version=version))
