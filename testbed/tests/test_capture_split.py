"""Splitting a TCP stream into SIP messages, with the octets in pieces of any size."""

from __future__ import annotations

import hashlib

import pytest

from lemonade_testbed.capture.split import CapturedLine, ImapSplitter, split_sip

BYE = b"BYE sip:a SIP/2.0\r\nContent-Length: 0\r\n\r\n"
INFO = b"INFO sip:a SIP/2.0\r\nl : 21\r\n\r\nBYE sip:x SIP/2.0\r\n\r\n"
OK = b"SIP/2.0 200 OK\r\nCSeq: 1 BYE\r\n\r\n"
STREAM = b"\r\n\r\n" + BYE + INFO + b"\r\n" + OK


def test_messages_are_split_by_content_length() -> None:
    assert list(split_sip([(1.0, 7, STREAM)])) == [(1.0, 7, BYE), (1.0, 7, INFO), (1.0, 7, OK)]


def test_cut_at_every_octet_they_are_the_same_with_the_time_of_their_first() -> None:
    octets = [(float(place), place, STREAM[place : place + 1]) for place in range(len(STREAM))]
    starts = [STREAM.index(message) for message in (BYE, INFO, OK)]
    assert list(split_sip(octets)) == [
        (float(start), start, message) for start, message in zip(starts, (BYE, INFO, OK), strict=True)
    ]


def test_an_unfinished_message_is_not_returned() -> None:
    assert list(split_sip([(1.0, 1, BYE[:-1])])) == []
    assert list(split_sip([(1.0, 1, INFO[:-1])])) == []


@pytest.mark.parametrize("digits", [b"9" * 10, b"9" * 5000])
def test_a_length_beyond_all_octets_is_that_of_an_unfinished_message(digits: bytes) -> None:
    assert list(split_sip([(1.0, 1, BYE.replace(b" 0\r", b" " + digits + b"\r") + OK)])) == []
    splitter = ImapSplitter()
    assert splitter.feed(1.0, SERVER, b"* 1 FETCH (BODY[] {" + digits + b"}\r\n* 2 EXISTS\r\n") == []


def test_a_length_may_begin_with_zeros() -> None:
    message = BYE.replace(b" 0\r", b" " + b"0" * 5000 + b"2\r") + b"ab"
    assert list(split_sip([(1.0, 1, message + OK)])) == [(1.0, 1, message), (1.0, 1, OK)]


Talk = list[tuple[bool, bytes]]
CLIENT, SERVER = True, False

FETCH = b"* OK tag\r\na9 OK no end\r\n* BYE {5}\r\n"
LINES = [
    (SERVER, b"* OK [CAPABILITY IMAP4rev1] ready {12}\r\n"),
    (CLIENT, b'a1 LOGIN "jo\\"e" "se cret"\r\n'),
    (SERVER, b"a1 OK in\r\n"),
    (CLIENT, b"a2 URLFETCH {7}\r\n"),
    (SERVER, b"+ go on\r\n"),
    (CLIENT, b"imap://\r\n"),
    (SERVER, b'* URLFETCH "imap://" (BODYPARTSTRUCTURE NIL) (BINARY ~{%d}\r\n' % len(FETCH) + FETCH + b")\r\n"),
    (SERVER, b"a2 OK done\r\n"),
    (CLIENT, b"a3 APPEND INBOX {3+}\r\nabc {2+}\r\nde\r\n"),
    (SERVER, b"a3 OK [APPENDUID 1 2] {3}\r\n"),
]
TEXTS = [
    "* OK [CAPABILITY IMAP4rev1] ready {12}",
    'a1 LOGIN "jo\\"e" ***',
    "a1 OK in",
    "+ go on",
    "a2 URLFETCH {7}",
    f'* URLFETCH "imap://" (BODYPARTSTRUCTURE NIL) (BINARY ~{{{len(FETCH)}}})',
    "a2 OK done",
    "a3 APPEND INBOX {3+} {2+}",
    "a3 OK [APPENDUID 1 2] {3}",
]


def split(talk: Talk) -> list[CapturedLine]:
    splitter = ImapSplitter()
    return [line for t, (from_client, data) in enumerate(talk) for line in splitter.feed(t, from_client, data)]


def texts(talk: Talk) -> list[str]:
    return [line.text for line in split(talk)]


def test_a_conversation_is_split_into_its_lines() -> None:
    lines = split(LINES)
    assert [line.text for line in lines] == TEXTS
    assert [line.t for line in lines] == [0, 1, 2, 4, 3, 6, 7, 8, 9], "the time of the first octet"
    literal = lines[5].literals[0]
    assert (literal.size, literal.sha256) == (len(FETCH), hashlib.sha256(FETCH).hexdigest())
    assert literal.text == FETCH.decode()
    assert [one.text for one in lines[7].literals] == ["abc", "de"]
    assert [one.text for one in lines[4].literals] == ["imap://"]


