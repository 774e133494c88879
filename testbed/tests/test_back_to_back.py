"""Whole diagrams in memory: the engines of all three nodes are connected to each other, with real mail and sound.

Time is a number that is set to the next timer; there is no socket, no process and no sleep. The nodes' traces are
judged as those of any run.

The file is long because it has both the code that connects the three engines and the only tests that use it.
"""

from __future__ import annotations

import io
import json
import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar, cast

import numpy as np
import pytest

from lemonade_client.mailbox_session import MailAnswered, MailboxSession, MailEvent, MailLost, MailOpened
from lemonade_client.rtp_receiver import CallReceiver
from lemonade_client.runner import ScriptRunner, StepReported
from lemonade_client.session import Media, Session
from lemonade_imap.config import ServerConfig
from lemonade_imap.testing import START, LoopbackServer
from lemonade_imap.urlauth import Roles
from lemonade_media.calls.core import ACCEPTED, MediaServer
from lemonade_media.config import MediaConfig
from lemonade_media.decoding.decode import EncodedMedia, MediaError, decode
from lemonade_media.fetch.cache import content_key
from lemonade_media.fetch.login import Steps, enter
from lemonade_media.fetch.settings import AllowedHost, ImapAccount, ImapSettings
from lemonade_media.fetch.urlfetch import fetch_part
from lemonade_media.model import commands as media_commands
from lemonade_media.model.failures import Failure, FailureKind, FetchError
from lemonade_media.model.plans import FetchPlan
from lemonade_media.rtp.sender import protocol as sender
from lemonade_media.rtp.sender.engine import SenderEngine
from lemonade_media.rtp.sender.reports import ROW
from lemonade_testbed.audio.part import media_length
from lemonade_testbed.clauses import load_clauses
from lemonade_testbed.evidence import Event, Evidence, NodeAddress, RecordedWorld
from lemonade_testbed.judge import judge
from lemonade_testbed.ladder.parser import parse_ladder
from lemonade_testbed.run import client_script
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.scenario_loader import load_scenario
from lemonade_testbed.verdict import Outcome, Verdict
from lemonade_wire.address import Address, PortRange, Resolver, read_network
from lemonade_wire.imap import command as commands
from lemonade_wire.imap.client import CommandDone, ImapClient
from lemonade_wire.imap.command import ImapCommand
from lemonade_wire.redaction import Redactor
from lemonade_wire.script import load_script
from lemonade_wire.sdp.codec import Codec
from lemonade_wire.sdp.offer import NegotiatedStream
from lemonade_wire.sip.event import CloseStream, MessageSeen, OpenStream, Output, SendDatagram, SendStream
from lemonade_wire.sip.event import Event as SipEvent
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.sip.ua import UserAgent
from lemonade_wire.testing import accept_stream
from lemonade_wire.trace import Trace

T = TypeVar("T")
SCENARIOS = Path(__file__).parents[2] / "scenarios"
IMAP, MEDIA, CLIENT = Address("127.0.0.1", 143), Address("127.9.9.2", 5060), Address("127.9.9.3", 5060)
DEAD, CLOSED = Address("127.9.9.31", 5060), Address("127.9.9.32", 5060)
"""Addresses without a media server: DEAD answers no datagram, CLOSED refuses."""


class MemoryMail:
    """The client's IMAP connection: an ImapClient whose octets go to the server in memory at once."""

    def __init__(self, server: LoopbackServer, note: Callable[[MailEvent], None], address: Address) -> None:
        self.engine = ImapClient()
        self._connection = server.connect(str(address))
        self._note = note

    @property
    def capabilities(self) -> frozenset[str] | None:
        return self.engine.capabilities

    @property
    def encrypted(self) -> bool:
        return self.engine.encrypted

    def open(self) -> None:
        self._take(self._connection.receive_data(b""))
        self._note(MailOpened())

    def send(self, command: ImapCommand) -> str:
        tag = self.engine.send(command)
        while octets := self.engine.data_to_send():
            self._take(self._connection.receive_data(octets))
        return tag

    def run(self, command: ImapCommand) -> CommandDone:
        """Run a command and return its answer, which is there at once."""
        self.done: CommandDone | None = None
        self.send(command)
        assert self.done is not None
        return self.done

    def follow(self, steps: Steps[T]) -> T:
        """Run the commands of a procedure."""
        try:
            command = next(steps)
            while True:
                command = steps.send(self.run(command))
        except StopIteration as end:
            result: T = end.value
            return result

    def close(self) -> None:
        self._note(MailLost("closed"))

    def _take(self, octets: bytes) -> None:
        for event in self.engine.receive_data(octets):
            if isinstance(event, CommandDone):
                self.done = event
                self._note(MailAnswered(event.tag, event.status, event.untagged))


