"""The settings of a user agent, with their defaults."""

from __future__ import annotations

from dataclasses import dataclass, field

from lemonade_wire.address import Address, Resolver


@dataclass(frozen=True)
class Timing:
    """The base times of RFC 3261 section 17, in seconds; all timers follow from them."""

    t1: float = 0.5
    """Round trip estimate."""
    t2: float = 4.0
    """Longest interval between retransmissions of anything but an INVITE."""
    t4: float = 5.0
    """Longest life of a message in the network."""


@dataclass(frozen=True)
class UaSettings:
    """What a user agent is and allows."""

    address: Address
    """Own address: in Via and Contact. Port 0 is replaced by the bound port (SipEndpoint)."""
    contact_user: str = ""
    """User part of Contact; empty: as the Request-URI of the incoming INVITE, none in ours."""
    product: str = "lemonade"
    """Server and User-Agent header."""
    methods: tuple[str, ...] = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO")
    """Allow header; other known methods get 405, unknown ones 501."""
    accept: tuple[str, ...] = ("application/sdp",)
    """Accept header of OPTIONS, 2xx and 415."""
    supported: tuple[str, ...] = ()
    """Option tags: Supported header; anything else in Require gets 420."""
    users: frozenset[str] | None = None
    """User parts served, lower case, for OPTIONS outside a dialog: others get 488, no user part 200. None: any."""
    resolver: Resolver = field(default_factory=Resolver)
    """Where the host names of Contact and Route are."""
    timing: Timing = Timing()
    udp_limit: int = 1300
    """Octets; a longer request goes over TCP (RFC 3261 section 18.1.1)."""
    max_uri: int = 8192
    """Characters of a Request-URI; a longer one gets 414."""
    max_head: int = 65536
    """Octets of start line and headers on a stream; more gets 513, and the stream is closed."""
    max_body: int = 1 << 20
    """Octets of a body; more gets 413, and on a stream the stream is closed."""
    max_transactions: int = 10000
    """Transactions alive; above it new requests get 503: those inside a dialog at twice as many, so that calls end."""
    stream_idle: float = 120.0
    """Seconds after which a stream without traffic is closed."""
