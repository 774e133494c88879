"""Dialogs (RFC 3261 section 12): the state from which the requests inside a call are built."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Self

from lemonade_wire.sip.message.header_section import Headers
from lemonade_wire.sip.message.header_values import CSeq, NameAddr
from lemonade_wire.sip.message.message import SipRequest, SipResponse
from lemonade_wire.sip.message.uri import SipUri

DialogId = tuple[str, str, str]
"""Call-ID, local tag, remote tag ("" if the peer has none, as in RFC 2543)."""


@dataclass
class Dialog:
    """One side's state of a dialog. A fault can replace the class by a subclass (`dialog_factory`)."""

    call_id: str
    local: NameAddr
    """Own From or To, with the own tag."""
    remote: NameAddr
    """The peer's From or To, with its tag."""
    target: str
    """Remote target: the URI of the peer's Contact."""
    contact: str
    """Own Contact value."""
    routes: tuple[NameAddr, ...] = ()
    """Route set, first hop first."""
    local_cseq: int = 0
    """CSeq number of the last request sent."""
    remote_cseq: int | None = None
    """CSeq number of the last request received."""
    invite_cseq: int = field(default=0)
    """CSeq number of our last INVITE, which its ACK repeats."""
    caller: bool = False
    """This side sent the first INVITE, and so made the Call-ID."""

    @classmethod
    def as_caller(cls, invite: SipRequest, response: SipResponse) -> Self:
        """Make the caller's dialog from its INVITE and a 2xx (section 12.1.2)."""
        return cls(
            call_id=invite.call_id,
            local=invite.from_,
            remote=response.to,
            target=response.contact.uri if response.contact else invite.target,
            contact=invite.headers.get("Contact") or "",
            routes=tuple(reversed(response.record_routes)),
            local_cseq=invite.cseq.number,
            invite_cseq=invite.cseq.number,
            caller=True,
        )

    @classmethod
    def as_callee(cls, invite: SipRequest, response: SipResponse) -> Self:
        """Make the callee's dialog from the INVITE and its own 2xx (section 12.1.1)."""
        return cls(
            call_id=invite.call_id,
            local=response.to,
            remote=invite.from_,
            target=invite.contact.uri if invite.contact else invite.from_.uri,
            contact=response.headers.get("Contact") or "",
            routes=tuple(invite.record_routes),
            remote_cseq=invite.cseq.number,
        )

    @property
    def id(self) -> DialogId:
        """The dialog ID on this side (section 12)."""
        return self.call_id, self.local.tag or "", self.remote.tag or ""

    def request(
        self, method: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b"", target: str = ""
    ) -> SipRequest:
        """Build the next request of this side (section 12.2.1.1); it has no Via.

        The Request-URI is `target`, or the remote target if that is empty.
        """
        self.local_cseq += 1
        if method == "INVITE":
            self.invite_cseq = self.local_cseq
        contact = [("Contact", self.contact)] if method in {"INVITE", "UPDATE"} else []
        return self._build(method, self.local_cseq, target or self.target, [*contact, *headers], body)

    def ack(self) -> SipRequest:
        """Build the ACK of a 2xx (section 13.2.2.4), to `ack_target`."""
        return self._build("ACK", self.invite_cseq, self.ack_target(), [], b"")

    def ack_target(self) -> str:
        """Return the Request-URI of the ACK: the remote target."""
        return self.target

    def hop(self) -> str:
        """Return the URI whose address requests are sent to (section 8.1.2)."""
        return self.routes[0].uri if self.routes else self.target

    def refresh(self, contact: NameAddr | None) -> None:
        """Set the remote target from the Contact of a re-INVITE or of its 2xx (sections 12.2.1.2 and 12.2.2)."""
        if contact is not None:
            self.target = contact.uri

    def order(self, number: int) -> bool:
        """Record a CSeq number of the peer; returns False if it is not above the last one (section 12.2.2)."""
        if self.remote_cseq is not None and number <= self.remote_cseq:
            return False
        self.remote_cseq = number
        return True

    def _build(self, method: str, number: int, target: str, extra: list[tuple[str, str]], body: bytes) -> SipRequest:
        routes = [str(route) for route in self.routes]
        if self.routes and not _is_loose(self.routes[0]):
            # Strict routing (section 12.2.1.1): the first route becomes the Request-URI, the target the last Route.
            routes = [*routes[1:], f"<{target}>"]
            target = _request_uri(self.routes[0])
        headers = Headers.of(
            [
                *(("Route", route) for route in routes),
                ("Max-Forwards", "70"),
                ("From", str(self.local)),
                ("To", str(self.remote)),
                ("Call-ID", self.call_id),
                ("CSeq", str(CSeq(number, method))),
                *extra,
            ]
        )
        return SipRequest(headers, body, method, target)


def _is_loose(route: NameAddr) -> bool:
    return route.sip_uri.param("lr") is not None


def _request_uri(route: NameAddr) -> str:
    """Return a route's URI without the parts that a Request-URI may not have (section 19.1.1)."""
    uri: SipUri = route.sip_uri
    kept = tuple(param for param in uri.params if param[0].lower() != "method")
    return str(replace(uri, params=kept, headers=""))
