"""The server's settings: one frozen dataclass with documented defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lemonade_imap.annotations import AnnotationLimits
from lemonade_imap.policy import TicketPolicy
from lemonade_imap.urlauth import Roles
from lemonade_wire.address import IpNetwork
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.url_parts import host_key
from lemonade_wire.profile import DRAFT_07, Profile

DEFAULT_PORT = 143
LARGEST_MESSAGE = 2 * 1024 * 1024 * 1024


@dataclass(frozen=True)
class LoginPolicy:
    """Delays and limits for failed logins. Times are seconds.

    `delay`: wait before the first failure is answered; each further failure of the same address doubles it, up to
    `longest_delay`. `failures`: failed logins after which a connection is closed. `address_failures`: failed logins of
    one address within `memory` after which its logins are refused without a check of the password.
    """

    delay: float = 0.5
    longest_delay: float = 8.0
    failures: int = 5
    address_failures: int = 60
    memory: float = 60.0


@dataclass(frozen=True)
class ConnectionLimits:
    """Limits on connections; None means no limit. Times are seconds.

    `total`: connections open at the same time. `per_address`: the same for one address. `per_minute`: connections that
    one address may open in a minute. `unlimited`: networks for whose addresses neither of the two holds, such as
    proxies. `descriptors`: the highest number of a new connection's descriptor; the system gives the lowest one that is
    free, so that a higher number shows that descriptors run short. `pipelined`: octets that are buffered while a
    command is carried out; the server reads no more octets while the buffer holds more. `login_seconds`: time until the
    client must have logged in, including TLS. `early`: octets before login of a line, of its literals together, of what
    is buffered while a command is carried out, and of what is read at a time; a connection then holds at most four
    times as many. `stall_seconds`: how long a client may read none of the octets that wait to be sent to it.
    """

    total: int = 4096
    per_address: int | None = 100
    per_minute: int | None = 600
    unlimited: tuple[IpNetwork, ...] = ()
    descriptors: int | None = None
    pipelined: int = 256 * 1024
    login_seconds: float = 180.0
    early: int = 16 * 1024
    stall_seconds: float = 300.0


@dataclass(frozen=True)
class ServerConfig:
    """All settings of one server.

    `names`: hosts that a URL may name, as `host_key` writes them; the greeting contains the first.
    `port`: the port on which the server listens; a URL may name this port, 143, or none.
    `passwords`: maps each account to its password; administrators are accounts too.
    `admins`: accounts that may act for any other, by PLAIN's authorisation identity (RFC 4616, 2).
    `roles`: which accounts may use `submit+` and application tickets.
    `media_servers`: the first value of the discovery entry, set only if the entry has no value; or None (LS-2.2-6).
    `max_line`: octets of a command without its literals. `max_literal`: octets of one literal outside APPEND.
    `max_message`: octets of a message. `max_passed`: octets of one command's refused literals that the server reads
    and discards (RFC 7888, 4); if a client sends more, the server closes the connection.
    `idle_seconds`: silence after which a connection is closed (RFC 3501, 5.4: at least 30 minutes).
    `tls`: the server offers STARTTLS. `cleartext_login`: it accepts passwords on connections that are not encrypted.
    `clear_urlmech`: it sends URLMECH on such connections too (RFC 4467, 4.1 allows a server to omit it there).
    `logins`, `connections`, `tickets`, `annotations`: the limits for each of these.
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
        """Tell whether a URL's host and port name this server; False for a host that cannot be read."""
        try:
            return host_key(host) in self.names and port in {None, DEFAULT_PORT, self.port}
        except ImapParseError:
            return False
