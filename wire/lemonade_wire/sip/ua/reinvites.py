"""The own re-INVITEs of a session (RFC 3261 section 14), and the session timer that refreshes it (RFC 4028)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.event import ReinviteAnswered
from lemonade_wire.sip.message.message import SipRequest, SipResponse
from lemonade_wire.sip.ua import admission
from lemonade_wire.sip.ua.session_state import SipSessionState
from lemonade_wire.sip.ua.session_timer import TIMER, SessionTimer

if TYPE_CHECKING:
    from lemonade_wire.sip.ua.context import UaContext
    from lemonade_wire.sip.ua.invite_session import InviteSession


@dataclass
class PendingReinvite:
    """An own re-INVITE, from the application's call to its final response (RFC 3261 section 14.1)."""

    transaction: str
    """The identifier that the application has; "" for a session refresh by the user agent itself."""
    headers: tuple[tuple[str, str], ...]
    body: bytes
    at: float
    """The earliest time at which it is sent."""
    target: str = ""
    """Its Request-URI; "" for the remote target."""
    key: str = ""
    """Its transaction key; "" while it waits to be sent."""
    again: bool = False
    """It was refused once, and this is the second and last try."""


class Reinvites:
    """The own re-INVITE of a session, one at a time, and the timer that refreshes the session or ends it."""

    def __init__(self, context: UaContext, session: InviteSession) -> None:
        self._context = context
        self._session = session
        self.pending: PendingReinvite | None = None
        self._timer: SessionTimer | None = None
        self._description: tuple[str, bytes] | None = None
        """Content-Type and octets of the last session description that this side sent."""

    def note_description(self, content_type: str, body: bytes) -> None:
        """Note a session description that this side sent, for a refresh that repeats it; an empty one is ignored."""
        if body:
            self._description = (content_type, body)

    @property
    def in_progress(self) -> bool:
        """Whether an own re-INVITE is sent and has no final response."""
        return self.pending is not None and self.pending.key != ""

    # -- sending -------------------------------------------------------------------------------------------------

    def queue(self, wanted: PendingReinvite) -> None:
        """Send a re-INVITE as soon as its time has come and no other INVITE is in progress."""
        self.pending = wanted
        self._context.waiting[self._session.id] = self._context.timed[self._session.id] = self._session

    def send_due(self, now: float) -> None:
        """Send the waiting re-INVITE if its time has come and the call has no other INVITE in progress."""
        wanted = self.pending
        if wanted is None:
            del self._context.waiting[self._session.id]
        elif self._session.may_reinvite() and now >= wanted.at:
            del self._context.waiting[self._session.id]
            self._send(wanted, now)

    def _send(self, wanted: PendingReinvite, now: float) -> None:
        dialog, settings = self._session.dialog, self._context.settings
        if dialog is None:
            return
        headers = [
            admission.allow(settings),
            *admission.supported(settings),
            *(self._timer.request_headers() if self._timer else []),
            ("User-Agent", settings.product),
            *wanted.headers,
        ]
        hop = self._session.next_hop()
        request = dialog.request("INVITE", headers, wanted.body, wanted.target)
        wanted.key = self._context.layer.send_request(request, *hop, now)
        self._context.lingering[wanted.key] = self._session

    # -- responses -----------------------------------------------------------------------------------------------

    def answered(self, key: str, response: SipResponse, now: float) -> None:
        """Handle a response to an own re-INVITE; the session may have ended."""
        ours = self.pending if self.pending is not None and self.pending.key == key else None
        if 200 <= response.status < 300:
            again = self._session.acknowledge_reinvite(key, response, now)
            if ours is not None and not again:
                self._accepted(ours, response, now)
        elif ours is not None and response.status >= 300:
            self._refused(ours, response, now)

    def _accepted(self, ours: PendingReinvite, response: SipResponse, now: float) -> None:
        self.pending = None
        kind = next((value for name, value in ours.headers if name == "Content-Type"), "")
        self._description = (kind, ours.body)
        if self._timer is not None:
            try:
                self._timer = self._timer.answered(response, now)
            except SipParseError:
                self._timer = None
            self._context.timed[self._session.id] = self._session
        self._report(ours, response)

    def _refused(self, ours: PendingReinvite, response: SipResponse, now: float) -> None:
        if not ours.again and self._try_again(ours, response, now):
            return
        self.pending = None
        if self._timer is not None and ours.transaction:
            # A re-INVITE of the application would have refreshed the session too: the refresh is due again.
            self._timer.refreshed = False
        self._report(ours, response)
        if response.status == 481:
            self._session.end("dialog-gone", now)
        elif response.status == 408:
            self._session.abandon("dialog-gone", now)

    def _try_again(self, ours: PendingReinvite, response: SipResponse, now: float) -> bool:
        """Schedule a second try after 491 (section 14.1) or 422 (RFC 4028); returns whether it did."""
        if response.status == 491:
            # Section 14.1: the side that made the Call-ID waits 2.1 to 4 s, the other 0 to 2 s, in units of 10 ms.
            rng, dialog = self._context.rng, self._session.dialog
            own = dialog is not None and dialog.caller
            ours.at = now + (rng.randint(210, 400) if own else rng.randint(0, 200)) / 100
        elif response.status != 422 or self._timer is None or not _larger(self._timer, response):
            return False
        ours.key, ours.again = "", True
        self.queue(ours)
        return True

    def failed(self, key: str, now: float) -> None:
        """End the dialog after an own re-INVITE that was not answered (section 14.1)."""
        if self.pending is not None and self.pending.key == key:
            ours, self.pending = self.pending, None
            self._report(ours, None)
            self._session.abandon("dialog-gone", now)

    def give_up(self, now: float) -> None:
        """Report an unanswered re-INVITE as answered by nothing, as the session ends."""
        if (wanted := self.pending) is None:
            return
        self.pending = None
        if wanted.key:
            # A 2xx may still arrive and must be acknowledged. A peer that sends only 1xx is given up after a time.
            self._context.orphans[wanted.key] = now + self._context.matches_all_time
        self._report(wanted, None)

    def _report(self, ours: PendingReinvite, response: SipResponse | None) -> None:
        self._context.events.append(ReinviteAnswered(self._session.id, ours.transaction, response))

    # -- session timer -------------------------------------------------------------------------------------------

    def start_timer(self, response: SipResponse, now: float) -> None:
        """Start the timer that a 2xx to the own INVITE sets, if it sets one."""
        self._timer = None
        if TIMER in self._context.settings.supported:
            try:
                self._timer = SessionTimer.as_caller(response, now)
            except SipParseError:
                return

    def agree_on_timer(self, request: SipRequest, now: float) -> list[tuple[str, str]]:
        """Set the session timer from the peer's INVITE; returns the headers for the own 2xx."""
        knows = TIMER in self._context.settings.supported
        self._timer = SessionTimer.as_answerer(request, now) if knows else None
        return self._timer.answer_headers() if self._timer else []

    def tick(self, now: float) -> None:
        """End a session that was not refreshed in time, or refresh it if that is due."""
        timer = self._timer
        if timer is None or self._session.state is not SipSessionState.CONFIRMED:
            return
        if now >= timer.ends_at():
            self._session.abandon("session-expired", now)
        elif now >= timer.refresh_at():
            timer.refreshed = True
            if self.pending is None and self._description is not None:
                # The same octets as the last offer, which tells the peer that the session is unchanged (RFC 4028
                # section 7.4).
                kind, body = self._description
                self.queue(PendingReinvite("", (("Content-Type", kind),), body, now))

    def next_time(self) -> float:
        """Return the time of the next `tick` or `send_due`; infinity if there is none."""
        wanted = self.pending
        waits = wanted is not None and not wanted.key and self._session.may_reinvite()
        at = wanted.at if wanted is not None and waits else math.inf
        if self._timer is not None and self._session.state is SipSessionState.CONFIRMED:
            at = min(at, self._timer.refresh_at(), self._timer.ends_at())
        return at


def _larger(timer: SessionTimer, response: SipResponse) -> bool:
    try:
        return timer.refused(response)
    except SipParseError:
        return False
