"""Handles re-INVITEs, which change a call's session (RFC 3261 section 14) or move it to another service.

A session gets another address, codec or direction by RFC 3264 section 8; the move is that of RFC 5022 section 3.
"""

from __future__ import annotations

from dataclasses import replace

from lemonade_media.calls.admission import NotAdmittedError, another_service, offer_of
from lemonade_media.calls.call import CallService, MediaCall
from lemonade_media.calls.call_control import CallControl
from lemonade_media.calls.dtmf import KeyPresses
from lemonade_media.calls.negotiation import change, change_for, offer_again, take_answer_again
from lemonade_media.model.failures import negotiation_failure
from lemonade_media.services.ivr import IvrSession
from lemonade_wire.sdp.codec import SdpError
from lemonade_wire.sdp.description import SessionDescription
from lemonade_wire.sdp.offer import NegotiatedStream, NotAcceptable
from lemonade_wire.sip.event import ReinviteAnswered, ReinviteConfirmed, ReinviteReceived
from lemonade_wire.sip.message import SipRequest
from lemonade_wire.sip.message.body import answer_in


class ReinviteHandler:
    """Answers the re-INVITEs of callers, and handles the answers to the re-INVITEs that refresh sessions (RFC 4028)."""

    def __init__(self, call_control: CallControl) -> None:
        self._control = call_control

    def asked(self, event: ReinviteReceived, now: float) -> None:
        """Answer a re-INVITE. If it is refused, the session stays as it was (RFC 3261 section 14.2)."""
        agent, call = self._control.agent, self._control.calls.get(event.call)
        if call is None:
            agent.refuse(event.call, 481, now=now)
            return
        try:
            service = another_service(call, event.request, self._control.config, self._control.fault)
            if service is None:
                self._answer(call, event.request, now)
            else:
                self._move(call, service, event.request, now)
        except NotAdmittedError as refusal:
            agent.refuse(call.id, refusal.status, now=now, reason=refusal.reason, headers=refusal.headers)
        except NotAcceptable as problem:
            failure = negotiation_failure(problem)
            headers = failure.warning(self._control.address)
            agent.refuse(call.id, failure.status, now=now, reason=failure.reason, headers=headers)

    def acknowledged(self, event: ReinviteConfirmed, now: float) -> None:
        """Handle the ACK of a 200 to a re-INVITE; if that 200 held an offer, the ACK holds the answer."""
        call = self._control.calls.get(event.call)
        if call is None:
            return
        if call.offered is not None:
            offered, call.offered = call.offered, None
            try:
                stream = take_answer_again(call, offered, answer_in(event.ack))
            except SdpError as problem:
                self._control.end(call, 488, "No usable answer", now)
                self._control.log(f"the ACK holds no usable answer: {problem}", call.id)
                return
            self._go_on(call, stream, now)
        # The ACK starts a service that the call was moved to. A service that has had its first ACK ignores a second.
        self._control.carry_out(call, call.service.confirmed(now), now)

    def withdrawn(self, call_id: str) -> None:
        """Handle that a re-INVITE was cancelled: the call is not moved to another service."""
        if call := self._control.calls.get(call_id):
            self._control.stay(call)

    def refreshed(self, event: ReinviteAnswered, now: float) -> None:
        """Handle the answer to a session refresh by re-INVITE, whose offer was the server's last description."""
        call, response = self._control.calls.get(event.call), event.response
        if call is None or response is None:
            return
        if response.status >= 300:
            self._control.log(f"the session could not be refreshed: {response.status}", call.id)
            return
        try:
            if call.ours is not None and response.body:
                self._go_on(call, take_answer_again(call, call.ours, answer_in(response)), now)
        except SdpError as problem:
            self._control.log(f"the answer to a refresh cannot be used: {problem}", call.id)

    def _answer(self, call: MediaCall, request: SipRequest, now: float) -> None:
        """Answer a re-INVITE with 200 and change the session; raises as `_describe`."""
        call.ours, stream = self._describe(call, request)
        call.offered = call.ours if stream is None else None
        self._control.agent.accept(call.id, bytes(call.ours), now=now)
        if stream is not None:
            self._go_on(call, stream, now)

    def _move(self, call: MediaCall, service: CallService, request: SipRequest, now: float) -> None:
        """Start another service for a call. It answers the re-INVITE as a first INVITE; until then nothing changes.

        Raises as `_describe`.
        """
        moved = replace(call, service=service, silenced=False, job=None, url="", media={}, keys=KeyPresses())
        moved.ours, stream = self._describe(moved, request)
        moved.offered = moved.ours if stream is None else None
        moved.stream, moved.description = stream or call.stream, bytes(moved.ours)
        call.moves_to, moved.moves_from = moved, call
        self._control.carry_out(moved, service.start(now), now)

    def _describe(self, call: MediaCall, request: SipRequest) -> tuple[SessionDescription, NegotiatedStream | None]:
        """Return the server's session description and the stream that it agrees on; None if it is an offer.

        Raises NotAdmittedError (400) or NotAcceptable (488).
        """
        offer = offer_of(request)
        try:
            if offer is None:
                return offer_again(call, self._control.address), None
            return change(call, offer, self._control.address)
        except NotAcceptable:
            raise
        except SdpError as problem:
            raise NotAdmittedError(400, f"Bad session description: {problem}") from problem

    def _go_on(self, call: MediaCall, stream: NegotiatedStream, now: float) -> None:
        """Change the call's RTP stream to what is agreed on now; if that is the same as before, do nothing."""
        if stream == call.stream:
            return
        self._control.log(f"the session is changed: {stream.direction.value}", call.id)
        law, call.stream = call.law, stream
        media = None
        if isinstance(call.service, IvrSession):
            # RFC 5022 section 6: a change of the session has the effect of a <stop> request.
            self._control.carry_out(call, call.service.stop(now), now)
        elif call.law != law:
            media = tuple(one.to(call.law) for one in call.media.values())
        self._control.command(change_for(call, stream, media, self._control.fault))
