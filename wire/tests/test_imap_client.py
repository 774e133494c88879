"""The IMAP client engine: commands, responses and limits. Logins are tested in test_imap_client_entering.py."""

from __future__ import annotations

import gc
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_wire.imap import command
from lemonade_wire.imap.bodystructure import BodyStructure
from lemonade_wire.imap.client import (
    MAX_FETCH_LINE,
    MAX_SKIPPED,
    ClientEvent,
    CommandDone,
    ConnectionBye,
    GreetingReceived,
    ImapClient,
    LiteralSkipped,
    LiteralTooLong,
    ResponseUnreadable,
    UntaggedReceived,
)
from lemonade_wire.imap.framing import MAX_LINE
from lemonade_wire.imap.response import (
    CapabilityResponse,
    Exists,
    FetchedUrl,
    FetchResponse,
    Metadata,
    StatusResponse,
    UrlFetchResponse,
)
from lemonade_wire.testing.messages import GREETING, PLAIN_GREETING, done, greeted
from lemonade_wire.trace import Json


def test_capabilities_in_the_greeting_are_used() -> None:
    client = ImapClient()
    assert client.capabilities is None
    assert not client.has("SASL-IR")
    [event] = client.receive_data(GREETING)
    assert isinstance(event, GreetingReceived)
    assert event.status.result == "OK"
    assert client.has("sasl-ir")
    assert client.greeted


