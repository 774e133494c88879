"""Which addresses are of the public Internet: a table, with each way in which others are hidden in IPv6."""

from __future__ import annotations

import ipaddress

import pytest

from lemonade_media.addresses import is_public, read_network, same_address


@pytest.mark.parametrize(
    "text",
    [
        "8.8.8.8",
        "193.0.6.139",
        "192.0.1.1",
        "192.88.98.1",
        "2001:4860:4860::8888",
        "2a00:1450::1",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2002:808:808::1",
        "2a00:1450::5efe:8.8.8.8",
    ],
)
def test_public(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1",
        "127.255.0.1",
        "0.0.0.0",  # noqa: S104  one to refuse
        "0.1.2.3",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.0.1",
        "192.0.0.8",
        "192.0.0.170",
        "192.88.99.1",
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.1.2.3",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "fc00::1",
        "fd12::1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "::8.8.8.8",
        "::ffff:0.0.0.0",
        "::ffff:169.254.169.254",
        "::ffff:224.0.0.1",
        "::ffff:100.64.0.1",
        "::ffff:0:127.0.0.1",
        "100::1",
        "2001:2::1",
        "2001:20::1",
        "3fff::1",
        "5f00::1",
        "febf::1",
        "ff0e::1",
        "64:ff9b::0.0.0.0",
        "64:ff9b::127.0.0.1",
        "64:ff9b::224.0.0.1",
        "64:ff9b:1::8.8.8.8",
        "64:ff9b::10.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::1",
        "2002:a00:1::1",
        "2002:a9fe:a9fe::1",
        "2002:e000:1::1",
        "2a00:1450::5efe:10.0.0.1",
        "2a00:1450::200:5efe:127.0.0.1",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
    ],
)
def test_not_public(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


def test_networks() -> None:
    assert read_network("10.0.0.0/8") == ipaddress.ip_network("10.0.0.0/8")
    assert read_network("[::1]") == ipaddress.ip_network("::1/128")
    with pytest.raises(ValueError, match="ADDRESS/BITS"):
        read_network("lan")


def test_hosts_that_are_addresses() -> None:
    assert same_address("2001:DB8::1", ipaddress.ip_address("2001:db8::1"))
    assert not same_address("127.0.0.1", ipaddress.ip_address("127.0.0.2"))
    assert not same_address("imap.example.com", ipaddress.ip_address("127.0.0.2"))
