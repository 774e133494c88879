"""Transport addresses, ranges of ports, and the table that maps names to addresses (`--resolve`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, Self

MAX_PORT = 65535


class Address(NamedTuple):
    """An IP address or host name with a port; written `host:port`, IPv6 in brackets."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, default_port: int | None = None) -> Self:
        """Read `host:port`, `[ipv6]:port`, or `host` alone where `default_port` is given.

        Raises ValueError with a sentence that says what is allowed.
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
    """UDP ports for RTP and RTCP, both ends included."""

    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `A-B`; raises ValueError with what is allowed."""
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
    """Maps a name and port as they stand in a URL to the address to connect to.

    Rules are tried with their port first, then without; a name without a rule is returned as it is.
    Names compare without case.
    """

    rules: dict[tuple[str, int | None], tuple[str, int | None]] = field(default_factory=dict)

    @classmethod
    def parse(cls, rules: Iterable[str]) -> Self:
        """Read rules `NAME[:PORT]=ADDRESS[:PORT]`; raises ValueError with what is allowed."""
        table: dict[tuple[str, int | None], tuple[str, int | None]] = {}
        for rule in rules:
            name, equals, target = rule.partition("=")
            if not equals or not name or not target:
                raise ValueError(f"{rule!r} is not a rule: NAME[:PORT]=ADDRESS[:PORT] is expected")
            name_host, name_port = _rule_side(name)
            table[name_host.lower(), name_port] = _rule_side(target)
        return cls(table)

    def resolve(self, host: str, port: int) -> Address:
        """Return where to connect for `host` and `port`."""
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
