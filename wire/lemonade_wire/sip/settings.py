"""The settings of a SIP user agent, with their defaults."""

from __future__ import annotations

from dataclasses import dataclass, field

from lemonade_wire.address import Address, IpNetwork, Resolver


@dataclass(frozen=True)
class Timing:
    """The base times of RFC 3261 section 17, in seconds; all timers are multiples of T1 or T4, some limited by T2."""

    t1: float = 0.5
    """T1: estimate of the round-trip time."""
    t2: float = 4.0
    """T2: longest interval between retransmissions of a non-INVITE request or of a response to INVITE."""
    t4: float = 5.0
    """T4: longest time that a message stays in the network."""


@dataclass(frozen=True)
class UaSettings:
    """The address, the headers and the limits of a user agent."""

    address: Address
    """Own address, for Via and Contact. Port 0 is replaced by the bound port (SipEndpoint)."""
    contact_user: str = ""
    """User part of Contact; empty: that of the Request-URI of an incoming INVITE, none in our own INVITE."""
    product: str = "lemonade"
    """Value of the Server and User-Agent headers."""
    methods: tuple[str, ...] = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO")
    """Value of the Allow header; other methods are refused: 405 if an RFC defines them, else 501."""
    accept: tuple[str, ...] = ("application/sdp",)
    """Value of the Accept header of INVITE, 2xx, 415 and the answer to OPTIONS."""
    supported: tuple[str, ...] = ()
    """Option tags of the Supported header; a request that requires another one is refused by 420."""
    users: frozenset[str] | None = None
    """User parts served, lower case, for OPTIONS outside a dialog: others get 488, no user part 200. None: any."""
    resolver: Resolver = field(default_factory=Resolver)
    """Resolves the host names of Contact and Route."""
    timing: Timing = Timing()
    udp_limit: int = 1300
    """Octets; a longer request is sent by TCP (RFC 3261 section 18.1.1)."""
    max_uri: int = 8192
    """Characters of a Request-URI; a longer one is refused by 414."""
    max_head: int = 65536
    """Octets of start line and headers on a stream; more are refused by 513, and the stream is closed."""
    max_body: int = 1 << 20
    """Octets of a body; more are refused by 413, and a stream is closed."""
    max_transactions: int = 10000
    """Transactions alive at the same time; above it new requests are refused by 503. For CANCEL and requests inside a
    dialog the limit is twice as high, so that calls can be ended."""
    stream_idle: float = 120.0
    """Seconds without traffic after which a stream is closed."""
    max_streams: int = 0
    """TCP connections that peers may have opened, in all. Above it the one that was idle the longest is closed, or the
    new one where all have requests under way. 0: no limit."""
    max_streams_per_address: int = 0
    """The same for the connections from one IP address."""
    unlimited: tuple[IpNetwork, ...] = ()
    """Networks of proxies, whose connections are not limited and do not count."""
