"""What re-INVITEs make of calls: other addresses, codecs and directions (RFC 3261 section 14, RFC 3264 section 8)."""

from __future__ import annotations

from lemonade_media.admission import NotAdmittedError, offer_of
from lemonade_media.calls import Call
from lemonade_media.conductor import Conductor
from lemonade_media.failures import Failure, FailureKind
from lemonade_media.ivr import IvrSession
from lemonade_media.negotiation import change, change_for, offer_again, take_answer_again
from lemonade_wire.sdp.codec import SdpError
from lemonade_wire.sdp.offer import NegotiatedStream, NoCommonCodec
from lemonade_wire.sip.body import answer_in
from lemonade_wire.sip.event import ReinviteAnswered, ReinviteConfirmed, ReinviteReceived
from lemonade_wire.sip.message import Request


class Changing:
    """Answers the re-INVITEs of callers, and takes the answers to those that the user agent refreshes sessions by."""

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor

    def asked(self, event: ReinviteReceived, now: float) -> None:
        """Answer a re-INVITE; refused, it changes nothing."""
        agent, call = self._conductor.agent, self._conductor.calls.get(event.call)
        if call is None:
            agent.refuse(event.call, 481, now=now)
            return
        try:
            self._answer(call, event.request, now)
        except NotAdmittedError as refusal:
            agent.refuse(call.id, refusal.status, now=now, reason=refusal.reason, headers=refusal.headers)
        except NoCommonCodec as problem:
            failure = Failure(FailureKind.NO_COMMON_CODEC, str(problem))
            headers = failure.warning(self._conductor.address)
            agent.refuse(call.id, failure.status, now=now, reason=failure.reason, headers=headers)

    def acknowledged(self, event: ReinviteConfirmed, now: float) -> None:
        """Take the ACK of a 200 to a re-INVITE, with the answer where ours held the offer."""
        call = self._conductor.calls.get(event.call)
        if call is None or call.offered is None:
            return
        offered, call.offered = call.offered, None
        try:
            stream = take_answer_again(call, offered, answer_in(event.ack))
        except SdpError as problem:
            self._conductor.end(call, 488, "No usable answer", now)
            self._conductor.log(f"the ACK holds no usable answer: {problem}", call.id)
            return
        self._go_on(call, stream, now)

    def refreshed(self, event: ReinviteAnswered, now: float) -> None:
        """Take the answer to a re-INVITE of ours, whose offer was our last description."""
        call, response = self._conductor.calls.get(event.call), event.response
        if call is None or response is None:
            return
        if response.status >= 300:
            self._conductor.log(f"the session could not be refreshed: {response.status}", call.id)
            return
        try:
            if call.ours is not None and response.body:
                self._go_on(call, take_answer_again(call, call.ours, answer_in(response)), now)
        except SdpError as problem:
            self._conductor.log(f"the answer to a refresh cannot be used: {problem}", call.id)

    def _answer(self, call: Call, request: Request, now: float) -> None:
        """Answer 200; raises NotAdmittedError or NoCommonCodec."""
        offer = offer_of(request)
        try:
            if offer is None:
                call.offered = call.ours = offer_again(call, self._conductor.address)
                self._conductor.agent.accept(call.id, bytes(call.ours), now=now)
                return
            ours, stream = change(call, offer, self._conductor.address)
        except NoCommonCodec:
            raise
        except SdpError as problem:
            raise NotAdmittedError(400, f"Bad session description: {problem}") from problem
        call.ours = ours
        self._conductor.agent.accept(call.id, bytes(ours), now=now)
        self._go_on(call, stream, now)

    def _go_on(self, call: Call, stream: NegotiatedStream, now: float) -> None:
        """Have the call go on with what is agreed now; where that is what it was, nothing happens."""
        if stream == call.stream:
            return
        self._conductor.log(f"the session is changed: {stream.direction.value}", call.id)
        law, call.stream = call.law, stream
        media = None
        if isinstance(call.service, IvrSession):
            # RFC 5022 section 6: a change of the session is a <stop> without a word.
            self._conductor.carry_out(call, call.service.stop(now), now)
        elif call.law != law:
            media = tuple(one.to(call.law) for one in call.media.values())
        self._conductor.command(change_for(call, stream, media, self._conductor.fault))
