"""Connects to the IMAP servers that URLs name (Twisted), and only to addresses that are permitted for them.

A host name is resolved once for each connection, and the address that was checked is the one that is connected to. So
the owner of the name cannot change its address between the check and the connection.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IResolutionReceiver
from zope.interface import implementer

from lemonade_media.fetch.provisioned import IpAddress
from lemonade_media.fetch.settings import ImapSettings
from lemonade_media.model.failures import FailureKind, FetchError
from lemonade_wire.address import Address, Resolver
from lemonade_wire.imap.endpoint import ImapConnection, ImapConnectionError, ImapTimeoutError, TlsPlan, connect
from lemonade_wire.tls import IMAPS_PORT, ClientTls, tls_name
from lemonade_wire.trace import Trace

MAX_UNTAGGED = 100
"""Untagged responses that an IMAP server may send to one command; no command of a fetch needs more than a few."""


class ImapConnector:
    """Connects to the IMAP servers that URLs name, from the local address `bind` (None: any)."""

    def __init__(
        self,
        reactor: Any,  # noqa: ANN401  a reactor is several interfaces at once
        settings: ImapSettings,
        resolver: Resolver,
        trace: Trace,
        bind: str | None = None,
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._resolver = resolver
        self._trace = trace
        self._bind = bind
        self._trust = settings.trust or ClientTls()

    async def dial(self, host: str, port: int) -> ImapConnection:
        """Connect to the server with a URL's host and port, and wait for its greeting.

        All its permitted addresses are tried in turn, within `connect_seconds` together. Raises FetchError
        (HOST_REFUSED) if the server has no permitted address, and the errors of `connect`.
        """
        deadline = self._reactor.seconds() + self._settings.connect_seconds
        name = _name(host)
        tls = TlsPlan(self._trust, name, at_once=port == IMAPS_PORT)
        target = self._resolver.resolve(name, port)
        problem = ImapConnectionError(f"{target.host} has no address")
        addresses = await self._addresses(host, port, target)
        for tried, address in enumerate(addresses):
            try:
                return await connect(
                    self._reactor,
                    Address(str(address), target.port),
                    self._trace,
                    bind=self._bind,
                    within=self._left(deadline) / (len(addresses) - tried),
                    max_literal=self._settings.max_part_octets,
                    tls=tls,
                    max_untagged=MAX_UNTAGGED,
                )
            except ImapConnectionError as failed:
                problem = failed
        raise problem

    async def _addresses(self, host: str, port: int, target: Address) -> list[IpAddress]:
        """Return the permitted addresses of a server; an address that the option `--resolve` gives is always permitted.

        Raises FetchError (HOST_REFUSED).
        """
        given = _address(target.host)
        if given is not None and target.host != _name(host):
            return [given]
        found = [given] if given is not None else await self._look_up(target.host)
        permitted = [address for address in found if self._settings.permits(host, port, address)]
        if found and not permitted:
            raise FetchError(FailureKind.HOST_REFUSED, f"{host} is at no address that this server connects to")
        own = _address(self._bind or "")
        return [address for address in permitted if own is None or address.version == own.version]

    async def _look_up(self, name: str) -> list[IpAddress]:
        receiver = _Receiver()
        timer = self._reactor.callLater(self._settings.connect_seconds, receiver.give_up, name)
        self._reactor.nameResolver.resolveHostName(receiver, name)
        try:
            return await receiver.found
        finally:
            if timer.active():
                timer.cancel()

    def _left(self, deadline: float) -> float:
        return max(0.001, deadline - float(self._reactor.seconds()))


@implementer(IResolutionReceiver)
class _Receiver:
    """Collects the addresses of a host name; there are none for a name that does not exist."""

    def __init__(self) -> None:
        self.found: Deferred[list[IpAddress]] = Deferred()
        self._addresses: list[IpAddress] = []

    def resolutionBegan(self, _resolution: object) -> None:  # noqa: N802  Twisted's name
        """Do nothing at the start of a resolution."""

    def addressResolved(self, address: Any) -> None:  # noqa: ANN401, N802  the same
        """Keep an address of the name."""
        found = _address(address.host)
        if found is not None and found not in self._addresses:
            self._addresses.append(found)

    def resolutionComplete(self) -> None:  # noqa: N802  the same
        """Fire `found` with all addresses."""
        if not self.found.called:
            self.found.callback(self._addresses)

    def give_up(self, name: str) -> None:
        """End the wait for the addresses: `found` fails with ImapTimeoutError."""
        if not self.found.called:
            self.found.errback(ImapTimeoutError(f"the address of {name} was not found in time"))


def _name(host: str) -> str:
    """Return a URL's host in the form for name resolution and for certificates; raises FetchError (HOST_REFUSED)."""
    try:
        return tls_name(host)
    except ValueError as problem:
        raise FetchError(FailureKind.HOST_REFUSED, str(problem)) from None


def _address(host: str) -> IpAddress | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
