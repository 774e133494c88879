"""What re-INVITEs make of calls: other addresses, codecs and directions (RFC 3261 section 14, RFC 3264 section 8), and
other services (RFC 5022 section 3).
"""

from __future__ import annotations

from dataclasses import replace

from lemonade_media.admission import NotAdmittedError, another_service, offer_of
from lemonade_media.calls import Call, CallService
from lemonade_media.conductor import Conductor
from lemonade_media.failures import Failure, FailureKind
from lemonade_media.ivr import IvrSession
from lemonade_media.keys import KeyPresses
from lemonade_media.negotiation import change, change_for, offer_again, take_answer_again
from lemonade_wire.sdp.codec import SdpError
from lemonade_wire.sdp.description import SessionDescription
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
            service = another_service(call, event.request, self._conductor.config, self._conductor.fault)
            if service is None:
                self._answer(call, event.request, now)
            else:
                self._move(call, service, event.request, now)
        except NotAdmittedError as refusal:
            agent.refuse(call.id, refusal.status, now=now, reason=refusal.reason, headers=refusal.headers)
        except NoCommonCodec as problem:
            failure = Failure(FailureKind.NO_COMMON_CODEC, str(problem))
            headers = failure.warning(self._conductor.address)
            agent.refuse(call.id, failure.status, now=now, reason=failure.reason, headers=headers)

    def acknowledged(self, event: ReinviteConfirmed, now: float) -> None:
        """Take the ACK of a 200 to a re-INVITE, with the answer where ours held the offer."""
        call = self._conductor.calls.get(event.call)
        if call is None:
            return
        if call.offered is not None:
            offered, call.offered = call.offered, None
            try:
                stream = take_answer_again(call, offered, answer_in(event.ack))
            except SdpError as problem:
                self._conductor.end(call, 488, "No usable answer", now)
                self._conductor.log(f"the ACK holds no usable answer: {problem}", call.id)
                return
            self._go_on(call, stream, now)
        # A service that the call was moved to begins now, as with its first ACK; another knows of it.
        self._conductor.carry_out(call, call.service.confirmed(now), now)

    def withdrawn(self, call_id: str) -> None:
        """The re-INVITE is not to be answered any more."""
        if call := self._conductor.calls.get(call_id):
            self._conductor.stay(call)

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
        call.ours, stream = self._describe(call, request)
        call.offered = call.ours if stream is None else None
        self._conductor.agent.accept(call.id, bytes(call.ours), now=now)
        if stream is not None:
            self._go_on(call, stream, now)

    def _move(self, call: Call, service: CallService, request: Request, now: float) -> None:
        """Begin with another service, which answers as it would a first INVITE; until then the call is as it was.

        Raises NotAdmittedError or NoCommonCodec.
        """
        moved = replace(call, service=service, silenced=False, job=None, url="", media={}, keys=KeyPresses())
        moved.ours, stream = self._describe(moved, request)
        moved.offered = moved.ours if stream is None else None
        moved.stream, moved.description = stream or call.stream, bytes(moved.ours)
        call.moves_to, moved.moves_from = moved, call
        self._conductor.carry_out(moved, service.start(now), now)

    def _describe(self, call: Call, request: Request) -> tuple[SessionDescription, NegotiatedStream | None]:
        """Return our description and the stream that it agrees on, None where it is the offer.

        Raises NotAdmittedError or NoCommonCodec.
        """
        offer = offer_of(request)
        try:
            if offer is None:
                return offer_again(call, self._conductor.address), None
            return change(call, offer, self._conductor.address)
        except NoCommonCodec:
            raise
        except SdpError as problem:
            raise NotAdmittedError(400, f"Bad session description: {problem}") from problem

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
