from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.mediaservers import MediaServerEntry, MediaServers

FIRST = "<sip:ivr@ms.example.net:5060>:authuser;<sip:annc@ms1.example.net:5060>;<sips:ivr@ms2.example.net:5061>"


def test_the_drafts_first_value() -> None:
    servers = MediaServers.parse(FIRST)
    assert servers.servers == (
        MediaServerEntry("sip:ivr@ms.example.net:5060", "authuser"),
        MediaServerEntry("sip:annc@ms1.example.net:5060"),
        MediaServerEntry("sips:ivr@ms2.example.net:5061"),
    )
    assert [server.authorised for server in servers.servers] == [True, False, False]
    assert [server.service for server in servers.servers] == ["ivr", "annc", "ivr"]
    assert str(servers) == FIRST


def test_the_drafts_second_value_with_its_line_break_inside_a_uri() -> None:
    servers = MediaServers.parse(
        b"<sip:ivr@192.0.2.40:5060>;<sip:192.0.2.41:5060>;<sips:annc@\r\n   192.0.2.42:5060>:authuser"
    )
    assert [server.service for server in servers.servers] == ["ivr", None, "annc"]
    assert servers.servers[2] == MediaServerEntry("sips:annc@192.0.2.42:5060", "authuser")


@pytest.mark.parametrize(
    ("value", "servers"),
    [
        ("<sip:annc@h;transport=tcp>:stream", [MediaServerEntry("sip:annc@h;transport=tcp", "stream")]),
        ("", []),
        (";;", []),
        ("<sip:a@h>;", [MediaServerEntry("sip:a@h")]),
        ("<sip:a@h> ; \r\n <sip:b@h> : submit+", [MediaServerEntry("sip:a@h"), MediaServerEntry("sip:b@h", "submit+")]),
        (
            "sip:ivr@h:5060:stream;sip:h2:5061",
            [MediaServerEntry("sip:ivr@h:5060", "stream"), MediaServerEntry("sip:h2:5061")],
        ),
        ("sip:a@h;transport=tcp;<sip:b@h>", [MediaServerEntry("sip:a@h;transport=tcp"), MediaServerEntry("sip:b@h")]),
    ],
)
def test_values_are_read_as_tuples(value: str, servers: list[MediaServerEntry]) -> None:
    assert list(MediaServers.parse(value).servers) == servers


@pytest.mark.parametrize(
    ("token", "authorised"), [("STREAM", True), ("submit", True), ("Submit+", True), ("other", False)]
)
def test_tokens_compare_without_case_and_unknown_ones_say_nothing(token: str, authorised: bool) -> None:
    [server] = MediaServers.parse(f"<sip:a@h>:{token}").servers
    assert (server.token, server.authorised) == (token, authorised)


def test_only_sip_is_usable() -> None:
    servers = MediaServers.parse("<rtsp://h/x>;<SIPS:annc@h>")
    assert servers.sip == (MediaServerEntry("SIPS:annc@h"),)


@pytest.mark.parametrize("value", ["<sip:a@h", "sip:a@h>", "<>", "<noscheme>", "<sip:a@h>x", b"<sip:\xff>"])
def test_malformed_values_are_refused(value: str | bytes) -> None:
    with pytest.raises(ImapParseError):
        MediaServers.parse(value)


@settings(max_examples=100, deadline=None)
@given(st.text(st.sampled_from("<>:;sipan@h= \r\n+&é"), max_size=30))
def test_anything_raises_only_the_documented_error(value: str) -> None:
    try:
        parsed = MediaServers.parse(value)
    except ImapParseError:
        return
    assert MediaServers.parse(str(parsed)) == parsed
