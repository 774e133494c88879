"""The media server without I/O: SIP events, fetched media and the player's reports in, commands out.

Everything that acts on SIP goes to the `UserAgent` given; everything else comes from `commands()`. A whole call is
replayed in memory by moving the user agent's octets to another one, answering each command by the method that its
docstring names, and passing any numbers as `now`; no reactor, socket, thread or sleep is needed (`replay.py` does it).
"""

from __future__ import annotations

import itertools
import math

from lemonade_media import faults
from lemonade_media.admission import NotAdmittedError, admit
from lemonade_media.changing import Changing
from lemonade_media.commands import Command, LogLine, OpenMedia
from lemonade_media.conductor import Conductor
from lemonade_media.config import MediaConfig
from lemonade_media.decode import EncodedMedia
from lemonade_media.failures import Failure, FailureKind
from lemonade_media.informing import DTMF, Informing
from lemonade_media.limits import FULL_SECONDS, CallRate, retry_after
from lemonade_media.negotiation import describe, take_answer
from lemonade_media.service import RecordingEnd
from lemonade_wire.faults import Fault
from lemonade_wire.mscml.document import CONTENT_TYPE as MSCML
from lemonade_wire.mscml.document import Tolerance
from lemonade_wire.profile import DRAFT_07, Profile
from lemonade_wire.sdp.codec import SdpError
from lemonade_wire.sdp.offer import NoCommonCodec
from lemonade_wire.sip.body import SDP, answer_in
from lemonade_wire.sip.event import (
    ByeReceived,
    CallConfirmed,
    CallEnded,
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
from lemonade_wire.sip.message import Request
from lemonade_wire.sip.ua import UserAgent

ACCEPTED = (SDP, MSCML, *DTMF, "multipart/mixed", "multipart/alternative")
"""What Accept lists, besides what `Smime.accepted` says."""


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
        self._conductor = Conductor(ua, config, address, fault)
        tolerance = Tolerance(repeat_zero_is_one=profile.zero_repeat_plays_once)
        self._informing = Informing(self._conductor, tolerance, config.smime.identity)
        self._changing = Changing(self._conductor)
        self._sessions = itertools.count(session_id)
        self._rate = CallRate(config.limits.calls_per_minute)

    # -- in ----------------------------------------------------------------------------------------------------------

    def sip_event(self, event: Event, now: float) -> None:
        """Take an event of the user agent."""
        match event:
            case InviteReceived():
                self._invited(event, now)
            case CallConfirmed(call_id, ack):
                self._acknowledged(call_id, ack, now)
            case InviteCancelled(call_id, expired):
                self._conductor.close(
                    call_id, "not wanted any more (Expires)" if expired else "cancelled by the caller"
                )
            case InfoReceived():
                self._informing.informed(event, now)
            case ByeReceived(call_id):
                self._conductor.close(call_id, "the caller hung up")
            case CallEnded(call_id, why):
                self._conductor.close(call_id, f"over ({why})")
            case ReinviteReceived():
                self._changing.asked(event, now)
            case ReinviteConfirmed():
                self._changing.acknowledged(event, now)
            case ReinviteCancelled(call_id):
                self._changing.withdrawn(call_id)
            case ReinviteAnswered():
                self._changing.refreshed(event, now)
            case RequestReceived(transaction=transaction):
                # No other request changes a call.
                self._conductor.agent.respond(transaction, 488, now=now)
            case RequestAnswered(call_id, response=reply) if call_id and (reply is None or reply.status >= 300):
                self._conductor.log(f"a request of ours was answered {reply.status if reply else 'by nobody'}", call_id)

    def media_opened(self, call_id: str, port: int, now: float) -> None:
        """RTP ports are bound for the call: answer the offer."""
        call = self._conductor.calls.get(call_id)
        if call is None:
            return
        try:
            describe(call, self._conductor.address, port, next(self._sessions), self._conductor.fault)
        except NoCommonCodec as problem:
            self._conductor.refuse(call, Failure(FailureKind.NO_COMMON_CODEC, str(problem)), now)
        except SdpError as problem:
            self._conductor.refuse_with(call, 400, f"Bad session description: {problem}", now)
        else:
            self._conductor.carry_out(call, call.service.start(now), now)

    def media_refused(self, call_id: str, now: float) -> None:
        """No RTP ports are free."""
        if call := self._conductor.calls.get(call_id):
            self._conductor.refuse_with(call, 486, "", now, retry_after(FULL_SECONDS))

    def fetched(self, job: int, media: EncodedMedia, now: float) -> None:
        """A fetch brought something to play."""
        self._conductor.fetched(job, media, now)

    def fetch_failed(self, job: int, failure: Failure, now: float) -> None:
        """A fetch brought nothing to play."""
        self._conductor.fetch_failed(job, failure, now)

    def playing_ended(self, call_id: str, played_ms: float, offset_ms: float, now: float) -> None:
        """The player stopped."""
        if call := self._conductor.calls.get(call_id):
            self._conductor.carry_out(call, call.service.playing_ended(played_ms, offset_ms, now), now)

    def recording_ended(self, call_id: str, recorded_ms: float, octets: int, why: RecordingEnd, now: float) -> None:
        """A recording is over."""
        if call := self._conductor.calls.get(call_id):
            self._conductor.carry_out(call, call.service.recording_ended(recorded_ms, octets, why, now), now)

    def key_pressed(self, call_id: str, key: str, now: float) -> None:
        """The caller pressed a key, by RFC 4733; `key_released` tells when it is up again."""
        if isinstance(self._conductor.fault, faults.RtpKeysIgnored):
            return
        if call := self._conductor.calls.get(call_id):
            self._informing.pressed(call, key, "rtp", now, held_ms=0)

    def key_released(self, call_id: str, key: str, now: float) -> None:
        """The key that the caller pressed by RFC 4733 is up again."""
        if call := self._conductor.calls.get(call_id):
            self._informing.released(call, key, now)

    def next_timer(self) -> float | None:
        """Return when `handle_timer` is to be called; None: nothing to wait for."""
        due = [min(call.accept_at, call.give_up_at) for call in self._conductor.calls.values()]
        due += [timer for call in self._conductor.calls.values() if (timer := call.service.next_timer()) is not None]
        return min(filter(math.isfinite, due), default=None)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        for call in list(self._conductor.calls.values()):
            if call.accept_at <= now:
                self._conductor.answer(call, now)
            self._conductor.carry_out(call, call.service.handle_timer(now), now)
            if call.give_up_at <= now:
                call.give_up_at = math.inf
                self._conductor.end(call, 480, "Call too long", now)

    def shut_down(self, now: float) -> None:
        """Refuse what is not answered and hang up the rest; `idle` tells when all calls are over.

        A call whose 200 has no ACK yet waits for it (RFC 3261 section 15).
        """
        self._conductor.stopping = True
        self._conductor.show_health()
        for call in list(self._conductor.calls.values()):
            self._conductor.end(call, 503, "Shutting down", now)

    def leave(self, now: float) -> None:
        """Hang up where the ACK is still missing: nobody will be here to do so when the 200 is given up for lost."""
        for call in self._conductor.calls:
            self._conductor.agent.bye(call, now=now, at_once=True)

    @property
    def idle(self) -> bool:
        """Whether there is no call, and all who were refused one know it."""
        return not self._conductor.calls and not self._conductor.agent.awaits_ack

    # -- out ---------------------------------------------------------------------------------------------------------

    def commands(self) -> list[Command]:
        """Return, once, what is to be done, in order."""
        return self._conductor.commands()

    # -- INVITE to ACK -------------------------------------------------------------------------------------------------

    def _invited(self, event: InviteReceived, now: float) -> None:
        request = event.request
        self._conductor.log(f"INVITE {request.target} from {event.source}", event.call)
        if isinstance(self._conductor.fault, faults.TicketInLog):
            self._conductor.command(LogLine(f"INVITE was for {request.target}", raw=True))
        try:
            self._limit(event, now)
            call = admit(event, self._conductor.config, now, self._conductor.fault)
        except NotAdmittedError as refusal:
            self._conductor.log(f"refused {refusal}", event.call)
            self._conductor.agent.refuse(
                event.call, refusal.status, now=now, reason=refusal.reason, headers=refusal.headers
            )
            return
        self._conductor.take(call)
        self._conductor.command(OpenMedia(call.id, request.call_id))

    def _limit(self, event: InviteReceived, now: float) -> None:
        """Raise NotAdmittedError where this is one call too many."""
        seconds = self._conductor.full or self._rate.wait(event.source.host, now)
        if seconds:
            raise NotAdmittedError(503, "", retry_after(seconds))

    def _acknowledged(self, call_id: str, ack: Request, now: float) -> None:
        call = self._conductor.calls.get(call_id)
        if call is None:
            return
        if call.stream is None:
            try:
                take_answer(call, answer_in(ack))
            except SdpError as problem:
                self._conductor.end(call, 488, "No usable answer", now)
                self._conductor.log(f"the ACK holds no usable answer: {problem}", call_id)
                return
        self._conductor.confirm(call, now)