def test_cut_at_every_octet_the_lines_are_the_same() -> None:
    octet_by_octet = [(way, data[place : place + 1]) for way, data in LINES for place in range(len(data))]
    whole = [(line.text, line.literals, line.from_client) for line in split(LINES)]
    assert [(line.text, line.literals, line.from_client) for line in split(octet_by_octet)] == whole
    for at, (way, data) in enumerate(LINES):
        for place in range(1, len(data)):
            cut = [*LINES[:at], (way, data[:place]), (way, data[place:]), *LINES[at + 1 :]]
            assert [(line.text, line.literals, line.from_client) for line in split(cut)] == whole, (at, place)


def test_a_literal_that_is_refused_ends_its_command() -> None:
    talk = [
        (CLIENT, b"a1 APPEND INBOX {300}\r\n"),
        (SERVER, b"a1 NO too big\r\n"),
        (CLIENT, b"a2 NOOP\r\n"),
    ]
    assert texts(talk) == ["a1 APPEND INBOX {300}", "a1 NO too big", "a2 NOOP"]


def test_another_commands_answer_does_not_end_a_literal() -> None:
    talk = [
        (CLIENT, b"a1 NOOP\r\na2 APPEND INBOX {4}\r\n"),
        (SERVER, b"a1 OK\r\n+\r\n"),
        (CLIENT, b"a2 X\r\n"),
    ]
    assert texts(talk) == ["a1 NOOP", "a1 OK", "+", "a2 APPEND INBOX {4}"]


def test_a_client_that_does_not_wait_has_its_literal_read() -> None:
    assert texts([(CLIENT, b"a1 APPEND INBOX {4}\r\n"), (CLIENT, b"a2 X\r\n")]) == ["a1 APPEND INBOX {4}"]


@pytest.mark.parametrize("end", [b")\r\n", b"\r\n", b""])
def test_a_response_may_end_in_several_ways_after_an_empty_literal(end: bytes) -> None:
    talk = [(SERVER, b"* URLFETCH u (BINARY ~{0}\r\n" + end + b"a1 OK done\r\n* OK more\r\n")]
    assert texts(talk) == ["* URLFETCH u (BINARY ~{0}" + end.decode().strip(), "a1 OK done", "* OK more"]


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (b"a1 LOGIN joe secret", "a1 LOGIN joe ***"),
        (b"a1 login joe {6+}\r\nsecret", "a1 login joe ***"),
        (b"a1 LOGIN {3+}\r\njoe {6+}\r\nsecret", "a1 LOGIN {3+} ***"),
        (b"a1 AUTHENTICATE PLAIN c2VjcmV0", "a1 AUTHENTICATE PLAIN ***"),
        (b"a1 AUTHENTICATE ANONYMOUS", "a1 AUTHENTICATE ANONYMOUS"),
    ],
)
def test_no_password_is_left(sent: bytes, shown: str) -> None:
    (line,) = split([(CLIENT, sent + b"\r\n")])
    assert (line.text, line.literals) == (shown, ())


def test_no_sasl_data_is_left_of_either_side() -> None:
    talk = [
        (CLIENT, b"a1 AUTHENTICATE PLAIN\r\n"),
        (SERVER, b"+ Y2hhbGxlbmdl\r\n"),
        (CLIENT, b"c2VjcmV0\r\n"),
        (SERVER, b"+ \r\n"),
        (CLIENT, b"bW9yZQ==\r\n"),
        (SERVER, b"a1 OK in\r\n"),
        (CLIENT, b"a2 NOOP\r\n"),
    ]
    assert texts(talk) == ["a1 AUTHENTICATE PLAIN", "+ ***", "***", "+ ", "***", "a1 OK in", "a2 NOOP"]


def test_octets_after_starttls_are_not_read() -> None:
    talk = [
        (CLIENT, b"a0 STARTTLS\r\n"),
        (SERVER, b"a0 NO\r\n"),
        (CLIENT, b"a1 STARTTLS\r\n"),
        (SERVER, b"a1 OK now\r\n"),
        (CLIENT, b"\x16\x03\x01\n\n"),
    ]
    splitter = ImapSplitter()
    told = [line.text for t, (way, data) in enumerate(talk) for line in splitter.feed(t, way, data)]
    assert told == ["a0 STARTTLS", "a0 NO", "a1 STARTTLS", "a1 OK now"]
    assert splitter.encrypted


def test_an_unfinished_line_is_not_returned() -> None:
    assert texts([(SERVER, b"* 1 EXISTS\r\n* URLFETCH u {50}\r\nonly this")]) == ["* 1 EXISTS"]


def test_long_and_binary_literals_have_no_text() -> None:
    for octets in (b"x" * 513, b"a\0b", b"\xff\xfe"):
        (line,) = split([(SERVER, b"* 1 FETCH (BODY[1] {%d}\r\n" % len(octets) + octets + b")\r\n")])
        assert line.literals[0].text is None
        assert line.literals[0].sha256 == hashlib.sha256(octets).hexdigest()
