"""Whole calls in memory: a caller's user agent and the media server back to back, without reactor, socket or sleep.

`Replay` moves SIP octets between the two, answers the core's commands at once (media of any length, ports from a
counter of `ports`) and keeps a log of what crossed, one word or two per message or command. Who uses it is the player:
`PlayMedia` and the like stand in `commands`, and `server.playing_ended` is called when the time has come.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from lemonade_media.commands import Command, LogLine, OpenMedia, StartFetch
from lemonade_media.config import MediaConfig
from lemonade_media.core import ACCEPTED, MediaServer
from lemonade_media.decode import EncodedMedia
from lemonade_media.failures import Failure
from lemonade_media.imap_settings import AllowedHost, ImapSettings
from lemonade_wire.address import Address, PortRange
from lemonade_wire.faults import Fault
from lemonade_wire.profile import DRAFT_07, Profile
from lemonade_wire.sip.event import CloseStream, Event, OpenStream, Output, SendDatagram, SendStream
from lemonade_wire.sip.session import TIMER
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.sip.ua import UserAgent
from lemonade_wire.sip.uri import SipUri

CALLER = Address("192.0.2.3", 5060)
SERVER = Address("192.0.2.2", 5060)
CONFIG = MediaConfig(SERVER, PortRange(16384, 16484), imap=ImapSettings((AllowedHost("imap.example.com"),)))


class Replay:
    """One caller, one media server. `now` moves by `advance`; `deliver` decides for each datagram if it arrives."""

    def __init__(
        self,
        *,
        profile: Profile = DRAFT_07,
        fault: Fault | None = None,
        config: MediaConfig = CONFIG,
        fetch: Callable[[StartFetch], EncodedMedia | Failure | None] | None = None,
        deliver: Callable[[bytes], bool] = lambda data: True,
        ports: int = 50,
    ) -> None:
        self.now = 100.0
        self.caller = UserAgent(UaSettings(CALLER), random.Random(1))
        settings = UaSettings(
            SERVER,
            accept=(*ACCEPTED, *config.smime.accepted),
            users=frozenset({"annc", "ivr"}),
            supported=(TIMER,),
        )
        self.callee = UserAgent(settings, random.Random(2))
        self.server = MediaServer(self.callee, config, SERVER.host, profile=profile, fault=fault)
        self.heard: list[Event] = []
        self.commands: list[Command] = []
        self.log: list[str] = []
        self._fetch = fetch or (lambda command: EncodedMedia(command.law, bytes(96000), command.plan.url))
        self._deliver = deliver
        self._streams: dict[tuple[UserAgent, int], int] = {}
        self._ports = iter(range(16384, 16384 + 2 * ports, 2))

    def invite(self, uri: SipUri, body: bytes, content_type: str = "application/sdp") -> str:
        """Call the server; returns the caller's name for the call."""
        call = self.caller.invite(uri, next_hop=SERVER, now=self.now, body=body, content_type=content_type)
        self.settle()
        return call

    def advance(self, seconds: float) -> None:
        """Let time pass, timer by timer."""
        end = self.now + seconds
        while True:
            timers = (self.caller.next_timer(), self.callee.next_timer(), self.server.next_timer())
            due = min((timer for timer in timers if timer is not None), default=None)
            if due is None or due > end:
                break
            self.now = max(self.now, due)
            for engine in (self.caller, self.callee, self.server):
                engine.handle_timer(self.now)
            self.settle()
        self.now = end

    def settle(self) -> None:
        """Move everything until nothing moves."""
        while self._step():
            pass

    def _step(self) -> bool:
        """Move what is next: messages first, then events, then commands; so are they ordered over a network too."""
        for sender, receiver in ((self.caller, self.callee), (self.callee, self.caller)):
            if outputs := sender.outputs():
                for output in outputs:
                    self._carry(output, sender, receiver)
                return True
        if heard := self.caller.events():
            self.heard += heard
            return True
        if events := self.callee.events():
            for event in events:
                self.server.sip_event(event, self.now)
            return True
        commands = self.server.commands()
        for command in commands:
            self._do(command)
        return bool(commands)

    def _carry(self, output: Output, sender: UserAgent, receiver: UserAgent) -> None:
        source = CALLER if sender is self.caller else SERVER
        match output:
            case SendDatagram(data, _):
                arrives = self._deliver(data)
                self._note(sender, data, "" if arrives else " lost")
                if arrives:
                    receiver.datagram_received(data, source, self.now)
            case OpenStream(stream, _):
                accepted = receiver.stream_accepted(source, self.now)
                self._streams[sender, stream], self._streams[receiver, accepted] = accepted, stream
                sender.stream_opened(stream, self.now)
            case SendStream(stream, data):
                self._note(sender, data, "")
                receiver.stream_received(self._streams[sender, stream], data, self.now)
            case CloseStream(stream):
                receiver.stream_lost(self._streams[sender, stream], self.now)

    def _do(self, command: Command) -> None:
        self.commands.append(command)
        if not isinstance(command, LogLine):
            self.log.append(type(command).__name__)
        if isinstance(command, OpenMedia):
            port = next(self._ports, None)
            if port is None:
                self.server.media_refused(command.call, self.now)
            else:
                self.server.media_opened(command.call, port, self.now)
        elif isinstance(command, StartFetch):
            outcome = self._fetch(command)
            if isinstance(outcome, Failure):
                self.server.fetch_failed(command.job, outcome, self.now)
            elif outcome is not None:
                self.server.fetched(command.job, outcome, self.now)

    def _note(self, sender: UserAgent, data: bytes, more: str) -> None:
        words = data.split(b"\r\n", 1)[0].decode(errors="replace").split(" ")
        name = words[1] if words[0].startswith("SIP/") else words[0]
        self.log.append(f"{'caller' if sender is self.caller else 'server'} {name}{more}")
