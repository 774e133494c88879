"""The media server's settings for IMAP servers (hosts, account, trusted callers, TLS, limits), and their options."""

from __future__ import annotations

import argparse
import ipaddress
import re
from dataclasses import dataclass, field
from typing import Self

from lemonade_media.faults.imap import CERTIFICATE_UNCHECKED
from lemonade_media.fetch.pool import PoolLimits
from lemonade_media.fetch.provisioned import IpAddress, is_public, same_address
from lemonade_wire.address import Address, IpNetwork, read_network
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.url_parts import host_key
from lemonade_wire.nodecli import NodeParser, Permission, add_number, add_words, seconds, setting, whole
from lemonade_wire.sasl import PrepError, trace_information
from lemonade_wire.tls import ClientTls, TlsPolicy, trust_from
from lemonade_wire.tls import add_options as add_tls_options

LONGEST_WAIT = 3600
"""Seconds: the highest value of the options for time limits. A caller does not wait longer."""
LONGEST_IDLE = 86_400
"""Seconds: the highest value of `--imap-idle`. Servers may end an idle connection after 30 minutes (RFC 3501, 5.4)."""
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


@dataclass(frozen=True)
class ImapAccount:
    """The media server's own account on IMAP servers: user name and password."""

    user: str
    password: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `NAME:PASSWORD`; raises ValueError."""
        user, colon, password = text.partition(":")
        if not colon or not user or not password:
            raise ValueError("NAME:PASSWORD is expected")  # the message does not quote the text: it may be a password
        return cls(user, password)


@dataclass(frozen=True)
class AllowedHost:
    """An IMAP server that URLs may name: a host, compared by `host_key`, and its port (None: any port).

    If `host` is a name, the server may have a public address or one of `network`. If it is an IP address, the server
    may have that address.
    """

    host: str
    port: int | None = None
    network: IpNetwork | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `HOST[:PORT][=NETWORK]`; raises ValueError, whose text says what is allowed."""
        server, equals, network = text.partition("=")
        host, port = Address.parse(server, default_port=0)
        if port == 0 and server.endswith(":0"):
            raise ValueError(f"{text!r} has the port 0: HOST or HOST:PORT is expected")
        return cls(host.lower(), port or None, read_network(network) if equals else None)

    def allows(self, host: str, port: int) -> bool:
        """Whether this entry allows to fetch a URL with this host and port."""
        try:
            same = host_key(host) == host_key(f"[{self.host}]" if ":" in self.host else self.host)
        except ImapParseError:
            return False
        return same and self.port in {None, port}

    def permits(self, address: IpAddress) -> bool:
        """Whether the server may have this address."""
        meant = self.network is not None and address.version == self.network.version and address in self.network
        return meant or is_public(address) or same_address(self.host, address)


@dataclass(frozen=True)
class ImapSettings:
    """The settings for IMAP servers, with their defaults.

    `allow`: the servers that URLs may name. If it is empty every URL is refused: a server that connects to any host
    that a caller names can be misused against others.

    `identity` is used for callers in `trusted_callers` only; URLs of all other callers are fetched anonymously. With a
    ticket for media servers, any caller for whom the account is used can hear the content (LS-3-9).

    `contact` is the administrator's e-mail address. It is the trace information of SASL ANONYMOUS (RFC 4505) and the
    password of an anonymous LOGIN (RFC 5092 section 3.2). Without it the trace information is the program's name, and
    an anonymous LOGIN is not used.

    `tls`: whether STARTTLS is used. `trust`: the certificates that are trusted (None: those of the system).
    `cleartext_login`: whether PLAIN and LOGIN are used without TLS.

    `decodes_itself`: whether a part that the IMAP server cannot decode is fetched as it is stored, and decoded here.
    `max_part_octets`: a larger part is not fetched. `max_octets`: the parts of all fetches together, each from its
    announcement to the end of its decoding.

    `pool` limits the connections, and sets how long an idle one is kept for other fetches.

    Times in seconds: `connect_seconds` for a connection and its greeting, `fetch_seconds` for login and URLFETCH
    together, `probe_seconds` for the answer to NOOP on an idle connection.
    """

    allow: tuple[AllowedHost, ...] = ()
    identity: ImapAccount | None = None
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
    max_octets: int = 256_000_000

    @property
    def trace(self) -> str:
        """The trace information of an anonymous login (RFC 4505)."""
        return self.contact or "lemonade-media"

    def allows(self, host: str, port: int) -> bool:
        """Whether URLs with this host and port may be fetched."""
        return any(allowed.allows(host, port) for allowed in self.allow)

    def permits(self, host: str, port: int, address: IpAddress) -> bool:
        """Whether the server that URLs name with this host and port may have this IP address."""
        return any(allowed.permits(address) for allowed in self.allow if allowed.allows(host, port))

    def trusts(self, caller: str) -> bool:
        """Whether `identity` is used to fetch the URLs of a caller with this IP address."""
        try:
            address = ipaddress.ip_address(caller)
        except ValueError:
            return False
        return any(address in network for network in self.trusted_callers)


