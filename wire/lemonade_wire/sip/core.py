"""What a user agent does by itself: follows the transaction layer, keeps calls in order (RFC 3261 sections 8-15)."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable

from lemonade_wire.address import Address
from lemonade_wire.sip import admission
from lemonade_wire.sip.call import Answer, Call, CallState, Outgoing
from lemonade_wire.sip.dialog import Dialog, DialogId
from lemonade_wire.sip.errors import SipUsageError
from lemonade_wire.sip.event import (
    ByeReceived,
    CallAnswered,
    CallConfirmed,
    CallEnded,
    CallProgressed,
    CallRefused,
    EndReason,
    Event,
    InfoReceived,
    InviteCancelled,
    InviteReceived,
    RequestAnswered,
    RequestReceived,
)
from lemonade_wire.sip.layer import RequestArrived, ResponseArrived, TransactionLayer
from lemonade_wire.sip.matching import Transport, where
from lemonade_wire.sip.message import Request, Response
from lemonade_wire.sip.response import respond_to
from lemonade_wire.sip.settings import UaSettings

HeaderList = Iterable[tuple[str, str]]
MATCHES_ALL_TIMERS = 64
"""Timers B, F, H, L, M and the wait for an ACK are 64 times T1."""


class CallCore:
    """The automatic half of a user agent; `UserAgent` adds what the application asks for."""

    def __init__(self, settings: UaSettings, rng: random.Random, dialog_factory: type[Dialog]) -> None:
        self.settings = settings
        self._rng = rng
        self._dialog_factory = dialog_factory
        self._layer = TransactionLayer(settings, rng)
        self._events: list[Event] = []
        self._calls: dict[str, Call] = {}
        self._by_invite: dict[str, Call] = {}
        self._by_dialog: dict[DialogId, Call] = {}
        self._asked: dict[str, tuple[str | None, str, str]] = {}
        """Requests of ours in flight: call, method and public transaction, by layer key."""
        self._unanswered: dict[str, tuple[str | None, Request]] = {}
        """Requests of the peer that the application is to answer: call and request, by layer key."""
        self._lingering: dict[str, Call] = {}
        """Calls of ours, even when over, whose 2xx may come again; by INVITE key."""
        self._count = 0

    def _follow(self, now: float) -> None:
        """Take what the layer brings until it is quiet."""
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

    def _tick(self, now: float) -> None:
        """Do what calls wait for by themselves: 2xx again, BYE without ACK, a cancelled call that stays silent."""
        for call in list(self._calls.values()):
            answer = call.answer
            if answer is not None and now >= answer.give_up:
                self._abandon(call, "no-ack", now)
            elif answer is not None and now >= answer.at:
                self._layer.respond(call.key, answer.response, now)
                answer.interval = min(2 * answer.interval, self.settings.timing.t2)
                answer.at = now + answer.interval
            if call.cancel_deadline is not None and now >= call.cancel_deadline:
                # Section 9.1: no answer even to this; a 2xx that still came would be stray.
                self._layer.destroy(call.key)
                self._refused(call, None, now)
        for key in [key for key in self._lingering if not self._layer.alive(key)]:
            del self._lingering[key]

    def _call_times(self) -> list[float]:
        """Return when `_tick` has something to do."""
        times: list[float] = []
        for call in self._calls.values():
            if call.answer is not None:
                times.append(min(call.answer.at, call.answer.give_up))
            if call.cancel_deadline is not None:
                times.append(call.cancel_deadline)
        return times

    # -- requests of the peer ------------------------------------------------------------------------------------

    def _request_arrived(self, key: str, request: Request, source: Address, now: float) -> None:
        refused = admission.refusal(request, self.settings)
        if refused is not None:
            self._answer(key, request, refused.status, now, headers=refused.headers, reason=refused.reason)
        elif request.method == "CANCEL":
            self._cancel_arrived(key, request, now)
        elif request.to.tag is not None:
            self._inside(key, request, now)
        elif request.method == "INVITE":
            if self._layer.merged(key):
                self._answer(key, request, 482, now)
            else:
                self._invite_arrived(key, request, source)
        elif request.method == "OPTIONS":
            answer = admission.capabilities(request, self.settings)
            self._answer(key, request, answer.status, now, headers=answer.headers)
        elif request.method in {"BYE", "INFO"}:
            self._answer(key, request, 481, now)
        else:
            self._unanswered[key] = (None, request)
            self._events.append(RequestReceived(None, request, key))

    def _invite_arrived(self, key: str, request: Request, source: Address) -> None:
        call = Call(self._name("call"), CallState.OFFERED, request, key, source, self._tag())
        self._calls[call.id] = self._by_invite[key] = call
        self._events.append(InviteReceived(call.id, request, source))

    def _cancel_arrived(self, key: str, request: Request, now: float) -> None:
        invite = self._layer.invite_of(key)
        if invite is None:
            self._answer(key, request, 481, now)
            return
        call = self._by_invite.get(invite)
        self._answer(key, request, 200, now, tag=call.tag if call else "")
        if call is not None and call.state is CallState.OFFERED:
            self._layer.respond(call.key, respond_to(call.invite, 487, tag=call.tag), now)
            self._forget(call)
            self._events.append(InviteCancelled(call.id))

    def _ack_arrived(self, ack: Request, now: float) -> None:
        """Take the ACK of our 2xx, whatever its Request-URI (E-28); others are stray."""
        call = self._by_dialog.get((ack.call_id, ack.to.tag or "", ack.from_.tag or ""))
        if call is None or call.answer is None or ack.cseq.number != call.invite.cseq.number:
            return
        call.answer = None
        call.state = CallState.CONFIRMED
        self._events.append(CallConfirmed(call.id, ack))
        self._settled(call, now)

    def _inside(self, key: str, request: Request, now: float) -> None:
        local, remote = request.to.tag or "", request.from_.tag or ""
        call = self._by_dialog.get((request.call_id, local, remote))
        if call is None:
            # It may have overtaken the 2xx that makes the dialog (RFC 6086 section 4.2.2).
            call = next(
                (
                    call
                    for call in self._calls.values()
                    if call.state is CallState.INVITING and call.invite.call_id == request.call_id and call.tag == local
                ),
                None,
            )
            if call is None or request.method == "INVITE":
                self._answer(key, request, 481, now)
            else:
                call.held.append((key, request))
            return
        if call.dialog is None or not call.dialog.order(request.cseq.number):
            self._answer(key, request, 500, now, reason="CSeq out of order")
        elif request.method == "BYE":
            self._bye_arrived(call, key, request, now)
        elif request.method == "OPTIONS":
            answer = admission.capabilities(request, self.settings)
            self._answer(key, request, 200, now, headers=answer.headers)
        elif request.method == "INVITE":
            # A change of the session is not offered: 488 leaves it as it was (section 14.2).
            self._answer(key, request, 491 if call.state is CallState.ACCEPTED else 488, now)
        elif call.state is CallState.ENDING:
            self._answer(key, request, 481, now)
        else:
            call.held.append((key, request))
            self._next_request(call)

    def _bye_arrived(self, call: Call, key: str, request: Request, now: float) -> None:
        self._answer(key, request, 200, now)
        if call.state is CallState.ENDING:
            return  # Both hung up: our own BYE is about to be answered.
        self._events.append(ByeReceived(call.id, request))
        self._ended(call, "bye-received", now)

    def _next_request(self, call: Call) -> None:
        """Give the application the peer's next request, once the one before is answered and the ACK is here."""
        if call.held and call.open_request is None and call.state is CallState.CONFIRMED:
            key, request = call.held.popleft()
            call.open_request = key
            self._unanswered[key] = (call.id, request)
            kind = InfoReceived if request.method == "INFO" else RequestReceived
            self._events.append(kind(call.id, request, key))

    # -- answers to us -------------------------------------------------------------------------------------------

    def _response_arrived(self, key: str, response: Response, now: float) -> None:
        if key in self._by_invite or key in self._lingering:
            self._invite_answered(key, response, now)
        elif key in self._asked and response.status >= 200:
            self._asked_answered(key, response, now)

    def _invite_answered(self, key: str, response: Response, now: float) -> None:
        call = self._by_invite.get(key) or self._lingering[key]
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
        if tag in call.acks:
            call.acks[tag](now)
            return
        dialog = self._dialog_factory.as_caller(call.invite, response)
        hop, transport = where(dialog.hop(), call.peer, self.settings.resolver)
        call.acks[tag] = self._layer.send_ack(dialog.ack(), hop, transport, now)
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
        self._events.append(CallAnswered(call.id, response))
        early, call.held = call.held, deque()
        for key, request in early:
            self._inside(key, request, now)
        self._settled(call, now)

    def _refused(self, call: Call, response: Response | None, now: float) -> None:
        self._refuse_held(call, 481, now)
        self._fail_requests(call)
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
        call = self._by_invite.get(key)
        if call is not None and call.state is CallState.INVITING:
            self._refused(call, None, now)
        elif key in self._asked:
            self._asked_answered(key, None, now)

    # -- requests of ours ----------------------------------------------------------------------------------------

    def _settled(self, call: Call, now: float) -> None:
        """The dialog is confirmed: let go on both sides what waited for it."""
        if call.bye_headers is not None:
            self._send_bye(call, call.bye_headers, now)
            return
        self._next_request(call)
        self._next_outgoing(call, now)

    def _next_outgoing(self, call: Call, now: float) -> None:
        """Send the next request of the queue, once the one before is answered (RFC 6086 gives no order)."""
        if call.in_flight is None and call.queue and call.state is CallState.CONFIRMED and call.dialog is not None:
            call.in_flight = item = call.queue.popleft()
            request = call.dialog.request(item.method, item.headers, item.body)
            self._ask(call, request, item.transaction, now)

    def _ask(self, call: Call, request: Request, transaction: str, now: float) -> None:
        assert call.dialog is not None  # noqa: S101  only calls with a dialog ask
        hop, transport = where(call.dialog.hop(), call.peer, self.settings.resolver)
        self._send(request, hop, transport, now, call=call.id, transaction=transaction)

    def _send(
        self,
        request: Request,
        hop: Address,
        transport: Transport | None,
        now: float,
        *,
        call: str | None,
        transaction: str,
    ) -> None:
        key = self._layer.send_request(request, hop, transport, now)
        self._asked[key] = (call, request.method, transaction)

    def _send_cancel(self, call: Call, now: float) -> None:
        self._layer.send_cancel(call.key, now)
        call.cancel_deadline = now + MATCHES_ALL_TIMERS * self.settings.timing.t1

    def _send_bye(self, call: Call, headers: HeaderList, now: float) -> None:
        if call.dialog is None:
            raise SipUsageError(f"{call.id} has no dialog")
        call.state = CallState.ENDING
        call.answer = None
        self._refuse_held(call, 487, now)
        self._fail_requests(call)
        self._ask(call, call.dialog.request("BYE", headers), "", now)

    def _refuse_held(self, call: Call, status: int, now: float) -> None:
        """Answer the peer's open requests, as the call ends."""
        if call.open_request is not None and call.open_request in self._unanswered:
            _, request = self._unanswered.pop(call.open_request)
            self._answer(call.open_request, request, status, now)
        for key, request in call.held:
            self._answer(key, request, status, now)
        call.open_request = None
        call.held.clear()

    def _fail_requests(self, call: Call) -> None:
        """Tell the application that its requests will not be answered any more."""
        waiting: list[Outgoing] = [*([call.in_flight] if call.in_flight else []), *call.queue]
        call.in_flight = None
        call.queue.clear()
        self._events += [RequestAnswered(call.id, item.transaction, None) for item in waiting]

    def _ended(self, call: Call, why: EndReason, now: float) -> None:
        self._refuse_held(call, 487, now)
        self._fail_requests(call)
        self._forget(call)
        self._events.append(CallEnded(call.id, why))

    def _abandon(self, call: Call, why: EndReason, now: float) -> None:
        """End a call at once, with a BYE whose answer nobody waits for."""
        self._send_bye(call, (), now)
        self._ended(call, why, now)

    def _forget(self, call: Call) -> None:
        call.state = CallState.ENDING
        self._calls.pop(call.id, None)
        self._by_invite.pop(call.key, None)
        if call.dialog is not None:
            self._by_dialog.pop(call.dialog.id, None)

    # -- small things --------------------------------------------------------------------------------------------

    def _answer(
        self,
        key: str,
        request: Request,
        status: int,
        now: float,
        *,
        headers: HeaderList = (),
        reason: str = "",
        tag: str = "",
    ) -> None:
        headers = [*headers, ("Server", self.settings.product)]
        response = respond_to(request, status, tag=tag or self._tag(), reason=reason, headers=headers)
        self._layer.respond(key, response, now)

    def _tag(self) -> str:
        return f"{self._rng.getrandbits(64):016x}"

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{kind}-{self._count}"

    def _answer_of(self, response: Response, now: float) -> Answer:
        timing = self.settings.timing
        return Answer(response, now + timing.t1, timing.t1, now + MATCHES_ALL_TIMERS * timing.t1)
