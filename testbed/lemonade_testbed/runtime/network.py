"""Loopback networks: each world owns one 127.x.y.0/24 under a lock that ends with the process that holds it."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from lemonade_testbed.runtime.base import EnvironmentBroken
from lemonade_testbed.runtime.world import IMAP_NAME, IMAP_PORT, MEDIA_NAME, SIP_PORT, Place

FIRST_X, LAST_X = 64, 95


@dataclass
class Network:
    """A claimed network; `prefix` is like `127.64.1`."""

    prefix: str
    lock: socket.socket = field(repr=False)

    def places(self) -> dict[str, Place]:
        """Return the four roles' addresses."""
        return {
            "imap": Place(f"{self.prefix}.1", IMAP_PORT, IMAP_NAME),
            "media": Place(f"{self.prefix}.2", SIP_PORT, MEDIA_NAME),
            "client": Place(f"{self.prefix}.3", SIP_PORT, "client"),
            "testbed": Place(f"{self.prefix}.4", 0, "testbed"),
        }

    def release(self) -> None:
        """Give the network back; a second call does nothing."""
        self.lock.close()


def prefixes() -> Iterator[str]:
    """Return the networks in the order in which they are tried."""
    return (f"127.{x}.{y}" for x in range(FIRST_X, LAST_X + 1) for y in range(1, 255))


def claim(candidates: Iterable[str] | None = None) -> Network:
    """Take the first network that nobody holds and whose ports are free.

    The lock is an abstract unix socket: the kernel frees it when its process ends in whatever way.
    Raises EnvironmentBroken where none is to be had.
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
    """Return why a server could not listen here, or None. A program on 0.0.0.0 takes the port of every network."""
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
