from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis.strategies import ip_addresses

from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.hosts import host_key
from lemonade_wire.imap.url import ImapUrl

SAME = [
    ("imap.example.com", "IMAP.Example.COM"),
    ("imap.example.com", "imap.example.com."),
    ("imap.example.com", "im%61p.example.com"),
    ("192.0.2.7", "192.0.2.7"),
    ("[2001:db8::1]", "[2001:DB8:0:0::1]"),
    ("[::ffff:192.0.2.7]", "[::ffff:c000:207]"),
]
DIFFERENT = [
    ("imap.example.com", "imap.example.org"),
    ("[2001:db8::1]", "[2001:db8::2]"),
    ("192.0.2.7", "[::ffff:192.0.2.7]"),
    ("imap.example.com", "imap.example.com.."),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_hosts_that_are_the_same(one: str, other: str) -> None:
    assert host_key(one) == host_key(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_hosts_that_are_not(one: str, other: str) -> None:
    assert host_key(one) != host_key(other)


@pytest.mark.parametrize(
    "host", ["[2001:db8::1::2]", "[:::]", "[1.2.3.4]", "[]", "[::1", ".", "%20", "a%2Fb", "a%00b", "a%"]
)
def test_what_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(ImapParseError):
        host_key(host)
    with pytest.raises(ImapParseError):
        ImapUrl.parse(f"imap://joe@{host}/INBOX/;UID=1")


@given(ip_addresses(v=6))
def test_every_way_to_write_an_address_is_the_same_host(address: object) -> None:
    exploded = getattr(address, "exploded", "")
    assert host_key(f"[{exploded.upper()}]") == host_key(f"[{address}]")
