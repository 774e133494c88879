from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis.strategies import ip_addresses

from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.url import ImapUrl
from lemonade_wire.imap.url_parts import Access, AccessKind, host_key, percent_decode, percent_encode


def test_only_what_must_be_is_encoded() -> None:
    assert percent_encode("a-._~!$'()*+,&=;:@/ %ü") == "a-._~!$'()*+,&=%3B%3A%40%2F%20%25%C3%BC"
    assert percent_encode("a:@/;?", "&=:@/") == "a:@/%3B%3F"


def test_decoding_is_done_once() -> None:
    assert percent_decode("%2520%c3%bc+") == "%20ü+"


@pytest.mark.parametrize("text", ["%", "%4", "%zz", "%ff", "%00", "%0d", "%0A"])
def test_what_cannot_be_decoded_is_refused(text: str) -> None:
    with pytest.raises(ImapParseError):
        percent_decode(text)


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
def test_equal_hosts_have_one_key(one: str, other: str) -> None:
    assert host_key(one) == host_key(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_hosts_have_different_keys(one: str, other: str) -> None:
    assert host_key(one) != host_key(other)


@pytest.mark.parametrize(
    "host", ["[2001:db8::1::2]", "[:::]", "[1.2.3.4]", "[]", "[::1", ".", "%20", "a%2Fb", "a%00b", "a%"]
)
def test_invalid_hosts_are_refused(host: str) -> None:
    with pytest.raises(ImapParseError):
        host_key(host)
    with pytest.raises(ImapParseError):
        ImapUrl.parse(f"imap://joe@{host}/INBOX/;UID=1")


@given(ip_addresses(v=6))
def test_every_way_to_write_an_address_is_the_same_host(address: object) -> None:
    exploded = getattr(address, "exploded", "")
    assert host_key(f"[{exploded.upper()}]") == host_key(f"[{address}]")


@pytest.mark.parametrize(
    ("text", "access", "kind"),
    [
        ("anonymous", Access("anonymous"), AccessKind.ANONYMOUS),
        ("AuthUser", Access("authuser"), AccessKind.AUTHUSER),
        ("user+fred", Access("user", "fred"), AccessKind.USER),
        ("submit+f%40red", Access("submit", "f@red"), AccessKind.SUBMIT),
        ("stream", Access("stream"), AccessKind.APPLICATION),
        ("stream+joe", Access("stream", "joe"), AccessKind.APPLICATION),
    ],
)
def test_access_identifiers_are_read_and_written(text: str, access: Access, kind: AccessKind) -> None:
    assert Access.parse(text) == access
    assert access.kind is kind
    assert Access.parse(str(access)) == access


@pytest.mark.parametrize(
    "text", ["", "submit+", "submit", "user", "anonymous+joe", "authuser+x", "a-b", "user+a@b", "user+%f"]
)
def test_invalid_access_identifiers_are_refused(text: str) -> None:
    with pytest.raises(ImapParseError):
        Access.parse(text)
