"""The settings for IMAP servers: how they are read, and which hosts, addresses and callers they allow."""

from __future__ import annotations

import ipaddress

import pytest

from lemonade_media.fetch.settings import AllowedHost, ImapAccount, ImapSettings
from lemonade_wire.address import read_network


def test_identity_keeps_its_password_out_of_its_repr() -> None:
    identity = ImapAccount.parse("mediaserver:se:cret")
    assert (identity.user, identity.password) == ("mediaserver", "se:cret")
    assert "cret" not in repr(identity)


@pytest.mark.parametrize("text", ["mediaserver", ":secret", "mediaserver:"])
def test_bad_identity_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"^NAME:PASSWORD is expected$"):
        ImapAccount.parse(text)


def test_allowed_host_without_a_port_allows_any_port() -> None:
    assert AllowedHost.parse("IMAP.example.com").allows("imap.EXAMPLE.com", 1143)
    assert AllowedHost.parse("imap.example.com:143").allows("imap.example.com", 143)
    assert not AllowedHost.parse("imap.example.com:143").allows("imap.example.com", 144)
    assert not AllowedHost.parse("example.com").allows("imap.example.com", 143)
    assert AllowedHost.parse("[::1]:143").allows("[::1]", 143)


@pytest.mark.parametrize("text", ["", ":143", "host:0", "host:x", "host:70000"])
def test_an_invalid_allowed_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is expected"):
        AllowedHost.parse(text)


def test_allowed_hosts_compare_as_hosts_do() -> None:
    allowed = AllowedHost.parse("imap.example.com")
    assert allowed.allows("imap.example.com.", 143)
    assert allowed.allows("imap%2Eexample.com", 143)
    assert AllowedHost.parse("[2001:db8::1]").allows("[2001:DB8:0::1]", 143)
    for other in ("imap.example.com.evil.example", "xn--imap.example.com", "[::1]", "imap.example.com%00", ""):
        assert not allowed.allows(other, 143)


@pytest.mark.parametrize("text", ["host=", "host=10.0.0.1/8", "host=lan", "host:143=10.0.0.0/33"])
def test_an_invalid_network_of_an_allowed_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is expected"):
        AllowedHost.parse(text)


@pytest.mark.parametrize(
    ("allowed", "host", "address", "permitted"),
    [
        ("imap.example.com", "imap.example.com", "8.8.8.8", True),
        ("imap.example.com", "imap.example.com", "10.1.2.3", False),
        ("imap.example.com=10.0.0.0/8", "imap.example.com", "10.1.2.3", True),
        ("imap.example.com=10.0.0.0/8", "imap.example.com", "8.8.8.8", True),
        ("imap.example.com=10.0.0.0/8", "imap.example.com", "127.0.0.1", False),
        ("imap.example.com=10.0.0.0/8", "imap.example.com", "fd00::1", False),
        ("imap.example.com=fd00::/8", "imap.example.com", "fd00::1", True),
        ("imap.example.com:144=10.0.0.0/8", "imap.example.com", "10.1.2.3", False),
        ("127.0.0.1:143", "127.0.0.1", "127.0.0.1", True),
        ("[::1]", "[::1]", "::1", True),
        ("127.0.0.1:143", "127.0.0.1", "127.0.0.2", False),
        ("other.example.com=10.0.0.0/8", "imap.example.com", "10.1.2.3", False),
        ("other.example.com", "imap.example.com", "8.8.8.8", False),
    ],
)
def test_each_entry_permits_public_and_listed_addresses(allowed: str, host: str, address: str, permitted: bool) -> None:
    settings = ImapSettings((AllowedHost.parse(allowed),))
    assert settings.permits(host, 143, ipaddress.ip_address(address)) is permitted


def test_callers_are_trusted_by_their_address() -> None:
    settings = ImapSettings(trusted_callers=(read_network("192.0.2.0/24"), read_network("2001:db8::1")))
    assert settings.trusts("192.0.2.7")
    assert settings.trusts("2001:db8::1")
    for stranger in ("192.0.3.7", "2001:db8::2", "client.example.com", ""):
        assert not settings.trusts(stranger)
    assert not ImapSettings().trusts("127.0.0.1")
