"""The limits of TCP connections for SIP: in all, from one address, and the proxies that are exempt."""

from __future__ import annotations

import ipaddress

from lemonade_wire.address import Address, in_networks
from lemonade_wire.sip.event import CloseStream, Output
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.sip.tcp import TcpConnections

OWN = Address("192.0.2.2", 5060)


class Table:
    """A table of connections with limits; each connection is accepted a second after the one before."""

    def __init__(self, most: int, per_address: int, unlimited: str = "198.51.100.0/24") -> None:
        networks = (ipaddress.ip_network(unlimited),)
        settings = UaSettings(OWN, max_streams=most, max_streams_per_address=per_address, unlimited=networks)
        self.outputs: list[Output] = []
        self.table = TcpConnections(settings, self.outputs)
        self.busy: set[int] = set()
        self.now = 0.0

    def accept(self, host: str = "192.0.2.3") -> int | None:
        self.now += 1
        return self.table.accepted(Address(host, 40_000 + int(self.now)), self.now, lambda: self.busy)

    def closed(self) -> list[Output]:
        found = list(self.outputs)
        self.outputs.clear()
        return found


def test_above_the_limit_in_all_the_one_idle_the_longest_is_closed() -> None:
    table = Table(3, 0)
    first, second, third = (table.accept(f"192.0.2.{number}") for number in range(3, 6))
    assert first is not None
    assert second is not None
    assert third is not None
    table.table.received(first, b"\r\n\r\n", table.now)
    table.outputs.clear()
    assert table.accept("192.0.2.9") is not None
    assert table.closed() == [CloseStream(second, at_once=True)]
    assert table.table.peer(second) is None
    table.accept("192.0.2.9")
    assert table.closed() in ([CloseStream(first, at_once=True)], [CloseStream(third, at_once=True)])


def test_above_the_limit_of_an_address_its_own_connections_are_closed() -> None:
    table = Table(100, 2)
    other = table.accept("192.0.2.9")
    numbers = [table.accept() for _ in range(10)]
    assert table.closed() == [CloseStream(number, at_once=True) for number in numbers[:8] if number is not None]
    assert other is not None
    assert table.table.peer(other) is not None


def test_a_connection_with_requests_under_way_is_kept_and_the_new_one_refused() -> None:
    table = Table(2, 0)
    numbers = {number for number in (table.accept(), table.accept()) if number is not None}
    table.busy = numbers
    assert table.accept() is None
    assert table.closed() == []
    table.busy = {max(numbers)}
    assert table.accept() is not None
    assert table.closed() == [CloseStream(min(numbers), at_once=True)]


def test_proxies_and_own_connections_do_not_count() -> None:
    table = Table(2, 1)
    for _ in range(5):
        assert table.accept("198.51.100.7") is not None
    own = table.table.to(Address("192.0.2.3", 5060), table.now)
    table.outputs.clear()
    assert table.accept() is not None
    assert table.closed() == []
    assert table.table.peer(own) is not None


def test_zero_is_no_limit() -> None:
    table = Table(0, 0)
    assert None not in [table.accept() for _ in range(1000)]
    assert table.closed() == []


def test_networks() -> None:
    networks = [ipaddress.ip_network("192.0.2.0/24"), ipaddress.ip_network("2001:db8::/32")]
    assert in_networks("192.0.2.7", networks)
    assert in_networks("2001:db8::1", networks)
    assert not in_networks("192.0.3.7", networks)
    assert not in_networks("proxy.example.com", networks)
