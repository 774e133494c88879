"""The media server without I/O: it takes SIP events, fetched media and reports of the player, and returns commands.

The core calls the `UserAgent` for everything that it does by SIP. `commands()` returns everything else: ports, fetches,
streams, recordings, log lines. Each command's docstring names the method of `MediaServer` that takes its result. No
reactor, socket, thread or sleep is needed to run the core: `testing.py` replays whole calls in memory.
"""

from __future__ import annotations

import itertools
import math

from lemonade_media.calls.admission import NotAdmittedError, admit
from lemonade_media.calls.call_control import CallControl
from lemonade_media.calls.info_handler import DTMF, InfoHandler
from lemonade_media.calls.limits import FULL_SECONDS, CallRate, retry_after
from lemonade_media.calls.negotiation import describe, take_answer
from lemonade_media.calls.reinvite_handler import ReinviteHandler
from lemonade_media.config import MediaConfig
from lemonade_media.decoding.decode import EncodedMedia
from lemonade_media.faults.calls import TICKET_IN_LOG
from lemonade_media.faults.mscml import RTP_KEYS_IGNORED
from lemonade_media.model.actions import RecordingEnd
from lemonade_media.model.commands import Command, LogLine, OpenMedia
from lemonade_media.model.failures import Failure, negotiation_failure
from lemonade_wire.address import in_networks
from lemonade_wire.faults import Fault
from lemonade_wire.mscml.document import CONTENT_TYPE as MSCML
from lemonade_wire.mscml.document import Tolerance
from lemonade_wire.profile import DRAFT_07, Profile
from lemonade_wire.sdp.codec import SdpError
from lemonade_wire.sdp.offer import NotAcceptable
from lemonade_wire.sip.event import (
    ByeReceived,
    CallAnswered,
    CallConfirmed,
    CallEnded,
    CallRefused,
    Event,
    InfoReceived,
    InviteCancelled,
    InviteReceived,
    ReinviteAnswered,
    ReinviteCancelled,
    ReinviteConfirmed,
    ReinviteReceived,
    RequestAnswered,
    RequestReceived,
)
from lemonade_wire.sip.message import SipRequest
from lemonade_wire.sip.message.body import SDP, answer_in
from lemonade_wire.sip.ua import UserAgent

ACCEPTED = (SDP, MSCML, *DTMF, "multipart/mixed", "multipart/alternative")
"""The media types of the Accept header (RFC 3261 section 20.1), without those of S/MIME (`Smime.accepted`)."""


