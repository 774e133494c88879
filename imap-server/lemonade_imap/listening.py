"""The ports of a server: in the clear, and for TLS from the first octet."""

from __future__ import annotations

import resource
from collections.abc import Sequence
from typing import Any

from lemonade_imap.protocol import ImapFactory
from lemonade_wire.address import Address

_BACKLOG = 1024
"""Connections that may wait to be accepted: a storm of clients is served, not refused."""
_OTHER_FILES = 256
"""Files of the process that are no connections."""


class Ports:
    """The ports that are open."""

    def __init__(self, reactor: Any, factory: ImapFactory) -> None:  # noqa: ANN401  zope interfaces mean nothing to mypy
        self._reactor = reactor
        self._factory = factory
        self._open: list[Any] = []

    def listen(self, at: Address, *, tls: bool = False) -> Address:
        """Open a port; returns where it is (port 0 has become a number). Raises CannotListenError or OSError."""
        if tls:
            port = self._reactor.listenSSL(at.port, self._factory, self._factory.tls, _BACKLOG, at.host)
        else:
            port = self._reactor.listenTCP(at.port, self._factory, _BACKLOG, at.host)
        self._open.append(port)
        return Address(port.getHost().host, port.getHost().port)

    def close(self) -> Sequence[Any]:
        """Take no more connections; returns the Deferreds of the ports that close."""
        closing, self._open = [port.stopListening() for port in self._open], []
        return closing


def make_room(connections: int) -> int:
    """Let the process have a file for each connection, as far as it may; returns how many connections that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return connections if soft == resource.RLIM_INFINITY else min(connections, soft - _OTHER_FILES)
