"""What all sessions of a user agent share: settings, transactions, events, and the index of the sessions."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import TYPE_CHECKING

from lemonade_wire.address import Address
from lemonade_wire.sip.event import Event
from lemonade_wire.sip.message.header_section import Headers
from lemonade_wire.sip.message.header_values import CSeq, NameAddr
from lemonade_wire.sip.message.message import SipRequest
from lemonade_wire.sip.message.response import respond_to
from lemonade_wire.sip.message.uri import SipUri
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.sip.transaction.layer import TransactionLayer
from lemonade_wire.sip.transaction.matching import Transport, bracketed
from lemonade_wire.sip.ua.dialog import Dialog, DialogId

if TYPE_CHECKING:
    from lemonade_wire.sip.ua.invite_session import InviteSession

HeaderList = Iterable[tuple[str, str]]
MATCHES_ALL_TIMERS = 64
"""Timers B, F, H, L, M and the wait for an ACK are 64 times T1 (RFC 3261 section 17)."""


class UaContext:
    """The settings, the transaction layer, the events and the index of sessions of one user agent."""

    def __init__(self, settings: UaSettings, rng: random.Random, dialog_factory: type[Dialog]) -> None:
        self.settings = settings
        self.rng = rng
        self.dialog_factory = dialog_factory
        self.layer = TransactionLayer(settings, rng)
        self.events: list[Event] = []
        self.sessions: dict[str, InviteSession] = {}
        """Sessions by their identifier, until they end."""
        self.by_invite: dict[str, InviteSession] = {}
        """Sessions by the key of their first INVITE, and of the peer's re-INVITE without a final response."""
        self.by_dialog: dict[DialogId, InviteSession] = {}
        self.sent: dict[str, tuple[str | None, str, str]] = {}
        """Own requests that are not answered: session, method and public transaction, by transaction key."""
        self.received: dict[str, tuple[str | None, SipRequest]] = {}
        """Requests of the peer that the application is to answer: session and request, by transaction key."""
        self.lingering: dict[str, InviteSession] = {}
        """Sessions, also ended ones, whose 2xx may be retransmitted; by the key of the own INVITE or re-INVITE."""
        self.timed: dict[str, InviteSession] = {}
        """Sessions that may have timed work; a timer looks at no other sessions."""
        self.waiting: dict[str, InviteSession] = {}
        """Sessions with an own re-INVITE that is not sent yet."""
        self.orphans: dict[str, float] = {}
        """Own unanswered re-INVITEs whose session has ended: the time at which each is given up."""
        self._count = 0

    @property
    def matches_all_time(self) -> float:
        """64 times T1 in seconds."""
        return MATCHES_ALL_TIMERS * self.settings.timing.t1

    def new_tag(self) -> str:
        """Return a new tag, which is also used as the first part of a Call-ID."""
        return f"{self.rng.getrandbits(64):016x}"

    def new_id(self, kind: str) -> str:
        """Return a new identifier for the application: `kind` and a number."""
        self._count += 1
        return f"{kind}-{self._count}"

    def contact(self, user: str, transport: str = "udp") -> str:
        """Return the own Contact with that user part ("" for none).

        In a dialog that began by TCP it has `transport=tcp`, so that the peer's requests come by TCP too (RFC 3261
        section 12.1.1 and 19.1.1).
        """
        host, port = self.settings.address
        parameter = ";transport=tcp" if transport.lower() == "tcp" else ""
        return f"<sip:{user}{'@' if user else ''}{bracketed(host)}:{port}{parameter}>"

    def send(
        self,
        request: SipRequest,
        hop: tuple[Address, Transport | None],
        now: float,
        *,
        session: str | None,
        transaction: str,
    ) -> None:
        """Send a request other than INVITE, ACK and CANCEL; `hop` is its address and transport."""
        key = self.layer.send_request(request, *hop, now)
        self.sent[key] = (session, request.method, transaction)

    def answer(
        self,
        key: str,
        request: SipRequest,
        status: int,
        now: float,
        *,
        headers: HeaderList = (),
        reason: str = "",
        tag: str = "",
    ) -> None:
        """Answer a request of the peer without a body; "" for `tag` is a new one, for `reason` that of the RFC."""
        headers = [*headers, ("Server", self.settings.product)]
        response = respond_to(request, status, tag=tag or self.new_tag(), reason=reason, headers=headers)
        self.layer.respond(key, response, now)

    def build_request(
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
    ) -> SipRequest:
        """Build a request outside a dialog; `headers` replace the default headers of the same name."""
        extra = list(headers)
        caller = NameAddr.parse(from_ or self.contact(self.settings.contact_user)).with_tag(tag)
        callee = NameAddr.parse(to or f"<{uri.bare()}>")
        target = str(uri)
        fields = [
            ("Max-Forwards", "70"),
            ("From", str(caller)),
            ("To", str(callee)),
            ("Call-ID", f"{self.new_tag()}@{self.settings.address.host}"),
            ("CSeq", str(CSeq(1, method))),
            ("User-Agent", self.settings.product),
            *usual,
        ]
        given = {name.lower() for name, _ in extra}
        return SipRequest(
            Headers.of([*(field for field in fields if field[0].lower() not in given), *extra]), body, method, target
        )