class MediaServer:
    """All calls of one media server.

    `address` is the IP address for the c= line of its session descriptions. `session_id` is the first session id for
    the o= line. `now` is the time in seconds of a monotonic clock, in every method.
    """

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
        self._control = CallControl(ua, config, address, fault)
        tolerance = Tolerance(repeat_zero_is_one=profile.zero_repeat_plays_once)
        self._info_handler = InfoHandler(self._control, tolerance, config.smime.identity)
        self._reinvite_handler = ReinviteHandler(self._control)
        self._sessions = itertools.count(session_id)
        self._rate = CallRate(config.limits.calls_per_minute)

    # -- events ------------------------------------------------------------------------------------------------------

    def sip_event(self, event: Event, now: float) -> None:
        """Handle an event of the user agent."""
        match event:
            case InviteReceived():
                self._invited(event, now)
            case CallConfirmed(call_id, ack):
                self._acknowledged(call_id, ack, now)
            case InviteCancelled() | ByeReceived() | CallEnded():
                self._control.close(event.call, _ending(event))
            case InfoReceived():
                self._info_handler.informed(event, now)
            case CallAnswered() | CallRefused():  # only a fault makes the media server call another one
                self._control.answered(event.call, now, accepted=isinstance(event, CallAnswered))
            case ReinviteReceived():
                self._reinvite_handler.asked(event, now)
            case ReinviteConfirmed():
                self._reinvite_handler.acknowledged(event, now)
            case ReinviteCancelled(call_id):
                self._reinvite_handler.withdrawn(call_id)
            case ReinviteAnswered():
                self._reinvite_handler.refreshed(event, now)
            case RequestReceived(transaction=transaction):
                # BYE, INFO and INVITE have events of their own; no other method is supported inside a call.
                self._control.agent.respond(transaction, 488, now=now)
            case RequestAnswered(call_id, response=reply) if call_id and (reply is None or reply.status >= 300):
                self._control.log(
                    f"a request of ours was answered {reply.status if reply else 'by no response'}", call_id
                )

    def media_opened(self, call_id: str, port: int, now: float) -> None:
        """Handle that RTP ports are bound for a call (`OpenMedia`): answer its offer and start its service."""
        call = self._control.calls.get(call_id)
        if call is None:
            return
        try:
            describe(call, self._control.address, port, next(self._sessions), self._control.fault)
        except NotAcceptable as problem:
            self._control.refuse(call, negotiation_failure(problem), now)
        except SdpError as problem:
            self._control.refuse_with(call, 400, f"Bad session description: {problem}", now)
        else:
            self._control.carry_out(call, call.service.start(now), now)

    def media_refused(self, call_id: str, now: float) -> None:
        """Handle that no RTP ports are free for a call (`OpenMedia`): refuse it with 486 and Retry-After."""
        if call := self._control.calls.get(call_id):
            self._control.refuse_with(call, 486, "", now, retry_after(FULL_SECONDS))

    def fetched(self, job: int, media: EncodedMedia, now: float) -> None:
        """Handle that the fetch with the number `job` (`StartFetch`) succeeded and returned `media`."""
        self._control.fetched(job, media, now)

    def fetch_failed(self, job: int, failure: Failure, now: float) -> None:
        """Handle that the fetch with the number `job` (`StartFetch`) failed."""
        self._control.fetch_failed(job, failure, now)

    def playing_ended(self, call_id: str, played_ms: float, offset_ms: float, now: float) -> None:
        """Handle that the player stopped: it sent `played_ms` of sound, and stopped at `offset_ms` in the content."""
        if call := self._control.calls.get(call_id):
            self._control.carry_out(call, call.service.playing_ended(played_ms, offset_ms, now), now)

    def recording_ended(self, call_id: str, recorded_ms: float, octets: int, why: RecordingEnd, now: float) -> None:
        """Handle that a recording ended: its length in ms, the size of its file in octets, and the reason."""
        if call := self._control.calls.get(call_id):
            self._control.carry_out(call, call.service.recording_ended(recorded_ms, octets, why, now), now)

    def key_pressed(self, call_id: str, key: str, now: float) -> None:
        """Handle that the caller pressed a key, sent by RTP (RFC 4733); `key_released` follows when it is released."""
        if self._control.fault is RTP_KEYS_IGNORED:
            return
        if call := self._control.calls.get(call_id):
            self._info_handler.pressed(call, key, "rtp", now, held_ms=0)

    def key_released(self, call_id: str, key: str, now: float) -> None:
        """Handle that the caller released a key that was sent by RTP (RFC 4733)."""
        if call := self._control.calls.get(call_id):
            self._info_handler.released(call, key, now)

    def next_timer(self) -> float | None:
        """Return the time at which `handle_timer` must be called; None if no timer runs."""
        due = [min(call.accept_at, call.give_up_at) for call in self._control.calls.values()]
        due += [call.late[0] for call in self._control.calls.values() if call.late is not None]
        due += [timer for call in self._control.calls.values() if (timer := call.service.next_timer()) is not None]
        return min(filter(math.isfinite, due), default=None)

    def handle_timer(self, now: float) -> None:
        """Do everything that is due: timers of the services, the longest duration of a call, delays of faults."""
        for call in list(self._control.calls.values()):
            if call.accept_at <= now:
                self._control.answer(call, now)
            self._control.respond_late(call, now)
            self._control.carry_out(call, call.service.handle_timer(now), now)
            if call.give_up_at <= now:
                call.give_up_at = math.inf
                self._control.end(call, 480, "Call too long", now)

    def shut_down(self, now: float) -> None:
        """Refuse all unanswered calls (503) and hang up the others; `idle` becomes true once all calls have ended.

        The BYE of a call waits until the ACK of its 200 has come (RFC 3261 section 15).
        """
        self._control.stopping = True
        self._control.show_health()
        for call in list(self._control.calls.values()):
            self._control.end(call, 503, "Shutting down", now)

    def leave(self, now: float) -> None:
        """Send BYE where the ACK of a 200 is still missing: the process ends before the wait for it does.

        That wait is 64*T1, 32 s (RFC 3261 section 13.3.1.4).
        """
        for call in self._control.calls:
            self._control.agent.bye(call, now=now, at_once=True)

    @property
    def idle(self) -> bool:
        """Whether there is no call, and every refused INVITE has its ACK."""
        return not self._control.calls and not self._control.agent.awaits_ack

    # -- commands ----------------------------------------------------------------------------------------------------

    def commands(self) -> list[Command]:
        """Return the commands since the last call of this method, in the order in which to carry them out."""
        return self._control.commands()

    # -- INVITE to ACK -------------------------------------------------------------------------------------------------

    def _invited(self, event: InviteReceived, now: float) -> None:
        request = event.request
        self._control.log(f"INVITE {request.target} from {event.source}", event.call)
        if self._control.fault is TICKET_IN_LOG:
            self._control.command(LogLine(f"INVITE was for {request.target}", raw=True))
        try:
            self._limit(event, now)
            call = admit(event, self._control.config, now, self._control.fault)
        except NotAdmittedError as refusal:
            self._control.log(f"refused {refusal}", event.call)
            self._control.agent.refuse(
                event.call, refusal.status, now=now, reason=refusal.reason, headers=refusal.headers
            )
            return
        self._control.take(call)
        self._control.command(OpenMedia(call.id, request.call_id))

    def _limit(self, event: InviteReceived, now: float) -> None:
        """Raise NotAdmittedError (503 with Retry-After) if the call exceeds a limit of the server or of its address."""
        seconds = self._control.full
        if not seconds and not in_networks(event.source.host, self._control.config.limits.unlimited):
            seconds = self._rate.wait(event.source.host, now)
        if seconds:
            raise NotAdmittedError(503, "", retry_after(seconds))

    def _acknowledged(self, call_id: str, ack: SipRequest, now: float) -> None:
        call = self._control.calls.get(call_id)
        if call is None:
            return
        if call.stream is None:
            try:
                take_answer(call, answer_in(ack))
            except SdpError as problem:
                self._control.end(call, 488, "No usable answer", now)
                self._control.log(f"the ACK holds no usable answer: {problem}", call_id)
                return
        self._control.confirm(call, now)


def _ending(event: InviteCancelled | ByeReceived | CallEnded) -> str:
    """Return the reason why a call ended, for the log."""
    match event:
        case InviteCancelled(expired=expired):
            return "not wanted any more (Expires)" if expired else "cancelled by the caller"
        case ByeReceived():
            return "the caller hung up"
        case CallEnded(why=why):
            return f"over ({why})"
