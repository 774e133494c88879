import ipaddress

import pytest

from lemonade_wire.address import Address, PortRange, Resolver, in_networks, is_ip_address, read_network


@pytest.mark.parametrize("text", ["127.0.0.1:5060", "[2001:db8::1]:143", "imap.example.com:0", "h:65535"])
def test_an_address_is_written_as_it_was_read(text: str) -> None:
    assert str(Address.parse(text)) == text


def test_the_default_port_is_used_without_a_port() -> None:
    assert Address.parse("h", 143) == Address("h", 143)
    assert Address.parse("[::1]", 143) == Address("::1", 143)


@pytest.mark.parametrize("text", ["", ":1", "h", "h:", "h:x", "h:65536", "h:-1", "[::1", "[::1]x", "[]:1", "h:\u0661"])
def test_malformed_addresses_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        Address.parse(text)


def test_rules_with_a_port_win() -> None:
    resolver = Resolver.parse(["a.example=127.0.0.1", "A.example:99=127.0.0.2:7", "[::1]:5=[::2]:6"])
    assert resolver.resolve("A.EXAMPLE", 98) == Address("127.0.0.1", 98)
    assert resolver.resolve("a.example", 99) == Address("127.0.0.2", 7)
    assert resolver.resolve("::1", 5) == Address("::2", 6)
    assert resolver.resolve("other", 1) == Address("other", 1)


@pytest.mark.parametrize("rule", ["", "a", "a=", "=b", "a=b:x"])
def test_malformed_resolve_rules_are_refused(rule: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        Resolver.parse([rule])


def test_a_port_range_is_read_and_written() -> None:
    assert PortRange.parse("16384-16484") == PortRange(16384, 16484)
    assert str(PortRange(16384, 16484)) == "16384-16484"


BAD_RANGES = ["", "16384", "16384-", "a-b", "1-2-3", "80-90", "0-9", "20000-20000", "20001-20000", "20000-70000"]


@pytest.mark.parametrize("text", BAD_RANGES)
def test_malformed_port_ranges_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="A-B is expected"):
        PortRange.parse(text)


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "[2001:db8::1]"])
def test_hosts_that_are_addresses(host: str) -> None:
    assert is_ip_address(host)


@pytest.mark.parametrize("host", ["", "imap.example.com", "192.0.2", "192.0.2.256", "1.2.3.4.5"])
def test_host_names_are_not_addresses(host: str) -> None:
    assert not is_ip_address(host)


@pytest.mark.parametrize(
    ("host", "inside"),
    [
        ("192.0.2.7", True),
        ("::ffff:192.0.2.7", True),
        ("192.0.3.1", False),
        ("2001:db8::7", True),
        ("2001:db8::7%eth0", True),
        ("2001:db9::7", False),
        ("host.example.net", False),
    ],
)
def test_an_address_is_in_its_network_however_it_is_written(host: str, inside: bool) -> None:
    assert in_networks(host, [read_network("192.0.2.0/24"), read_network("2001:db8::/32")]) == inside


def test_read_network_accepts_addresses_and_networks() -> None:
    assert read_network("10.0.0.0/8") == ipaddress.ip_network("10.0.0.0/8")
    assert read_network("[::1]") == ipaddress.ip_network("::1/128")
    with pytest.raises(ValueError, match="ADDRESS/BITS"):
        read_network("lan")
