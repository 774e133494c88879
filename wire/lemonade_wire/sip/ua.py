"""A user agent: calls over dialogs and transactions; what media server and client build on.

Octets and time go in (`datagram_received`, `stream_*`, `handle_timer`), actions of the application too; after each,
take `outputs()` to the network, `events()` to the application, and arm one timer for `next_timer()`.
"""

from __future__ import annotations

import random

from lemonade_wire.address import Address
from lemonade_wire.sip import admission
from lemonade_wire.sip.arrival import Arriving
from lemonade_wire.sip.call import Call, CallState, Outgoing, Reinvite
from lemonade_wire.sip.core import HeaderList
from lemonade_wire.sip.dialog import Dialog
from lemonade_wire.sip.errors import SipUsageError
from lemonade_wire.sip.event import Event, Output
from lemonade_wire.sip.header import CSeq, NameAddr
from lemonade_wire.sip.headers import Headers
from lemonade_wire.sip.matching import Transport, transport_of
from lemonade_wire.sip.message import Request
from lemonade_wire.sip.response import respond_to
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.sip.uri import SipUri

_OWN_WAY = frozenset({"INVITE", "ACK", "CANCEL", "BYE"})
"""Methods that have an action of their own."""


class UserAgent(Arriving):
    """The transaction user of RFC 3261, both as client and as server.

    `now` is in seconds, monotonic. Actions raise SipUsageError where the call is unknown or its state forbids them.
    """

    def __init__(
        self, settings: UaSettings, rng: random.Random | None = None, dialog_factory: type[Dialog] = Dialog
    ) -> None:
        super().__init__(settings, rng or random.Random(), dialog_factory)

    # -- network -------------------------------------------------------------------------------------------------

    def datagram_received(self, data: bytes, source: Address, now: float) -> None:
        """Take one UDP datagram."""
        self._layer.datagram_received(data, source, now)
        self._follow(now)

    def stream_accepted(self, source: Address, now: float) -> int:
        """Take note of an incoming TCP connection; returns the stream's id."""
        return self._layer.streams.accepted(source, now)

    def stream_opened(self, stream: int, now: float) -> None:
        """Take note that an `OpenStream` succeeded."""
        self._layer.streams.opened(stream, now)

    def stream_failed(self, stream: int, now: float) -> None:
        """Take note that an `OpenStream` failed."""
        self._layer.stream_failed(stream, now)
        self._follow(now)

    def stream_received(self, stream: int, data: bytes, now: float) -> None:
        """Take octets of a stream."""
        lost = self._layer.stream_received(stream, data, now)
        self._follow(now)
        if lost:
            self._layer.streams.close(stream)

    def stream_lost(self, stream: int, now: float) -> None:
        """Take note that a stream is closed, by either side."""
        self._layer.stream_failed(stream, now)
        self._follow(now)

    def handle_timer(self, now: float) -> None:
        """Do what is due at `now`."""
        self._layer.handle_timer(now)
        self._follow(now)
        self._tick(now)
        self._follow(now)

    def next_timer(self) -> float | None:
        """Return when `handle_timer` is to be called next; None: nothing to wait for."""
        times = [self._layer.next_timer(), *self._call_times()]
        return min((at for at in times if at is not None), default=None)

    def outputs(self) -> list[Output]:
        """Return, once, what the network is to do, in order."""
        taken = list(self._layer.outputs)
        self._layer.outputs.clear()
        return taken

    def events(self) -> list[Event]:
        """Return, once, what happened, in order."""
        taken, self._events = self._events, []
        return taken

    @property
    def awaits_ack(self) -> bool:
        """Whether an INVITE was refused and the ACK is not here: the refusal may have been lost."""
        return self._layer.awaits_acks()

    # -- calls that we make --------------------------------------------------------------------------------------

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
        """Call `uri`, sending to `next_hop`; returns the call.

        `from_` and `to` are name-addr texts without tags; empty: own address, and `uri` without its parameters.
        `transport` None: what the URI says, else UDP, or TCP for a long request.
        `headers` stand instead of those of the same name.
        """
        tag = self._tag()
        usual = [
            ("Contact", self._contact(self.settings.contact_user)),
            admission.allow(self.settings),
            admission.accept(self.settings),
            *admission.supported(self.settings),
            *([("Content-Type", content_type)] if body else []),
        ]
        invite = self._outside("INVITE", uri, from_=from_, to=to, tag=tag, usual=usual, headers=headers, body=body)
        transport = transport or transport_of(uri)
        key = self._layer.send_request(invite, next_hop, transport, now)
        call = Call(self._name("call"), CallState.INVITING, invite, key, next_hop, tag)
        call.description = (content_type, body) if body else None
        self._calls[call.id] = self._by_invite[key] = call
        self._follow(now)
        return call.id

    def cancel(self, call: str, *, now: float) -> None:
        """Give up a call of ours that is not answered; `CallRefused` (487) or `CallEnded` follows."""
        known = self._call(call, CallState.INVITING)
        first, known.cancelled = not known.cancelled, True
        if first and known.provisional:
            # Section 9.1: before a provisional response there is nothing to cancel yet.
            self._send_cancel(known, now)
            self._follow(now)

    # -- calls that we get ---------------------------------------------------------------------------------------

    def progress(self, call: str, status: int, *, now: float, reason: str = "", headers: HeaderList = ()) -> None:
        """Send a provisional response 101-199 without a body."""
        known = self._call(call, CallState.OFFERED)
        if not 101 <= status <= 199:
            raise SipUsageError(f"{status} is not a provisional response with a tag")
        self._progress(known, status, now, reason=reason, headers=headers)

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
        """Answer 200 to an INVITE or re-INVITE; it is sent again until the ACK comes (`CallConfirmed`, or
        `ReinviteConfirmed`).

        `user` is the user part of the own Contact from now on; empty: as before.
        """
        known = self._call(call, *CallState)
        key, invite = self._close_invite(known)
        if known.dialog is not None and user:
            known.dialog.contact = self._contact(user)
        response = respond_to(
            invite,
            200,
            tag=known.tag,
            headers=[
                *self._dialog_headers(known, invite),
                admission.allow(self.settings),
                admission.accept(self.settings),
                *admission.supported(self.settings),
                *self._agree_on_timer(known, invite, now),
                ("Server", self.settings.product),
                *headers,
                *([("Content-Type", content_type)] if body else []),
            ],
            body=body,
        )
        if known.dialog is None:
            known.dialog = self._dialog_factory.as_callee(invite, response)
            self._by_dialog[known.dialog.id] = known
            known.state = CallState.ACCEPTED
        else:
            known.dialog.refresh(invite.contact)
        known.description = (content_type, body) if body else known.description
        self._await_ack(known, key, invite, response, now)
        self._layer.respond(key, response, now)

    def refuse(self, call: str, status: int, *, now: float, reason: str = "", headers: HeaderList = ()) -> None:
        """Answer 300-699 to an INVITE: the call is over; or to a re-INVITE: the session is as it was."""
        known = self._call(call, *CallState)
        if not 300 <= status <= 699:
            raise SipUsageError(f"{status} is not a refusal")
        key, invite = self._close_invite(known)
        self._answer(key, invite, status, now, headers=headers, reason=reason, tag=known.tag)
        if known.state is CallState.OFFERED:
            self._forget(known)
        else:
            known.refused = key

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
        """Offer another session by a re-INVITE, once no other INVITE is under way; returns its transaction.

        `uri` is its Request-URI, where that is to name another service (RFC 5022 section 3); None: the remote target.
        `ReinviteAnswered` follows. Refused by 491 it is sent once more, after the random time of section 14.1.
        """
        known = self._call(call, CallState.CONFIRMED)
        if known.reinvite is not None:
            raise SipUsageError(f"{call} has a re-INVITE under way")
        if not body:
            raise SipUsageError("a re-INVITE holds an offer")
        fields = (*headers, ("Content-Type", content_type))
        wanted = Reinvite(self._name("request"), fields, body, now, str(uri or ""))
        self._want_reinvite(known, wanted)
        self._follow(now)
        return wanted.transaction

    def info(self, call: str, body: bytes, content_type: str, *, now: float, headers: HeaderList = ()) -> str:
        """Send INFO, after those before it are answered; returns its transaction (`RequestAnswered`)."""
        return self.send(call, "INFO", now=now, body=body, headers=[("Content-Type", content_type), *headers])

    def send(self, call: str, method: str, *, now: float, body: bytes = b"", headers: HeaderList = ()) -> str:
        """Send a request in the dialog, in turn with the INFOs; returns its transaction.

        INVITE, ACK, CANCEL and BYE are not sent this way.
        """
        known = self._call(call, CallState.INVITING, CallState.ACCEPTED, CallState.CONFIRMED)
        if method in _OWN_WAY:
            raise SipUsageError(f"{method} is not sent as a plain request")
        item = Outgoing(self._name("request"), method, tuple(headers), body)
        known.queue.append(item)
        self._next_outgoing(known, now)
        self._follow(now)
        return item.transaction

    def bye(self, call: str, *, now: float, headers: HeaderList = (), at_once: bool = False) -> None:
        """Hang up: BYE, after the ACK where we were called; an unanswered call of ours is cancelled.

        `at_once` does not wait for the ACK: for who will not be there when it comes. Where a BYE was sent, nothing is
        done; one that waits for the ACK keeps its headers.
        """
        known = self._call(call, CallState.INVITING, CallState.ACCEPTED, CallState.CONFIRMED, CallState.ENDING)
        if known.state is CallState.INVITING:
            self.cancel(call, now=now)
        elif known.state is CallState.ACCEPTED and not at_once:
            # Section 15: the callee hangs up only after the ACK.
            known.bye_headers = tuple(headers)
        elif known.state is not CallState.ENDING:
            self._send_bye(known, known.bye_headers or headers, now)
            self._follow(now)

    # -- anything ------------------------------------------------------------------------------------------------

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
        """Answer an `InfoReceived` or `RequestReceived` with a final response; empty reason: the usual phrase.

        415 gets the Accept header of the settings. A Content-Type goes into `headers`.
        Where the call ended meanwhile the request is answered already, and nothing is done.
        """
        if not 200 <= status <= 699:
            raise SipUsageError(f"{status} is not a final response")
        call_id, request = self._unanswered.pop(transaction, (None, None))
        if request is None:
            return
        fields = [*headers, ("Server", self.settings.product)]
        if status == 415 and all(name.lower() != "accept" for name, _ in fields):
            fields.append(admission.accept(self.settings))
        response = respond_to(request, status, tag=self._tag(), reason=reason, headers=fields, body=body)
        self._layer.respond(transaction, response, now)
        call = self._calls.get(call_id) if call_id else None
        if call is not None and call.open_request == transaction:
            call.open_request = None
            self._next_request(call)

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
        """Send a request outside a dialog (OPTIONS, say); returns its transaction (`RequestAnswered`).

        `headers` stand instead of those of the same name. INVITE, ACK and CANCEL are not sent this way.
        """
        if method in _OWN_WAY - {"BYE"}:
            raise SipUsageError(f"{method} is not sent as a plain request")
        made = self._outside(method, uri, from_=from_, to=to, tag=self._tag(), usual=[], headers=headers, body=body)
        transaction = self._name("request")
        self._send(made, next_hop, transport or transport_of(uri), now, call=None, transaction=transaction)
        self._follow(now)
        return transaction

    # -- small things --------------------------------------------------------------------------------------------

    def _call(self, call: str, *states: CallState) -> Call:
        known = self._calls.get(call)
        if known is None:
            raise SipUsageError(f"there is no call {call!r}")
        if known.state not in states:
            raise SipUsageError(f"{call} is {known.state}")
        return known

    def _outside(
        self,
        method: str,
        uri: SipUri,
        *,
        from_: str,
        to: str,
        tag: str,
        usual: list[tuple[str, str]],
        headers: HeaderList,
        body: bytes,
    ) -> Request:
        """Build a request that is in no dialog; what `headers` names replaces what would stand there."""
        extra = list(headers)
        caller = NameAddr.parse(from_ or self._contact(self.settings.contact_user)).with_tag(tag)
        callee = NameAddr.parse(to or f"<{uri.bare()}>")
        target = str(uri)
        fields = [
            ("Max-Forwards", "70"),
            ("From", str(caller)),
            ("To", str(callee)),
            ("Call-ID", f"{self._tag()}@{self.settings.address.host}"),
            ("CSeq", str(CSeq(1, method))),
            ("User-Agent", self.settings.product),
            *usual,
        ]
        given = {name.lower() for name, _ in extra}
        return Request(
            Headers.of([*(field for field in fields if field[0].lower() not in given), *extra]), body, method, target
        )
