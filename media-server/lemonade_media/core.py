"""The media server without I/O: SIP events, fetched media and the player's reports in, commands out.

Everything that acts on SIP goes to the `UserAgent` given; everything else comes from `commands()`. A whole call is
replayed in memory by moving the user agent's octets to another one, answering each command by the method that its
docstring names, and passing any numbers as `now`; no reactor, socket, thread or sleep is needed (`replay.py` does it).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

from lemonade_media import faults
from lemonade_media.admission import NotAdmittedError, admit, phrase
from lemonade_media.agent import Agent
from lemonade_media.bodies import SDP, charset_of
from lemonade_media.calls import Call
from lemonade_media.commands import (
    AbortFetch,
    CloseMedia,
    Command,
    LogLine,
    OpenMedia,
    PlayMedia,
    SeekMedia,
    StartFetch,
    StopMedia,
)
from lemonade_media.config import MediaConfig
from lemonade_media.decode import EncodedMedia
from lemonade_media.failures import Failure, FailureKind
from lemonade_media.fetch import FetchError, plan_fetch
from lemonade_media.ivr import IvrSession
from lemonade_media.negotiation import describe, stream_for, take_answer
from lemonade_media.service import (
    Accept,
    Action,
    CancelFetch,
    FetchMedia,
    HangUp,
    Refuse,
    Respond,
    SkipBy,
    StartPlaying,
    StopPlaying,
)
from lemonade_wire.faults import Fault
from lemonade_wire.mscml.document import CONTENT_TYPE as MSCML
from lemonade_wire.mscml.document import MscmlError, Tolerance, parse_document, write_document
from lemonade_wire.mscml.response import Response
from lemonade_wire.profile import DRAFT_07, Profile
from lemonade_wire.sdp.codec import SdpError
from lemonade_wire.sdp.offer import NoCommonCodec
from lemonade_wire.sip.dtmf import DtmfRelay
from lemonade_wire.sip.event import (
    ByeReceived,
    CallConfirmed,
    CallEnded,
    Event,
    InfoReceived,
    InviteCancelled,
    InviteReceived,
    RequestAnswered,
    RequestReceived,
)
from lemonade_wire.sip.message import Request
from lemonade_wire.sip.ua import UserAgent

DTMF = ("application/dtmf-relay", "application/dtmf")
ACCEPTED = (SDP, MSCML, *DTMF)


class MediaServer:
    """All calls of one media server. `address` is what its SDP names; `now` is in seconds, monotonic."""

    def __init__(
        self,
        ua: UserAgent,
        config: MediaConfig,
        address: str,
        *,
        profile: Profile = DRAFT_07,
        fault: Fault | None = None,
        session_id: int = 1,
    ) -> None:
        self._agent = Agent(ua, lambda text: self._commands.append(LogLine(text)))
        self._config = config
        self._address = address
        self._tolerance = Tolerance(repeat_zero_is_one=profile.zero_repeat_plays_once)
        self._fault = fault
        self._calls: dict[str, Call] = {}
        self._jobs: dict[int, Call] = {}
        self._numbers = itertools.count(1)
        self._sessions = itertools.count(session_id)
        self._commands: list[Command] = []
        self._stopping = False

    # -- in ----------------------------------------------------------------------------------------------------------

    def sip_event(self, event: Event, now: float) -> None:
        """Take an event of the user agent."""
        match event:
            case InviteReceived():
                self._invited(event, now)
            case CallConfirmed(call_id, ack):
                self._acknowledged(call_id, ack, now)
            case InviteCancelled(call_id):
                self._close(call_id, "cancelled by the caller")
            case InfoReceived():
                self._informed(event, now)
            case ByeReceived(call_id):
                self._close(call_id, "the caller hung up")
            case CallEnded(call_id, why):
                self._close(call_id, f"over ({why})")
            case RequestReceived(transaction=transaction):
                # No other request, and no second INVITE, changes a call: it stays as it is (RFC 3261 section 14.2).
                self._agent.respond(transaction, 488, now=now)
            case RequestAnswered(call_id, response=reply) if call_id and (reply is None or reply.status >= 300):
                self._log(f"a request of ours was answered {reply.status if reply else 'by nobody'}", call_id)

    def media_opened(self, call_id: str, port: int, now: float) -> None:
        """RTP ports are bound for the call: answer the offer."""
        call = self._calls.get(call_id)
        if call is None:
            return
        try:
            describe(call, self._address, port, next(self._sessions), self._fault)
        except NoCommonCodec as problem:
            self._refuse(call, Failure(FailureKind.NO_COMMON_CODEC, str(problem)), now)
        except SdpError as problem:
            self._refuse_with(call, 400, f"Bad session description: {problem}", now)
        else:
            self._carry_out(call, call.service.start(now), now)

    def media_refused(self, call_id: str, now: float) -> None:
        """No RTP ports are free."""
        if call := self._calls.get(call_id):
            self._refuse_with(call, 486, "", now)

    def fetched(self, job: int, media: EncodedMedia, now: float) -> None:
        """A fetch brought something to play."""
        if call := self._jobs.pop(job, None):
            call.job, call.media[call.url] = None, media
            self._log(f"fetched {media.seconds:.2f} s of {media.law}", call.id)
            self._carry_out(call, call.service.media_fetched(media.seconds * 1000, now), now)

    def fetch_failed(self, job: int, failure: Failure, now: float) -> None:
        """A fetch brought nothing to play."""
        if call := self._jobs.pop(job, None):
            call.job = None
            self._failed(call, failure, now)

    def playing_ended(self, call_id: str, played_ms: float, offset_ms: float, now: float) -> None:
        """The player stopped."""
        if call := self._calls.get(call_id):
            self._carry_out(call, call.service.playing_ended(played_ms, offset_ms, now), now)

    def next_timer(self) -> float | None:
        """Return when `handle_timer` is to be called; None: nothing to wait for."""
        due = [min(call.accept_at, call.give_up_at) for call in self._calls.values()]
        due += [timer for call in self._calls.values() if (timer := call.service.next_timer()) is not None]
        return min(filter(math.isfinite, due), default=None)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        for call in list(self._calls.values()):
            if call.accept_at <= now:
                self._answer(call, now)
            self._carry_out(call, call.service.handle_timer(now), now)
            if call.give_up_at <= now:
                call.give_up_at = math.inf
                self._end(call, 480, "Call too long", now)

    def shut_down(self, now: float) -> None:
        """Refuse what is not answered and hang up the rest; `idle` tells when all calls are over."""
        self._stopping = True
        for call in list(self._calls.values()):
            self._end(call, 503, "Shutting down", now)

    @property
    def idle(self) -> bool:
        """Whether there is no call."""
        return not self._calls

    # -- out ---------------------------------------------------------------------------------------------------------

    def commands(self) -> list[Command]:
        """Return, once, what is to be done, in order."""
        commands, self._commands = self._commands, []
        return commands

    # -- INVITE to ACK -------------------------------------------------------------------------------------------------

    def _invited(self, event: InviteReceived, now: float) -> None:
        request = event.request
        self._log(f"INVITE {request.target} from {event.source}", event.call)
        if isinstance(self._fault, faults.TicketInLog):
            self._commands.append(LogLine(f"INVITE was for {request.target}", raw=True))
        if self._stopping or len(self._calls) >= self._config.max_calls:
            self._agent.refuse(event.call, 503 if self._stopping else 486, now=now)
            return
        try:
            call = admit(event, self._config, now, self._fault)
        except NotAdmittedError as refusal:
            self._log(f"refused {refusal}", event.call)
            self._agent.refuse(event.call, refusal.status, now=now, reason=refusal.reason, headers=refusal.headers)
            return
        self._calls[call.id] = call
        self._commands.append(OpenMedia(call.id, request.call_id))

    def _acknowledged(self, call_id: str, ack: Request, now: float) -> None:
        call = self._calls.get(call_id)
        if call is None:
            return
        if call.stream is None:
            try:
                take_answer(call, ack.body)
            except SdpError as problem:
                self._end(call, 488, "No usable answer", now)
                self._log(f"the ACK holds no usable answer: {problem}", call_id)
                return
        self._confirm(call, now)

    def _confirm(self, call: Call, now: float) -> None:
        if call.confirmed or call.stream is None:
            return
        call.confirmed = True
        self._commands.append(stream_for(call, call.stream, self._fault))
        self._carry_out(call, call.service.confirmed(now), now)

    def _answer(self, call: Call, now: float) -> None:
        call.accepted, call.accept_at = True, math.inf
        self._log("answered 200", call.id)
        self._agent.accept(call.id, call.description, now=now)

    # -- INFO ----------------------------------------------------------------------------------------------------------

    def _informed(self, event: InfoReceived, now: float) -> None:
        call, kind, body = self._calls.get(event.call), event.request.content_type, event.request.body
        session = call.service if call is not None else None
        if call is None or not body:
            self._agent.respond(event.transaction, 200 if call else 481, now=now)
        elif kind in DTMF:
            self._pressed(event, call, now)
        elif kind != MSCML:
            self._agent.respond(event.transaction, 415, now=now)
        elif isinstance(session, IvrSession):
            self._requested(event, call, session, now)
        else:
            self._agent.respond(event.transaction, 488, now=now)  # an announcement takes no requests

    def _pressed(self, event: InfoReceived, call: Call, now: float) -> None:
        try:
            press = DtmfRelay.parse(event.request.content_type, event.request.body)
        except ValueError as problem:
            self._agent.respond(event.transaction, 400, now=now, reason=phrase(problem))
            return
        self._agent.respond(event.transaction, 200, now=now)
        if isinstance(call.service, IvrSession):
            self._carry_out(call, call.service.key(press.key, now), now)

    def _requested(self, event: InfoReceived, call: Call, session: IvrSession, now: float) -> None:
        charset = charset_of(event.request)
        try:
            document = parse_document(event.request.body, tolerance=self._tolerance, charset=charset)
        except MscmlError as problem:
            refusal = problem.response()
            if refusal is None:
                self._agent.respond(event.transaction, 400, now=now, reason=f"Bad MSCML: {phrase(problem)}")
                return
            self._agent.respond(event.transaction, 200, now=now)
            self._log(f"request not understood: {problem}", call.id)
            self._carry_out(call, [Respond(refusal)], now)
            return
        if isinstance(document, Response):
            self._agent.respond(event.transaction, 400, now=now, reason="A request is expected")
            return
        if isinstance(self._fault, faults.ResponseBeforeInfoOk):
            call.silenced = True
            self._send(call, Response("playcollect", id=document.id, reason="timeout"), now)
        # LS-2.7-12: the INFO is answered at once; what it asks for comes later.
        self._agent.respond(event.transaction, 200, now=now)
        self._carry_out(call, session.receive(document, now), now)

    # -- what a service wants ----------------------------------------------------------------------------------------

    def _carry_out(self, call: Call, actions: list[Action], now: float) -> None:
        for action in actions:
            match action:
                case Accept():
                    self._accept(call, now)
                case Refuse(failure):
                    self._refuse(call, failure, now)
                case HangUp():
                    self._hang_up(call, now)
                case FetchMedia():
                    self._fetch(call, action, now)
                case CancelFetch():
                    self._abort_fetch(call)
                case StartPlaying():
                    self._play(call, action)
                case SkipBy(by_ms):
                    factor = self._fault.factor if isinstance(self._fault, faults.WrongSkip) else 1
                    self._commands.append(SeekMedia(call.id, round(by_ms * factor)))
                case StopPlaying():
                    self._commands.append(StopMedia(call.id))
                case Respond(response):
                    self._respond(call, response, now)

    def _accept(self, call: Call, now: float) -> None:
        if call.accepted:
            return
        if isinstance(self._fault, faults.RtpBeforeAck):
            call.accept_at = now + self._fault.head_start
            self._confirm(call, now)
            return
        self._answer(call, now)

    def _hang_up(self, call: Call, now: float) -> None:
        if isinstance(self._fault, faults.NoBye):
            return
        self._log("hanging up", call.id)
        self._agent.bye(call.id, now=now, headers=[("Reason", 'SIP;cause=200;text="Completed"')])

    def _fetch(self, call: Call, wanted: FetchMedia, now: float) -> None:
        call.url = wanted.url
        try:
            plan = plan_fetch(wanted.url, self._config)
        except FetchError as problem:
            self._failed(call, problem.failure, now)
            return
        call.job = next(self._numbers)
        self._jobs[call.job] = call
        self._log(f"fetching {wanted.url}", call.id)
        if isinstance(self._fault, faults.TicketInLog):
            self._commands.append(LogLine(f"fetching {wanted.url}", raw=True))
        self._commands.append(StartFetch(call.job, plan, wanted.content_type, call.law))

    def _abort_fetch(self, call: Call) -> None:
        if call.job is not None:
            self._jobs.pop(call.job, None)
            self._commands.append(AbortFetch(call.job))
            call.job = None

    def _failed(self, call: Call, failure: Failure, now: float) -> None:
        self._log(f"nothing to play: {failure.why} ({failure.kind.value})", call.id)
        self._carry_out(call, call.service.fetch_failed(failure, now), now)

    def _play(self, call: Call, playing: StartPlaying) -> None:
        call.media = {url: call.media[url] for url in playing.urls}
        media = tuple(call.media[url] for url in playing.urls)
        self._commands.append(PlayMedia(call.id, media, playing.offset_ms, playing.limit_ms))

    def _respond(self, call: Call, response: Response, now: float) -> None:
        if call.silenced or isinstance(self._fault, faults.NoResponseInfo):
            return
        if isinstance(self._fault, faults.WrongOffset) and response.play_offset_ms is not None:
            response = replace(response, play_offset_ms=response.play_offset_ms + self._fault.by_ms)
        self._send(call, response, now)

    def _send(self, call: Call, response: Response, now: float) -> None:
        outcome = response.reason or response.text or ""
        self._log(f"{response.request} answered {response.code} {outcome}", call.id)
        self._agent.info(call.id, write_document(response), MSCML, now=now)

    # -- the end -----------------------------------------------------------------------------------------------------

    def _refuse(self, call: Call, failure: Failure, now: float) -> None:
        self._refuse_with(call, failure.status, failure.reason, now, failure.warning(self._address))

    def _refuse_with(
        self, call: Call, status: int, reason: str, now: float, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        self._agent.refuse(call.id, status, now=now, reason=phrase(reason), headers=headers)
        self._close(call.id, f"refused {status} {reason}")

    def _end(self, call: Call, status: int, why: str, now: float) -> None:
        """End a call, answered or not, for a reason of our own."""
        if not call.accepted:
            self._refuse_with(call, status, "", now)
            return
        self._log(f"hanging up: {why}", call.id)
        self._carry_out(call, call.service.close(), now)
        self._agent.bye(call.id, now=now, headers=[("Reason", f'SIP;cause={status};text="{why}"')])

    def _close(self, call_id: str, why: str) -> None:
        """Give back all that a call holds; nothing is said to anybody."""
        call = self._calls.pop(call_id, None)
        if call is None:
            return
        self._log(why, call_id)
        call.service.close()
        self._abort_fetch(call)
        self._commands.append(CloseMedia(call_id))

    def _log(self, text: str, call_id: str) -> None:
        self._commands.append(LogLine(f"call {call_id}: {text}"))
