"""How the media server deals with IMAP servers: which it connects to, as whom, for whom, and how privately."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Self

from lemonade_media.addresses import IpAddress, IpNetwork, is_public, read_network, same_address
from lemonade_media.pool import PoolLimits
from lemonade_wire.address import Address
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.hosts import host_key
from lemonade_wire.tls.endpoint import ClientTls
from lemonade_wire.tls.policy import TlsPolicy


@dataclass(frozen=True)
class Identity:
    """The account that the media server has on IMAP servers."""

    user: str
    password: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `NAME:PASSWORD`; raises ValueError."""
        user, colon, password = text.partition(":")
        if not colon or not user or not password:
            raise ValueError("NAME:PASSWORD is expected")  # without the text: it may be a password
        return cls(user, password)


@dataclass(frozen=True)
class AllowedHost:
    """An IMAP server that URLs may name: a host, compared as hosts are, and its port; None: any port.

    A name may lead to public addresses, and to those of `network`; a host that is an address may be that one.
    """

    host: str
    port: int | None = None
    network: IpNetwork | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `HOST[:PORT][=NETWORK]`; raises ValueError with what is allowed."""
        server, equals, network = text.partition("=")
        host, port = Address.parse(server, default_port=0)
        if port == 0 and server.endswith(":0"):
            raise ValueError(f"{text!r} has the port 0: HOST or HOST:PORT is expected")
        return cls(host.lower(), port or None, read_network(network) if equals else None)

    def allows(self, host: str, port: int) -> bool:
        """Whether a URL with this host and port may be fetched."""
        try:
            same = host_key(host) == host_key(f"[{self.host}]" if ":" in self.host else self.host)
        except ImapParseError:
            return False
        return same and self.port in {None, port}

    def permits(self, address: IpAddress) -> bool:
        """Whether the server may be at this address."""
        meant = self.network is not None and address.version == self.network.version and address in self.network
        return meant or is_public(address) or same_address(self.host, address)


@dataclass(frozen=True)
class ImapSettings:
    """Settings of the IMAP side, with their defaults.

    `allow` empty: every URL is refused, since a server that connects wherever a caller says is a tool for others.
    `identity` is used for callers in `trusted_callers` alone, everybody else's URLs are fetched anonymously: a ticket
    for media servers is as good as its content to whoever may have it played (LS-3-9). `contact` is the e-mail address
    of the administrator, shown as trace by SASL ANONYMOUS (RFC 4505) and as password by LOGIN (RFC 5092, 3.2); without
    it the trace is the program's name, and there is no LOGIN. `cleartext_login`: whether PLAIN and LOGIN are used
    without TLS. `trust`: whose certificates are good; None: those that the system trusts.

    `decodes_itself`: whether a part that the IMAP server cannot decode is fetched as it is stored, and decoded here.

    `pool` bounds the connections, and says how long one is kept for other fetches.

    Seconds: `connect_seconds` for a connection and its greeting, `fetch_seconds` for all that is said on it for one
    fetch, `probe_seconds` for an idle connection to show that it is alive.
    """

    allow: tuple[AllowedHost, ...] = ()
    identity: Identity | None = None
    trusted_callers: tuple[IpNetwork, ...] = ()
    tls: TlsPolicy = TlsPolicy.PREFERRED
    trust: ClientTls | None = None
    cleartext_login: bool = False
    contact: str = ""
    decodes_itself: bool = False
    pool: PoolLimits = field(default_factory=PoolLimits)
    connect_seconds: float = 10.0
    fetch_seconds: float = 30.0
    probe_seconds: float = 2.0
    max_part_octets: int = 64_000_000

    @property
    def trace(self) -> str:
        """What an anonymous login shows."""
        return self.contact or "lemonade-media"

    def allows(self, host: str, port: int) -> bool:
        """Whether URLs with this host and port may be fetched."""
        return any(allowed.allows(host, port) for allowed in self.allow)

    def permits(self, host: str, port: int, address: IpAddress) -> bool:
        """Whether the server that URLs name so may be at this address."""
        return any(allowed.permits(address) for allowed in self.allow if allowed.allows(host, port))

    def trusts(self, caller: str) -> bool:
        """Whether a caller at this address may have URLs fetched by `identity`."""
        try:
            address = ipaddress.ip_address(caller)
        except ValueError:
            return False
        return any(address in network for network in self.trusted_callers)
