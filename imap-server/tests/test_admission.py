from __future__ import annotations

import pytest

from lemonade_imap.admission import Admission, network_of
from lemonade_imap.config import ConnectionLimits


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


def test_so_many_connections_at_a_time() -> None:
    admission = Admission(ConnectionLimits(total=2))
    assert admission.enter("192.0.2.1", 0.0) is None
    assert admission.enter("192.0.2.1", 0.0) is None
    assert admission.enter("192.0.2.2", 0.0) == "[UNAVAILABLE] too many connections"
    admission.leave("192.0.2.1")
    assert admission.enter("192.0.2.2", 0.0) is None


def test_so_many_of_one_address() -> None:
    admission = Admission(ConnectionLimits(per_address=1))
    assert admission.enter("2001:db8::1", 0.0) is None
    assert admission.enter("2001:db8::2", 0.0) == "[LIMIT] too many connections of this address"
    assert admission.enter("192.0.2.1", 0.0) is None
    admission.leave("2001:db8::1")
    assert admission.enter("2001:db8::2", 0.0) is None


def test_so_many_in_a_minute() -> None:
    admission = Admission(ConnectionLimits(per_minute=2))
    for now in (0.0, 30.0):
        assert admission.enter("192.0.2.1", now) is None
        admission.leave("192.0.2.1")
    assert admission.enter("192.0.2.1", 59.9) == "[LIMIT] too many connections of this address in a minute"
    assert admission.enter("192.0.2.2", 59.9) is None
    # the first is forgotten by now
    assert admission.enter("192.0.2.1", 60.0) is None
    assert admission.enter("192.0.2.1", 60.1) is not None


def test_nothing_is_kept_of_who_is_gone() -> None:
    admission = Admission(ConnectionLimits(per_minute=5, per_address=5))
    for host in range(200):
        admission.enter(f"192.0.2.{host}", float(host))
        admission.leave(f"192.0.2.{host}")
    admission.enter("192.0.2.1", 1000.0)
    kept = [len(value) for value in vars(admission).values() if hasattr(value, "__len__")]
    assert max(kept) == 1
