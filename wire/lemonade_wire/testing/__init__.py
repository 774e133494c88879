"""A network in memory for two SIP user agents, for tests: it has a simulated clock and configurable losses.

net = Net(loses=lambda datagram: datagram.startswith(b"ACK"))
mine, theirs = net.call()
net.media.accept(theirs, ANSWER, now=net.now)
net.run(net.now + 3)
"""

from __future__ import annotations

import random
from collections.abc import Callable

from lemonade_wire.address import Address
from lemonade_wire.sip.event import CloseStream, Event, InviteReceived, OpenStream, SendDatagram, SendStream
from lemonade_wire.sip.message.message import SipRequest, SipResponse, parse_datagram
from lemonade_wire.sip.message.uri import SipUri
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.sip.ua import UserAgent

CLIENT = Address("127.0.0.3", 5060)
MEDIA = Address("127.0.0.2", 5060)
URI = SipUri.parse("sip:annc@media.example.net;play=imap://h/%2523")
OFFER = b"v=0\r\no=offer\r\n"
ANSWER = b"v=0\r\no=answer\r\n"


def accept_stream(ua: UserAgent, source: Address, now: float) -> int:
    """Return the id of an incoming TCP connection, which the user agent must accept."""
    stream = ua.stream_accepted(source, now)
    assert stream is not None
    return stream


class Net:
    """A network of two user agents with a simulated clock.

    It delivers messages without delay, and drops those for which `loses` returns true, of streams too. With `tcp=False`
    TCP connections are refused. `now` is in seconds.
    """

    def __init__(self, *, tcp: bool = True, loses: Callable[[bytes], bool] = lambda _: False) -> None:
        self.client = UserAgent(UaSettings(CLIENT, contact_user="joe"), random.Random(1))
        self.media = UserAgent(UaSettings(MEDIA, accept=("application/sdp", "text/x")), random.Random(2))
        self.now = 0.0
        self.tcp = tcp
        self.loses = loses
        self.sent: list[tuple[str, bytes]] = []
        self.happened: dict[str, list[Event]] = {"client": [], "media": []}
        self.ends: dict[tuple[str, int], tuple[str, int]] = {}

    def ua(self, name: str) -> UserAgent:
        """Return the user agent with this name: `client` or `media`."""
        return self.client if name == "client" else self.media

    def settle(self) -> None:
        """Deliver messages until there are no more, without a change of the time."""
        moved = True
        while moved:
            moved = False
            for name, other, source in (("client", "media", CLIENT), ("media", "client", MEDIA)):
                for output in self.ua(name).outputs():
                    moved = True
                    self._carry(name, other, source, output)
                self.happened[name] += self.ua(name).events()

    def _carry(self, name: str, other: str, source: Address, output: object) -> None:
        if isinstance(output, SendDatagram | SendStream):
            self.sent.append((name, output.data))
        if isinstance(output, SendDatagram):
            if not self.loses(output.data):
                self.ua(other).datagram_received(output.data, source, self.now)
        elif isinstance(output, OpenStream):
            if not self.tcp:
                self.ua(name).stream_failed(output.stream, self.now)
                return
            far = accept_stream(self.ua(other), Address(source.host, 40000), self.now)
            self.ends[name, output.stream], self.ends[other, far] = (other, far), (name, output.stream)
            self.ua(name).stream_opened(output.stream, self.now)
        elif isinstance(output, SendStream | CloseStream) and (name, output.stream) not in self.ends:
            return  # a stream that only one side knows
        elif isinstance(output, SendStream) and not self.loses(output.data):
            far_name, far = self.ends[name, output.stream]
            for octet in range(0, len(output.data), 700):
                self.ua(far_name).stream_received(far, output.data[octet : octet + 700], self.now)
        elif isinstance(output, CloseStream):
            far_name, far = self.ends[name, output.stream]
            self.ua(far_name).stream_lost(far, self.now)

    def run(self, until: float) -> None:
        """Advance the clock to `until`, from one timer to the next."""
        self.settle()
        while True:
            times = [at for ua in (self.client, self.media) if (at := ua.next_timer()) is not None]
            if not times or min(times) > until:
                break
            self.now = max(self.now, min(times))
            self.client.handle_timer(self.now)
            self.media.handle_timer(self.now)
            self.settle()
        self.now = until

    def last(self, name: str, kind: type[Event]) -> Event:
        """Return the last event of this class that this user agent had; raises StopIteration if there is none."""
        return next(event for event in reversed(self.happened[name]) if isinstance(event, kind))

    def kinds(self, name: str) -> list[str]:
        """Return the names of the classes of all events that this user agent had."""
        return [type(event).__name__ for event in self.happened[name]]

    def lines(self) -> list[str]:
        """Return the messages that were sent: the sender, and the method or status."""
        return [f"{name} {self.what(data)}" for name, data in self.sent]

    def call(self, body: bytes = OFFER) -> tuple[str, str]:
        """Send an INVITE; returns the identifiers of the call on the client's and on the media server's side."""
        mine = self.client.invite(URI, next_hop=MEDIA, now=self.now, body=body)
        self.run(self.now + 3)
        theirs = self.last("media", InviteReceived)
        assert isinstance(theirs, InviteReceived)
        return mine, theirs.call

    def talk(self) -> tuple[str, str]:
        """Set up a call, including its ACK; returns its identifiers on both sides."""
        mine, theirs = self.call()
        self.media.accept(theirs, ANSWER, now=self.now)
        self.run(self.now + 3)
        return mine, theirs

    @staticmethod
    def what(data: bytes) -> str:
        """Return the method of a request, or the status and the method of a response."""
        message = parse_datagram(data)
        return message.method if isinstance(message, SipRequest) else f"{message.status} {message.cseq.method}"


def sent_messages(ua: UserAgent) -> list[SipRequest | SipResponse]:
    """Return the messages that a user agent has sent by UDP since the last look, without 100."""
    found = [parse_datagram(output.data) for output in ua.outputs() if isinstance(output, SendDatagram)]
    return [message for message in found if not isinstance(message, SipResponse) or message.status != 100]
