"""Which transaction a message belongs to, and where requests and answers go (RFC 3261 sections 8, 17 and 18)."""

from __future__ import annotations

import ipaddress
from typing import Literal

from lemonade_wire.address import Address, Resolver
from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.header import CSeq
from lemonade_wire.sip.headers import Headers
from lemonade_wire.sip.message import Request, Response
from lemonade_wire.sip.transaction import Input
from lemonade_wire.sip.uri import SipUri

COOKIE = "z9hG4bK"
SIP_PORT = 5060
Match = tuple[object, ...]
Transport = Literal["udp", "tcp"]


def bracketed(host: str) -> str:
    """Return a host as URIs and Via write it."""
    return f"[{host}]" if ":" in host else host


def input_of(status: int) -> Input:
    """Return what a response is to a transaction."""
    return Input.R1XX if status < 200 else Input.R2XX if status < 300 else Input.R3XX


def received_from(request: Request, source: Address, datagram: bool) -> tuple[Request, Address]:
    """Note in the top Via where a request came from, and find out where its responses go.

    RFC 3261 section 18.2, RFC 3581. `maddr` is not followed: it would let anybody aim our responses at others.
    A Via that cannot be read stays as it is, and the answer goes to where the request came from.
    """
    try:
        via, *others = request.vias
    except SipParseError:
        return request, source
    port = via.port or SIP_PORT
    if via.param("rport") is not None:
        # Whatever the transport (RFC 3581 section 4); a response whose stream is gone goes to the port of the Via.
        via = via.with_param("rport", str(source.port)).with_param("received", source.host)
        port = source.port if datagram else port
    elif via.host.strip("[]").lower() != source.host.lower():
        via = via.with_param("received", source.host)
    lines = request.headers.without("Via")
    headers = Headers.of([*(("Via", str(value)) for value in (via, *others)), *lines])
    return request.with_headers(headers), Address(source.host, port)


def server_match(request: Request) -> Match:
    """Return what a request and its retransmissions, ACK and CANCEL have in common (section 17.2.3); method last."""
    via = request.vias[0]
    method = "INVITE" if request.method == "ACK" else request.method
    if via.branch.startswith(COOKIE) and via.branch != COOKIE:
        return "server", via.branch, via.host.lower(), via.port or SIP_PORT, method
    # A peer of RFC 2543, or one whose branch says nothing (RFC 4475 section 3.2.1).
    return "server", request.target, request.from_.tag, request.call_id, request.cseq.number, str(via), method


def ack_of(invite: Request, response: Response) -> Request:
    """Make the ACK of a refused INVITE (section 17.1.1.3)."""
    headers = invite.headers.only("Via", "Route", "Max-Forwards", "From", "To", "Call-ID", "CSeq")
    headers = headers.with_set("To", str(response.to)).with_set("CSeq", str(CSeq(invite.cseq.number, "ACK")))
    return Request(headers, b"", "ACK", invite.target)


def transport_of(uri: SipUri) -> Transport | None:
    """Return the transport that a URI asks for; None: ours to choose (`udp` too, which length overrules)."""
    return "tcp" if (uri.param("transport") or "").lower() == "tcp" else None


def where(uri: str, peer: Address, resolver: Resolver) -> tuple[Address, Transport | None]:
    """Return where a URI leads; where its host has no known address, to `peer`, whom it came from."""
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
