"""Chooses the subnet of each world in containers: one that this machine does not use, held under a lock."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path

from lemonade_testbed.errors import EnvironmentBroken
from lemonade_testbed.scenario.world import ONE_OF_EACH, SIP_PORT, HostAddress, ServerSetup, places_of

IMAP_PORT = 143
HOSTS = {"testbed": 1, "imap": 11, "media": 12, "client": 13}
"""The last octet of the address of each role's first node; the testbed's address is that of the bridge."""
RELAY_HOST = 20
"""The last octet of the relay's own address."""


@dataclass
class Bridge:
    """A claimed subnet, with the names of its bridge (at most 15 characters) and of its compose project."""

    subnet: IPv4Network
    lock: socket.socket = field(repr=False)
    token: str = field(default_factory=lambda: secrets.token_hex(5))

    @property
    def name(self) -> str:
        """The name of the bridge's network interface on this machine."""
        return f"lm{self.token}"

    @property
    def project(self) -> str:
        """The name of the compose project that uses the bridge."""
        return f"lemonade-{self.token}"

    def places(self, servers: Iterable[ServerSetup] = ONE_OF_EACH) -> dict[str, HostAddress]:
        """Return the addresses of these servers, of the client and of the testbed."""
        ports = {"imap": IMAP_PORT, "media": SIP_PORT, "client": SIP_PORT}
        return places_of(servers, lambda number: str(self.subnet[number]), HOSTS, ports)

    @property
    def relay(self) -> str:
        """The relay's own address."""
        return str(self.subnet[RELAY_HOST])

    def release(self) -> None:
        """Release the subnet; a second call does nothing."""
        self.lock.close()


def subnets() -> Iterator[IPv4Network]:
    """Yield the subnets in the order in which they are tried."""
    for prefix, last in (("10.213", 255), ("172.29", 255), ("192.168", 254)):
        yield from (IPv4Network(f"{prefix}.{number}.0/24") for number in range(1, last))


def claim(taken: Iterable[IPv4Network], candidates: Iterable[IPv4Network] | None = None) -> Bridge:
    """Claim the first subnet that is not in `taken`, has no route on this machine, and is held by no other run.

    The lock is an abstract unix socket, which the kernel closes when the process ends in any way. Raises
    EnvironmentBroken if no subnet is free.
    """
    used = [*taken, *routes()]
    for subnet in subnets() if candidates is None else candidates:
        if any(subnet.overlaps(other) for other in used):
            continue
        lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            lock.bind(f"\0lemonade-testbed-{subnet}")
        except OSError:
            lock.close()
            continue
        return Bridge(subnet, lock)
    raise EnvironmentBroken("no free subnet for a bridge: this machine has routes to all that are tried")


def routes(table: Path = Path("/proc/net/route")) -> list[IPv4Network]:
    """Return the networks to which this machine has a route, without the default route."""
    found = []
    for line in table.read_text(encoding="ascii").splitlines()[1:]:
        _, destination, _, _, _, _, _, mask, *_ = line.split()
        network = IPv4Network((_address(destination), f"{_address(mask)}"), strict=False)
        if network.prefixlen:
            found.append(network)
    return found


def _address(text: str) -> str:
    """Read an address in the kernel's form: hexadecimal digits, the last octet first."""
    return socket.inet_ntoa(bytes.fromhex(text)[::-1])
