"""The media server as a Twisted program: it connects the core (`core.py`) to SIP, RTP, IMAP and the disk."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import deferLater

from lemonade_media.calls.core import ACCEPTED, MediaServer
from lemonade_media.config import MediaConfig
from lemonade_media.decoding.host import Host
from lemonade_media.fetch.endpoint import FetchEndpoint, Outcome
from lemonade_media.model.actions import RecordingEnd
from lemonade_media.model.commands import (
    AbortFetch,
    CloseMedia,
    Command,
    LogLine,
    ModifyStream,
    OpenMedia,
    PlayMedia,
    RecordMedia,
    SeekMedia,
    StartFetch,
    StartStream,
    StopMedia,
    StopRecordingMedia,
)
from lemonade_media.model.failures import Failure
from lemonade_media.recording.endpoint import RecordingEndpoint
from lemonade_media.recording.file import sweep
from lemonade_media.rtp.descriptors import descriptors_are_short
from lemonade_media.rtp.player import MediaPlayer
from lemonade_media.rtp.receiver import RtpReceiverEndpoint
from lemonade_media.rtp.sender.protocol import ReportSent
from lemonade_media.rtp.sender.supervisor import Supervisor
from lemonade_wire.nodecli import NodeOptions
from lemonade_wire.rtp.endpoint import RtpPorts
from lemonade_wire.rtp.telephone_event import KeyEvent, KeyPressed
from lemonade_wire.sip.endpoint import SipEndpoint
from lemonade_wire.sip.event import Event
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.sip.ua.session_timer import TIMER

ACK_SECONDS = 0.75
"""How long `stop` waits for missing ACKs. A lost 200 or refusal is retransmitted after T1, which is 0.5 s."""
GOODBYE_SECONDS = 1.0
"""How long `stop` waits in all, for ACKs, for responses to BYE and for IMAP LOGOUT."""


class MediaApp:
    """One media server process. `start` and `stop` are awaited in the reactor's thread."""

    def __init__(
        self,
        reactor: Any,  # noqa: ANN401  as in Twisted
        config: MediaConfig,
        options: NodeOptions,
        decoding_host: Host | None = None,
    ) -> None:
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
            max_streams=config.limits.streams,
            max_streams_per_address=config.limits.streams_per_address,
            unlimited=config.limits.unlimited,
            users=config.services,
            resolver=config.resolver,
        )
        self._sip = SipEndpoint(reactor, settings, self._sip_event, options.trace, fault=options.fault)
        self._sender = Supervisor(on_restart=self._sender_restarted, on_report=self._report_sent)
        ports = RtpPorts(host, config.rtp_ports.first, config.rtp_ports.last)
        self._player = MediaPlayer(
            ports, self._sender, options.trace, self._playing_ended, host, resolver=config.resolver
        )
        self._listener = RtpReceiverEndpoint(reactor, self._key, config.resolver)
        self._recordings = RecordingEndpoint(reactor, options.trace, self._recording_ended, options.fault)
        self._fetches = FetchEndpoint(
            reactor,
            config,
            options.trace,
            self._fetch_done,
            bind=host,
            fault=options.fault,
            host=decoding_host,
        )
        self._server: MediaServer | None = None
        self._timer: Any = None

    async def start(self) -> None:
        """Start the RTP sender and listen for SIP; raises Twisted's CannotListenError."""
        self._node("started")
        if self._config.recordings and (swept := sweep(self._config.recordings)):
            self._log(f"removed {swept} recordings that a killed server had begun")
        self._sender.start()
        self._fetches.prepare()
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
            self._log("no --trust-caller: --imap-user is used for no caller")
        self._node("ready")

    async def stop(self) -> None:
        """Hang up all calls and log out from all IMAP servers, wait at most `GOODBYE_SECONDS`, then end the sender.

        Recordings are finished last. The wait for them ends when all are written, or when the disk is stuck
        (`recording_endpoint.STUCK_SECONDS`).
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

    # -- events for the core -------------------------------------------------------------------------------------------

    def _sip_event(self, event: Event) -> None:
        if self._server is not None:
            self._server.sip_event(event, self._sip.now())
            # The core's commands are carried out after the SIP response is sent: the INFO with `<stop>` gets its 200
            # before the playing stops.
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
        """Call a method of the core for an event that is not a SIP event, then carry out the core's commands."""

        def acting(_ua: object, now: float) -> None:
            action(now)
            if self._server is not None:
                self._drain(self._server, now)

        if self._server is not None:
            self._sip.act(acting)

    # -- commands of the core ----------------------------------------------------------------------------------------

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
            case OpenMedia():
                self._open(server, command, now)
            case StartStream() | ModifyStream():
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

    def _open(self, server: MediaServer, command: OpenMedia, now: float) -> None:
        """Bind the ports of a call, unless that leaves too few descriptors to the calls that stand."""
        call, label = command.call, command.label
        if descriptors_are_short():
            self._log("few file descriptors are left: a call is refused")
            server.media_refused(call, now)
            return
        try:
            server.media_opened(call, self._player.open(call, label, self._listener.open(call, label)), now)
        except OSError as problem:
            self._log(f"no RTP ports: {problem}")
            server.media_refused(call, now)

    def _agree(self, command: StartStream | ModifyStream) -> None:
        if isinstance(command, StartStream):
            self._player.add(command)
        else:
            self._player.change(command)
        self._listener.expect(command)

    # -- trace and log -------------------------------------------------------------------------------------------------

    def _report_sent(self, report: ReportSent) -> None:
        local, remote = (f"{host}:{port}" for host, port in (report.source, report.destination))
        self._options.trace.emit(
            "rtcp", way="sent", local=local, remote=remote, kinds=list(report.kinds), **report.values
        )

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
    """Return a Deferred that fires after 10 ms, so that the responses to the calls' requests can arrive."""
    return deferLater(reactor, 0.01, lambda: None)
