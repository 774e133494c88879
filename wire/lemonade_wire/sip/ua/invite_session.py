"""One call of a user agent: its INVITEs, their answers, CANCEL, ACK and BYE (RFC 3261 sections 9 and 12 to 15).

The module is long because these rules depend on each other: each may end what another has begun.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from lemonade_wire.address import Address
from lemonade_wire.sip.errors import SipUsageError
from lemonade_wire.sip.event import (
    ByeReceived,
    CallAnswered,
    CallConfirmed,
    CallEnded,
    CallProgressed,
    CallRefused,
    EndReason,
    InviteCancelled,
    ReinviteCancelled,
    ReinviteConfirmed,
    ReinviteReceived,
    RequestAnswered,
)
from lemonade_wire.sip.message.message import SipRequest, SipResponse
from lemonade_wire.sip.message.response import respond_to
from lemonade_wire.sip.transaction.matching import Transport, resolve_next_hop
from lemonade_wire.sip.ua import admission
from lemonade_wire.sip.ua.context import HeaderList, UaContext
from lemonade_wire.sip.ua.dialog import Dialog
from lemonade_wire.sip.ua.dialog_requests import DialogRequests
from lemonade_wire.sip.ua.reinvites import Reinvites
from lemonade_wire.sip.ua.session_state import TRANSITIONS, SipSessionInput, SipSessionState

PROGRESS_SECONDS = 60
"""Interval of the 183 responses to an INVITE that is not answered yet (RFC 3261 section 13.3.1.1)."""


@dataclass
class OpenInvite:
    """The peer's INVITE or re-INVITE that the application has not answered yet. Times are in seconds."""

    key: str
    request: SipRequest
    expires_at: float
    """The time at which it expires (RFC 3261 section 13.3.1)."""
    progress_at: float
    """The time of the next 183 that keeps it alive at proxies (section 13.3.1.1)."""


@dataclass
class PendingOk:
    """The own 2xx to an INVITE while its ACK is awaited (RFC 3261 section 13.3.1.4). Times are in seconds."""

    key: str
    """Transaction key of the INVITE."""
    cseq: int
    """CSeq number of the INVITE, which the ACK repeats."""
    response: SipResponse
    at: float
    """The time at which the 2xx is sent again."""
    interval: float
    """The present interval between retransmissions; it doubles up to T2."""
    give_up: float
    """The time at which the call is ended if no ACK has arrived."""


