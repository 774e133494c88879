"""The server's settings: one frozen dataclass with documented defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lemonade_imap.annotations import AnnotationLimits
from lemonade_imap.policy import TicketPolicy
from lemonade_imap.urlauth import Roles
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.hosts import host_key
from lemonade_wire.profile import DRAFT_07, Profile

DEFAULT_PORT = 143
LARGEST_MESSAGE = 2 * 1024 * 1024 * 1024


@dataclass(frozen=True)
class LoginPolicy:
    """What failed logins cost. Times are seconds.

    `delay`: wait before the first failure is answered; each further one of the same address doubles it, up to
    `longest_delay`. `failures`: failed logins after which a connection is closed. `address_failures`: failed logins of
    one address within `memory` after which no login of it is looked at.
    """

    delay: float = 0.5
    longest_delay: float = 8.0
    failures: int = 5
    address_failures: int = 60
    memory: float = 60.0


@dataclass(frozen=True)
class ConnectionLimits:
    """What connections may take. None: no limit. Times are seconds.

    `total`: connections open at a time. `per_address`: the same, of one address. `per_minute`: connections that one
    address may open in a minute. `pipelined`: octets kept behind a command that is being carried out; when they are
    there, no more is read. `login_seconds`: time to log in, TLS included. `stall_seconds`: how long a client may read
    nothing of what waits for it.
    """

    total: int = 4096
    per_address: int | None = None
    per_minute: int | None = None
    pipelined: int = 256 * 1024
    login_seconds: float = 180.0
    stall_seconds: float = 300.0


@dataclass(frozen=True)
class ServerConfig:
    """What a server is told when it starts.

    `names`: hosts that a URL may name, as `host_key` writes them; the first stands in the greeting.
    `port`: the port it listens on; a URL may name it, 143, or none.
    `passwords`: password by account; administrators are accounts too.
    `admins`: accounts that may act for any other, by PLAIN's authorisation identity (RFC 4616, 2).
    `roles`: who may use `submit+` and application tickets.
    `media_servers`: value that the discovery entry is given where it has none, or None (LS-2.2-6).
    `max_line`: octets of a command without its literals. `max_literal`: octets of one literal outside APPEND.
    `max_message`: octets of a message. `max_passed`: octets of refused literals of one command that are read for
    nothing (RFC 7888, 4); a client that sends more is sent away.
    `idle_seconds`: silence after which a connection is closed (RFC 3501, 5.4: at least 30 minutes).
    `tls`: STARTTLS is offered. `cleartext_login`: passwords are taken on connections that are not encrypted.
    `clear_urlmech`: URLMECH is told on such connections too (RFC 4467, 4.1 lets it be withheld there).
    `logins`, `connections`, `tickets`, `annotations`: what is bounded, and how.
    """

    names: tuple[str, ...] = ("imap.example.com",)
    port: int = DEFAULT_PORT
    passwords: Mapping[str, str] = field(default_factory=dict)
    admins: frozenset[str] = frozenset()
    roles: Roles = field(default_factory=Roles)
    media_servers: str | None = None
    profile: Profile = DRAFT_07
    max_line: int = 65536
    max_literal: int = 65536
    max_message: int = LARGEST_MESSAGE
    max_passed: int = 16 * 1024 * 1024
    idle_seconds: float = 1800.0
    tls: bool = False
    cleartext_login: bool = True
    clear_urlmech: bool = True
    logins: LoginPolicy = field(default_factory=LoginPolicy)
    connections: ConnectionLimits = field(default_factory=ConnectionLimits)
    tickets: TicketPolicy = field(default_factory=TicketPolicy)
    annotations: AnnotationLimits = field(default_factory=AnnotationLimits)

    def serves(self, host: str, port: int | None) -> bool:
        """Tell whether a URL's host and port mean this server."""
        try:
            return host_key(host) in self.names and port in {None, DEFAULT_PORT, self.port}
        except ImapParseError:
            return False
