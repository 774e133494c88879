"""The requests inside a dialog, other than INVITE and BYE: one at a time in each direction."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lemonade_wire.sip.event import InfoReceived, RequestAnswered, RequestReceived
from lemonade_wire.sip.message.message import SipRequest
from lemonade_wire.sip.ua.session_state import SipSessionState

if TYPE_CHECKING:
    from lemonade_wire.sip.ua.context import UaContext
    from lemonade_wire.sip.ua.invite_session import InviteSession


@dataclass(frozen=True)
class QueuedRequest:
    """A request of this side that waits until the request before it is answered."""

    transaction: str
    method: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class DialogRequests:
    """The queues of one session.

    This side sends one request at a time, because RFC 6086 does not define the order of INFO requests that overlap. The
    application gets the peer's next request when it has answered the one before, and not before the ACK has arrived.
    """

    def __init__(self, context: UaContext, session: InviteSession) -> None:
        self._context = context
        self._session = session
        self._queue: deque[QueuedRequest] = deque()
        self._in_flight: QueuedRequest | None = None
        self._held: deque[tuple[str, SipRequest]] = deque()
        self._open: str | None = None
        """The transaction key of the peer's request that the application has and has not answered."""

    # -- of this side --------------------------------------------------------------------------------------------

    def queue(self, request: QueuedRequest, now: float) -> None:
        """Send a request as soon as those before it are answered and the dialog is confirmed."""
        self._queue.append(request)
        self.send_next(now)

    def send_next(self, now: float) -> None:
        """Send the next queued request, if there is one and nothing stands before it."""
        session = self._session
        if self._in_flight is None and self._queue and session.state is SipSessionState.CONFIRMED and session.dialog:
            self._in_flight = queued = self._queue.popleft()
            request = session.dialog.request(queued.method, queued.headers, queued.body)
            self._context.send(request, session.next_hop(), now, session=session.id, transaction=queued.transaction)

    def clear_in_flight(self) -> None:
        """Note that the request that was sent is answered."""
        self._in_flight = None

    def fail(self) -> None:
        """Report each unanswered request of this side as answered by nothing (`response` None)."""
        waiting = [*([self._in_flight] if self._in_flight else []), *self._queue]
        self._in_flight = None
        self._queue.clear()
        self._context.events += [RequestAnswered(self._session.id, one.transaction, None) for one in waiting]

    # -- of the peer ---------------------------------------------------------------------------------------------

    def hold(self, key: str, request: SipRequest) -> None:
        """Keep a request of the peer until `deliver_next`."""
        self._held.append((key, request))

    def take_held(self) -> list[tuple[str, SipRequest]]:
        """Return the held requests, and hold none."""
        taken = list(self._held)
        self._held.clear()
        return taken

    def deliver_next(self) -> None:
        """Give the application the peer's next held request, if the one before is answered and the ACK has arrived."""
        if self._held and self._open is None and self._session.state is SipSessionState.CONFIRMED:
            key, request = self._held.popleft()
            self._open = key
            self._context.received[key] = (self._session.id, request)
            kind = InfoReceived if request.method == "INFO" else RequestReceived
            self._context.events.append(kind(self._session.id, request, key))

    def note_answered(self, key: str) -> None:
        """Note that the application has answered a request of the peer, and deliver the next one."""
        if self._open == key:
            self._open = None
            self.deliver_next()

    def refuse(self, status: int, now: float) -> None:
        """Answer each unanswered request of the peer, as the session ends."""
        if self._open is not None and self._open in self._context.received:
            _, request = self._context.received.pop(self._open)
            self._context.answer(self._open, request, status, now)
        for key, request in self._held:
            self._context.answer(key, request, status, now)
        self._open = None
        self._held.clear()
