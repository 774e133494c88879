"""Claims a loopback network 127.x.y.0/24 for each world, under a lock that the kernel frees with the process."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from lemonade_testbed.errors import EnvironmentBroken
from lemonade_testbed.scenario.world import IMAP_PORT, ONE_OF_EACH, SIP_PORT, HostAddress, ServerSetup, places_of

FIRST_X, LAST_X = 64, 95
HOSTS: Mapping[str, int] = {"imap": 1, "media": 2, "client": 3, "testbed": 4}
"""The last octet of the address of each role's first node."""


@dataclass
class Network:
    """A claimed network; `prefix` has the first three octets of its addresses, such as `127.64.1`."""

    prefix: str
    lock: socket.socket = field(repr=False)

    def places(self, servers: Iterable[ServerSetup] = ONE_OF_EACH) -> dict[str, HostAddress]:
        """Return the addresses of these servers, of the client and of the testbed."""
        ports = {"imap": IMAP_PORT, "media": SIP_PORT, "client": SIP_PORT}
        return places_of(servers, lambda number: f"{self.prefix}.{number}", HOSTS, ports)

    def release(self) -> None:
        """Release the network; a second call does nothing."""
        self.lock.close()


def prefixes() -> Iterator[str]:
    """Return the prefixes of the networks in the order in which they are tried."""
    return (f"127.{x}.{y}" for x in range(FIRST_X, LAST_X + 1) for y in range(1, 255))


def claim(candidates: Iterable[str] | None = None) -> Network:
    """Claim the first network that no other run holds and whose ports are free.

    The lock is an abstract unix socket, which the kernel closes when the process ends in any way. Raises
    EnvironmentBroken if no network is free.
    """
    taken = 0
    busy = ""
    for prefix in prefixes() if candidates is None else candidates:
        lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            lock.bind(f"\0lemonade-testbed-{prefix}")
        except OSError:
            lock.close()
            taken += 1
            continue
        network = Network(prefix, lock)
        problem = _port_problem(network)
        if problem is None:
            return network
        network.release()
        busy = problem
    if busy:
        raise EnvironmentBroken(f"no free 127 network: {busy}; stop what listens there (`ss -lntup` shows it)")
    raise EnvironmentBroken(f"no free 127 network: all {taken} are held by other runs; wait for them or stop them")


def _port_problem(network: Network) -> str | None:
    """Return the reason why a node could not listen in a network, or None.

    A program that listens on 0.0.0.0 uses the port in every network.
    """
    for place, kinds in (
        (network.places()["imap"], (socket.SOCK_STREAM,)),
        (network.places()["media"], (socket.SOCK_STREAM, socket.SOCK_DGRAM)),
        (network.places()["client"], (socket.SOCK_STREAM, socket.SOCK_DGRAM)),
    ):
        for kind in kinds:
            with socket.socket(socket.AF_INET, kind) as probe:
                if kind == socket.SOCK_STREAM:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((place.address, place.port))
                except OSError as error:
                    name = errno.errorcode.get(error.errno or 0, "error")
                    return f"{place.address}:{place.port} cannot be used ({name}: {error.strerror})"
    return None
