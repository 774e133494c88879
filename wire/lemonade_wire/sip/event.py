"""The events that a user agent gives to its application, and the outputs that the network layer carries out.

A `call` and a `transaction` are opaque identifiers, unique in one user agent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lemonade_wire.address import Address
from lemonade_wire.sip.message.message import SipRequest, SipResponse

EndReason = Literal["bye-received", "bye-answered", "cancelled", "no-ack", "dialog-gone", "session-expired"]


@dataclass(frozen=True)
class InviteReceived:
    """An INVITE for a new call arrived; 100 is already sent. Answer with `accept` or `refuse`."""

    call: str
    """Identifies the call in later events and actions."""
    request: SipRequest
    """The INVITE; `request.uri` is a valid SipUri."""
    source: Address
    """The address that sent it."""


@dataclass(frozen=True)
class InviteCancelled:
    """The caller withdrew its INVITE by CANCEL or BYE, or the INVITE expired; the call is over.

    487 is already sent, and 200 to the CANCEL or BYE.
    """

    call: str
    expired: bool = False
    """The time of the INVITE's Expires is over."""


@dataclass(frozen=True)
class CallConfirmed:
    """The ACK of our 2xx to the first INVITE arrived: media may flow."""

    call: str
    ack: SipRequest
    """The ACK; it has the SDP answer if our 2xx had the offer."""


@dataclass(frozen=True)
class CallProgressed:
    """A provisional response to our INVITE arrived (including 100)."""

    call: str
    response: SipResponse


@dataclass(frozen=True)
class CallAnswered:
    """The first 2xx to our INVITE arrived; the ACK is already sent."""

    call: str
    response: SipResponse


@dataclass(frozen=True)
class CallRefused:
    """Our INVITE failed, and the call is over."""

    call: str
    response: SipResponse | None
    """The final response 300-699; None on timeout, or if the peer could not be reached."""


@dataclass(frozen=True)
class ReinviteReceived:
    """A re-INVITE arrived, to change or refresh the session. Answer with `accept` or `refuse`, as the first INVITE."""

    call: str
    request: SipRequest
    """The INVITE; if it has no body, our 2xx is to have the offer."""


@dataclass(frozen=True)
class ReinviteCancelled:
    """The peer cancelled its re-INVITE, or the re-INVITE expired; 487 is already sent, the session is unchanged."""

    call: str


@dataclass(frozen=True)
class ReinviteConfirmed:
    """The ACK of our 2xx to a re-INVITE arrived."""

    call: str
    ack: SipRequest
    """The ACK; it has the SDP answer if our 2xx had the offer."""


@dataclass(frozen=True)
class ReinviteAnswered:
    """The final response to a re-INVITE of ours arrived.

    A 2xx is already acknowledged. A 491 is reported only if the second try was refused too.
    """

    call: str
    transaction: str
    """The value that `reinvite` returned; "" for a session refresh by the user agent, which repeats the last offer."""
    response: SipResponse | None
    """None on timeout, if the peer is unreachable, or if the call ended first. Unless it is a 2xx, the session is
    unchanged."""


@dataclass(frozen=True)
class InfoReceived:
    """An INFO arrived in the call. Answer with `respond(transaction, ...)`; the next request is held until then."""

    call: str
    request: SipRequest
    transaction: str


@dataclass(frozen=True)
class ByeReceived:
    """A BYE of the peer arrived; 200 is already sent. `CallEnded` follows."""

    call: str
    request: SipRequest


@dataclass(frozen=True)
class RequestReceived:
    """A request arrived that the user agent does not answer itself. Answer with `respond(transaction, ...)`."""

    call: str | None
    """The call it belongs to; None outside a dialog."""
    request: SipRequest
    transaction: str


@dataclass(frozen=True)
class RequestAnswered:
    """The final response to a request of ours other than INVITE, CANCEL and BYE arrived."""

    call: str | None
    """None for a request outside a dialog."""
    transaction: str
    response: SipResponse | None
    """None on timeout, if the peer is unreachable, or if the call ended first."""


@dataclass(frozen=True)
class CallEnded:
    """A call that had been answered is over. This is the last event of a call, and occurs once."""

    call: str
    why: EndReason
    """bye-received; bye-answered (our BYE was answered, or timed out); cancelled (a 2xx crossed our CANCEL);
    no-ack (no ACK of our 2xx arrived; BYE is sent); dialog-gone (481, 408 or timeout inside the dialog);
    session-expired (the session was not refreshed; BYE is sent)."""


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
    """The datagram is a retransmission."""


@dataclass(frozen=True)
class OpenStream:
    """Open a TCP connection; then call `stream_opened` or `stream_failed` with the same id."""

    stream: int
    destination: Address


@dataclass(frozen=True)
class SendStream:
    """Write one complete message to a stream."""

    stream: int
    data: bytes
    resend: bool = False


@dataclass(frozen=True)
class SendPong:
    """Write so many CRLF to a stream: the answer to keep-alives, which are no messages (RFC 5626 section 4.4.1)."""

    stream: int
    count: int = 1


@dataclass(frozen=True)
class CloseStream:
    """Close a stream, incoming or outgoing: after the octets written before are sent, or `at_once`."""

    stream: int
    at_once: bool = False


@dataclass(frozen=True)
class MessageSeen:
    """A complete message arrived. For the trace only; the network layer has nothing to do."""

    data: bytes
    source: Address
    transport: Literal["udp", "tcp"]


@dataclass(frozen=True)
class MessageDropped:
    """A malformed message, or a response without a matching request, was dropped. For the log only."""

    source: Address
    why: str


Output = SendDatagram | OpenStream | SendStream | SendPong | CloseStream | MessageSeen | MessageDropped
