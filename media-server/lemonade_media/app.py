"""The media server on Twisted: SIP endpoint, RTP sender and fetches around the core."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import deferLater

from lemonade_media.commands import (
    AbortFetch,
    AddStream,
    ChangeStream,
    CloseMedia,
    Command,
    LogLine,
    OpenMedia,
    PlayMedia,
    RecordMedia,
    SeekMedia,
    StartFetch,
    StopMedia,
    StopRecordingMedia,
)
from lemonade_media.config import MediaConfig
from lemonade_media.core import ACCEPTED, MediaServer
from lemonade_media.failures import Failure
from lemonade_media.fetch_endpoint import FetchEndpoint, Outcome
from lemonade_media.listener import Listener
from lemonade_media.player import MediaPlayer
from lemonade_media.recording_endpoint import RecordingEndpoint
from lemonade_media.recording_file import sweep
from lemonade_media.sender.supervisor import Supervisor
from lemonade_media.service import RecordingEnd
from lemonade_wire.nodecli import NodeOptions
from lemonade_wire.rtp.endpoint import RtpPorts
from lemonade_wire.rtp.telephone_event import KeyEvent, KeyPressed
from lemonade_wire.sip.endpoint import SipEndpoint
from lemonade_wire.sip.event import Event
from lemonade_wire.sip.session import TIMER
from lemonade_wire.sip.settings import UaSettings

ACK_SECONDS = 0.75
"""How long the end waits for ACKs: a 200 or a refusal that was lost is sent again after T1, half a second."""
GOODBYE_SECONDS = 1.0
"""How long it waits for all answers."""


class MediaApp:
    """One media server process. `start` and `stop` are awaited in the reactor's thread."""

    def __init__(self, reactor: Any, config: MediaConfig, options: NodeOptions) -> None:  # noqa: ANN401  as in Twisted
        self._reactor = reactor
        self._config = config
        self._options = options
        host = config.listen.host
        settings = UaSettings(
            config.listen,
            product="lemonade-media",
            accept=(*ACCEPTED, *config.smime.accepted),
            supported=(TIMER,),
            max_body=config.limits.body,
            max_transactions=config.limits.transactions,
            users=config.services,
            resolver=config.resolver,
        )
        self._sip = SipEndpoint(reactor, settings, self._sip_event, options.trace)
        self._sender = Supervisor(on_restart=self._sender_restarted)
        ports = RtpPorts(host, config.rtp_ports.first, config.rtp_ports.last)
        self._player = MediaPlayer(
            ports, self._sender, options.trace, self._playing_ended, host, resolver=config.resolver
        )
        self._listener = Listener(reactor, self._key, config.resolver)
        self._recordings = RecordingEndpoint(reactor, options.trace, self._recording_ended, options.fault)
        self._fetches = FetchEndpoint(reactor, config, options.trace, self._fetch_done, bind=host, fault=options.fault)
        self._server: MediaServer | None = None
        self._timer: Any = None

    async def start(self) -> None:
        """Listen; raises twisted's CannotListenError."""
        self._node("started")
        if self._config.recordings and (swept := sweep(self._config.recordings)):
            self._log(f"removed {swept} recordings that a killed server had begun")
        self._sender.start()
        await self._sip.start()
        self._server = MediaServer(
            self._sip.ua,
            self._config,
            self._config.listen.host,
            profile=self._options.profile,
            fault=self._options.fault,
            session_id=int(self._reactor.seconds()),  # RFC 4566 section 5.2 suggests a time, so that none comes twice
        )
        self._log(f"listening for SIP on {self._sip.address} (UDP and TCP)")
        if not self._config.imap.allow:
            self._log("no --allow-imap: every URL will be refused")
        if self._config.imap.identity and not self._config.imap.trusted_callers:
            self._log("no --trust-caller: --imap-user will be used for nobody")
        self._node("ready")

    async def stop(self) -> None:
        """Hang up every call and log out everywhere, wait a second at most for the answers, and end the sender.

        Recordings come last: they are waited for as long as the disk moves.
        """
        self._node("stopping")
        server = self._server
        leaving = ensureDeferred(self._fetches.close(GOODBYE_SECONDS))
        if server is not None:
            began = self._reactor.seconds()
            self._act(server.shut_down)
            await self._idle(server, began + ACK_SECONDS)
            self._act(server.leave)
            await self._idle(server, began + GOODBYE_SECONDS)
        self._server = None
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        await leaving
        self._player.close_all()
        await self._sender.close()
        if server is not None:
            await self._sip.stop()
        await self._recordings.finish()
        self._log("stopped")
        self._node("stopped")

    async def _idle(self, server: MediaServer, until: float) -> None:
        while not server.idle and self._reactor.seconds() < until:
            await _pause(self._reactor)

    # -- into the core -------------------------------------------------------------------------------------------------

    def _sip_event(self, event: Event) -> None:
        if self._server is not None:
            self._server.sip_event(event, self._sip.now())
            # What it wants waits until the answer has left: a stop is acknowledged before it takes effect.
            self._reactor.callLater(0, self._act, lambda now: None)

    def _fetch_done(self, job: int, outcome: Outcome) -> None:
        if (server := self._server) is None:
            return
        if isinstance(outcome, Failure):
            self._act(lambda now: server.fetch_failed(job, outcome, now))
        else:
            self._act(lambda now: server.fetched(job, outcome, now))

    def _playing_ended(self, call: str, played_ms: float, offset_ms: float) -> None:
        if (server := self._server) is not None:
            self._act(lambda now: server.playing_ended(call, played_ms, offset_ms, now))

    def _recording_ended(self, call: str, recorded_ms: float, octets: int, why: RecordingEnd) -> None:
        if (server := self._server) is not None:
            self._act(lambda now: server.recording_ended(call, recorded_ms, octets, why, now))

    def _key(self, call: str, event: KeyEvent) -> None:
        if (server := self._server) is not None:
            change = server.key_pressed if isinstance(event, KeyPressed) else server.key_released
            self._act(lambda now: change(call, event.key, now))

    def _act(self, action: Any) -> None:  # noqa: ANN401  a method of the core that takes the time
        """Do something to the core from outside a SIP event, and then what it wants."""

        def acting(_ua: object, now: float) -> None:
            action(now)
            if self._server is not None:
                self._drain(self._server, now)

        if self._server is not None:
            self._sip.act(acting)

    # -- out of the core ---------------------------------------------------------------------------------------------

    def _drain(self, server: MediaServer, now: float) -> None:
        while commands := server.commands():
            for command in commands:
                self._carry_out(server, command, now)
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if (due := server.next_timer()) is not None:
            self._timer = self._reactor.callLater(max(0.0, due - now), self._act, server.handle_timer)

    def _carry_out(self, server: MediaServer, command: Command, now: float) -> None:
        match command:
            case OpenMedia(call, label):
                try:
                    server.media_opened(call, self._player.open(call, label, self._listener.open(call, label)), now)
                except OSError as problem:
                    self._log(f"no RTP ports: {problem}")
                    server.media_refused(call, now)
            case AddStream() | ChangeStream():
                self._agree(command)
            case PlayMedia():
                self._player.play(command)
            case SeekMedia():
                self._player.seek(command)
            case StopMedia(call):
                self._player.stop(call)
            case RecordMedia(call):
                self._recordings.start(command, self._listener.caller(call))
            case StopRecordingMedia(call):
                self._recordings.stop(call)
            case CloseMedia(call):
                self._recordings.close(call)
                self._player.close(call)
                self._listener.close(call)
            case StartFetch():
                self._fetches.start(command)
            case AbortFetch(job):
                self._fetches.abort(job)
            case LogLine(text, raw):
                self._log(text, raw=raw)

    def _agree(self, command: AddStream | ChangeStream) -> None:
        if isinstance(command, AddStream):
            self._player.add(command)
        else:
            self._player.change(command)
        self._listener.expect(command)

    # -- small things --------------------------------------------------------------------------------------------------

    def _sender_restarted(self, why: str) -> None:
        self._log(f"the RTP sender was started again: {why}")

    def _log(self, text: str, *, raw: bool = False) -> None:
        clean = self._options.trace.redactor.text(text)
        sys.stderr.write((text if raw else clean) + "\n")
        sys.stderr.flush()
        self._options.trace.emit("log", level="info", text=clean)

    def _node(self, state: str) -> None:
        fault = self._options.fault
        self._options.trace.emit(
            "node",
            state=state,
            version=version("lemonade-media"),
            profile=self._options.profile.name,
            fault=fault.name if fault else None,
        )


def _pause(reactor: Any) -> Deferred[None]:  # noqa: ANN401  as in Twisted
    """Return a Deferred that fires soon: the calls' answers are on their way."""
    return deferLater(reactor, 0.01, lambda: None)