def add_options(parser: NodeParser) -> None:
    """Add the options for IMAP servers to a parser."""
    defaults = ImapSettings()
    parser.add_argument(
        "--allow-imap",
        type=setting(AllowedHost.parse),
        metavar="HOST[:PORT][=NETWORK]",
        action="append",
        default=[],
        help="an IMAP server that URLs may name, and where it may be besides public addresses; "
        "no other is connected to (repeatable)",
    )
    parser.add_argument(
        "--imap-user",
        type=setting(ImapAccount.parse),
        metavar="NAME:PASSWORD",
        help="account on IMAP servers, used for trusted callers (default: ANONYMOUS)",
    )
    parser.add_argument(
        "--trust-caller",
        type=setting(read_network),
        metavar="ADDRESS[/BITS]",
        action="append",
        default=[],
        help="callers whose URLs are fetched by --imap-user; all others' anonymously (repeatable)",
    )
    add_tls_options(parser)
    add_words(
        parser, "--imap-cleartext-login", Permission, Permission.NEVER, "whether PLAIN and LOGIN are used without TLS"
    )
    parser.add_argument(
        "--imap-contact",
        type=setting(_contact),
        metavar="EMAIL",
        help="the administrator's address, shown to IMAP servers by an anonymous login",
    )
    what = "whether a part that the IMAP server cannot decode is decoded here, as far as it goes"
    add_words(parser, "--imap-decode", Permission, Permission.NEVER, what)
    _add_limits(parser, defaults)


def _add_limits(parser: NodeParser, defaults: ImapSettings) -> None:
    """Add the options that limit the time and size of a fetch, and the number of connections."""
    limits, time = defaults.pool, seconds(0.1, LONGEST_WAIT)
    idle, idle_help = seconds(0, LONGEST_IDLE), "a connection is kept for another fetch; 0: LOGOUT after each"
    for option, read, what, default, metavar in (
        ("--imap-idle", idle, idle_help, limits.idle_seconds, "SECONDS"),
        ("--imap-connections", whole(), "open at a time, and so many fetches", limits.in_all, "N"),
        ("--imap-connections-per-server", whole(), "the same for one server", limits.per_server, "N"),
        ("--imap-wait", time, "a fetch waits for one of these connections", limits.wait_seconds, "SECONDS"),
        ("--imap-connect-time", time, "a connection and its greeting may take", defaults.connect_seconds, "SECONDS"),
        ("--imap-fetch-time", time, "login and URLFETCH together may take", defaults.fetch_seconds, "SECONDS"),
        ("--imap-max-part", whole(), "largest part that is fetched", defaults.max_part_octets, "OCTETS"),
        ("--imap-max-memory", whole(), "the parts of all fetches together", defaults.max_octets, "OCTETS"),
    ):
        add_number(parser, option, read, what, default, metavar=metavar)


def imap_from(options: argparse.Namespace) -> ImapSettings:
    """Return the IMAP settings of the command line; raises ValueError, whose text says what is allowed."""
    return ImapSettings(
        allow=tuple(options.allow_imap),
        identity=options.imap_user,
        trusted_callers=tuple(options.trust_caller),
        tls=TlsPolicy(options.imap_tls),
        trust=trust_from(options, checks=options.fault is not CERTIFICATE_UNCHECKED),
        cleartext_login=Permission(options.imap_cleartext_login) is Permission.ALLOWED,
        contact=options.imap_contact or "",
        decodes_itself=Permission(options.imap_decode) is Permission.ALLOWED,
        pool=PoolLimits(
            per_server=options.imap_connections_per_server,
            in_all=options.imap_connections,
            idle_seconds=options.imap_idle,
            wait_seconds=options.imap_wait,
        ),
        connect_seconds=options.imap_connect_time,
        fetch_seconds=options.imap_fetch_time,
        max_part_octets=options.imap_max_part,
        max_octets=options.imap_max_memory,
    )


def _contact(text: str) -> str:
    try:
        if _EMAIL.fullmatch(text):
            return trace_information(text)
    except PrepError:
        pass
    raise ValueError(f"{text!r} is not an e-mail address")