def test_the_responses_to_one_command_are_limited() -> None:
    client = ImapClient(max_literal=1000)
    client.receive_data(GREETING)
    client.send(command.noop())
    line = b"* 1 FETCH (X {1000}\r\n" + b"x" * 1000 + b")\r\n"
    for _ in range(17_000_000 // 1000):
        events = client.receive_data(line)
        if isinstance(events[0], ResponseUnreadable):
            break
    assert [type(event) for event in events] == [ResponseUnreadable]


def test_append_sends_its_literal_upon_the_continuation_alone() -> None:
    client = greeted()
    message = b"Subject: x\r\n\r\n* OK {3}\r\n"
    client.send(command.append("Entwürfe", message, ("\\Seen",)))
    client.send(command.noop())
    assert client.data_to_send() == b'a1 APPEND "Entw&APw-rfe" (\\Seen) {24}\r\n'
    assert client.data_to_send() == b""
    client.receive_data(b"+ go ahead\r\n")
    assert client.data_to_send() == message + b"\r\n" + b"a2 NOOP\r\n"
    assert done(client.receive_data(b"* 1 EXISTS\r\na1 OK [APPENDUID 38505 3955] done\r\n")).untagged == (Exists(1),)
    assert client.pending == ("a2",)


def test_a_refused_append_sends_no_literal() -> None:
    client = greeted()
    client.send(command.append("INBOX", b"abc"))
    client.send(command.noop())
    client.data_to_send()
    assert not done(client.receive_data(b"a1 NO [TRYCREATE] no\r\n")).ok
    assert client.data_to_send() == b"a2 NOOP\r\n"


def test_urlfetch_with_structure_and_binary_is_read() -> None:
    url = "imap://joe@example.com/INBOX/;UID=20/;SECTION=2;URLAUTH=stream:INTERNAL:01" + "ab" * 16
    client = greeted()
    client.send(command.urlfetch(url, ("BODYPARTSTRUCTURE", "BINARY")))
    assert client.data_to_send() == f'a1 URLFETCH ("{url}" BODYPARTSTRUCTURE BINARY)\r\n'.encode()
    octets = (
        f'* URLFETCH "{url}" (BODYPARTSTRUCTURE ("AUDIO" "BASIC" NIL NIL NIL "BINARY" 3)) (BINARY ~{{3}}\r\n'.encode()
        + b"\0\r\n)\r\na1 OK done\r\n"
    )
    structure = BodyStructure("AUDIO", "BASIC", encoding="BINARY", size=3)
    expected = UrlFetchResponse((FetchedUrl(url, binary=b"\0\r\n", binary_came=True, structure=structure),))
    events = client.receive_data(octets)
    assert events[0] == UntaggedReceived(expected)
    assert done(events).untagged == (expected,)


def test_a_literal_above_the_limit_is_reported_and_the_next_response_is_read() -> None:
    client = ImapClient(max_literal=4)
    client.receive_data(GREETING)
    client.send(command.urlfetch("u"))
    skipped, _, answer = client.receive_data(b"* URLFETCH u {5}\r\n12345\r\na1 OK done\r\n")
    assert skipped == LiteralSkipped(5)
    assert isinstance(answer, CommandDone)
    [fetched] = answer.untagged
    assert isinstance(fetched, UrlFetchResponse)
    assert fetched.fetched[0].too_large


def test_a_literal_too_long_to_skip_is_reported_when_announced() -> None:
    client = ImapClient(max_literal=4)
    client.receive_data(GREETING)
    client.send(command.urlfetch("u"))
    most = 2 * 4 + MAX_SKIPPED
    assert client.receive_data(b"* URLFETCH u (BINARY ~{%d}\r\n" % (most + 1)) == [LiteralTooLong(most + 1)]
    client = ImapClient(max_literal=4)
    client.receive_data(GREETING)
    assert client.receive_data(b"* URLFETCH u (BINARY ~{%d}\r\n" % most) == []


def unreadable(client: ImapClient, octets: bytes) -> bool:
    """Give octets to a client in pieces; whether it gives the connection up."""
    events = [event for at in range(0, len(octets), 16_384) for event in client.receive_data(octets[at : at + 16_384])]
    return any(isinstance(event, ResponseUnreadable) for event in events)


@pytest.mark.parametrize("start", [b"* OK ", b"* SEARCH ", b"* 1 FETCH (BODYSTRUCTURE ", b"x", b""])
@pytest.mark.parametrize("end", [b"\r\n", b""])
def test_a_line_of_more_than_64_kib_ends_the_connection(start: bytes, end: bytes) -> None:
    for octets in (MAX_LINE + 2, 4_000_000):
        assert unreadable(ImapClient(), GREETING + start + b"1" * (octets - len(start)) + end)


def test_lines_up_to_the_limits_are_read_and_literals_do_not_count() -> None:
    assert not unreadable(ImapClient(), GREETING + b"* OK " + b"1" * (MAX_LINE - 5) + b"\r\n")
    assert not unreadable(ImapClient(), GREETING + b"* X {100000}\r\n" + bytes(100_000) + b" x\r\n")


def test_a_fetch_response_may_have_one_mib_where_that_is_wished() -> None:
    fetch, search = b"* 1 FETCH (X ", b"* SEARCH "
    for octets in (MAX_LINE + 1, MAX_FETCH_LINE):
        line = fetch + b"1" * (octets - len(fetch)) + b"\r\n"
        assert unreadable(ImapClient(), GREETING + line)
        assert not unreadable(ImapClient(long_fetch=True), GREETING + line)
    assert unreadable(ImapClient(long_fetch=True), GREETING + fetch + b"1" * MAX_FETCH_LINE + b"\r\n")
    assert unreadable(ImapClient(long_fetch=True), GREETING + search + b"1" * MAX_LINE + b"\r\n")


def test_the_text_of_all_responses_to_a_command_is_limited() -> None:
    lines = b"* OK x\r\n" * (8 * MAX_LINE // 6)
    assert not unreadable(ImapClient(), GREETING + lines[: len(lines) // 2])
    assert unreadable(ImapClient(), GREETING + lines + b"* OK x\r\n" * 100)
    client = ImapClient()
    client.receive_data(GREETING)
    for _ in range(3):
        tag = client.send(command.noop())
        assert not unreadable(client, lines[: len(lines) // 16 * 8] + tag.encode() + b" OK done\r\n")


@pytest.mark.parametrize(
    "piece",
    [b"BODY[ ", b'BODY[" ', b"{0}\r\n ", b"() ", b'"a" ', b'"\\"" ', b"(a", b"1 ", b'("A" "B" NIL) '],
    ids=lambda piece: piece.decode().strip(),
)
def test_a_response_is_read_in_linear_time(piece: bytes) -> None:
    def cost(octets: int) -> float:
        text = b"* 1 FETCH (X (" + piece * (octets // len(piece)) + b"))\r\n"
        client = ImapClient(long_fetch=True)
        began = time.process_time()
        client.receive_data(GREETING + text)
        return time.process_time() - began

    # The two sizes take turns, since other programs make the processor slower for a time.
    # The collector is off, since its cost depends on the other objects of the tests.
    gc.disable()
    try:
        costs = [(cost(30_000), cost(240_000)) for _ in range(5)]
    finally:
        gc.enable()
    assert min(large for _, large in costs) <= 12 * max(min(small for small, _ in costs), 0.001)


def test_discovery_and_ticket_exchange() -> None:
    client = greeted()
    client.send(command.getmetadata("/shared/mediaServers"))
    assert client.data_to_send() == b'a1 GETMETADATA "" "/shared/mediaServers"\r\n'
    value = b"<sips:ivr@ms.example.net:5061>:stream;<sips:annc@ms.example.net:5061>:stream"
    events = client.receive_data(b'* METADATA "" (/shared/mediaServers "' + value + b'")\r\na1 OK done\r\n')
    assert done(events).untagged == (Metadata("", {"/shared/mediaservers": value}),)
    client.send(command.select("inbox"))
    assert client.data_to_send() == b'a2 SELECT "INBOX"\r\n'
    client.receive_data(b"* 27 EXISTS\r\n* OK [URLMECH INTERNAL] x\r\na2 OK [READ-WRITE] done\r\n")
    client.send(command.uid_search())
    client.send(command.uid_fetch_bodystructure(24356))
    assert client.data_to_send() == b"a3 UID SEARCH ALL\r\na4 UID FETCH 24356 (BODYSTRUCTURE)\r\n"
    client.receive_data(b"* SEARCH 24356\r\na3 OK done\r\n")
    fetched = done(
        client.receive_data(
            b'* 26 FETCH (BODYSTRUCTURE (("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 1152 23)'
            b'("VIDEO" "MPEG" NIL NIL "BASE64" 655350)) UID 24356)\r\na4 OK FETCH completed.\r\n'
        )
    )
    [fetch] = fetched.untagged
    assert isinstance(fetch, FetchResponse)
    assert fetch.uid == 24356
    client.send(command.genurlauth("imap://joe@example.com/INBOX/;UID=24356/;SECTION=2;URLAUTH=stream"))
    assert client.data_to_send() == (
        b'a5 GENURLAUTH "imap://joe@example.com/INBOX/;UID=24356/;SECTION=2;URLAUTH=stream" INTERNAL\r\n'
    )


def test_bye_is_expected_after_logout_alone() -> None:
    client = greeted()
    [bye] = client.receive_data(b"* BYE shutting down\r\n")
    assert bye == ConnectionBye(StatusResponse(None, "BYE", None, "shutting down"), expected=False)
    client = greeted()
    client.send(command.logout())
    bye, answer = client.receive_data(b"* BYE see you\r\na1 OK done\r\n")
    assert isinstance(bye, ConnectionBye)
    assert bye.expected
    assert isinstance(answer, CommandDone)
    assert client.closing


def test_a_server_that_greets_with_bye() -> None:
    client = ImapClient()
    [event] = client.receive_data(b"* BYE too busy\r\n")
    assert isinstance(event, GreetingReceived)
    assert client.closing


@pytest.mark.parametrize("octets", [b"what\r\n", b"a9 OK who asked\r\n", b"* 5 FETCH x\r\n"])
def test_invalid_responses_are_reported(octets: bytes) -> None:
    [event] = greeted().receive_data(octets)
    assert isinstance(event, ResponseUnreadable)


def test_an_unexpected_continuation_is_ignored() -> None:
    client = greeted()
    client.send(command.noop())
    client.data_to_send()
    assert client.receive_data(b"+ what\r\n") == []
    assert client.data_to_send() == b""


def test_trace_has_every_line_and_no_secret() -> None:
    seen: list[tuple[str, str, list[Json]]] = []
    client = ImapClient(tracer=lambda way, text, literals: seen.append((way, text, literals)))
    client.receive_data(PLAIN_GREETING)
    client.send(command.authenticate_plain("joe", "secret"))
    client.receive_data(b"+ c2VjcmV0\r\na1 OK in\r\n")
    client.send(command.login("joe", "se\r\ncret"))
    client.receive_data(b"+ go\r\na2 OK in\r\n")
    client.send(command.append("INBOX", b"hi"))
    client.receive_data(b"+ \r\na3 OK done\r\n")
    assert [(way, text) for way, text, _ in seen] == [
        ("received", "* OK hello"),
        ("sent", "a1 AUTHENTICATE PLAIN"),
        ("received", "+ ***"),
        ("received", "a1 OK in"),
        ("sent", 'a2 LOGIN "joe" ***'),
        ("received", "+ go"),
        ("received", "a2 OK in"),
        ("sent", 'a3 APPEND "INBOX" {2}'),
        ("received", "+ "),
        ("received", "a3 OK done"),
    ]
    assert [literals for _, _, literals in seen if literals] == [
        [{"size": 2, "sha256": "8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4", "text": "hi"}]
    ]


SCRIPT = (
    GREETING
    + b"* CAPABILITY IMAP4rev1 X\r\na1 OK done\r\n* 3 EXISTS\r\n"
    + b"* URLFETCH u (BINARY {0}\r\na2 OK done\r\n* URLFETCH u (BINARY ~{4}\r\n\0\r\n)) v NIL\r\n+ x\r\n* BYE\r\n"
)


def test_octets_at_once_and_one_by_one_give_the_same_events() -> None:
    answers = []
    for step in (1, len(SCRIPT)):
        client = ImapClient()
        client.send(command.capability())
        client.send(command.urlfetch("u"))
        answers.append([e for at in range(0, len(SCRIPT), step) for e in client.receive_data(SCRIPT[at : at + step])])
    assert answers[0] == answers[1]
    assert UntaggedReceived(CapabilityResponse(frozenset({"IMAP4REV1", "X"}))) in answers[0]
    assert [event.tag for event in answers[0] if isinstance(event, CommandDone)] == ["a1", "a2"]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [b"* ", b"a1 ", b"OK ", b"\r\n", b"+ ", b"URLFETCH ", b"{2}\r\n", b"(", b"[CAPABILITY ", b"BYE"]
        )
        | st.binary(max_size=4),
        max_size=16,
    ).map(b"".join)
)
def test_no_octets_of_a_server_raise(octets: bytes) -> None:
    client = greeted()
    client.send(command.append("INBOX", b"abc"))
    client.send(command.authenticate_anonymous("x"))
    for event in client.receive_data(octets):
        assert isinstance(event, ClientEvent)
    client.data_to_send()


def test_more_untagged_responses_than_allowed_are_an_error_and_no_more_is_read() -> None:
    traced: list[str] = []
    client = ImapClient(max_untagged=3, tracer=lambda _way, text, _literals: traced.append(text))
    client.receive_data(b"* OK hello\r\n")
    tag = client.send(command.noop())
    assert len(client.receive_data(b"* 1 EXISTS\r\n" * 3)) == 3
    client.receive_data(tag.encode() + b" OK done\r\n")
    client.send(command.noop())
    traced.clear()
    events = client.receive_data(b"* 1 EXISTS\r\n" * 1000)
    assert [type(event).__name__ for event in events[-2:]] == ["UntaggedReceived", "ResponseUnreadable"]
    assert len(traced) == len(events) == 5
