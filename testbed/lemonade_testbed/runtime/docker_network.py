"""Bridges: each world in containers owns one subnet that nothing on this machine uses, under a lock."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path

from lemonade_testbed.runtime.base import EnvironmentBroken
from lemonade_testbed.runtime.world import IMAP_NAME, MEDIA_NAME, SIP_PORT, Place

IMAP_PORT = 143
HOSTS = {"testbed": 1, "imap": 11, "media": 12, "client": 13}
"""The last number of each role's address: the testbed's is the bridge's own."""
RELAY_HOST = 20
FRONTS = {"imap": 21, "media": 22, "client": 23}
"""The last numbers of the relay's own address and of its fronts, where there is a relay."""


@dataclass
class Bridge:
    """A claimed subnet, and the names of its bridge (15 characters at most) and of its project."""

    subnet: IPv4Network
    lock: socket.socket = field(repr=False)
    token: str = field(default_factory=lambda: secrets.token_hex(5))

    @property
    def name(self) -> str:
        """The bridge's interface on this machine."""
        return f"lm{self.token}"

    @property
    def project(self) -> str:
        """The compose project on it."""
        return f"lemonade-{self.token}"

    def places(self) -> dict[str, Place]:
        """Return the four roles' addresses."""
        known = {"imap": (IMAP_PORT, IMAP_NAME), "media": (SIP_PORT, MEDIA_NAME), "client": (SIP_PORT, "client")}
        return {
            role: Place(str(self.subnet[number]), *known.get(role, (0, role)))
            for role, number in sorted(HOSTS.items(), key=lambda item: item[0] == "testbed")
        }

    @property
    def relay(self) -> str:
        """The relay's own address."""
        return str(self.subnet[RELAY_HOST])

    def release(self) -> None:
        """Give the subnet back; a second call does nothing."""
        self.lock.close()


def subnets() -> Iterator[IPv4Network]:
    """Return the subnets in the order in which they are tried."""
    for prefix, last in (("10.213", 255), ("172.29", 255), ("192.168", 254)):
        yield from (IPv4Network(f"{prefix}.{number}.0/24") for number in range(1, last))


def claim(taken: Iterable[IPv4Network], candidates: Iterable[IPv4Network] | None = None) -> Bridge:
    """Take the first subnet that is not taken, has no route on this machine, and that no other run holds.

    The lock is an abstract unix socket: the kernel frees it when its process ends in whatever way.
    Raises EnvironmentBroken where none is to be had.
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
    """Return the networks that this machine has a route to, without the default."""
    found = []
    for line in table.read_text(encoding="ascii").splitlines()[1:]:
        _, destination, _, _, _, _, _, mask, *_ = line.split()
        network = IPv4Network((_address(destination), f"{_address(mask)}"), strict=False)
        if network.prefixlen:
            found.append(network)
    return found


def _address(text: str) -> str:
    """Read an address as the kernel writes it: hexadecimal, the last octet first."""
    return socket.inet_ntoa(bytes.fromhex(text)[::-1])
