"""What all parts of a user agent share: its calls, its layer, and how requests and ends of calls come about."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable

from lemonade_wire.address import Address
from lemonade_wire.sip.call import Answer, Call, CallState, Outgoing
from lemonade_wire.sip.dialog import Dialog, DialogId
from lemonade_wire.sip.errors import SipUsageError
from lemonade_wire.sip.event import (
    CallEnded,
    EndReason,
    Event,
    InfoReceived,
    ReinviteAnswered,
    RequestAnswered,
    RequestReceived,
)
from lemonade_wire.sip.layer import TransactionLayer
from lemonade_wire.sip.matching import Transport, bracketed, where
from lemonade_wire.sip.message import Request, Response
from lemonade_wire.sip.response import respond_to
from lemonade_wire.sip.settings import UaSettings

HeaderList = Iterable[tuple[str, str]]
MATCHES_ALL_TIMERS = 64
"""Timers B, F, H, L, M and the wait for an ACK are 64 times T1."""
PROGRESS_SECONDS = 60
"""How often who waits for an answer to its INVITE hears of it (section 13.3.1.1)."""


class CallCore:
    """The calls of a user agent, and what its parts do with them alike."""

    def __init__(self, settings: UaSettings, rng: random.Random, dialog_factory: type[Dialog]) -> None:
        self.settings = settings
        self.retry_after: int | None = None
        """Seconds after which callers may try again: INVITE and OPTIONS are answered 503. None: calls are taken."""
        self._rng = rng
        self._dialog_factory = dialog_factory
        self._layer = TransactionLayer(settings, rng)
        self._events: list[Event] = []
        self._calls: dict[str, Call] = {}
        self._by_invite: dict[str, Call] = {}
        """By the key of the INVITE that began the call, and of the peer's re-INVITE without final response."""
        self._by_dialog: dict[DialogId, Call] = {}
        self._asked: dict[str, tuple[str | None, str, str]] = {}
        """Requests of ours in flight: call, method and public transaction, by layer key."""
        self._unanswered: dict[str, tuple[str | None, Request]] = {}
        """Requests of the peer that the application is to answer: call and request, by layer key."""
        self._lingering: dict[str, Call] = {}
        """Calls of ours, even when over, whose 2xx may come again; by the key of the INVITE or re-INVITE."""
        self._timed: dict[str, Call] = {}
        """Calls that may wait for a time; the others cost nothing when one comes."""
        self._waiting: dict[str, Call] = {}
        """Calls with a re-INVITE of ours that is not sent yet."""
        self._orphans: dict[str, float] = {}
        """Re-INVITEs of ours whose call is over, and when they are given up."""
        self._count = 0

    # -- requests of the peer, in turn -----------------------------------------------------------------------------

    def _next_request(self, call: Call) -> None:
        """Give the application the peer's next request, once the one before is answered and the ACK is here."""
        if call.held and call.open_request is None and call.state is CallState.CONFIRMED:
            key, request = call.held.popleft()
            call.open_request = key
            self._unanswered[key] = (call.id, request)
            kind = InfoReceived if request.method == "INFO" else RequestReceived
            self._events.append(kind(call.id, request, key))

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
            self._ask(call, call.dialog, request, item.transaction, now)

    def _ask(self, call: Call, dialog: Dialog, request: Request, transaction: str, now: float) -> None:
        hop, transport = self._hop(call, dialog)
        self._send(request, hop, transport, now, call=call.id, transaction=transaction)

    def _hop(self, call: Call, dialog: Dialog) -> tuple[Address, Transport | None]:
        """Return where the requests of a dialog are sent."""
        return where(dialog.hop(), call.peer, self.settings.resolver)

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
        self._timed[call.id] = call
        call.cancel_deadline = now + MATCHES_ALL_TIMERS * self.settings.timing.t1

    def _send_bye(self, call: Call, headers: HeaderList, now: float) -> None:
        if call.dialog is None:
            raise SipUsageError(f"{call.id} has no dialog")
        call.state = CallState.ENDING
        call.answer = None
        self._refuse_held(call, 487, now)
        self._fail_requests(call, now)
        self._ask(call, call.dialog, call.dialog.request("BYE", headers), "", now)

    # -- the end of a call -----------------------------------------------------------------------------------------

    def _refuse_held(self, call: Call, status: int, now: float) -> None:
        """Answer the peer's open requests, as the call ends."""
        if call.unanswered is not None:
            self._answer(*self._close_invite(call), 487, now)
        if call.open_request is not None and call.open_request in self._unanswered:
            _, request = self._unanswered.pop(call.open_request)
            self._answer(call.open_request, request, status, now)
        for key, request in call.held:
            self._answer(key, request, status, now)
        call.open_request = None
        call.held.clear()

    def _fail_requests(self, call: Call, now: float) -> None:
        """Tell the application that its requests will not be answered any more."""
        waiting: list[Outgoing] = [*([call.in_flight] if call.in_flight else []), *call.queue]
        call.in_flight = None
        call.queue.clear()
        self._events += [RequestAnswered(call.id, item.transaction, None) for item in waiting]
        if (wanted := call.reinvite) is not None:
            call.reinvite = None
            if wanted.key:
                # A 2xx may still come and wants its ACK; a peer that stays at a 1xx is not waited for.
                self._orphans[wanted.key] = now + MATCHES_ALL_TIMERS * self.settings.timing.t1
            self._events.append(ReinviteAnswered(call.id, wanted.transaction, None))

    def _ended(self, call: Call, why: EndReason, now: float) -> None:
        self._refuse_held(call, 487, now)
        self._fail_requests(call, now)
        self._forget(call)
        self._events.append(CallEnded(call.id, why))

    def _abandon(self, call: Call, why: EndReason, now: float) -> None:
        """End a call at once, with a BYE whose answer nobody waits for."""
        self._send_bye(call, (), now)
        self._ended(call, why, now)

    def _forget(self, call: Call) -> None:
        call.state = CallState.ENDING
        self._calls.pop(call.id, None)
        self._timed.pop(call.id, None)
        self._waiting.pop(call.id, None)
        self._by_invite.pop(call.key, None)
        if call.dialog is not None:
            self._by_dialog.pop(call.dialog.id, None)

    def _open_invite(self, call: Call, key: str, request: Request, now: float) -> None:
        """Take an INVITE of the peer that the application is to answer, and how long it may take to."""
        call.unanswered = (key, request)
        call.expires_at = math.inf if request.expires is None else now + request.expires
        call.progress_at = now + PROGRESS_SECONDS
        self._by_invite[key] = self._timed[call.id] = call

    def _close_invite(self, call: Call) -> tuple[str, Request]:
        """Take the peer's INVITE that is about to get its final response; raises SipUsageError."""
        if call.unanswered is None:
            raise SipUsageError(f"{call.id} has no INVITE to answer")
        taken, call.unanswered = call.unanswered, None
        call.expires_at = call.progress_at = math.inf
        if taken[0] != call.key:
            del self._by_invite[taken[0]]
        return taken

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

    def _progress(self, call: Call, status: int, now: float, *, reason: str = "", headers: HeaderList = ()) -> None:
        if call.unanswered is None:
            return
        key, invite = call.unanswered
        fields = [*self._dialog_headers(call, invite), *headers]
        self._layer.respond(key, respond_to(invite, status, tag=call.tag, reason=reason, headers=fields), now)

    def _dialog_headers(self, call: Call, invite: Request) -> list[tuple[str, str]]:
        """Return what a response has that makes a dialog (section 12.1.1)."""
        user = self.settings.contact_user or invite.uri.user or ""
        routes = [("Record-Route", str(route)) for route in invite.record_routes]
        return [*routes, ("Contact", call.dialog.contact if call.dialog else self._contact(user))]

    def _contact(self, user: str) -> str:
        host, port = self.settings.address
        return f"<sip:{user}{'@' if user else ''}{bracketed(host)}:{port}>"

    def _tag(self) -> str:
        return f"{self._rng.getrandbits(64):016x}"

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{kind}-{self._count}"

    def _await_ack(self, call: Call, key: str, request: Request, response: Response, now: float) -> None:
        """Take note of our 2xx, which is sent again until its ACK comes."""
        timing = self.settings.timing
        until = now + MATCHES_ALL_TIMERS * timing.t1
        call.answer = Answer(key, request.cseq.number, response, now + timing.t1, timing.t1, until)
        self._timed[call.id] = call
