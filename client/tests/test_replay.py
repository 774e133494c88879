"""Replays of both diagrams of the draft in memory: the runner with a real user agent, against another real user agent.

There is no socket and no sleep: the test carries the datagrams, and moves the time to the next timer when none is left.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from lemonade_client.faults.agents import AckToRecord, SilentAgent
from lemonade_client.testing.bench import TICKET_STEPS, Bench
from lemonade_wire.address import Address, Resolver
from lemonade_wire.mscml.document import parse_document, write_document
from lemonade_wire.mscml.messages import MscmlResponse, PlayCollectRequest
from lemonade_wire.sip.event import CallConfirmed, Event, InfoReceived, InviteReceived, SendDatagram
from lemonade_wire.sip.message import SipRequest, parse_datagram
from lemonade_wire.sip.netann import service_of
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.sip.ua import UserAgent
from lemonade_wire.sip.ua.dialog import Dialog

CLIENT, SERVER = Address("127.0.0.3", 5060), Address("127.0.0.2", 5060)
SDP = b"v=0\r\no=- 1 1 IN IP4 127.0.0.2\r\ns=-\r\nc=IN IP4 127.0.0.2\r\nt=0 0\r\nm=audio 16384 RTP/AVP 0\r\n"
LENGTH = 12.0


class World:
    """Two user agents, the datagrams between them, and a time that moves from timer to timer."""

    def __init__(
        self,
        run: Bench,
        *,
        lossy: bool = False,
        agent: type[UserAgent] = UserAgent,
        dialog: type[Dialog] = Dialog,
    ) -> None:
        resolver = Resolver.parse([f"media.example.net={SERVER}"])
        rng = random.Random(7)
        self.client = agent(UaSettings(CLIENT, contact_user="joe", resolver=resolver), rng, dialog)
        self.server = UserAgent(UaSettings(SERVER, udp_limit=60000), random.Random(8))
        self.run = run
        run.session.phone = self.client
        self.lossy = lossy
        self.carried: list[str] = []
        self.requests: list[SipRequest] = []
        self._seen: set[bytes] = set()
        self._due: list[tuple[float, Callable[[], None]]] = []
        self.service = ""

    def play(self) -> World:
        """Run the script to its end."""
        self.run.start()
        for _ in range(2000):
            if not self._carry():
                if self.run.runner.finished:
                    return self
                self._jump()
        raise AssertionError(f"no end: {self.carried[-10:]}, {self.run.reports[-1]}")

    def _carry(self) -> bool:
        moved = False
        for sender, source, receiver in ((self.client, CLIENT, self.server), (self.server, SERVER, self.client)):
            for output in sender.outputs():
                if isinstance(output, SendDatagram):
                    moved = True
                    self._datagram(output.data, source, receiver)
        for event in self.client.events():
            moved = True
            self.run.sip(event)
        for event in self.server.events():
            moved = True
            self._serve(event)
        return moved

    def _datagram(self, data: bytes, source: Address, receiver: UserAgent) -> None:
        first = data not in self._seen
        self._seen.add(data)
        if self.lossy and first:
            return
        message = parse_datagram(data)
        if isinstance(message, SipRequest):
            self.requests.append(message)
        what = message.method if isinstance(message, SipRequest) else f"{message.status} {message.cseq.method}"
        self.carried.append(f"{'>' if source == CLIENT else '<'} {what}")
        receiver.datagram_received(data, source, self.run.now)

    def _jump(self) -> None:
        timers = [self.client.next_timer(), self.server.next_timer(), self.run.runner.next_timer()]
        times = [at for at in timers if at is not None] + [at for at, _ in self._due]
        self.run.now = max(self.run.now, min(times))
        self.client.handle_timer(self.run.now)
        self.server.handle_timer(self.run.now)
        due = [act for at, act in self._due if at <= self.run.now]
        self._due = [(at, act) for at, act in self._due if at > self.run.now]
        for act in due:
            act()
        self.run.at(self.run.now - 100.0)

    # -- the media server, with the answers that the diagrams need ------------------------------------------------

    def _serve(self, event: Event) -> None:
        now = self.run.now
        match event:
            case InviteReceived(call=call, request=request):
                self.service = service_of(request.uri)
                self.server.accept(call, SDP, now=now)
            case CallConfirmed(call=call) if self.service == "annc":
                self._after(LENGTH, lambda: self.server.bye(call, now=self.run.now))
            case InfoReceived(call=call, request=request, transaction=transaction):
                self.server.respond(transaction, 200, now=now)
                if request.content_type == "application/dtmf-relay":
                    return
                asked = parse_document(request.body)
                assert isinstance(asked, PlayCollectRequest)
                self._after(3.5, lambda: self.run.hear(3.0))
                self._after(LENGTH, lambda: self._respond(call, asked.id))

    def _respond(self, call: str, request_id: str | None) -> None:
        done = MscmlResponse(
            "playcollect", id=request_id, reason="timeout", play_duration_ms=8000, play_offset_ms=12000, digits=""
        )
        self.server.info(call, write_document(done), "application/mediaservercontrol+xml", now=self.run.now)

    def _after(self, seconds: float, act: Callable[[], object]) -> None:
        self._due.append((self.run.now + seconds, lambda: (act(), None)[1]))


ANNOUNCE = "  - announce: {offer: [PCMU/8000]}\n  - listen: {until: bye}\n"
IVR = (
    "  - ivr: {offer: [PCMU/8000], skip: 4 s, ff: '6'}\n  - press: {key: '6', after: 3 s}\n"
    "  - listen: {until: response}\n  - hang-up: {}\n"
)


def test_the_announcement_diagram() -> None:
    world = World(Bench(TICKET_STEPS + ANNOUNCE)).play()
    wanted = ["> INVITE", "< 100 INVITE", "< 200 INVITE", "> ACK", "< BYE", "> 200 BYE"]
    assert [one for one in world.carried if one != "< 100 INVITE"] == [one for one in wanted if one != "< 100 INVITE"]
    assert world.run.states == ["1 done", "2 done", "3 done", "4 done"]
    ack = next(one for one in world.requests if one.method == "ACK")
    assert ack.target.startswith("sip:annc@127.0.0.2")


def test_the_ivr_diagram() -> None:
    world = World(Bench(TICKET_STEPS + IVR)).play()
    assert [one for one in world.carried if one != "< 100 INVITE"] == [
        *("> INVITE", "< 200 INVITE", "> ACK"),
        *("> INFO", "< 200 INFO", "> INFO", "< 200 INFO"),
        *("< INFO", "> 200 INFO", "> BYE", "< 200 BYE"),
    ]
    assert world.run.states == [f"{number} done" for number in range(1, 7)]


@pytest.mark.parametrize("steps", [ANNOUNCE, IVR])
def test_both_diagrams_survive_the_loss_of_every_first_copy(steps: str) -> None:
    world = World(Bench(TICKET_STEPS + steps, head="media: 'sip:media.example.net'\nmedia-length: 30\n"), lossy=True)
    world.play()
    assert not world.run.runner.failed, world.run.why


def test_fault_ack_wrong_target() -> None:
    world = World(Bench(TICKET_STEPS + ANNOUNCE), dialog=AckToRecord).play()
    assert {one.target for one in world.requests if one.method == "ACK"} == {"sip:annc@media.example.net"}


def test_fault_no_ack() -> None:
    world = World(Bench(TICKET_STEPS + ANNOUNCE), agent=SilentAgent).play()
    assert "> ACK" not in world.carried
    assert world.carried.count("< 200 INVITE") > 1
    assert world.run.runner.failed
