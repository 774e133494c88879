"""Carries out what the calls' services want: the user agent is acted on, all else becomes a command."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

from lemonade_media import faults
from lemonade_media.admission import phrase
from lemonade_media.agent import Agent
from lemonade_media.calls import Call
from lemonade_media.commands import (
    AbortFetch,
    CloseMedia,
    Command,
    LogLine,
    PlayMedia,
    RecordMedia,
    SeekMedia,
    StartFetch,
    StopMedia,
    StopRecordingMedia,
)
from lemonade_media.config import MediaConfig
from lemonade_media.decode import EncodedMedia
from lemonade_media.failures import Failure, FetchError
from lemonade_media.fetch import FetchPlan, plan_fetch
from lemonade_media.ivr import IvrSession
from lemonade_media.limits import FULL_SECONDS, STOPPING_SECONDS, retry_after
from lemonade_media.negotiation import change_for, stream_for
from lemonade_media.provisioned import ProvisionedPlan, is_provisioned, plan_provisioned
from lemonade_media.service import (
    Accept,
    Action,
    CancelFetch,
    FetchMedia,
    HangUp,
    Notify,
    PlayBeep,
    Refuse,
    Respond,
    SkipBy,
    StartPlaying,
    StartRecording,
    StopPlaying,
    StopRecording,
)
from lemonade_media.tones import beep
from lemonade_wire.faults import Fault
from lemonade_wire.mscml.document import CONTENT_TYPE as MSCML
from lemonade_wire.mscml.document import write_document
from lemonade_wire.mscml.response import Keypress, Response
from lemonade_wire.sip.smime import seal
from lemonade_wire.sip.ua import UserAgent


class Conductor:
    """The calls of a media server and what is done for them. `now` is in seconds, monotonic."""

    def __init__(self, ua: UserAgent, config: MediaConfig, address: str, fault: Fault | None) -> None:
        self.agent = Agent(ua, lambda text: self.command(LogLine(text)))
        self.config = config
        self.address = address
        self.fault = fault
        self.calls: dict[str, Call] = {}
        self.stopping = False
        self._jobs: dict[int, Call] = {}
        self._numbers = itertools.count(1)
        self._commands: list[Command] = []

    def command(self, command: Command) -> None:
        """Ask the world to do something."""
        self._commands.append(command)

    def commands(self) -> list[Command]:
        """Return, once, what is to be done, in order."""
        commands, self._commands = self._commands, []
        return commands

    def log(self, text: str, call_id: str) -> None:
        """Note an event of a call."""
        self.command(LogLine(f"call {call_id}: {text}"))

    def take(self, call: Call) -> None:
        """Have one more call."""
        self.calls[call.id] = call
        self.show_health()

    @property
    def full(self) -> int | None:
        """Seconds after which callers may try again; None: calls are taken."""
        if self.stopping:
            return STOPPING_SECONDS
        return FULL_SECONDS if len(self.calls) >= self.config.limits.calls else None

    def show_health(self) -> None:
        """Tell the user agent whether calls are taken: OPTIONS is answered as an INVITE would be (section 11.2)."""
        self.agent.take_calls(self.full)

    def carry_out(self, call: Call, actions: list[Action], now: float) -> None:
        """Do what a service wants, in order."""
        for action in actions:
            match action:
                case Accept():
                    self._accept(call, now)
                case Refuse(failure):
                    self.refuse(call, failure, now)
                case HangUp():
                    self._hang_up(call, now)
                case FetchMedia():
                    self._fetch(call, action, now)
                case CancelFetch():
                    self._abort_fetch(call)
                case Respond(response):
                    self._respond(call, response, now)
                case Notify(keypress):
                    self._tell(call, keypress, now)
                case playing:
                    self.command(self._media_command(call, playing))
        if call.moves_to is not None and call.moves_to.ready:
            self._move(call, call.moves_to, now)

    def fetched(self, job: int, media: EncodedMedia, now: float) -> None:
        """A fetch brought something to play."""
        if call := self._jobs.pop(job, None):
            call.job, call.media[call.url] = None, media
            self.log(f"fetched {media.seconds:.2f} s of {media.law}", call.id)
            self.carry_out(call, call.service.media_fetched(media.seconds * 1000, now), now)

    def fetch_failed(self, job: int, failure: Failure, now: float) -> None:
        """A fetch brought nothing to play."""
        if call := self._jobs.pop(job, None):
            call.job = None
            self._failed(call, failure, now)

    def confirm(self, call: Call, now: float) -> None:
        """Let the stream send: the ACK is here, and codecs are agreed on."""
        if call.confirmed or call.stream is None:
            return
        call.confirmed = True
        self.command(stream_for(call, call.stream, self.fault))
        self.carry_out(call, call.service.confirmed(now), now)

    def answer(self, call: Call, now: float) -> None:
        """Answer the INVITE with 200."""
        call.accepted, call.accept_at = True, math.inf
        self.log("answered 200", call.id)
        self.agent.accept(call.id, call.description, now=now)

    def send(self, call: Call, response: Response, now: float) -> None:
        """Send an MSCML response in an INFO."""
        outcome = response.reason or response.text or ""
        self.log(f"{response.request} answered {response.code} {outcome}", call.id)
        if call.secured and call.certificate is None:
            # It holds the URL, ticket and all, which its caller has encrypted.
            response = replace(response, error_info=None)
        self._tell(call, response, now)

    def _tell(self, call: Call, document: Response | Keypress, now: float) -> None:
        """Send an INFO, encrypted where what it is about was (RFC 3261 section 23.2)."""
        content = write_document(document)
        if isinstance(document, Response) and isinstance(self.fault, faults.DraftResponse):
            content = self.fault.rewrite(content)
        if not call.secured or call.certificate is None or isinstance(self.fault, faults.AnswersInClear):
            self.agent.info(call.id, content, MSCML, now=now)
            return
        body = seal(content, MSCML, call.certificate)
        self.agent.info(call.id, body.octets, body.content_type, now=now, headers=body.headers)

    def _accept(self, call: Call, now: float) -> None:
        if call.moves_from is not None:
            call.ready = True
            self.carry_out(call.moves_from, [], now)
            return
        if call.accepted:
            return
        if isinstance(self.fault, faults.RtpBeforeAck):
            call.accept_at = now + self.fault.head_start
            self.confirm(call, now)
            return
        self.answer(call, now)

    def _move(self, former: Call, call: Call, now: float) -> None:
        """Have a call go on with another service: a request that runs is stopped, and has its response, before."""
        if isinstance(former.service, IvrSession) and former.service.phase is not None:
            if actions := former.service.stop(now):
                self.carry_out(former, actions, now)
            return
        former.moves_to = call.moves_from = None
        self.carry_out(former, former.service.close(), now)
        self.calls[call.id] = call
        name = "ivr" if isinstance(call.service, IvrSession) else "annc"
        self.log(f"moved to {name}", call.id)
        self.agent.accept(call.id, call.description, now=now, user=name)
        if call.stream is not None and call.stream != former.stream:
            self.command(change_for(call, call.stream, None, self.fault))

    def stay(self, call: Call) -> None:
        """Leave a call with the service that it has: it is not to be moved any more."""
        if call.moves_to is not None:
            self._abort_fetch(call.moves_to)
            call.moves_to = None

    def _hang_up(self, call: Call, now: float) -> None:
        if isinstance(self.fault, faults.NoBye):
            return
        self.log("hanging up", call.id)
        self.agent.bye(call.id, now=now, headers=_reason(200, "Completed"))

    def _fetch(self, call: Call, wanted: FetchMedia, now: float) -> None:
        call.url = wanted.url
        try:
            plan = self._plan(call, wanted)
        except FetchError as problem:
            self._failed(call, problem.failure, now)
            return
        call.job = next(self._numbers)
        self._jobs[call.job] = call
        self.log(f"fetching {wanted.url}", call.id)
        if isinstance(self.fault, faults.TicketInLog):
            self.command(LogLine(f"fetching {wanted.url}", raw=True))
        self.command(StartFetch(call.job, plan, wanted.content_type, call.law))

    def _plan(self, call: Call, wanted: FetchMedia) -> FetchPlan | ProvisionedPlan:
        """Return where content comes from; raises FetchError."""
        if is_provisioned(wanted.url):
            return plan_provisioned(wanted.url, wanted.locale, wanted.substitutions, self.config.provisioned)
        plan = plan_fetch(wanted.url, self.config.imap, call.caller)
        if isinstance(self.fault, faults.IdentityUnused):
            return replace(plan, privileged=False)
        trusts_everybody = isinstance(self.fault, faults.TrustsEverybody) and self.config.imap.identity is not None
        return replace(plan, privileged=True) if trusts_everybody else plan

    def _abort_fetch(self, call: Call) -> None:
        if call.job is not None:
            self._jobs.pop(call.job, None)
            self.command(AbortFetch(call.job))
            call.job = None

    def _failed(self, call: Call, failure: Failure, now: float) -> None:
        self.log(f"nothing to play: {failure.why} ({failure.kind.value})", call.id)
        self.carry_out(call, call.service.fetch_failed(failure, now), now)

    def _media_command(
        self, call: Call, action: StartPlaying | PlayBeep | SkipBy | StopPlaying | StartRecording | StopRecording
    ) -> Command:
        match action:
            case StartPlaying(urls, offset_ms, limit_ms, plays, delay_ms, gains_db):
                call.media = {url: call.media[url] for url in urls}
                pieces = zip(urls, gains_db or (0.0,) * len(urls), strict=True)
                media = tuple(call.media[url].to(call.law).amplified(gain_db) for url, gain_db in pieces)
                return PlayMedia(call.id, media, offset_ms, limit_ms, plays, delay_ms)
            case PlayBeep():
                return PlayMedia(call.id, (beep(call.law),), 0, None)
            case SkipBy(by_ms):
                factor = self.fault.factor if isinstance(self.fault, faults.WrongSkip) else 1
                return SeekMedia(call.id, round(by_ms * factor))
            case StopPlaying():
                return StopMedia(call.id)
            case StartRecording(path, append, limit_ms, first_silence_ms, last_silence_ms):
                # RFC 5022 knows one reason for a recording that may not go on: max_duration.
                bound_ms = min(math.inf if limit_ms is None else limit_ms, self.config.max_recording_seconds * 1000)
                return RecordMedia(call.id, path, append, bound_ms, first_silence_ms, last_silence_ms)
            case StopRecording():
                return StopRecordingMedia(call.id)

    def _respond(self, call: Call, response: Response, now: float) -> None:
        if call.silenced or isinstance(self.fault, faults.NoResponseInfo):
            return
        if isinstance(self.fault, faults.WrongOffset) and response.play_offset_ms is not None:
            response = replace(response, play_offset_ms=response.play_offset_ms + self.fault.by_ms)
        if isinstance(self.fault, faults.DraftResponse):
            response = replace(response, play_offset_ms=response.play_duration_ms)
        if isinstance(self.fault, faults.NoErrorInfo):
            response = replace(response, error_info=None)
        self.send(call, response, now)

    # -- the end -----------------------------------------------------------------------------------------------------

    def refuse(self, call: Call, failure: Failure, now: float) -> None:
        """Answer the INVITE with what a failure stands for; the call is over."""
        warning = () if isinstance(self.fault, faults.NoWarning) else failure.warning(self.address)
        later = retry_after(FULL_SECONDS) if failure.status == 503 else ()  # RFC 3261, 21.5.4: without it 503 is a 500
        status = 500 if isinstance(self.fault, faults.RefusalsAre500) else failure.status
        self.refuse_with(call, status, failure.reason, now, (*warning, *later))

    def refuse_with(
        self, call: Call, status: int, reason: str, now: float, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        """Answer the INVITE with a status; the call is over, or is as it was where that was to move it."""
        self.agent.refuse(call.id, status, now=now, reason=phrase(reason), headers=headers)
        if call.moves_from is not None:
            self.log(f"not moved: {status} {reason}", call.id)
            self.stay(call.moves_from)
            return
        self.close(call.id, f"refused {status} {reason}")

    def end(self, call: Call, status: int, why: str, now: float) -> None:
        """End a call, answered or not, for a reason of our own."""
        if not call.accepted:
            self.refuse_with(call, status, "", now)
            return
        self.log(f"hanging up: {why}", call.id)
        self.carry_out(call, call.service.close(), now)
        self.agent.bye(call.id, now=now, headers=_reason(status, why))

    def close(self, call_id: str, why: str) -> None:
        """Give back all that a call holds; nothing is said to anybody."""
        call = self.calls.pop(call_id, None)
        if call is None:
            return
        self.show_health()
        self.log(why, call_id)
        call.service.close()
        self._abort_fetch(call)
        self.stay(call)
        self.command(CloseMedia(call_id))


def _reason(status: int, why: str) -> list[tuple[str, str]]:
    return [("Reason", f'SIP;cause={status};text="{why}"')]
