"""The client as a Twisted program: it connects the script's runner to IMAP, SIP and RTP, and arms its timer."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError

from lemonade_client.call_media import CallMedia
from lemonade_client.config import ClientConfig
from lemonade_client.imap_connection import MailConnection
from lemonade_client.mailbox_session import MailboxSession, MailEvent
from lemonade_client.rtp_receiver import HeardRecorder
from lemonade_client.runner import ScriptRunner, StepReported
from lemonade_client.session import Session
from lemonade_wire.imap.endpoint import TlsPlan
from lemonade_wire.mscml.document import CONTENT_TYPE
from lemonade_wire.rtp.endpoint import RtpPorts
from lemonade_wire.script import Script
from lemonade_wire.sip.endpoint import SipEndpoint
from lemonade_wire.sip.event import Event as SipEvent
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.sip.ua import UserAgent
from lemonade_wire.tls import IMAPS_PORT, ClientTls
from lemonade_wire.trace import Json

EXIT_DONE, EXIT_FAILED, EXIT_USAGE = 0, 1, 2


class ClientApp:
    """Runs one script on a reactor; `run` returns the exit code."""

    def __init__(self, reactor: Any, config: ClientConfig, script: Script) -> None:  # noqa: ANN401  as in the endpoints
        self._reactor = reactor
        self._config = config
        self._script = script
        self._trace = config.options.trace
        self._trace.redactor.hide(script.account.password)
        self._timer: Any = None
        self._finished: Deferred[None] = Deferred()
        self._broken = False
        self._interrupted = False
        self._runner: ScriptRunner | None = None
        self._recorder = HeardRecorder()
        settings = UaSettings(
            address=config.listen,
            contact_user=script.account.user if script.account.user.isalnum() else "client",
            product="lemonade-client",
            accept=("application/sdp", CONTENT_TYPE, *config.smime.accepted),
            resolver=config.resolver,
        )
        self._sip = SipEndpoint(
            reactor,
            settings,
            self._sip_event,
            self._trace,
            dialog_factory=config.behaviour.dialog_factory,
            fault=config.options.fault,
        )

    async def run(self) -> int:
        """Run the script to its end, hang up, log out, write the recording, and return the exit code."""
        options = self._config.options
        fault = options.fault.name if options.fault else None
        self._node("started", version=version("lemonade-client"), profile=options.profile.name, fault=fault)
        try:
            await self._sip.start()
        except CannotListenError as problem:
            self._say(f"cannot listen on {self._config.listen}: {problem.socketError}")
            return EXIT_USAGE
        self._runner = runner = self._assemble()
        self._node("ready")
        if not self._interrupted:
            self._reactor.callLater(0, self._enter, ScriptRunner.start)
            await self._finished
        self._node("stopping")
        await self._close()
        self._node("stopped")
        return EXIT_FAILED if self._broken or self._interrupted or runner.failed else EXIT_DONE

    def interrupt(self) -> None:
        """Stop the script; `run` still hangs up, logs out and writes the recording, and then returns."""
        self._interrupted = True
        self._enter(ScriptRunner.interrupt)

    def _assemble(self) -> ScriptRunner:
        config, account, host = self._config, self._script.account, self._config.listen.host
        agent = config.behaviour.user_agent
        if agent is not UserAgent:
            self._sip.ua = agent(replace(self._sip.ua.settings, address=self._sip.address))
        where = config.resolver.resolve(account.host, account.port)
        tls = TlsPlan(config.trust or ClientTls(), account.host, at_once=account.port == IMAPS_PORT)
        self._line = MailConnection(self._reactor, where, host, self._trace, self._mail_event, tls=tls)
        ports = RtpPorts(host, config.rtp_ports.first, config.rtp_ports.last)
        media = CallMedia(
            self._reactor,
            ports,
            self._trace,
            f"{account.user}@{host}",
            self._recorder,
            resolver=config.resolver,
            behaviour=config.behaviour,
        )
        media.on_heard = lambda seconds: self._enter(lambda runner, now: runner.heard(seconds, now))
        self._media = media
        return ScriptRunner(
            Session(
                script=self._script,
                mailbox=MailboxSession(self._line),
                phone=self._sip.ua,
                media=media,
                address=host,
                epoch=time.time() - self._sip.now(),
                resolver=config.resolver,
                profile=config.options.profile,
                behaviour=config.behaviour,
                tls=config.tls,
                smime=config.smime,
            ),
            self._step,
        )

    # -- events for the runner -----------------------------------------------------------------------------------

    def _sip_event(self, event: SipEvent) -> None:
        self._enter(lambda runner, now: runner.sip_event(event, now))

    def _mail_event(self, event: MailEvent) -> None:
        self._enter(lambda runner, now: runner.mail_event(event, now))

    def _enter(self, act: Callable[[ScriptRunner, float], None]) -> None:
        """Call a method of the runner, send what it wants to send by SIP, and arm the timer again."""
        runner = self._runner
        if runner is None or self._finished.called:
            return
        try:
            self._sip.act(lambda _ua, now: act(runner, now))
        except Exception:  # after an error in the client itself the run ends with a traceback, and does not hang
            self._broken = True
            self._say(traceback.format_exc())
            self._finished.callback(None)
            return
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        at = runner.next_timer()
        if at is not None:
            delay = max(0.0, at - self._sip.now())
            self._timer = self._reactor.callLater(delay, self._enter, ScriptRunner.handle_timer)
        if runner.finished and not self._finished.called:
            self._finished.callback(None)

    # -- end of the run ------------------------------------------------------------------------------------------

    async def _close(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._media.close()
        self._write_recording()
        if self._line.closed is not None:
            await self._line.closed
        await self._sip.stop()

    def _write_recording(self) -> None:
        if self._config.heard is not None:
            try:
                self._recorder.write(self._config.heard)
            except OSError as problem:
                self._broken = True
                self._say(f"the recording cannot be written: {problem}")

    # -- trace and messages --------------------------------------------------------------------------------------

    def _step(self, report: StepReported) -> None:
        step = report.step
        self._trace.emit("step", index=report.index, verb=step.verb, line=step.line, state=report.state, why=report.why)
        if report.state != "started":
            total = len(self._script.steps)
            self._say(
                f"step {report.index}/{total} {step.verb}: {report.state}{f': {report.why}' if report.why else ''}"
            )

    def _node(self, state: str, **fields: Json) -> None:
        self._trace.emit("node", at=None, state=state, **fields)

    def _say(self, text: str) -> None:
        with suppress(OSError):  # the reader of stderr may have closed it
            sys.stderr.write(f"lemonade-client: {self._trace.redactor.text(text)}\n")
            sys.stderr.flush()
