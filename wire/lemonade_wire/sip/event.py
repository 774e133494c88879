"""What a user agent tells its application, and what it wants the network to do.

A call and a transaction are opaque texts, unique in one user agent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lemonade_wire.address import Address
from lemonade_wire.sip.message import Request, Response

EndReason = Literal["bye-received", "bye-answered", "cancelled", "no-ack", "dialog-gone", "session-expired"]


@dataclass(frozen=True)
class InviteReceived:
    """A new call came in; 100 is already sent. Answer with `accept` or `refuse`."""

    call: str
    """Names the call from now on."""
    request: Request
    """The INVITE; `request.uri` is a valid SipUri."""
    source: Address
    """Where it came from."""


@dataclass(frozen=True)
class InviteCancelled:
    """The caller wants no answer any more; 487 is already sent (and 200 to its CANCEL), and the call is over."""

    call: str
    expired: bool = False
    """Its Expires ran out."""


@dataclass(frozen=True)
class CallConfirmed:
    """The ACK of our 2xx arrived: media may flow."""

    call: str
    ack: Request
    """The ACK; holds the SDP answer where our 2xx held the offer."""


@dataclass(frozen=True)
class CallProgressed:
    """A provisional response to our INVITE arrived (100 too)."""

    call: str
    response: Response


@dataclass(frozen=True)
class CallAnswered:
    """Our INVITE got its first 2xx; the ACK is already sent."""

    call: str
    response: Response


@dataclass(frozen=True)
class CallRefused:
    """Our INVITE failed, and the call is over."""

    call: str
    response: Response | None
    """The final response 300-699; None where none came in time or the peer was out of reach."""


@dataclass(frozen=True)
class ReinviteReceived:
    """A re-INVITE came, to change or refresh the session. Answer with `accept` or `refuse`, as the first INVITE."""

    call: str
    request: Request
    """The INVITE; without a body where the answer is to hold the offer."""


@dataclass(frozen=True)
class ReinviteCancelled:
    """The peer gave its re-INVITE up, or its Expires ran out; 487 is already sent, and the session is as it was."""

    call: str


@dataclass(frozen=True)
class ReinviteConfirmed:
    """The ACK of our 2xx to a re-INVITE arrived."""

    call: str
    ack: Request
    """The ACK; holds the SDP answer where our 2xx held the offer."""


@dataclass(frozen=True)
class ReinviteAnswered:
    """A re-INVITE of ours got its final response; a 2xx is already acknowledged, after a 491 it was tried again."""

    call: str
    transaction: str
    """As `reinvite` gave it; "" where the user agent refreshed the session by itself, its offer the one before."""
    response: Response | None
    """None on timeout, on an unreachable peer, or where the call ended first. No 2xx: the session is as it was."""


@dataclass(frozen=True)
class InfoReceived:
    """An INFO came in the call. Answer with `respond(transaction, ...)`; the next one waits for that."""

    call: str
    request: Request
    transaction: str


@dataclass(frozen=True)
class ByeReceived:
    """The peer hung up; 200 is already sent. `CallEnded` follows."""

    call: str
    request: Request


@dataclass(frozen=True)
class RequestReceived:
    """A request came that the user agent does not answer itself. Answer with `respond(transaction, ...)`."""

    call: str | None
    """The call it belongs to; None outside a dialog."""
    request: Request
    transaction: str


@dataclass(frozen=True)
class RequestAnswered:
    """A request of ours other than INVITE, CANCEL and BYE got its final response."""

    call: str | None
    """None for a request outside a dialog."""
    transaction: str
    response: Response | None
    """None on timeout, on an unreachable peer, or where the call ended first."""


@dataclass(frozen=True)
class CallEnded:
    """A call that had been answered is over; comes once, last."""

    call: str
    why: EndReason
    """bye-received; bye-answered (ours was answered, or timed out); cancelled (a 2xx crossed our CANCEL);
    no-ack (our 2xx was never acknowledged; BYE is sent); dialog-gone (481, 408 or timeout inside the dialog);
    session-expired (nobody refreshed it; BYE is sent)."""


Event = (
    InviteReceived
    | InviteCancelled
    | CallConfirmed
    | CallProgressed
    | CallAnswered
    | CallRefused
    | ReinviteReceived
    | ReinviteCancelled
    | ReinviteConfirmed
    | ReinviteAnswered
    | InfoReceived
    | ByeReceived
    | RequestReceived
    | RequestAnswered
    | CallEnded
)


@dataclass(frozen=True)
class SendDatagram:
    """Send one UDP datagram from the listening port."""

    data: bytes
    destination: Address
    resend: bool = False
    """A retransmission, by a transaction or of a 2xx."""


@dataclass(frozen=True)
class OpenStream:
    """Connect by TCP; then call `stream_opened` or `stream_failed` with the same id."""

    stream: int
    destination: Address


@dataclass(frozen=True)
class SendStream:
    """Write one whole message to a stream."""

    stream: int
    data: bytes
    resend: bool = False


@dataclass(frozen=True)
class SendPong:
    """Write the line end that answers a keep-alive to a stream; it is no message (RFC 5626 section 4.4.1)."""

    stream: int


@dataclass(frozen=True)
class CloseStream:
    """Close a stream, incoming or outgoing, after what was written before."""

    stream: int


@dataclass(frozen=True)
class MessageSeen:
    """Nothing to do: a whole message came in. For the trace."""

    data: bytes
    source: Address
    transport: Literal["udp", "tcp"]


@dataclass(frozen=True)
class MessageDropped:
    """Nothing to do: something came that is not SIP, or that nobody here waits for. For the log."""

    source: Address
    why: str


Output = SendDatagram | OpenStream | SendStream | SendPong | CloseStream | MessageSeen | MessageDropped
