"""The TCP ports on which the server listens: one without TLS, and one with TLS from the first octet."""

from __future__ import annotations

import resource
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from twisted.internet import tcp
from twisted.protocols.tls import TLSMemoryBIOFactory

from lemonade_imap.config import ConnectionLimits
from lemonade_imap.protocol import ImapFactory
from lemonade_wire.address import Address

_BACKLOG = 1024
"""Connections that may wait to be accepted, so that many clients that connect at once are not refused."""
ACCEPTS = 8
"""Connections that are accepted in one turn of the reactor: about 2 ms."""
_OTHER_FILES = 256
"""Open files of the process that are not connections: the store's files, the trace, the ports."""
_SPARE_FILES = 128
"""Descriptors that no new connection may take, so that the connections that stand can open the files they need."""


class _PacedPort(tcp.Port):
    """A port that accepts a few connections in one turn of the reactor; Twisted's own takes ever more of them."""

    @property
    def numberAccepts(self) -> int:  # noqa: N802  Twisted's name
        """The number of connections that are accepted in one turn."""
        return ACCEPTS

    @numberAccepts.setter
    def numberAccepts(self, wanted: int) -> None:  # noqa: N802  the same
        """Ignore Twisted's wish for more."""


class Ports:
    """The open ports of one server."""

    def __init__(self, reactor: Any, factory: ImapFactory) -> None:  # noqa: ANN401  mypy cannot check zope interfaces
        self._reactor = reactor
        self._factory = factory
        self._open: list[Any] = []

    def listen(self, at: Address, *, tls: bool = False) -> Address:
        """Open a port and return its address, in which port 0 is replaced by the real port number.

        Raises CannotListenError or OSError.
        """
        factory: Any = self._factory
        if tls:
            factory = TLSMemoryBIOFactory(factory.tls, False, factory)
        port: Any = _PacedPort(at.port, factory, _BACKLOG, at.host, self._reactor)
        port.startListening()
        self._open.append(port)
        return Address(port.getHost().host, port.getHost().port)

    def close(self) -> Sequence[Any]:
        """Accept no more connections; returns what `stopListening` returned for each port."""
        closing, self._open = [port.stopListening() for port in self._open], []
        return closing


def raise_file_limit(limits: ConnectionLimits) -> ConnectionLimits:
    """Raise the process's limit of open files so that all connections fit, as far as the system allows.

    Returns the limits with the number of connections that fit, and the highest descriptor that a new one may have.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.total + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return limits
    return replace(limits, total=min(limits.total, soft - _OTHER_FILES), descriptors=soft - _SPARE_FILES)
