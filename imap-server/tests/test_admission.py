from __future__ import annotations

from ipaddress import ip_network
from typing import cast

import pytest
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock

from lemonade_imap.admission import Admission, ConnectionTimer, network_of
from lemonade_imap.config import ConnectionLimits


class Connection:
    """A connection that ends at a time which the test may change."""

    def __init__(self, watched: set[Connection], ends: float) -> None:
        self.ends = ends
        self.said: bytes | None = None
        self._watched = watched
        watched.add(self)

    def due(self) -> tuple[float, bytes]:
        return self.ends, b"too late"

    def end(self, final_octets: bytes) -> None:
        self.said = final_octets
        self._watched.discard(self)


def watching(*ends: float) -> tuple[Clock, ConnectionTimer, list[Connection]]:
    clock, watched = Clock(), set[Connection]()
    watch = ConnectionTimer(cast(IReactorTime, clock), watched)  # mypy reads no `implementer` of zope
    connections = [Connection(watched, at) for at in ends]
    for connection in connections:
        watch.expect(connection.ends)
    return clock, watch, connections


def test_each_connection_ends_at_its_time_with_one_timer_for_all() -> None:
    clock, _, (late, early) = watching(100, 10)
    assert len(clock.getDelayedCalls()) == 1
    clock.advance(9.9)
    assert (late.said, early.said) == (None, None)
    clock.advance(0.1)
    assert (late.said, early.said) == (None, b"too late")
    assert len(clock.getDelayedCalls()) == 1
    clock.advance(90)
    assert late.said == b"too late"
    assert clock.getDelayedCalls() == []


def test_a_connection_whose_limit_is_extended_ends_at_the_new_time() -> None:
    clock, _, (one,) = watching(10)
    one.ends = 25
    clock.advance(10)
    assert one.said is None
    clock.advance(15)
    assert one.said == b"too late"


def test_checks_are_at_least_a_second_apart() -> None:
    clock, watch, (one,) = watching(0)
    watch.expect(0.1)
    clock.advance(0.9)
    assert one.said is None
    clock.advance(0.1)
    assert one.said == b"too late"


def test_no_timer_is_left() -> None:
    clock, watch, (one,) = watching(10)
    watch.stop()
    watch.stop()
    assert clock.getDelayedCalls() == []
    clock.advance(20)
    assert one.said is None


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::2%eth0", "2001:db8::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("nonsense", "nonsense"),
    ],
)
def test_one_client_is_an_address_or_an_ipv6_network(address: str, network: str) -> None:
    assert network_of(address) == network


def test_connections_at_a_time_are_limited() -> None:
    admission = Admission(ConnectionLimits(total=2))
    assert admission.enter("192.0.2.1", 0.0) is None
    assert admission.enter("192.0.2.1", 0.0) is None
    assert admission.enter("192.0.2.2", 0.0) == "[UNAVAILABLE] too many connections"
    admission.leave("192.0.2.1")
    assert admission.enter("192.0.2.2", 0.0) is None


def test_connections_of_one_address_are_limited() -> None:
    admission = Admission(ConnectionLimits(per_address=1))
    assert admission.enter("2001:db8::1", 0.0) is None
    assert admission.enter("2001:db8::2", 0.0) == "[LIMIT] too many connections of this address"
    assert admission.enter("192.0.2.1", 0.0) is None
    admission.leave("2001:db8::1")
    assert admission.enter("2001:db8::2", 0.0) is None


def test_connections_in_a_minute_are_limited() -> None:
    admission = Admission(ConnectionLimits(per_minute=2))
    for now in (0.0, 30.0):
        assert admission.enter("192.0.2.1", now) is None
        admission.leave("192.0.2.1")
    assert admission.enter("192.0.2.1", 59.9) == "[LIMIT] too many connections of this address in a minute"
    assert admission.enter("192.0.2.2", 59.9) is None
    # the first connection began more than a minute ago
    assert admission.enter("192.0.2.1", 60.0) is None
    assert admission.enter("192.0.2.1", 60.1) is not None


def test_an_unlimited_network_has_the_total_as_its_only_limit() -> None:
    networks = (ip_network("192.0.2.0/24"), ip_network("2001:db8::/32"))
    admission = Admission(ConnectionLimits(total=9, per_address=1, per_minute=1, unlimited=networks))
    for address in ("192.0.2.1", "192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "2001:db8::1", "198.51.100.1"):
        assert admission.enter(address, 0.0) is None
    assert admission.enter("198.51.100.1", 0.0) == "[LIMIT] too many connections of this address in a minute"
    assert admission.enter("fe80::1%eth0", 0.0) is None
    for _ in range(2):
        assert admission.enter("192.0.2.1", 0.0) is None
    assert admission.enter("192.0.2.1", 0.0) == "[UNAVAILABLE] too many connections"
    for address in ("192.0.2.1", "192.0.2.1"):
        admission.leave(address)
    assert admission.enter("192.0.2.1", 0.0) is None


def test_a_connection_is_refused_when_descriptors_run_short() -> None:
    admission = Admission(ConnectionLimits(descriptors=900))
    assert admission.enter("192.0.2.1", 0.0, 900) is None
    assert admission.enter("192.0.2.2", 0.0, 901) == "[UNAVAILABLE] too many connections"
    assert admission.enter("192.0.2.2", 0.0, 12) is None


def test_closed_connections_leave_no_counts() -> None:
    admission = Admission(ConnectionLimits(per_minute=5, per_address=5))
    for host in range(200):
        admission.enter(f"192.0.2.{host}", float(host))
        admission.leave(f"192.0.2.{host}")
    admission.enter("192.0.2.1", 1000.0)
    kept = [len(value) for value in vars(admission).values() if hasattr(value, "__len__")]
    assert max(kept) == 1
