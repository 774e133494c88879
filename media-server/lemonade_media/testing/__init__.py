"""Replays whole calls in memory, for tests: a caller's user agent and the media server, without reactor or sockets.

`Replay` moves the SIP octets between the two and carries out the core's commands at once: a fetch gives 12 s of sound
or what `fetch` returns, and ports come from a supply of `ports` pairs. `log` has one or two words for each message and
command, `sent` the octets of each message of both sides. A test does the work of the player: it finds `PlayMedia` and
other commands in `commands`, and calls `end_playing` or `server.playing_ended`.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence

from lemonade_media.calls.core import ACCEPTED, MediaServer
from lemonade_media.config import MediaConfig
from lemonade_media.decoding.decode import EncodedMedia
from lemonade_media.fetch.settings import AllowedHost, ImapSettings
from lemonade_media.model.actions import Action, Respond
from lemonade_media.model.commands import Command, LogLine, OpenMedia, PlayMedia, StartFetch
from lemonade_media.model.failures import Failure
from lemonade_wire.address import Address, PortRange
from lemonade_wire.faults import Fault
from lemonade_wire.mscml.messages import MscmlResponse
from lemonade_wire.profile import DRAFT_07, Profile
from lemonade_wire.sip.event import CloseStream, Event, InfoReceived, OpenStream, Output, SendDatagram, SendStream
from lemonade_wire.sip.message.uri import SipUri
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.sip.ua import UserAgent
from lemonade_wire.sip.ua.session_timer import TIMER
from lemonade_wire.testing import accept_stream

CALLER = Address("192.0.2.3", 5060)
SERVER = Address("192.0.2.2", 5060)
CONFIG = MediaConfig(SERVER, PortRange(16384, 16484), imap=ImapSettings((AllowedHost("imap.example.com"),)))


def only_response(actions: Sequence[Action]) -> MscmlResponse:
    """Return the MSCML response that is the only one of an IVR session's actions."""
    (action,) = actions
    assert isinstance(action, Respond)
    return action.response


class Replay:
    """One caller and one media server. `advance` moves `now`; `deliver` decides for each datagram if it arrives.

    `fetch` returns the result of a fetch; None: there is no result yet. `contact_user` is the user of the caller's URI.
    """

    def __init__(
        self,
        *,
        profile: Profile = DRAFT_07,
        fault: Fault | None = None,
        config: MediaConfig = CONFIG,
        fetch: Callable[[StartFetch], EncodedMedia | Failure | None] | None = None,
        deliver: Callable[[bytes], bool] = lambda data: True,
        ports: int = 50,
        contact_user: str = "",
    ) -> None:
        self.now = 100.0
        self.caller = UserAgent(UaSettings(CALLER, contact_user=contact_user), random.Random(1))
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
        self.sent: list[bytes] = []
        self._fetch = fetch or (lambda command: EncodedMedia(command.law, bytes(96000), command.plan.url))
        self._deliver = deliver
        self._streams: dict[tuple[UserAgent, int], int] = {}
        self._ports = iter(range(16384, 16384 + 2 * ports, 2))

    def invite(self, uri: SipUri, body: bytes, content_type: str = "application/sdp") -> str:
        """Send an INVITE to the server; returns the caller's id of the call."""
        call = self.caller.invite(uri, next_hop=SERVER, now=self.now, body=body, content_type=content_type)
        self.settle()
        return call

    def end_playing(self, played_ms: float, offset_ms: float) -> None:
        """Report to the server that what it played last has ended: so long played, at this place of the content."""
        play = [command for command in self.commands if isinstance(command, PlayMedia)][-1]
        self.server.playing_ended(play.call, played_ms, offset_ms, self.now)
        self.settle()

    def answer_infos(self) -> list[InfoReceived]:
        """Answer the INFO requests of the server with 200 as they come, and take them out of `heard`; returns them."""
        found: list[InfoReceived] = []
        while waiting := [event for event in self.heard if isinstance(event, InfoReceived)]:
            self.heard.remove(waiting[0])
            found.append(waiting[0])
            self.caller.respond(waiting[0].transaction, 200, now=self.now)
            self.settle()
        return found

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass, and handle each timer at its time."""
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
        """Deliver messages, events and commands until none is left."""
        while self._step():
            pass

    def _step(self) -> bool:
        """Deliver what is next: messages first, then events, then commands, in the same order as over a network."""
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
                accepted = accept_stream(receiver, source, self.now)
                if accepted is None:
                    sender.stream_failed(stream, self.now)
                    return
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
        self.sent.append(data)
        words = data.split(b"\r\n", 1)[0].decode(errors="replace").split(" ")
        name = words[1] if words[0].startswith("SIP/") else words[0]
        self.log.append(f"{'caller' if sender is self.caller else 'server'} {name}{more}")


def _crc(octets: bytes, bits: int, polynomial: int) -> int:
    crc = 0
    for octet in octets:
        crc ^= octet << (bits - 8)
        for _ in range(8):
            crc = (crc << 1 ^ (polynomial if crc >> (bits - 1) else 0)) & ((1 << bits) - 1)
    return crc


def long_flac(frames: int) -> bytes:
    """Return a FLAC file (RFC 9639) of 40 octets a frame: 8 channels of silence at 192 kHz, 0.34 s in each frame.

    Decoding takes about 8 ms a frame.
    """
    packed = 192_000 << 12 | 7 << 9 | 15 << 4
    head = b"fLaC\x80\0\0\x22" + struct.pack(">HH6x", 65535, 65535) + packed.to_bytes(4, "big") + bytes(20)
    written = [head]
    for number in range(frames):
        frame = b"\xff\xf8\x73\x78" + chr(number).encode("utf-8", "surrogatepass") + struct.pack(">H", 65534)
        frame += bytes([_crc(frame, 8, 0x07)]) + bytes(3 * 8)
        written.append(frame + struct.pack(">H", _crc(frame, 16, 0x8005)))
    return b"".join(written)


def deliver_second_copies() -> Callable[[bytes], bool]:
    """Return a function that tells of each datagram whether it came before: the first copy of each is lost."""
    seen: set[bytes] = set()

    def deliver(data: bytes) -> bool:
        known = data in seen
        seen.add(data)
        return known

    return deliver
