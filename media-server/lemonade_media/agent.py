"""The user agent as the core acts on it: an action that comes too late for its call does nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lemonade_wire.sip.errors import SipUsageError
from lemonade_wire.sip.ua import UserAgent

Headers = Iterable[tuple[str, str]]


class Agent:
    """Passes actions to a UserAgent.

    A BYE or CANCEL may have ended the call while its earlier events were still on their way to the core; what the
    core then wants is void (SipUsageError) and only noted.
    """

    def __init__(self, ua: UserAgent, note: Callable[[str], None]) -> None:
        self._ua = ua
        self._note = note

    @property
    def awaits_ack(self) -> bool:
        """Whether the ACK of a refused INVITE is not here yet."""
        return self._ua.awaits_ack

    def take_calls(self, retry_after: int | None) -> None:
        """Have new calls refused by 503 until further notice, with this Retry-After; None: take them."""
        self._ua.retry_after = retry_after

    def accept(self, call: str, body: bytes, *, now: float, user: str = "") -> None:
        """Answer 200; `user` is that of the Contact from now on, empty: as before."""
        self._try(lambda: self._ua.accept(call, body, now=now, user=user))

    def refuse(self, call: str, status: int, *, now: float, reason: str = "", headers: Headers = ()) -> None:
        """Answer 300-699."""
        self._try(lambda: self._ua.refuse(call, status, now=now, reason=reason, headers=headers))

    def bye(self, call: str, *, now: float, headers: Headers = (), at_once: bool = False) -> None:
        """Hang up, after the ACK or `at_once`."""
        self._try(lambda: self._ua.bye(call, now=now, headers=headers, at_once=at_once))

    def info(self, call: str, body: bytes, content_type: str, *, now: float, headers: Headers = ()) -> None:
        """Send INFO."""
        self._try(lambda: self._ua.info(call, body, content_type, now=now, headers=headers))

    def respond(
        self,
        transaction: str,
        status: int,
        *,
        now: float,
        reason: str = "",
        headers: Headers = (),
        body: bytes = b"",
    ) -> None:
        """Answer a request inside or outside a call."""
        self._try(lambda: self._ua.respond(transaction, status, now=now, reason=reason, headers=headers, body=body))

    def _try(self, action: Callable[[], object]) -> None:
        try:
            action()
        except SipUsageError as problem:
            self._note(f"too late: {problem}")