class MemoryPorts:
    """The client's RTP ports: one listener."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self.listener: CallReceiver | None = None

    def open(self, medium: str, codecs: dict[int, Codec], peer: str) -> int:
        if medium == "audio":
            self.listener = CallReceiver((CLIENT.host, 20000), codecs, {peer}, self._trace)
            return 20000
        return 20002

    def expect(self, streams: tuple[NegotiatedStream, ...]) -> None:
        """Do nothing: there is only one peer."""

    def close(self) -> None:
        """Do nothing: no socket is open."""


class Memory:
    """The three nodes of one scenario in memory; `arrives` decides whether a SIP datagram is delivered."""

    def __init__(self, scenario: Scenario, folder: Path, arrives: Callable[[bytes], bool] = lambda data: True) -> None:
        self.scenario, self.now, self._arrives = scenario, 1000.0, arrives
        places = {"client": CLIENT} | dict(zip(self._names("imap"), (IMAP,), strict=True))
        places |= dict(zip(self._names("media"), (MEDIA, DEAD, CLOSED), strict=False))
        self.places = places
        hosts = [f"{server.host}={places[server.name]}" for server in scenario.given.servers]
        self.resolver = Resolver.parse(hosts)
        self.message = scenario.message_path().read_bytes()
        self.length = media_length(scenario.message_path()) or 0.0
        self._streams: dict[tuple[UserAgent, int], int] = {}
        self._later: list[Callable[[], None]] = []
        self._looks = count()
        self._sinks = {node: io.StringIO() for node in ("imap", "media", "client")}
        self._traces = {
            node: Trace(node, sink, Redactor("salt"), clock=self._clock) for node, sink in self._sinks.items()
        }
        self._imap_server()
        self._media_server()
        self._client(folder)

    def _names(self, kind: str) -> list[str]:
        """Return the servers of a role, the one that runs first."""
        servers = [server for server in self.scenario.given.servers if server.kind == kind]
        return [server.name for server in sorted(servers, key=lambda server: server.state != "up")]

    def _clock(self) -> float:
        """Return the time since 1970, a little later at each look, so that the order of events is kept."""
        return START + self.now + next(self._looks) * 1e-5

    def _imap_server(self) -> None:
        given = self.scenario.given
        accounts = dict(given.users) | dict([given.identity] if given.identity else [])
        roles = Roles(submit_users=frozenset(given.submit_users))
        listed = given.media_servers or None
        config = ServerConfig(passwords=accounts, roles=roles, media_servers=listed)
        self.imap = LoopbackServer(config, trace=self._traces["imap"])
        filler = MemoryMail(self.imap, lambda event: None, Address("127.9.9.4", 1))
        filler.open()
        filler.run(commands.login(*given.owner))
        assert filler.run(commands.append(given.mailbox, self.message)).ok

    def _media_server(self) -> None:
        identity = ImapAccount(*self.scenario.given.identity) if self.scenario.given.identity else None
        settings = UaSettings(MEDIA, accept=ACCEPTED, users=frozenset({"annc", "ivr"}))
        self.callee = UserAgent(settings, random.Random(1))
        imap = ImapSettings((AllowedHost("imap.example.com"),), identity, (read_network(CLIENT.host),))
        config = MediaConfig(MEDIA, PortRange(16384, 16484), imap=imap)
        self.config = config
        self.media = MediaServer(self.callee, config, MEDIA.host)
        self.sender = SenderEngine(np.zeros(4, ROW), seed=1)
        self._serial, self._play_serial, self._contents, self._call = 0, 0, 0, ""

    def _client(self, folder: Path) -> None:
        path = folder / "script.json"
        path.write_text(client_script(self.scenario, self.length))
        self.caller = UserAgent(UaSettings(CLIENT, accept=("application/sdp", *ACCEPTED)), random.Random(2))
        self.ports = MemoryPorts(self._traces["client"])
        self.steps: list[StepReported] = []
        mail = MemoryMail(
            self.imap, lambda event: self._do(lambda: self.runner.mail_event(event, self.now)), Address(CLIENT.host, 9)
        )
        ports = cast("Media", self.ports)  # no scenario here moves a call or sends RTP from the client
        session = Session(
            load_script(path), MailboxSession(mail), self.caller, ports, CLIENT.host, START, resolver=self.resolver
        )
        self.runner = ScriptRunner(session, self.steps.append)

    # -- running ----------------------------------------------------------------------------------------------------

    def run(self) -> Verdict:
        """Play the scenario to its end and judge it."""
        self._do(lambda: self.runner.start(self.now))
        while not self.runner.finished or self.caller.next_timer() is not None:
            self._settle()
            timers = (self.runner, self.caller, self.callee, self.media)
            due = [timer for engine in timers if (timer := engine.next_timer()) is not None]
            if (tick := self.sender.next_due()) is not None:
                due.append(tick)
            self.imap.now = START + self.now
            if not due or min(due) > 1100:
                break
            self.now = max(self.now, min(due))
            for engine in timers:
                engine.handle_timer(self.now)
            self._send()
        events = sorted((event for node in self._sinks for event in self._events(node)), key=lambda event: event.t)
        roles = {
            name: NodeAddress(address.host, kind=self.scenario.given.kinds[name])
            for name, address in self.places.items()
        }
        world = RecordedWorld(
            MappingProxyType(roles), exits={"client": int(self.runner.failed)}, media_length=self.length
        )
        return judge(self.scenario, Evidence(world, tuple(events), message=self.message), load_clauses())

    def _events(self, node: str) -> list[Event]:
        read = []
        for line in self._sinks[node].getvalue().splitlines():
            fields = json.loads(line)
            name = (self._names(fields.pop("node")) or ["client"])[0]
            read.append(Event(fields.pop("t"), name, fields.pop("n"), fields.pop("event"), fields))
        return read

    def _do(self, act: Callable[[], None]) -> None:
        """Keep an action for the next step, so that it does not run inside the call that caused it."""
        self._later.append(act)

    def _settle(self) -> None:
        while self._step():
            pass

    def _step(self) -> bool:
        for agent, other in ((self.caller, self.callee), (self.callee, self.caller)):
            if outputs := agent.outputs():
                for output in outputs:
                    self._carry(output, agent, other)
                return True
        for agent in (self.caller, self.callee):
            if events := agent.events():
                for event in events:
                    self._happened(agent, event)
                return True
        if self._later:
            self._later.pop(0)()
            return True
        wanted = self.media.commands()
        for command in wanted:
            self._media_command(command)
        return bool(wanted)

    def _carry(self, output: Output, agent: UserAgent, other: UserAgent) -> None:
        node, own, peer = ("client", CLIENT, MEDIA) if agent is self.caller else ("media", MEDIA, CLIENT)
        match output:
            case SendDatagram(data, destination, resend):
                self._sip(node, "sent", own, destination, data, resend=resend)
                if destination == peer and self._arrives(data):
                    other.datagram_received(data, own, self.now)
            case OpenStream(stream, destination) if destination != peer:
                self._do(partial(agent.stream_failed, stream, self.now))
            case OpenStream(stream, _):
                accepted = accept_stream(other, own, self.now)
                self._streams[agent, stream], self._streams[other, accepted] = accepted, stream
                agent.stream_opened(stream, self.now)
            case SendStream(stream, data, resend):
                self._sip(node, "sent", own, peer, data, resend=resend)
                other.stream_received(self._streams[agent, stream], data, self.now)
            case MessageSeen(data, source):
                self._sip(node, "received", own, source, data)
            case CloseStream(stream):
                other.stream_lost(self._streams[agent, stream], self.now)

    def _happened(self, agent: UserAgent, event: SipEvent) -> None:
        if agent is self.caller:
            self.runner.sip_event(event, self.now)
        else:
            self.media.sip_event(event, self.now)

    def _sip(self, node: str, way: str, own: Address, peer: Address, data: bytes, *, resend: bool = False) -> None:
        self._traces[node].emit(
            "sip", way=way, transport="udp", local=str(own), remote=str(peer), text=data.decode(), resend=resend
        )

    # -- the media server --------------------------------------------------------------------------------------------

    def _media_command(self, command: media_commands.Command) -> None:
        self._serial += 1
        match command:
            case media_commands.OpenMedia(call):
                self.media.media_opened(call, 16384, self.now)
            case media_commands.StartFetch():
                self._fetch(command)
            case media_commands.StartStream(call, payload_type=payload_type):
                self._call = call
                ends = (CLIENT.host, 20000), (CLIENT.host, 20001)
                self.sender.apply(sender.AddStream(0, 77, 65000, 4294960000, payload_type, *ends, "media"), self.now)
            case media_commands.PlayMedia(_, media, offset_ms, limit_ms, plays, delay_ms):
                octets = np.frombuffer(b"".join(one.octets for one in media), np.uint8)
                self._contents += 1
                self.sender.load(sender.LoadContent(self._contents, len(octets)), octets)
                self._play_serial = self._serial
                play = sender.PlayContent(0, self._serial, self._contents, offset_ms, limit_ms, plays, delay_ms)
                self.sender.apply(play, self.now)
            case media_commands.SeekMedia(_, by_ms):
                self.sender.apply(sender.Seek(0, self._serial, by_ms), self.now)
            case media_commands.StopMedia():
                self.sender.apply(sender.StopContent(0, self._serial), self.now)
            case media_commands.CloseMedia():
                self.sender.apply(sender.RemoveStream(0), self.now)
        self._send()

    def _fetch(self, command: media_commands.StartFetch) -> None:
        connection = MemoryMail(self.imap, lambda event: None, Address(MEDIA.host, 40000 + command.job))
        connection.open()
        settings = self.config.imap
        assert isinstance(command.plan, FetchPlan)
        identity = settings.identity if command.plan.privileged else None
        try:
            connection.follow(enter(connection.engine, settings, identity))
            part = connection.follow(fetch_part(command.plan.url, settings))
            octets = decode(part, max_seconds=100).encode(command.law)
            media = EncodedMedia(command.law, octets, content_key(part, command.law))
            self.media.fetched(command.job, media, self.now)
        except MediaError as problem:
            self.media.fetch_failed(command.job, Failure(FailureKind.UNPLAYABLE, str(problem)), self.now)
        except FetchError as problem:
            self.media.fetch_failed(command.job, problem.failure, self.now)
        connection.run(commands.logout())

    def _send(self) -> None:
        batch = self.sender.advance(self.now)
        for _, packet in batch.rtp:
            if (listener := self.ports.listener) is not None:
                listener.rtp_received(bytes(packet), (MEDIA.host, 16384), self._clock())
                self._do(partial(self._heard, listener.heard))
        for event in batch.events:
            if isinstance(event, sender.ContentFinished | sender.ContentStopped) and event.serial == self._play_serial:
                self._do(partial(self._ended, event.played_ms, event.offset_ms))

    def _heard(self, seconds: float) -> None:
        self.runner.heard(seconds, self.now)

    def _ended(self, played: int, offset: int) -> None:
        self.media.playing_ended(self._call, played, offset, self.now)


DIAGRAMS = ("announcement-service", "ivr-service")


@pytest.mark.parametrize("name", DIAGRAMS)
def test_a_diagram_is_replayed_in_memory(name: str, tmp_path: Path) -> None:
    verdict = Memory(load_scenario(SCENARIOS / f"{name}.yaml"), tmp_path).run()
    assert verdict.outcome is Outcome.PASS, verdict.reasons


def test_a_server_that_is_dead_unknown_or_refuses_gives_way_to_the_next(tmp_path: Path) -> None:
    memory = Memory(load_scenario(SCENARIOS / "failover.yaml"), tmp_path)
    verdict = memory.run()
    assert verdict.outcome is Outcome.PASS, verdict.reasons
    first, second = (seen for seen in verdict.observed.messages if seen.words[:3] == ("SIP", "INVITE", "annc"))
    assert (first.target, second.target) == ("ms1", "ms3")
    assert second.t - first.t == pytest.approx(4.0, abs=0.05)
    assert first.copies >= 4


class LosesFirst:
    """Loses the first copy of every datagram."""

    def __init__(self) -> None:
        self.seen: Counter[bytes] = Counter()

    def __call__(self, data: bytes) -> bool:
        self.seen[data] += 1
        return self.seen[data] > 1


@pytest.mark.parametrize("name", DIAGRAMS)
def test_with_each_first_sip_message_lost_the_call_only_takes_longer(name: str, tmp_path: Path) -> None:
    scenario = load_scenario(SCENARIOS / f"{name}.yaml")
    # A key that arrives half a second late cuts the sound half a second later: only the times may differ.
    source = re.sub(r"RTP PCMU \S+ s", "RTP PCMU 0.1..media+0.1 s", scenario.ladder.source)
    patient = replace(scenario, ladder=parse_ladder(source))
    losing = LosesFirst()
    verdict = Memory(patient, tmp_path, losing).run()
    assert verdict.outcome is Outcome.PASS, verdict.reasons
    assert len(losing.seen) >= 6
    # A lost 100 is not sent again, since the 200 follows; every other message arrives in a later copy.
    assert all(copies >= 2 for data, copies in losing.seen.items() if not data.startswith(b"SIP/2.0 100"))
    assert verdict.observed.retransmissions >= 6
