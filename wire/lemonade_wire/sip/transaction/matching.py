"""Rules that match a message with its transaction, and that find the next hop (RFC 3261 sections 8, 17 and 18)."""

from __future__ import annotations

import ipaddress
from typing import Literal

from lemonade_wire.address import Address, Resolver
from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.message.header_section import Headers
from lemonade_wire.sip.message.header_values import CSeq
from lemonade_wire.sip.message.message import SipRequest, SipResponse
from lemonade_wire.sip.message.uri import SipUri
from lemonade_wire.sip.transaction.state_machine import Input

COOKIE = "z9hG4bK"
SIP_PORT = 5060
Match = tuple[object, ...]
Transport = Literal["udp", "tcp"]


def bracketed(host: str) -> str:
    """Return a host as written in URIs and Via: an IPv6 address gets brackets."""
    return f"[{host}]" if ":" in host else host


def input_of(status: int) -> Input:
    """Return the input of a transaction that a response with this status is."""
    return Input.R1XX if status < 200 else Input.R2XX if status < 300 else Input.R3XX


def received_from(request: SipRequest, source: Address, datagram: bool) -> tuple[SipRequest, Address]:
    """Set `received` and `rport` in the top Via; returns the request, and the address for its responses.

    RFC 3261 section 18.2, RFC 3581. `maddr` is ignored, because a sender could use it to direct responses to another
    host. A malformed Via is left unchanged, and the responses go to `source`.
    """
    try:
        via, *others = request.vias
    except SipParseError:
        return request, source
    port = via.port or SIP_PORT
    if via.param("rport") is not None:
        # `rport` is set for TCP too (RFC 3581 section 4). A response whose stream is closed goes to the Via's port.
        via = via.with_param("rport", str(source.port)).with_param("received", source.host)
        port = source.port if datagram else port
    elif via.host.strip("[]").lower() != source.host.lower():
        via = via.with_param("received", source.host)
    lines = request.headers.without("Via")
    headers = Headers.of([*(("Via", str(value)) for value in (via, *others)), *lines])
    return request.with_headers(headers), Address(source.host, port)


def server_match(request: SipRequest) -> Match:
    """Return the values that match a request with its retransmissions and its ACK (section 17.2.3).

    The method is the last value, so that the INVITE of a CANCEL can be found by replacing it.
    """
    via = request.vias[0]
    method = "INVITE" if request.method == "ACK" else request.method
    if via.branch.startswith(COOKIE) and via.branch != COOKIE:
        return "server", via.branch, via.host.lower(), via.port or SIP_PORT, method
    # A peer of RFC 2543, or one whose branch is the magic cookie alone (RFC 4475 section 3.2.1).
    return "server", request.target, request.from_.tag, request.call_id, request.cseq.number, str(via), method


def ack_of(invite: SipRequest, response: SipResponse) -> SipRequest:
    """Make the ACK of a 300-699 response to an INVITE (section 17.1.1.3)."""
    headers = invite.headers.only("Via", "Route", "Max-Forwards", "From", "To", "Call-ID", "CSeq")
    headers = headers.with_set("To", str(response.to)).with_set("CSeq", str(CSeq(invite.cseq.number, "ACK")))
    return SipRequest(headers, b"", "ACK", invite.target)


def transport_of(uri: SipUri) -> Transport | None:
    """Return the transport that a URI asks for; None if the transaction layer chooses.

    None also for `transport=udp`, because a long request goes by TCP all the same (section 18.1.1).
    """
    return "tcp" if (uri.param("transport") or "").lower() == "tcp" else None


def resolve_next_hop(uri: str, peer: Address, resolver: Resolver) -> tuple[Address, Transport | None]:
    """Return the address and the transport of a URI; the address is `peer` if the host cannot be resolved."""
    try:
        target = SipUri.parse(uri)
    except SipParseError:
        return peer, None
    address = resolver.resolve(target.host.strip("[]"), target.port or SIP_PORT)
    try:
        ipaddress.ip_address(address.host)
    except ValueError:
        return peer, transport_of(target)
    return address, transport_of(target)
