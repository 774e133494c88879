import pytest

from lemonade_wire.address import Address, PortRange, Resolver


@pytest.mark.parametrize("text", ["127.0.0.1:5060", "[2001:db8::1]:143", "imap.example.com:0", "h:65535"])
def test_round_trip(text: str) -> None:
    assert str(Address.parse(text)) == text


def test_default_port() -> None:
    assert Address.parse("h", 143) == Address("h", 143)
    assert Address.parse("[::1]", 143) == Address("::1", 143)


@pytest.mark.parametrize("text", ["", ":1", "h", "h:", "h:x", "h:65536", "h:-1", "[::1", "[::1]x", "[]:1", "h:\u0661"])
def test_bad(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        Address.parse(text)


def test_rules_with_a_port_win() -> None:
    resolver = Resolver.parse(["a.example=127.0.0.1", "A.example:99=127.0.0.2:7", "[::1]:5=[::2]:6"])
    assert resolver.resolve("A.EXAMPLE", 98) == Address("127.0.0.1", 98)
    assert resolver.resolve("a.example", 99) == Address("127.0.0.2", 7)
    assert resolver.resolve("::1", 5) == Address("::2", 6)
    assert resolver.resolve("other", 1) == Address("other", 1)


@pytest.mark.parametrize("rule", ["", "a", "a=", "=b", "a=b:x"])
def test_bad_rules(rule: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        Resolver.parse([rule])


def test_a_range_of_ports() -> None:
    assert PortRange.parse("16384-16484") == PortRange(16384, 16484)
    assert str(PortRange(16384, 16484)) == "16384-16484"


BAD_RANGES = ["", "16384", "16384-", "a-b", "1-2-3", "80-90", "0-9", "20000-20000", "20001-20000", "20000-70000"]


@pytest.mark.parametrize("text", BAD_RANGES)
def test_ranges_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="A-B is expected"):
        PortRange.parse(text)
