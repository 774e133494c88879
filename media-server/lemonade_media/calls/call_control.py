"""Carries out the actions of the calls' services: by SIP through the user agent, all others as commands of the core.

The module is long because each action has its branch here, with the fault that changes it.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

from lemonade_media.calls.admission import phrase
from lemonade_media.calls.call import MediaCall
from lemonade_media.calls.dtmf import beep
from lemonade_media.calls.limits import FULL_SECONDS, STOPPING_SECONDS, retry_after
from lemonade_media.calls.negotiation import change_for, stream_for
from lemonade_media.config import MediaConfig
from lemonade_media.decoding.decode import EncodedMedia
from lemonade_media.faults.calls import (
    HANDS_TICKET_ON,
    NO_BYE,
    NO_WARNING,
    OTHER_MEDIA_SERVER,
    REFUSALS_ARE_500,
    RTP_BEFORE_ACK,
    RTP_BEFORE_ACK_ARRIVES,
    RTP_HEAD_START,
    TICKET_IN_LOG,
)
from lemonade_media.faults.imap import ANOTHER_IMAP_SERVER, IDENTITY_UNUSED, TRUSTS_EVERYBODY, choose_another
from lemonade_media.faults.mscml import (
    ANSWERS_IN_CLEAR,
    DRAFT_RESPONSE,
    END_SILENCE_TRIPLED,
    KEYPRESS_UNTOLD,
    NO_ERROR_INFO,
    NO_RESPONSE_INFO,
    RESPONSE_LATE,
    RESPONSE_TWICE,
    STOP_IGNORED,
    WRONG_OFFSET,
    WRONG_SKIP,
    NotificationEdit,
    ResponseEdit,
)
from lemonade_media.faults.rtp import GAIN_12DB_DOWN, PLAYS_OTHER_PART
from lemonade_media.fetch.provisioned import is_provisioned, plan_provisioned
from lemonade_media.fetch.urlfetch import plan_fetch
from lemonade_media.model.actions import (
    Accept,
    Action,
    CancelFetch,
    FetchMedia,
    Notify,
    PlayBeep,
    Refuse,
    Respond,
    SendBye,
    SkipBy,
    StartPlaying,
    StartRecording,
    StopPlaying,
    StopRecording,
)
from lemonade_media.model.commands import (
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
from lemonade_media.model.failures import Failure, FetchError
from lemonade_media.model.plans import FetchPlan, ProvisionedPlan
from lemonade_media.services.ivr import IvrSession
from lemonade_wire.faults import Fault
from lemonade_wire.mscml.document import CONTENT_TYPE as MSCML
from lemonade_wire.mscml.document import write_document
from lemonade_wire.mscml.messages import Keypress, MscmlResponse
from lemonade_wire.sdp.codec import PCMU
from lemonade_wire.sdp.offer import make_offer
from lemonade_wire.sip.message.smime import seal
from lemonade_wire.sip.netann import AnnouncementUri
from lemonade_wire.sip.ua import UserAgent

SIP_PORT = 5060


class CallControl:
    """The calls of a media server, and the actions that their services ask for.

    `address` is the IP address for session descriptions and Warning headers. `now` is the time in seconds of a
    monotonic clock, in every method.
    """

    def __init__(self, ua: UserAgent, config: MediaConfig, address: str, fault: Fault | None) -> None:
        self.agent = ua
        ua.report_late = lambda text: self.command(LogLine(f"too late: {text}"))
        self.config = config
        self.address = address
        self.fault = fault
        self.calls: dict[str, MediaCall] = {}
        self.stopping = False
        self._jobs: dict[int, MediaCall] = {}
        self._handed_on: dict[str, tuple[MediaCall, Failure]] = {}
        self._numbers = itertools.count(1)
        self._commands: list[Command] = []

    def command(self, command: Command) -> None:
        """Add a command to those that `commands` returns."""
        self._commands.append(command)

    def commands(self) -> list[Command]:
        """Return the commands since the last call of this method, in the order in which to carry them out."""
        commands, self._commands = self._commands, []
        return commands

    def log(self, text: str, call_id: str) -> None:
        """Write a line about a call to the log."""
        self.command(LogLine(f"call {call_id}: {text}"))

    def take(self, call: MediaCall) -> None:
        """Add a call that was admitted."""
        self.calls[call.id] = call
        self.show_health()

    @property
    def full(self) -> int | None:
        """The seconds for Retry-After while no further call is accepted; None while calls are accepted."""
        if self.stopping:
            return STOPPING_SECONDS
        return FULL_SECONDS if len(self.calls) >= self.config.limits.calls else None

    def show_health(self) -> None:
        """Tell the user agent whether calls are accepted: OPTIONS is answered as INVITE is (RFC 3261 section 11.2)."""
        self.agent.retry_after = self.full

    def carry_out(self, call: MediaCall, actions: list[Action], now: float) -> None:
        """Carry out the actions of a call's service, in order; then move the call if its next service is ready."""
        for action in actions:
            match action:
                case Accept():
                    self._accept(call, now)
                case Refuse(failure):
                    self.refuse(call, failure, now)
                case SendBye():
                    self._hang_up(call, now)
                case FetchMedia():
                    self._fetch(call, action, now)
                case CancelFetch():
                    self._abort_fetch(call)
                case Respond(response):
                    self._respond(call, response, now)
                case Notify(keypress):
                    if self.fault is not KEYPRESS_UNTOLD:
                        self._tell(call, keypress, now)
                case StopPlaying() if self.fault is STOP_IGNORED:
                    self.carry_out(call, call.service.playing_ended(0, 0, now), now)
                case playing:
                    self.command(self._media_command(call, playing))
        if call.moves_to is not None and call.moves_to.ready:
            self._move(call, call.moves_to, now)

    def fetched(self, job: int, media: EncodedMedia, now: float) -> None:
        """Handle that the fetch with the number `job` succeeded: give its media to the call's service."""
        if call := self._jobs.pop(job, None):
            call.job, call.media[call.url] = None, media
            cut = f"; {media.unreadable:.0%} of the part could not be decoded" if media.unreadable else ""
            self.log(f"fetched {media.seconds:.2f} s of {media.law}{cut}", call.id)
            self.carry_out(call, call.service.media_fetched(media.seconds * 1000, now), now)

    def fetch_failed(self, job: int, failure: Failure, now: float) -> None:
        """Handle that the fetch with the number `job` failed: tell the call's service why."""
        if call := self._jobs.pop(job, None):
            call.job = None
            if self.fault is HANDS_TICKET_ON:
                self._hand_on(call, failure, OTHER_MEDIA_SERVER, now)
            else:
                self._failed(call, failure, now)

    def confirm(self, call: MediaCall, now: float) -> None:
        """Start the call's RTP stream, once the ACK has come and the codec is agreed on."""
        if call.confirmed or call.stream is None:
            return
        call.confirmed = True
        self.command(stream_for(call, call.stream, self.fault))
        if not call.stream.direction.sends:
            # On hold from the start (RFC 3264 section 8.4): the playing begins when a re-INVITE lifts the hold.
            self.command(change_for(call, call.stream, None, self.fault))
        self.carry_out(call, call.service.confirmed(now), now)

    def answer(self, call: MediaCall, now: float) -> None:
        """Answer the INVITE with 200."""
        call.accepted, call.accept_at = True, math.inf
        self.log("answered 200", call.id)
        self.agent.accept(call.id, call.description, now=now)
        if self.fault is RTP_BEFORE_ACK_ARRIVES:
            self.confirm(call, now)

    def send(self, call: MediaCall, response: MscmlResponse, now: float) -> None:
        """Send an MSCML response in an INFO."""
        outcome = response.reason or response.text or ""
        self.log(f"{response.request} answered {response.code} {outcome}", call.id)
        if call.secured and call.certificate is None:
            # The request was encrypted, and the response cannot be: error_info would show the URL with its ticket.
            response = replace(response, error_info=None)
        for _ in range(2 if self.fault is RESPONSE_TWICE else 1):
            self._tell(call, response, now)

    def _tell(self, call: MediaCall, document: MscmlResponse | Keypress, now: float) -> None:
        """Send an MSCML document by INFO, encrypted if the call's requests are (RFC 3261 section 23.2)."""
        content = write_document(document)
        if isinstance(self.fault, ResponseEdit if isinstance(document, MscmlResponse) else NotificationEdit):
            content = self.fault.rewrite(content)
        if not call.secured or call.certificate is None or self.fault is ANSWERS_IN_CLEAR:
            self.agent.info(call.id, content, MSCML, now=now)
            return
        body = seal(content, MSCML, call.certificate)
        self.agent.info(call.id, body.octets, body.content_type, now=now, headers=body.headers)

    def _accept(self, call: MediaCall, now: float) -> None:
        if call.moves_from is not None:
            call.ready = True
            self.carry_out(call.moves_from, [], now)
            return
        if call.accepted:
            return
        if self.fault is RTP_BEFORE_ACK:
            call.accept_at = now + RTP_HEAD_START
            self.confirm(call, now)
            return
        self.answer(call, now)

    def _move(self, former: MediaCall, call: MediaCall, now: float) -> None:
        """Move a call to another service (RFC 5022 section 3); a request that runs is stopped and answered before."""
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

    def stay(self, call: MediaCall) -> None:
        """Give up moving a call to another service; it keeps the service that it has."""
        if call.moves_to is not None:
            self._abort_fetch(call.moves_to)
            call.moves_to = None

    def _hang_up(self, call: MediaCall, now: float) -> None:
        if self.fault is NO_BYE:
            return
        self.log("hanging up", call.id)
        self.agent.bye(call.id, now=now, headers=_reason(200, "Completed"))

    def _fetch(self, call: MediaCall, wanted: FetchMedia, now: float) -> None:
        call.url = wanted.url
        try:
            plan = self._plan(call, wanted)
        except FetchError as problem:
            self._failed(call, problem.failure, now)
            return
        call.job = next(self._numbers)
        self._jobs[call.job] = call
        self.log(f"fetching {wanted.url}", call.id)
        if self.fault is TICKET_IN_LOG:
            self.command(LogLine(f"fetching {wanted.url}", raw=True))
        self.command(StartFetch(call.job, plan, wanted.content_type, call.law, call.caller))

    def _hand_on(self, call: MediaCall, failure: Failure, other: str, now: float) -> None:
        """Call another media server with the URL of a call: a fault, the attack of section 3 of the draft."""
        offer = make_offer(self.address, call.port, [PCMU])
        next_hop = self.config.resolver.resolve(other, SIP_PORT)
        own = self.agent.invite(AnnouncementUri(call.url).uri(other), body=bytes(offer), next_hop=next_hop, now=now)
        self._handed_on[own] = call, failure

    def answered(self, own: str, now: float, *, accepted: bool) -> None:
        """Handle the final response to the call that `_hand_on` made; the caller's INVITE is then refused."""
        call, failure = self._handed_on.pop(own)
        if accepted:
            self.agent.bye(own, now=now)
        self._failed(call, failure, now)

    def _plan(self, call: MediaCall, wanted: FetchMedia) -> FetchPlan | ProvisionedPlan:
        """Return the plan of a fetch: from an IMAP server or from the provisioned folder; raises FetchError."""
        if is_provisioned(wanted.url):
            return plan_provisioned(wanted.url, wanted.locale, wanted.substitutions, self.config.provisioned)
        plan = plan_fetch(wanted.url, self.config.imap, call.caller)
        if self.fault is ANOTHER_IMAP_SERVER:
            return replace(plan, host=choose_another(plan.host, (one.host for one in self.config.imap.allow)))
        if self.fault is IDENTITY_UNUSED:
            return replace(plan, privileged=False)
        trusts_everybody = self.fault is TRUSTS_EVERYBODY and self.config.imap.identity is not None
        return replace(plan, privileged=True) if trusts_everybody else plan

    def _abort_fetch(self, call: MediaCall) -> None:
        if call.job is not None:
            self._jobs.pop(call.job, None)
            self.command(AbortFetch(call.job))
            call.job = None

    def _failed(self, call: MediaCall, failure: Failure, now: float) -> None:
        self.log(f"nothing to play: {failure.why} ({failure.kind.value})", call.id)
        self.carry_out(call, call.service.fetch_failed(failure, now), now)

    def _media_command(
        self, call: MediaCall, action: StartPlaying | PlayBeep | SkipBy | StopPlaying | StartRecording | StopRecording
    ) -> Command:
        match action:
            case StartPlaying(urls, offset_ms, limit_ms, plays, delay_ms, gains_db):
                call.media = {url: call.media[url] for url in urls}
                pieces = zip(urls, gains_db or (0.0,) * len(urls), strict=True)
                more = -12.0 if self.fault is GAIN_12DB_DOWN else 0.0
                media = tuple(call.media[url].to(call.law).amplified(gain_db + more) for url, gain_db in pieces)
                if self.fault is PLAYS_OTHER_PART:
                    media = tuple(replace(one, octets=one.octets[::-1]) for one in media)
                return PlayMedia(call.id, media, offset_ms, limit_ms, plays, delay_ms)
            case PlayBeep():
                return PlayMedia(call.id, (beep(call.law),), 0, None)
            case SkipBy(by_ms):
                factor = 0.5 if self.fault is WRONG_SKIP else 1
                return SeekMedia(call.id, round(by_ms * factor))
            case StopPlaying():
                return StopMedia(call.id)
            case StartRecording(path, append, limit_ms, first_silence_ms, last_silence_ms):
                # RFC 5022 has one reason for a recording that is too long, max_duration: it is reported for the
                # server's own limit as well.
                bound_ms = min(math.inf if limit_ms is None else limit_ms, self.config.max_recording_seconds * 1000)
                if self.fault is END_SILENCE_TRIPLED and last_silence_ms is not None:
                    last_silence_ms *= 3
                return RecordMedia(call.id, path, append, bound_ms, first_silence_ms, last_silence_ms)
            case StopRecording():
                return StopRecordingMedia(call.id)

    def respond_late(self, call: MediaCall, now: float) -> None:
        """Send the response that a fault delays, once its delay is over."""
        if call.late is not None and call.late[0] <= now:
            self._respond(call, call.late[1], now)

    def _respond(self, call: MediaCall, response: MscmlResponse, now: float) -> None:
        if call.silenced or self.fault is NO_RESPONSE_INFO:
            return
        if self.fault is RESPONSE_LATE and call.late is None:
            call.late = now + 2.5, response
            return
        call.late = None
        if self.fault is WRONG_OFFSET and response.play_offset_ms is not None:
            response = replace(response, play_offset_ms=response.play_offset_ms + 2000)
        if self.fault is DRAFT_RESPONSE:
            response = replace(response, play_offset_ms=response.play_duration_ms)
        if self.fault is NO_ERROR_INFO:
            response = replace(response, error_info=None)
        self.send(call, response, now)

    # -- end of a call -----------------------------------------------------------------------------------------------

    def refuse(self, call: MediaCall, failure: Failure, now: float) -> None:
        """Refuse the INVITE with the status, reason phrase and Warning of a failure."""
        warning = () if self.fault is NO_WARNING else failure.warning(self.address)
        # RFC 3261 section 21.5.4: a client treats a 503 without Retry-After as a 500.
        later = retry_after(FULL_SECONDS) if failure.status == 503 else ()
        status = 500 if self.fault is REFUSALS_ARE_500 else failure.status
        self.refuse_with(call, status, failure.reason, now, (*warning, *later))

    def refuse_with(
        self, call: MediaCall, status: int, reason: str, now: float, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        """Refuse the INVITE with a status; the call ends, or stays as it was if a re-INVITE was to move it."""
        self.agent.refuse(call.id, status, now=now, reason=phrase(reason), headers=headers)
        if call.moves_from is not None:
            self.log(f"not moved: {status} {reason}", call.id)
            self.stay(call.moves_from)
            return
        self.close(call.id, f"refused {status} {reason}")

    def end(self, call: MediaCall, status: int, why: str, now: float) -> None:
        """End a call at the server's own wish: with BYE and a Reason header if it is answered, else with the status."""
        if not call.accepted:
            self.refuse_with(call, status, "", now)
            return
        self.log(f"hanging up: {why}", call.id)
        self.carry_out(call, call.service.close(), now)
        self.agent.bye(call.id, now=now, headers=_reason(status, why))

    def close(self, call_id: str, why: str) -> None:
        """Remove a call and free its fetch, stream and ports; no SIP message is sent."""
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
