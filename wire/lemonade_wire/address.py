"""Transport addresses, port ranges, and the table that maps host names to addresses (`--resolve`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple, Self

MAX_PORT = 65535


class Address(NamedTuple):
    """An IP address or host name with a port; written `host:port`, an IPv6 address in brackets."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, default_port: int | None = None) -> Self:
        """Parse `host:port`, `[ipv6]:port`, or `host` alone if `default_port` is given.

        Raises ValueError; its text says what is allowed.
        """
        host, port_text = _split(text)
        if not host:
            raise ValueError(f"{text!r} has no host: HOST:PORT is expected")
        if port_text is None:
            if default_port is None:
                raise ValueError(f"{text!r} has no port: HOST:PORT is expected")
            return cls(host, default_port)
        if not port_text.isascii() or not port_text.isdigit() or int(port_text) > MAX_PORT:
            raise ValueError(f"{text!r} has the port {port_text!r}: a number from 0 to {MAX_PORT} is expected")
        return cls(host, int(port_text))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def is_ip_address(host: str) -> bool:
    """Return whether a host is an IPv4 or IPv6 address (with or without brackets), not a name."""
    try:
        ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def _split(text: str) -> tuple[str, str | None]:
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise ValueError(f"{text!r} is not an address: [IPv6]:PORT is expected")
        return host, rest[1:] if rest else None
    host, colon, port = text.partition(":")
    return host, port if colon else None


@dataclass(frozen=True)
class PortRange:
    """A range of UDP ports for RTP and RTCP, including `first` and `last`."""

    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `A-B`; raises ValueError, whose text says what is allowed."""
        first, dash, last = text.partition("-")
        if not dash or not all(side.isascii() and side.isdigit() and len(side) < 6 for side in (first, last)):
            raise ValueError(f"{text!r} is not a range of ports: A-B is expected")
        if not 1024 <= int(first) < int(last) <= MAX_PORT:
            raise ValueError(
                f"{text!r} has no pair of ports: A-B is expected, from 1024 to {MAX_PORT}, the lower first"
            )
        return cls(int(first), int(last))

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


@dataclass(frozen=True)
class Resolver:
    """Maps the host name and port of a URL to the address to connect to.

    A rule with the port is used before a rule without one; a name without a rule is returned unchanged. Names compare
    without case.
    """

    rules: dict[tuple[str, int | None], tuple[str, int | None]] = field(default_factory=dict)

    @classmethod
    def parse(cls, rules: Iterable[str]) -> Self:
        """Parse rules `NAME[:PORT]=ADDRESS[:PORT]`; raises ValueError, whose text says what is allowed."""
        table: dict[tuple[str, int | None], tuple[str, int | None]] = {}
        for rule in rules:
            name, equals, target = rule.partition("=")
            if not equals or not name or not target:
                raise ValueError(f"{rule!r} is not a rule: NAME[:PORT]=ADDRESS[:PORT] is expected")
            name_host, name_port = _rule_side(name)
            table[name_host.lower(), name_port] = _rule_side(target)
        return cls(table)

    def resolve(self, host: str, port: int) -> Address:
        """Return the address to connect to for `host` and `port`."""
        for key in ((host.lower(), port), (host.lower(), None)):
            if key in self.rules:
                to_host, to_port = self.rules[key]
                return Address(to_host, port if to_port is None else to_port)
        return Address(host, port)


def _rule_side(text: str) -> tuple[str, int | None]:
    host, port = _split(text)
    if port is None:
        return host, None
    return Address.parse(text)


IpNetwork = IPv4Network | IPv6Network


def read_network(text: str) -> IpNetwork:
    """Read an address or a network, `ADDRESS/BITS`; raises ValueError, whose text says what is allowed."""
    try:
        return ip_network(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise ValueError(f"{text!r} is not a network: ADDRESS or ADDRESS/BITS is expected") from None


def in_networks(host: str, networks: Iterable[IpNetwork]) -> bool:
    """Whether a host is written as an IP address that is in one of the networks; False for a host name.

    An IPv4-mapped address, which an IPv4 peer has on a dual-stack socket, counts as IPv4.
    """
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return any((mapped or address) in network for network in networks)