class InviteSession:
    """A call that this side (`INVITING`) or the peer (`OFFERED`) started; `session_state` has the table of its states.

    `key` is the transaction key of the INVITE, `peer` the address that is used if the host of the peer's Contact cannot
    be resolved, `tag` the own tag. Times are in seconds; infinity stands for no time.
    """

    def __init__(
        self, context: UaContext, state: SipSessionState, *, invite: SipRequest, key: str, peer: Address, tag: str
    ) -> None:
        self.id = context.new_id("call")
        self.state = state
        self.invite = invite
        self.key = key
        self.peer = peer
        self.tag = tag
        self.dialog: Dialog | None = None
        self.requests = DialogRequests(context, self)
        self.reinvites = Reinvites(context, self)
        self._context = context
        self._open: OpenInvite | None = None
        self._ok: PendingOk | None = None
        self._refused_key = ""
        """Transaction key of the peer's last re-INVITE that was refused."""
        self._provisional = False
        """A provisional response arrived, so that CANCEL may be sent (section 9.1)."""
        self._cancelled = False
        self._cancel_deadline = math.inf
        """The time at which a cancelled INVITE without a final response is given up."""
        self._bye_headers: tuple[tuple[str, str], ...] | None = None
        """Headers of a BYE that is sent when the ACK has arrived; None if there is no such BYE."""
        self._acks: dict[tuple[str, str], Callable[[float], None]] = {}
        """Functions that send an ACK again, by the key of the own INVITE and the To tag of the 2xx."""
        context.sessions[self.id] = context.by_invite[key] = self

    @property
    def is_over(self) -> bool:
        """Whether the call has ended."""
        return self.state is SipSessionState.ENDED

    def _move(self, event: SipSessionInput) -> None:
        self.state = TRANSITIONS[self.state, event]

    def next_hop(self) -> tuple[Address, Transport | None]:
        """Return the address and the transport for the requests of the dialog."""
        return self._hop_of(self.dialog) if self.dialog else (self.peer, None)

    def _hop_of(self, dialog: Dialog) -> tuple[Address, Transport | None]:
        return resolve_next_hop(dialog.hop(), self.peer, self._context.settings.resolver)

    # -- the peer's INVITE and re-INVITE -------------------------------------------------------------------------

    def open_invite(self, key: str, request: SipRequest, now: float) -> None:
        """Record an INVITE of the peer that the application is to answer, and start its Expires and progress times."""
        expires_at = math.inf if request.expires is None else now + request.expires
        self._open = OpenInvite(key, request, expires_at, now + PROGRESS_SECONDS)
        self._context.by_invite[key] = self._context.timed[self.id] = self

    def has_open(self, key: str) -> bool:
        """Tell whether the INVITE with that transaction key waits for the application's answer."""
        return self._open is not None and self._open.key == key

    def _close_invite(self) -> OpenInvite:
        """Return the peer's unanswered INVITE, which is about to get its final response.

        Raises SipUsageError if there is none.
        """
        if self._open is None:
            raise SipUsageError(f"{self.id} has no INVITE to answer")
        taken, self._open = self._open, None
        if taken.key != self.key:
            del self._context.by_invite[taken.key]
        return taken

    def reinvite_arrived(self, key: str, request: SipRequest, now: float) -> None:
        """Pass a re-INVITE of the peer to the application, unless another INVITE is in progress (section 14.2)."""
        if self._open is not None:
            # Section 14.2: a second INVITE before the first is answered gets 500 with Retry-After of 0 to 10 s.
            headers = [("Retry-After", str(self._context.rng.randint(0, 10)))]
            reason = "Another INVITE is not answered yet"
            self._context.answer(key, request, 500, now, headers=headers, reason=reason)
        elif self._ok is not None or self.reinvites.in_progress:
            # 491 also while only the ACK is awaited, because the ACK may have the SDP answer.
            self._context.answer(key, request, 491, now)
        else:
            self.open_invite(key, request, now)
            self._context.events.append(ReinviteReceived(self.id, request))

    def may_reinvite(self) -> bool:
        """Tell whether a re-INVITE may be sent: no other INVITE is in progress in the call (section 14.1)."""
        free = self._open is None and self._ok is None and not self._context.layer.awaits_ack(self._refused_key)
        return free and self.state is SipSessionState.CONFIRMED

    def progress(self, status: int, now: float, *, reason: str = "", headers: HeaderList = ()) -> None:
        """Send a provisional response to the peer's INVITE, if it is not answered."""
        if self._open is None:
            return
        invite = self._open.request
        fields = [*self._dialog_headers(invite), *headers]
        response = respond_to(invite, status, tag=self.tag, reason=reason, headers=fields)
        self._context.layer.respond(self._open.key, response, now)

    def accept(self, body: bytes, now: float, *, content_type: str, headers: HeaderList, user: str) -> None:
        """Answer 200 to the peer's INVITE or re-INVITE; it is retransmitted until the ACK arrives."""
        taken = self._close_invite()
        invite, settings = taken.request, self._context.settings
        if self.dialog is not None and user:
            self.dialog.contact = self._context.contact(user, self.invite.vias[0].transport)
        response = respond_to(
            invite,
            200,
            tag=self.tag,
            headers=[
                *self._dialog_headers(invite),
                admission.allow(settings),
                admission.accept(settings),
                *admission.supported(settings),
                *self.reinvites.agree_on_timer(invite, now),
                ("Server", settings.product),
                *headers,
                *([("Content-Type", content_type)] if body else []),
            ],
            body=body,
        )
        if self.dialog is None:
            self._begin_dialog(self._context.dialog_factory.as_callee(invite, response))
            self._move(SipSessionInput.ACCEPTANCE_SENT)
        else:
            self.dialog.refresh(invite.contact)
        self.reinvites.note_description(content_type, body)
        t1 = settings.timing.t1
        until = now + self._context.matches_all_time
        self._ok = PendingOk(taken.key, invite.cseq.number, response, now + t1, t1, until)
        self._context.timed[self.id] = self
        self._context.layer.respond(taken.key, response, now)

    def refuse(self, status: int, now: float, *, reason: str, headers: HeaderList) -> None:
        """Answer 300-699 to the peer's INVITE, which ends the call, or to its re-INVITE."""
        taken = self._close_invite()
        self._context.answer(taken.key, taken.request, status, now, headers=headers, reason=reason, tag=self.tag)
        if self.state is SipSessionState.OFFERED:
            self._forget(SipSessionInput.REFUSAL_SENT)
        else:
            self._refused_key = taken.key

    def withdraw(self, now: float, *, expired: bool = False) -> None:
        """Answer 487 to the peer's INVITE after a CANCEL, a BYE in the early dialog, or the end of its Expires."""
        taken = self._close_invite()
        self._context.layer.respond(taken.key, respond_to(taken.request, 487, tag=self.tag), now)
        if self.state is SipSessionState.OFFERED:
            self._forget(SipSessionInput.INVITE_WITHDRAWN)
            self._context.events.append(InviteCancelled(self.id, expired))
        else:
            self._refused_key = taken.key
            self._context.events.append(ReinviteCancelled(self.id))

    def ack_arrived(self, ack: SipRequest, now: float) -> None:
        """Handle the ACK of the own 2xx; its Request-URI is not checked (E-28)."""
        if self._ok is None or ack.cseq.number != self._ok.cseq:
            return
        self._ok = None
        if self.state is not SipSessionState.ACCEPTED:
            self._context.events.append(ReinviteConfirmed(self.id, ack))
            return
        self._move(SipSessionInput.ACK_RECEIVED)
        self._context.events.append(CallConfirmed(self.id, ack))
        self._settle(now)

    def _dialog_headers(self, invite: SipRequest) -> list[tuple[str, str]]:
        """Return the headers of a response that establishes a dialog: Record-Route and Contact (section 12.1.1)."""
        user = self._context.settings.contact_user or invite.uri.user or ""
        routes = [("Record-Route", str(route)) for route in invite.record_routes]
        own = self.dialog.contact if self.dialog else self._context.contact(user, invite.vias[0].transport)
        return [*routes, ("Contact", own)]

    def _begin_dialog(self, dialog: Dialog) -> None:
        self.dialog = dialog
        self._context.by_dialog[dialog.id] = self

    # -- the own INVITE ------------------------------------------------------------------------------------------

    def cancel(self, now: float) -> bool:
        """Cancel the own INVITE; returns whether the CANCEL is sent now. Before a provisional response it waits."""
        first, self._cancelled = not self._cancelled, True
        if first and self._provisional:
            self._send_cancel(now)
            return True
        return False

    def _send_cancel(self, now: float) -> None:
        self._context.layer.send_cancel(self.key, now)
        self._context.timed[self.id] = self
        self._cancel_deadline = now + self._context.matches_all_time

    def invite_answered(self, response: SipResponse, now: float) -> None:
        """Handle a response to the own INVITE; the call may have ended."""
        if 200 <= response.status < 300:
            self._accepted(response, now)
        elif self.state is not SipSessionState.INVITING:
            return
        elif response.status >= 300:
            self.refused(response, now)
        else:
            first, self._provisional = not self._provisional, True
            if first and self._cancelled:
                self._send_cancel(now)
            self._context.events.append(CallProgressed(self.id, response))

    def _accepted(self, response: SipResponse, now: float) -> None:
        """Acknowledge a 2xx, and each retransmission of it; the first confirms the call.

        A 2xx of another branch of a fork is acknowledged and ended by BYE.
        """
        tag = response.to.tag or ""
        if (self.key, tag) in self._acks:
            self._acks[self.key, tag](now)
            return
        dialog = self._context.dialog_factory.as_caller(self.invite, response)
        hop = self._hop_of(dialog)
        self._acks[self.key, tag] = self._context.layer.send_ack(dialog.ack(), *hop, now)
        self._context.lingering[self.key] = self
        if self.state is not SipSessionState.INVITING:
            # Another branch of a fork (section 13.2.2.4), or a 2xx after the call was given up.
            self._context.layer.send_request(dialog.request("BYE"), *hop, now)
            return
        self._cancel_deadline = math.inf
        self._begin_dialog(dialog)
        self._move(SipSessionInput.ACCEPTANCE_RECEIVED)
        if self._cancelled:
            self.abandon("cancelled", now)
            return
        self.reinvites.start_timer(response, now)
        self._context.timed[self.id] = self
        self._context.events.append(CallAnswered(self.id, response))
        for key, request in self.requests.take_held():
            named = (request.call_id, request.to.tag or "", request.from_.tag or "")
            if self.is_over or named != dialog.id:
                self._context.answer(key, request, 481, now)
            else:
                self.request_arrived(key, request, now)
        self._settle(now)

    def refused(self, response: SipResponse | None, now: float) -> None:
        """End the call, because the own INVITE was refused; None if it got no final response."""
        self._refuse_open(481, now)
        self._fail_own(now)
        self._forget(SipSessionInput.REFUSAL_RECEIVED)
        self._context.events.append(CallRefused(self.id, response))

    def acknowledge_reinvite(self, key: str, response: SipResponse, now: float) -> bool:
        """Acknowledge a 2xx to an own re-INVITE; returns whether it was acknowledged before."""
        tag = response.to.tag or ""
        if (key, tag) in self._acks:
            self._acks[key, tag](now)
            return True
        if (dialog := self.dialog) is not None:
            dialog.refresh(response.contact)
            self._acks[key, tag] = self._context.layer.send_ack(dialog.ack(), *self._hop_of(dialog), now)
        return False

    def forget_acks(self, key: str) -> None:
        """Forget the ACKs of an own INVITE whose 2xx can no longer be retransmitted."""
        for known in [known for known in self._acks if known[0] == key]:
            del self._acks[known]

    # -- requests in the dialog ----------------------------------------------------------------------------------

    def request_arrived(self, key: str, request: SipRequest, now: float) -> None:
        """Handle a request of the peer in the confirmed dialog."""
        answer = self._context.answer
        if self.dialog is None or not self.dialog.order(request.cseq.number):
            answer(key, request, 500, now, reason="CSeq out of order")
        elif request.method == "BYE":
            self._bye_arrived(key, request, now)
        elif request.method == "OPTIONS":
            answer(key, request, 200, now, headers=admission.capabilities(request, self._context.settings).headers)
        elif self.state is SipSessionState.ENDING:
            answer(key, request, 481, now)
        elif request.method == "INVITE":
            self.reinvite_arrived(key, request, now)
        elif request.method == "INFO" and "Info-Package" in request.headers:
            # RFC 6086 section 4.2.2: Recv-Info never lists an Info Package here. The dialog continues.
            answer(key, request, 469, now, headers=[("Recv-Info", "")])
        else:
            self.requests.hold(key, request)
            self.requests.deliver_next()

    def early_request_arrived(self, key: str, request: SipRequest, now: float) -> None:
        """Handle a request in the dialog that is not confirmed on this side."""
        if self.state is SipSessionState.INVITING and request.method != "INVITE":
            # The request may have overtaken the 2xx that establishes the dialog (RFC 6086 section 4.2.2).
            self.requests.hold(key, request)
        elif self.state is SipSessionState.OFFERED and request.method == "BYE":
            # Section 15.1.2: the pending INVITE gets 487.
            self._context.answer(key, request, 200, now)
            self.withdraw(now)
        elif self.state is SipSessionState.OFFERED and request.method == "INVITE":
            self.reinvite_arrived(key, request, now)
        else:
            self._context.answer(key, request, 481, now)

    def _bye_arrived(self, key: str, request: SipRequest, now: float) -> None:
        self._context.answer(key, request, 200, now)
        if self.state is SipSessionState.ENDING:
            return  # Both sides sent BYE: the call ends when the response to the own BYE arrives.
        self._context.events.append(ByeReceived(self.id, request))
        self.end("bye-received", now, SipSessionInput.BYE_RECEIVED)

    def request_answered(self, method: str, transaction: str, response: SipResponse | None, now: float) -> None:
        """Handle the final response to an own request; None if it timed out or could not be sent."""
        if method == "BYE":
            self.end("bye-answered", now)
            return
        if self.state is SipSessionState.ENDING:
            return
        self._context.events.append(RequestAnswered(self.id, transaction, response))
        self.requests.clear_in_flight()
        if response is not None and response.status == 481:
            self.end("dialog-gone", now)
        elif response is None or response.status == 408:
            # Section 12.2.1.2: a timeout inside a dialog ends the dialog.
            self.abandon("dialog-gone", now)
        else:
            self.requests.send_next(now)

    def _settle(self, now: float) -> None:
        """Send and deliver the requests that waited for the dialog to be confirmed."""
        if self._bye_headers is not None:
            self._send_bye(self._bye_headers, now)
            return
        self.requests.deliver_next()
        self.requests.send_next(now)

    # -- the end -------------------------------------------------------------------------------------------------

    def bye(self, headers: HeaderList, now: float, *, at_once: bool) -> bool:
        """Send BYE, or send it when the ACK has arrived; returns whether it is sent now."""
        if self.state is SipSessionState.ACCEPTED and not at_once:
            # Section 15: the callee must not send BYE before the ACK has arrived.
            self._bye_headers = tuple(headers)
            return False
        if self.state is SipSessionState.ENDING:
            return False
        self._send_bye(self._bye_headers or headers, now)
        return True

    def _send_bye(self, headers: HeaderList, now: float) -> None:
        """Send BYE, and end what is unfinished in the call."""
        if self.dialog is None:
            raise SipUsageError(f"{self.id} has no dialog")
        self._move(SipSessionInput.BYE_SENT)
        self._ok = None
        self._refuse_open(487, now)
        self._fail_own(now)
        bye = self.dialog.request("BYE", headers)
        self._context.send(bye, self._hop_of(self.dialog), now, session=self.id, transaction="")

    def abandon(self, why: EndReason, now: float) -> None:
        """Send BYE and end the call at once, without waiting for the response to the BYE."""
        self._send_bye((), now)
        self.end(why, now)

    def end(self, why: EndReason, now: float, event: SipSessionInput = SipSessionInput.DIALOG_OVER) -> None:
        """End the call and report why."""
        self._refuse_open(487, now)
        self._fail_own(now)
        self._forget(event)
        self._context.events.append(CallEnded(self.id, why))

    def _refuse_open(self, status: int, now: float) -> None:
        """Answer the peer's unanswered requests as the call ends: its INVITE with 487, the others with `status`."""
        if self._open is not None:
            taken = self._close_invite()
            self._context.answer(taken.key, taken.request, 487, now)
        self.requests.refuse(status, now)

    def _fail_own(self, now: float) -> None:
        self.requests.fail()
        self.reinvites.give_up(now)

    def _forget(self, event: SipSessionInput) -> None:
        self._move(event)
        context = self._context
        context.sessions.pop(self.id, None)
        context.timed.pop(self.id, None)
        context.waiting.pop(self.id, None)
        context.by_invite.pop(self.key, None)
        if self.dialog is not None:
            context.by_dialog.pop(self.dialog.id, None)

    # -- timed work ----------------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Do the timed work that is due.

        A 2xx is sent again; a call without ACK is ended by BYE; a cancelled INVITE without a final response is given
        up; an INVITE expires or gets a 183; the session timer runs.
        """
        ok = self._ok
        if ok is not None and now >= ok.give_up:
            self.abandon("no-ack", now)
            return
        if ok is not None and now >= ok.at:
            self._context.layer.respond(ok.key, ok.response, now)
            ok.interval = min(2 * ok.interval, self._context.settings.timing.t2)
            ok.at = now + ok.interval
        if now >= self._cancel_deadline:
            # Section 9.1: no final response came even after the CANCEL. A later 2xx matches no transaction.
            self._context.layer.destroy(self.key)
            self.refused(None, now)
            return
        if self._open is not None and now >= self._open.expires_at:
            self.withdraw(now, expired=True)
        elif self._open is not None and now >= self._open.progress_at:
            self.progress(183, now)
            self._open.progress_at = now + PROGRESS_SECONDS
        self.reinvites.tick(now)
        if self.reinvites.pending is None and self.next_time() == math.inf:
            self._context.timed.pop(self.id, None)

    def next_time(self) -> float:
        """Return the time of the next `tick`; infinity if there is none."""
        at = self._cancel_deadline
        if self._open is not None:
            at = min(at, self._open.expires_at, self._open.progress_at)
        if self._ok is not None:
            at = min(at, self._ok.at, self._ok.give_up)
        return min(at, self.reinvites.next_time())
