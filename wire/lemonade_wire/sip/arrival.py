"""What comes in from the transaction layer, and what a user agent does about it by itself (RFC 3261 sections 8-15)."""

from __future__ import annotations

import math
from collections import deque

from lemonade_wire.address import Address
from lemonade_wire.sip import admission
from lemonade_wire.sip.call import Call, CallState
from lemonade_wire.sip.core import PROGRESS_SECONDS
from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.event import (
    ByeReceived,
    CallAnswered,
    CallConfirmed,
    CallProgressed,
    CallRefused,
    InviteCancelled,
    InviteReceived,
    ReinviteConfirmed,
    RequestAnswered,
    RequestReceived,
)
from lemonade_wire.sip.layer import RequestArrived, ResponseArrived
from lemonade_wire.sip.message import Request, Response
from lemonade_wire.sip.reinvite import Reinviting
from lemonade_wire.sip.response import respond_to
from lemonade_wire.sip.session import TIMER, SessionTimer


class Arriving(Reinviting):
    """The automatic half of a user agent; `UserAgent` adds what the application asks for."""

    def _follow(self, now: float) -> None:
        """Take what the layer brings until it is quiet."""
        self._send_reinvites(now)
        while self._layer.happenings:
            happened = self._layer.happenings.pop(0)
            if isinstance(happened, RequestArrived):
                if happened.key is None:
                    self._ack_arrived(happened.request, now)
                else:
                    self._request_arrived(happened.key, happened.request, happened.source, now)
            elif isinstance(happened, ResponseArrived):
                self._response_arrived(happened.key, happened.response, now)
            else:
                self._request_failed(happened.key, now)
            self._send_reinvites(now)

    def _tick(self, now: float) -> None:
        """Do what calls wait for by themselves: 2xx again, BYE without ACK, an INVITE that runs out, and the like."""
        for call in list(self._timed.values()):
            answer = call.answer
            if answer is not None and now >= answer.give_up:
                self._abandon(call, "no-ack", now)
                continue
            if answer is not None and now >= answer.at:
                self._layer.respond(answer.key, answer.response, now)
                answer.interval = min(2 * answer.interval, self.settings.timing.t2)
                answer.at = now + answer.interval
            if call.cancel_deadline is not None and now >= call.cancel_deadline:
                # Section 9.1: no answer even to this; a 2xx that still came would be stray.
                self._layer.destroy(call.key)
                self._refused(call, None, now)
                continue
            if call.unanswered is not None and now >= call.expires_at:
                self._withdrawn(call, now, expired=True)
            elif call.unanswered is not None and now >= call.progress_at:
                self._progress(call, 183, now)
                call.progress_at = now + PROGRESS_SECONDS
            self._tick_session(call, now)
            if call.reinvite is None and self._time_of(call) == math.inf:
                self._timed.pop(call.id, None)
        for key in [key for key in self._lingering if not self._layer.alive(key)]:
            acks = self._lingering.pop(key).acks
            for known in [known for known in acks if known[0] == key]:
                del acks[known]
            self._orphans.pop(key, None)
        for key in [key for key, at in self._orphans.items() if now >= at]:
            del self._orphans[key]
            self._layer.destroy(key)

    def _call_times(self) -> list[float]:
        """Return when `_tick` has something to do."""
        times = (*map(self._time_of, self._timed.values()), *self._orphans.values())
        return [at for at in times if at < math.inf]

    def _time_of(self, call: Call) -> float:
        """Return when a call has something to do; infinity: it waits for no time."""
        at = math.inf if call.cancel_deadline is None else call.cancel_deadline
        at = min(at, call.expires_at, call.progress_at)
        if call.answer is not None:
            at = min(at, call.answer.at, call.answer.give_up)
        return min(at, self._reinvite_time(call))

    # -- requests of the peer ------------------------------------------------------------------------------------

    def _request_arrived(self, key: str, request: Request, source: Address, now: float) -> None:
        refused = admission.refusal(request, self.settings)
        if refused is not None:
            self._answer(key, request, refused.status, now, headers=refused.headers, reason=refused.reason)
        elif request.method == "CANCEL":
            self._cancel_arrived(key, request, now)
        elif request.to.tag is not None:
            self._inside(key, request, now)
        elif self._layer.merged(key):
            self._answer(key, request, 482, now)
        elif request.method in {"INVITE", "OPTIONS"} and self.retry_after is not None:
            self._answer(key, request, 503, now, headers=[("Retry-After", str(self.retry_after))])
        elif request.method == "INVITE":
            self._invite_arrived(key, request, source, now)
        elif request.method == "OPTIONS":
            answer = admission.capabilities(request, self.settings)
            self._answer(key, request, answer.status, now, headers=answer.headers)
        elif request.method in {"BYE", "INFO"}:
            self._answer(key, request, 481, now)
        else:
            self._unanswered[key] = (None, request)
            self._events.append(RequestReceived(None, request, key))

    def _invite_arrived(self, key: str, request: Request, source: Address, now: float) -> None:
        call = Call(self._name("call"), CallState.OFFERED, request, key, source, self._tag())
        self._calls[call.id] = call
        self._open_invite(call, key, request, now)
        self._events.append(InviteReceived(call.id, request, source))

    def _cancel_arrived(self, key: str, request: Request, now: float) -> None:
        invite = self._layer.invite_of(key)
        if invite is None:
            self._answer(key, request, 481, now)
            return
        call = self._by_invite.get(invite)
        self._answer(key, request, 200, now, tag=call.tag if call else "")
        if call is None or call.unanswered is None or call.unanswered[0] != invite:
            return
        self._withdrawn(call, now)

    def _withdrawn(self, call: Call, now: float, *, expired: bool = False) -> None:
        """The peer wants no answer to its INVITE any more: by CANCEL, by BYE in the early dialog, or by Expires."""
        if call.state is not CallState.OFFERED:
            self._reinvite_cancelled(call, now)
            return
        self._layer.respond(call.key, respond_to(call.invite, 487, tag=call.tag), now)
        self._forget(call)
        self._events.append(InviteCancelled(call.id, expired))

    def _ack_arrived(self, ack: Request, now: float) -> None:
        """Take the ACK of our 2xx, whatever its Request-URI (E-28); others are stray."""
        call = self._by_dialog.get((ack.call_id, ack.to.tag or "", ack.from_.tag or ""))
        if call is None or call.answer is None or ack.cseq.number != call.answer.cseq:
            return
        call.answer = None
        if call.state is not CallState.ACCEPTED:
            self._events.append(ReinviteConfirmed(call.id, ack))
            return
        call.state = CallState.CONFIRMED
        self._events.append(CallConfirmed(call.id, ack))
        self._settled(call, now)

    def _inside(self, key: str, request: Request, now: float) -> None:
        local, remote = request.to.tag or "", request.from_.tag or ""
        call = self._by_dialog.get((request.call_id, local, remote))
        if call is None:
            self._inside_early(key, request, now)
        elif call.dialog is None or not call.dialog.order(request.cseq.number):
            self._answer(key, request, 500, now, reason="CSeq out of order")
        elif request.method == "BYE":
            self._bye_arrived(call, key, request, now)
        elif request.method == "OPTIONS":
            answer = admission.capabilities(request, self.settings)
            self._answer(key, request, 200, now, headers=answer.headers)
        elif call.state is CallState.ENDING:
            self._answer(key, request, 481, now)
        elif request.method == "INVITE":
            self._reinvite_arrived(call, key, request, now)
        elif request.method == "INFO" and "Info-Package" in request.headers:
            # RFC 6086 section 4.2.2: no package is ever named in Recv-Info; the dialog goes on.
            self._answer(key, request, 469, now, headers=[("Recv-Info", "")])
        else:
            call.held.append((key, request))
            self._next_request(call)

    def _inside_early(self, key: str, request: Request, now: float) -> None:
        """Take a request of a dialog that is not confirmed on this side."""
        local = request.to.tag
        early = {CallState.INVITING, CallState.OFFERED}
        known = (call for call in self._calls.values() if call.state in early and call.tag == local)
        call = next((call for call in known if call.invite.call_id == request.call_id), None)
        if call is None:
            self._answer(key, request, 481, now)
        elif call.state is CallState.INVITING and request.method != "INVITE":
            # It may have overtaken the 2xx that makes the dialog (RFC 6086 section 4.2.2).
            call.held.append((key, request))
        elif call.state is CallState.OFFERED and request.method == "BYE":
            # Section 15.1.2: the pending INVITE gets 487.
            self._answer(key, request, 200, now)
            self._withdrawn(call, now)
        elif call.state is CallState.OFFERED and request.method == "INVITE":
            self._reinvite_arrived(call, key, request, now)
        else:
            self._answer(key, request, 481, now)

    def _bye_arrived(self, call: Call, key: str, request: Request, now: float) -> None:
        self._answer(key, request, 200, now)
        if call.state is CallState.ENDING:
            return  # Both hung up: our own BYE is about to be answered.
        self._events.append(ByeReceived(call.id, request))
        self._ended(call, "bye-received", now)

    # -- answers to us -------------------------------------------------------------------------------------------

    def _response_arrived(self, key: str, response: Response, now: float) -> None:
        call = self._by_invite.get(key) or self._lingering.get(key)
        if call is not None and key != call.key:
            self._reinvite_answered(call, key, response, now)
        elif call is not None:
            self._invite_answered(call, response, now)
        elif key in self._asked and response.status >= 200:
            self._asked_answered(key, response, now)

    def _invite_answered(self, call: Call, response: Response, now: float) -> None:
        if 200 <= response.status < 300:
            self._accepted(call, response, now)
        elif call.state is not CallState.INVITING:
            return
        elif response.status >= 300:
            self._refused(call, response, now)
        else:
            first, call.provisional = not call.provisional, True
            if first and call.cancelled:
                self._send_cancel(call, now)
            self._events.append(CallProgressed(call.id, response))

    def _accepted(self, call: Call, response: Response, now: float) -> None:
        """Acknowledge a 2xx, each time it comes; the first makes the call, those of other forks are hung up."""
        tag = response.to.tag or ""
        if (call.key, tag) in call.acks:
            call.acks[call.key, tag](now)
            return
        dialog = self._dialog_factory.as_caller(call.invite, response)
        hop, transport = self._hop(call, dialog)
        call.acks[call.key, tag] = self._layer.send_ack(dialog.ack(), hop, transport, now)
        self._lingering[call.key] = call
        if call.state is not CallState.INVITING:
            # Another branch of a fork (section 13.2.2.4), or an answer after we had given up.
            self._layer.send_request(dialog.request("BYE"), hop, transport, now)
            return
        call.cancel_deadline = None
        call.dialog = dialog
        self._by_dialog[dialog.id] = call
        call.state = CallState.CONFIRMED
        if call.cancelled:
            self._abandon(call, "cancelled", now)
            return
        call.session = self._timer_of(response, now)
        self._timed[call.id] = call
        self._events.append(CallAnswered(call.id, response))
        early, call.held = call.held, deque()
        for key, request in early:
            self._inside(key, request, now)
        self._settled(call, now)

    def _timer_of(self, response: Response, now: float) -> SessionTimer | None:
        if TIMER not in self.settings.supported:
            return None
        try:
            return SessionTimer.as_caller(response, now)
        except SipParseError:
            return None

    def _refused(self, call: Call, response: Response | None, now: float) -> None:
        self._refuse_held(call, 481, now)
        self._fail_requests(call, now)
        self._forget(call)
        self._events.append(CallRefused(call.id, response))

    def _asked_answered(self, key: str, response: Response | None, now: float) -> None:
        """Take the final response to a request of ours, None where there was none."""
        call_id, method, transaction = self._asked.pop(key)
        call = self._calls.get(call_id) if call_id else None
        if call_id is None:
            self._events.append(RequestAnswered(None, transaction, response))
            return
        if call is None:
            return  # Over meanwhile, and said so.
        if method == "BYE":
            self._ended(call, "bye-answered", now)
            return
        if call.state is CallState.ENDING:
            return
        self._events.append(RequestAnswered(call_id, transaction, response))
        call.in_flight = None
        if response is not None and response.status == 481:
            self._ended(call, "dialog-gone", now)
        elif response is None or response.status == 408:
            # Section 12.2.1.2: the dialog is to be ended.
            self._abandon(call, "dialog-gone", now)
        else:
            self._next_outgoing(call, now)

    def _request_failed(self, key: str, now: float) -> None:
        call = self._by_invite.get(key) or self._lingering.get(key)
        if call is not None and key != call.key:
            self._reinvite_failed(call, key, now)
        elif call is not None and call.state is CallState.INVITING:
            self._refused(call, None, now)
        elif key in self._asked:
            self._asked_answered(key, None, now)
