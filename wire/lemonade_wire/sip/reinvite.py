"""Sessions changed and refreshed by re-INVITE, from both sides (RFC 3261 section 14, RFC 4028)."""

from __future__ import annotations

import math

from lemonade_wire.sip import admission
from lemonade_wire.sip.call import Call, CallState, Reinvite
from lemonade_wire.sip.core import CallCore
from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.event import ReinviteAnswered, ReinviteCancelled, ReinviteReceived
from lemonade_wire.sip.message import Request, Response
from lemonade_wire.sip.response import respond_to
from lemonade_wire.sip.session import TIMER, SessionTimer


class Reinviting(CallCore):
    """What a user agent does about re-INVITEs: one at a time in a call, from either side."""

    # -- of the peer ---------------------------------------------------------------------------------------------

    def _reinvite_arrived(self, call: Call, key: str, request: Request, now: float) -> None:
        if call.unanswered is not None:
            # Section 14.2
            headers = [("Retry-After", str(self._rng.randint(0, 10)))]
            self._answer(key, request, 500, now, headers=headers, reason="Another INVITE is not answered yet")
        elif call.answer is not None or (call.reinvite is not None and call.reinvite.key):
            # Also where only the ACK is missing: what both sides agreed on may depend on it.
            self._answer(key, request, 491, now)
        else:
            self._open_invite(call, key, request, now)
            self._events.append(ReinviteReceived(call.id, request))

    def _reinvite_cancelled(self, call: Call, now: float) -> None:
        key, request = self._close_invite(call)
        call.refused = key
        self._layer.respond(key, respond_to(request, 487, tag=call.tag), now)
        self._events.append(ReinviteCancelled(call.id))

    # -- of ours -------------------------------------------------------------------------------------------------

    def _want_reinvite(self, call: Call, wanted: Reinvite) -> None:
        call.reinvite = wanted
        self._waiting[call.id] = self._timed[call.id] = call

    def _send_reinvites(self, now: float) -> None:
        """Send those whose time has come and that nothing stands in the way of."""
        for call in list(self._waiting.values()):
            wanted = call.reinvite
            if wanted is None:
                del self._waiting[call.id]
            elif self._may_reinvite(call) and now >= wanted.at:
                del self._waiting[call.id]
                self._send_reinvite(call, wanted, now)

    def _may_reinvite(self, call: Call) -> bool:
        """Whether a re-INVITE that waits could be sent: no other INVITE is under way in the call (section 14.1)."""
        free = call.unanswered is None and call.answer is None and not self._layer.awaits_ack(call.refused)
        return free and call.state is CallState.CONFIRMED

    def _send_reinvite(self, call: Call, wanted: Reinvite, now: float) -> None:
        dialog = call.dialog
        if dialog is None:
            return
        headers = [
            admission.allow(self.settings),
            admission.accept(self.settings),
            *admission.supported(self.settings),
            *(call.session.request_headers() if call.session else []),
            ("User-Agent", self.settings.product),
            *wanted.headers,
        ]
        hop, transport = self._hop(call, dialog)
        wanted.key = self._layer.send_request(
            dialog.request("INVITE", headers, wanted.body, wanted.target), hop, transport, now
        )
        self._lingering[wanted.key] = call

    def _reinvite_answered(self, call: Call, key: str, response: Response, now: float) -> None:
        """Take a response to a re-INVITE of ours, of a call that may be over by now."""
        ours = call.reinvite if call.reinvite is not None and call.reinvite.key == key else None
        if 200 <= response.status < 300:
            again = (key, response.to.tag or "") in call.acks
            self._acknowledge(call, key, response, now)
            if ours is not None and not again:
                self._reinvite_accepted(call, ours, response, now)
        elif ours is not None and response.status >= 300:
            self._reinvite_refused(call, ours, response, now)

    def _acknowledge(self, call: Call, key: str, response: Response, now: float) -> None:
        tag = response.to.tag or ""
        if (key, tag) in call.acks:
            call.acks[key, tag](now)
        elif (dialog := call.dialog) is not None:
            dialog.refresh(response.contact)
            hop, transport = self._hop(call, dialog)
            call.acks[key, tag] = self._layer.send_ack(dialog.ack(), hop, transport, now)

    def _reinvite_accepted(self, call: Call, ours: Reinvite, response: Response, now: float) -> None:
        call.reinvite = None
        kind = next((value for name, value in ours.headers if name == "Content-Type"), "")
        call.description = (kind, ours.body)
        if call.session is not None:
            try:
                call.session = call.session.answered(response, now)
            except SipParseError:
                call.session = None
            self._timed[call.id] = call
        self._events.append(ReinviteAnswered(call.id, ours.transaction, response))

    def _reinvite_refused(self, call: Call, ours: Reinvite, response: Response, now: float) -> None:
        if not ours.again and self._try_again(call, ours, response, now):
            return
        call.reinvite = None
        if call.session is not None and ours.transaction:
            call.session.refreshed = False  # it would have been a refresh, too
        self._events.append(ReinviteAnswered(call.id, ours.transaction, response))
        if response.status == 481:
            self._ended(call, "dialog-gone", now)
        elif response.status == 408:
            self._abandon(call, "dialog-gone", now)

    def _try_again(self, call: Call, ours: Reinvite, response: Response, now: float) -> bool:
        """Whether a refused re-INVITE is to be tried once more: after 491 (section 14.1), or after 422."""
        if response.status == 491:
            # In units of 10 ms; who made the Call-ID waits longer, so that both do not meet again.
            own = call.dialog is not None and call.dialog.caller
            ours.at = now + (self._rng.randint(210, 400) if own else self._rng.randint(0, 200)) / 100
        elif response.status != 422 or call.session is None or not _larger(call.session, response):
            return False
        ours.key, ours.again = "", True
        self._want_reinvite(call, ours)
        return True

    def _reinvite_failed(self, call: Call, key: str, now: float) -> None:
        """A re-INVITE of ours got no answer: the dialog is to be ended (section 14.1)."""
        if call.reinvite is not None and call.reinvite.key == key:
            transaction, call.reinvite = call.reinvite.transaction, None
            self._events.append(ReinviteAnswered(call.id, transaction, None))
            self._abandon(call, "dialog-gone", now)

    # -- session timers --------------------------------------------------------------------------------------------

    def _agree_on_timer(self, call: Call, request: Request, now: float) -> list[tuple[str, str]]:
        """Set the call's timer as a 2xx to this INVITE does; returns what the 2xx says of it."""
        knows = TIMER in self.settings.supported
        call.session = SessionTimer.as_answerer(request, now) if knows else None
        return call.session.answer_headers() if call.session else []

    def _tick_session(self, call: Call, now: float) -> None:
        session = call.session
        if session is None or call.state is not CallState.CONFIRMED:
            return
        if now >= session.ends_at():
            self._abandon(call, "session-expired", now)
        elif now >= session.refresh_at():
            session.refreshed = True
            if call.reinvite is None and call.description is not None:
                # The same octets as before, so that the peer sees that nothing changed (RFC 4028 section 7.4).
                kind, body = call.description
                self._want_reinvite(call, Reinvite("", (("Content-Type", kind),), body, now))

    def _reinvite_time(self, call: Call) -> float:
        """Return when a call wants `_tick_session` or `_send_reinvites`; infinity: not at all."""
        wanted = call.reinvite
        waits = wanted is not None and not wanted.key and self._may_reinvite(call)
        at = wanted.at if wanted is not None and waits else math.inf
        if call.session is not None and call.state is CallState.CONFIRMED:
            at = min(at, call.session.refresh_at(), call.session.ends_at())
        return at


def _larger(session: SessionTimer, response: Response) -> bool:
    try:
        return session.refused(response)
    except SipParseError:
        return False
