"""The user agent: it passes what the network and the application say to the sessions and transactions concerned.

The network layer calls `datagram_received`, `stream_*` and `handle_timer`, and the application calls the actions. After
each call the network layer carries out `outputs()`, gives `events()` to the application, and sets one timer for
`next_timer()`. The module is long because each action of the application has its arguments and its rules described.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from lemonade_wire.address import Address
from lemonade_wire.sip.errors import SipUsageError
from lemonade_wire.sip.event import Event, InviteReceived, Output, RequestAnswered, RequestReceived
from lemonade_wire.sip.message.message import SipRequest, SipResponse
from lemonade_wire.sip.message.response import respond_to
from lemonade_wire.sip.message.uri import SipUri
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.sip.transaction.layer import RequestArrived, ResponseArrived
from lemonade_wire.sip.transaction.matching import Transport, transport_of
from lemonade_wire.sip.ua import admission
from lemonade_wire.sip.ua.context import HeaderList, UaContext
from lemonade_wire.sip.ua.dialog import Dialog
from lemonade_wire.sip.ua.dialog_requests import QueuedRequest
from lemonade_wire.sip.ua.invite_session import InviteSession
from lemonade_wire.sip.ua.reinvites import PendingReinvite
from lemonade_wire.sip.ua.session_state import SipSessionState

_OWN_WAY = frozenset({"INVITE", "ACK", "CANCEL", "BYE"})
"""Methods that cannot be sent by `send`, because the user agent handles them itself."""


P = ParamSpec("P")
T = TypeVar("T")


def _void_if_late(
    result: T,
) -> Callable[[Callable[Concatenate[UserAgent, P], T]], Callable[Concatenate[UserAgent, P], T]]:
    """Let an action give a SipUsageError to `report_late`, if that is set, and return `result`."""

    def decorate(action: Callable[Concatenate[UserAgent, P], T]) -> Callable[Concatenate[UserAgent, P], T]:
        @wraps(action)
        def guarded(self: UserAgent, /, *args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return action(self, *args, **kwargs)
            except SipUsageError as problem:
                if self.report_late is None:
                    raise
                self.report_late(str(problem))
                return result

        return guarded

    return decorate


class UserAgent:
    """The transaction user (TU) of RFC 3261, both as client and as server.

    `now` is in seconds, monotonic. Actions raise SipUsageError if the call is unknown or its state does not allow them.
    A BYE or CANCEL may end a call before the application has handled the call's earlier events: with `report_late` set,
    an action on such a call gives it the error's text and does nothing.
    """

    def __init__(
        self, settings: UaSettings, rng: random.Random | None = None, dialog_factory: type[Dialog] = Dialog
    ) -> None:
        self.settings = settings
        self.retry_after: int | None = None
        """Retry-After in seconds: new INVITE and OPTIONS requests are answered 503. None: calls are accepted."""
        self.report_late: Callable[[str], None] | None = None
        """Takes the text of an action that comes too late. None: the action raises SipUsageError."""
        self._context = UaContext(settings, rng or random.Random(), dialog_factory)
        self._layer = self._context.layer

    # -- network -------------------------------------------------------------------------------------------------

    def datagram_received(self, data: bytes, source: Address, now: float) -> None:
        """Process one UDP datagram."""
        self._layer.datagram_received(data, source, now)
        self._follow(now)

    def stream_accepted(self, source: Address, now: float) -> int | None:
        """Register an incoming TCP connection; returns the stream's id, or None if it is to be closed at once."""
        return self._layer.streams.accepted(source, now, self._layer.busy_streams)

    def stream_opened(self, stream: int, now: float) -> None:
        """Report that the connection of an `OpenStream` was made."""
        self._layer.streams.opened(stream, now)

    def stream_failed(self, stream: int, now: float) -> None:
        """Report that the connection of an `OpenStream` failed."""
        self._layer.stream_failed(stream, now)
        self._follow(now)

    def stream_received(self, stream: int, data: bytes, now: float) -> None:
        """Process octets of a stream."""
        lost = self._layer.stream_received(stream, data, now)
        self._follow(now)
        if lost:
            self._layer.streams.close(stream)

    def stream_lost(self, stream: int, now: float) -> None:
        """Report that a stream was closed by either side."""
        self._layer.stream_failed(stream, now)
        self._follow(now)

    def handle_timer(self, now: float) -> None:
        """Do the timed work that is due at `now`."""
        self._layer.handle_timer(now)
        self._follow(now)
        self._tick(now)
        self._follow(now)

    def next_timer(self) -> float | None:
        """Return the time of the next `handle_timer`; None if nothing waits for a time."""
        context = self._context
        sessions = (session.next_time() for session in context.timed.values())
        times = [self._layer.next_timer(), *(at for at in (*sessions, *context.orphans.values()) if at < math.inf)]
        return min((at for at in times if at is not None), default=None)

    def outputs(self) -> list[Output]:
        """Return the outputs for the network since the last call, in order."""
        taken = list(self._layer.outputs)
        self._layer.outputs.clear()
        return taken

    def events(self) -> list[Event]:
        """Return the events since the last call, in order."""
        taken = list(self._context.events)
        self._context.events.clear()
        return taken

    @property
    def awaits_ack(self) -> bool:
        """Whether the ACK of a 300-699 to an INVITE is awaited, so that the response may have to be sent again."""
        return self._layer.awaits_acks()

    # -- outgoing calls ------------------------------------------------------------------------------------------

    def invite(
        self,
        uri: SipUri,
        *,
        next_hop: Address,
        now: float,
        from_: str = "",
        to: str = "",
        body: bytes = b"",
        content_type: str = "application/sdp",
        headers: HeaderList = (),
        transport: Transport | None = None,
    ) -> str:
        """Send INVITE for `uri` to the address `next_hop`; returns the call's identifier.

        `from_` and `to` are name-addr texts without tags; empty stands for the own address, and for `uri` without its
        parameters. With `transport` None the URI's transport parameter decides, else UDP is used, or TCP for a long
        request. `headers` replace the default headers of the same name.
        """
        tag = self._context.new_tag()
        transport = transport or transport_of(uri)
        usual = [
            ("Contact", self._context.contact(self.settings.contact_user, transport or "udp")),
            admission.allow(self.settings),
            admission.accept(self.settings),
            *admission.supported(self.settings),
            *([("Content-Type", content_type)] if body else []),
        ]
        invite = self._context.build_request(
            "INVITE", uri, from_=from_, to=to, tag=tag, usual=usual, headers=headers, body=body
        )
        key = self._layer.send_request(invite, next_hop, transport, now)
        session = InviteSession(self._context, SipSessionState.INVITING, invite=invite, key=key, peer=next_hop, tag=tag)
        session.reinvites.note_description(content_type, body)
        self._follow(now)
        return session.id

    def cancel(self, call: str, *, now: float) -> None:
        """Cancel an outgoing call that is not answered; `CallRefused` (487) or `CallEnded` follows."""
        if self._session(call, SipSessionState.INVITING).cancel(now):
            self._follow(now)

    # -- incoming calls ------------------------------------------------------------------------------------------

    def progress(self, call: str, status: int, *, now: float, reason: str = "", headers: HeaderList = ()) -> None:
        """Send a provisional response 101-199 without a body to the INVITE of a new call."""
        session = self._session(call, SipSessionState.OFFERED)
        if not 101 <= status <= 199:
            raise SipUsageError(f"{status} is not a provisional response with a tag")
        session.progress(status, now, reason=reason, headers=headers)

    @_void_if_late(None)
    def accept(
        self,
        call: str,
        body: bytes,
        *,
        now: float,
        content_type: str = "application/sdp",
        headers: HeaderList = (),
        user: str = "",
    ) -> None:
        """Answer 200 to an INVITE or re-INVITE; it is retransmitted until the ACK arrives.

        `CallConfirmed` or `ReinviteConfirmed` follows. `user` becomes the user part of the own Contact in the dialog;
        empty leaves it unchanged.
        """
        session = self._session(call, *SipSessionState)
        session.accept(body, now, content_type=content_type, headers=headers, user=user)

    @_void_if_late(None)
    def refuse(self, call: str, status: int, *, now: float, reason: str = "", headers: HeaderList = ()) -> None:
        """Answer 300-699 to an INVITE, which ends the call, or to a re-INVITE, which leaves the session unchanged."""
        session = self._session(call, *SipSessionState)
        if not 300 <= status <= 699:
            raise SipUsageError(f"{status} is not a refusal")
        session.refuse(status, now, reason=reason, headers=headers)

    # -- inside a call -------------------------------------------------------------------------------------------

    def reinvite(
        self,
        call: str,
        body: bytes,
        *,
        now: float,
        content_type: str = "application/sdp",
        headers: HeaderList = (),
        uri: SipUri | None = None,
    ) -> str:
        """Offer a changed session by re-INVITE, as soon as no other INVITE is in progress; returns its transaction.

        `uri` is the Request-URI if it is to name another service (RFC 5022 section 3); None stands for the remote
        target. `ReinviteAnswered` follows. After a 491 the re-INVITE is sent once more, after the random time of
        RFC 3261 section 14.1.
        """
        reinvites = self._session(call, SipSessionState.CONFIRMED).reinvites
        if reinvites.pending is not None:
            raise SipUsageError(f"{call} has a re-INVITE under way")
        if not body:
            raise SipUsageError("a re-INVITE holds an offer")
        fields = (*headers, ("Content-Type", content_type))
        wanted = PendingReinvite(self._context.new_id("request"), fields, body, now, str(uri or ""))
        reinvites.queue(wanted)
        self._follow(now)
        return wanted.transaction

    def info(self, call: str, body: bytes, content_type: str, *, now: float, headers: HeaderList = ()) -> str:
        """Send INFO, after the requests before it are answered; returns its transaction (`RequestAnswered`)."""
        return self.send(call, "INFO", now=now, body=body, headers=[("Content-Type", content_type), *headers])

    @_void_if_late("")
    def send(self, call: str, method: str, *, now: float, body: bytes = b"", headers: HeaderList = ()) -> str:
        """Send a request in the dialog, after the requests before it are answered; returns its transaction.

        `RequestAnswered` follows. Raises SipUsageError for INVITE, ACK, CANCEL and BYE.
        """
        session = self._session(call, SipSessionState.INVITING, SipSessionState.ACCEPTED, SipSessionState.CONFIRMED)
        if method in _OWN_WAY:
            raise SipUsageError(f"{method} is not sent as a plain request")
        queued = QueuedRequest(self._context.new_id("request"), method, tuple(headers), body)
        session.requests.queue(queued, now)
        self._follow(now)
        return queued.transaction

    @_void_if_late(None)
    def bye(self, call: str, *, now: float, headers: HeaderList = (), at_once: bool = False) -> None:
        """End a call: send BYE, or cancel an outgoing call that is not answered.

        The callee sends BYE only after the ACK has arrived (RFC 3261 section 15); `at_once` sends it without waiting,
        for an application that stops now. If a BYE was sent already, nothing is done; a BYE that waits for the ACK
        keeps its headers.
        """
        session = self._session(call, *(state for state in SipSessionState if state is not SipSessionState.OFFERED))
        if session.state is SipSessionState.INVITING:
            self.cancel(call, now=now)
        elif session.bye(headers, now, at_once=at_once):
            self._follow(now)

    # -- other requests ------------------------------------------------------------------------------------------

    @_void_if_late(None)
    def respond(
        self,
        transaction: str,
        status: int,
        *,
        now: float,
        reason: str = "",
        headers: HeaderList = (),
        body: bytes = b"",
    ) -> None:
        """Answer an `InfoReceived` or `RequestReceived` with a final response.

        An empty `reason` stands for the phrase of RFC 3261. A 415 gets the Accept header of the settings. The
        Content-Type of `body` is to be in `headers`. If the call has ended, the request is answered already and nothing
        is done. Raises SipUsageError for a status that is not final.
        """
        if not 200 <= status <= 699:
            raise SipUsageError(f"{status} is not a final response")
        call_id, request = self._context.received.pop(transaction, (None, None))
        if request is None:
            return
        fields = [*headers, ("Server", self.settings.product)]
        if status == 415 and all(name.lower() != "accept" for name, _ in fields):
            fields.append(admission.accept(self.settings))
        response = respond_to(request, status, tag=self._context.new_tag(), reason=reason, headers=fields, body=body)
        self._layer.respond(transaction, response, now)
        session = self._context.sessions.get(call_id) if call_id else None
        if session is not None:
            session.requests.note_answered(transaction)

    def request(
        self,
        method: str,
        uri: SipUri,
        *,
        next_hop: Address,
        now: float,
        from_: str = "",
        to: str = "",
        body: bytes = b"",
        headers: HeaderList = (),
        transport: Transport | None = None,
    ) -> str:
        """Send a request outside a dialog, for example OPTIONS; returns its transaction (`RequestAnswered`).

        `headers` replace the default headers of the same name. Raises SipUsageError for INVITE, ACK and CANCEL.
        """
        if method in _OWN_WAY - {"BYE"}:
            raise SipUsageError(f"{method} is not sent as a plain request")
        tag = self._context.new_tag()
        made = self._context.build_request(
            method, uri, from_=from_, to=to, tag=tag, usual=[], headers=headers, body=body
        )
        transaction = self._context.new_id("request")
        hop = (next_hop, transport or transport_of(uri))
        self._context.send(made, hop, now, session=None, transaction=transaction)
        self._follow(now)
        return transaction

    # -- what the network brings ---------------------------------------------------------------------------------

    def _follow(self, now: float) -> None:
        """Process the events of the transaction layer until there are no more."""
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

    def _send_reinvites(self, now: float) -> None:
        for session in list(self._context.waiting.values()):
            session.reinvites.send_due(now)

    def _tick(self, now: float) -> None:
        """Do the timed work of the sessions, and forget what can no longer be retransmitted."""
        context = self._context
        for session in list(context.timed.values()):
            session.tick(now)
        for key in [key for key in context.lingering if not self._layer.alive(key)]:
            context.lingering.pop(key).forget_acks(key)
            context.orphans.pop(key, None)
        for key in [key for key, at in context.orphans.items() if now >= at]:
            del context.orphans[key]
            self._layer.destroy(key)

    def _request_arrived(self, key: str, request: SipRequest, source: Address, now: float) -> None:
        answer = self._context.answer
        refused = admission.refusal(request, self.settings)
        if refused is not None:
            answer(key, request, refused.status, now, headers=refused.headers, reason=refused.reason)
        elif request.method == "CANCEL":
            self._cancel_arrived(key, request, now)
        elif request.to.tag is not None:
            self._request_in_dialog(key, request, now)
        elif self._layer.merged(key):
            answer(key, request, 482, now)
        elif request.method in {"INVITE", "OPTIONS"} and self.retry_after is not None:
            answer(key, request, 503, now, headers=[("Retry-After", str(self.retry_after))])
        elif request.method == "INVITE":
            session = InviteSession(
                self._context,
                SipSessionState.OFFERED,
                invite=request,
                key=key,
                peer=source,
                tag=self._context.new_tag(),
            )
            session.open_invite(key, request, now)
            self._context.events.append(InviteReceived(session.id, request, source))
        elif request.method == "OPTIONS":
            capabilities = admission.capabilities(request, self.settings)
            answer(key, request, capabilities.status, now, headers=capabilities.headers)
        elif request.method in {"BYE", "INFO"}:
            answer(key, request, 481, now)
        else:
            self._context.received[key] = (None, request)
            self._context.events.append(RequestReceived(None, request, key))

    def _cancel_arrived(self, key: str, request: SipRequest, now: float) -> None:
        invite = self._layer.invite_of(key)
        if invite is None:
            self._context.answer(key, request, 481, now)
            return
        session = self._context.by_invite.get(invite)
        self._context.answer(key, request, 200, now, tag=session.tag if session else "")
        if session is not None and session.has_open(invite):
            session.withdraw(now)

    def _ack_arrived(self, ack: SipRequest, now: float) -> None:
        """Pass the ACK of an own 2xx to its session; any other ACK is ignored."""
        session = self._context.by_dialog.get((ack.call_id, ack.to.tag or "", ack.from_.tag or ""))
        if session is not None:
            session.ack_arrived(ack, now)

    def _request_in_dialog(self, key: str, request: SipRequest, now: float) -> None:
        local, remote = request.to.tag or "", request.from_.tag or ""
        session = self._context.by_dialog.get((request.call_id, local, remote))
        if session is not None:
            session.request_arrived(key, request, now)
            return
        early = {SipSessionState.INVITING, SipSessionState.OFFERED}
        known = (one for one in self._context.sessions.values() if one.state in early and one.tag == local)
        session = next((one for one in known if one.invite.call_id == request.call_id), None)
        if session is not None:
            session.early_request_arrived(key, request, now)
        else:
            self._context.answer(key, request, 481, now)

    def _session_of(self, key: str) -> InviteSession | None:
        """Return the session whose own INVITE or re-INVITE has that transaction key, also if it has ended."""
        return self._context.by_invite.get(key) or self._context.lingering.get(key)

    def _response_arrived(self, key: str, response: SipResponse, now: float) -> None:
        session = self._session_of(key)
        if session is not None and key != session.key:
            session.reinvites.answered(key, response, now)
        elif session is not None:
            session.invite_answered(response, now)
        elif key in self._context.sent and response.status >= 200:
            self._request_answered(key, response, now)

    def _request_failed(self, key: str, now: float) -> None:
        session = self._session_of(key)
        if session is not None and key != session.key:
            session.reinvites.failed(key, now)
        elif session is not None and session.state is SipSessionState.INVITING:
            session.refused(None, now)
        elif key in self._context.sent:
            self._request_answered(key, None, now)

    def _request_answered(self, key: str, response: SipResponse | None, now: float) -> None:
        """Handle the final response to an own request; None if it timed out or could not be sent."""
        call, method, transaction = self._context.sent.pop(key)
        if call is None:
            self._context.events.append(RequestAnswered(None, transaction, response))
        elif (session := self._context.sessions.get(call)) is not None:
            session.request_answered(method, transaction, response, now)
        # else the call has ended in the meantime, and the application was told

    # -- common parts --------------------------------------------------------------------------------------------

    def _session(self, call: str, *states: SipSessionState) -> InviteSession:
        session = self._context.sessions.get(call)
        if session is None:
            raise SipUsageError(f"there is no call {call!r}")
        if session.state not in states:
            raise SipUsageError(f"{call} is {session.state}")
        return session
