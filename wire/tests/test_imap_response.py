from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.framing import FramerRole, LineFramer, LineReceived, LogicalLine, keep_up_to
from lemonade_wire.imap.lexer import Atom, ListValue
from lemonade_wire.imap.response import (
    CapabilityResponse,
    Continuation,
    Exists,
    FetchedUrl,
    FetchResponse,
    GenUrlAuthResponse,
    Listed,
    Metadata,
    Other,
    Response,
    SearchResponse,
    StatusResponse,
    UrlFetchResponse,
    parse_response,
)

URL = b"imap://joe@example.com/INBOX/;uid=20/;section=1.2;urlauth=anonymous:internal:91354a473744909de610943775f92038"
TEXT = URL.decode()


def read(octets: bytes, max_literal: int = 10**6) -> list[Response]:
    framer = LineFramer(FramerRole.CLIENT, keep_up_to(max_literal))
    framer.receive_data(octets)
    found = []
    while (event := framer.next_event()) is not None:
        assert isinstance(event, LineReceived)
        found.append(parse_response(event.line))
    return found


@pytest.mark.parametrize(
    ("octets", "response"),
    [
        (b"* OK [ALERT] System shutdown", StatusResponse(None, "OK", "ALERT", "System shutdown")),
        (b"* BYE Autologout; idle for too long", StatusResponse(None, "BYE", None, "Autologout; idle for too long")),
        (b"* PREAUTH IMAP4rev1 server", StatusResponse(None, "PREAUTH", None, "IMAP4rev1 server")),
        (b"A222 no COPY failed", StatusResponse("A222", "NO", None, "COPY failed")),
        (b"a1 OK", StatusResponse("a1", "OK", None, "")),
        (b"a1 BAD [CLIENTBUG]", StatusResponse("a1", "BAD", "CLIENTBUG", "")),
        (b"* OK [UIDVALIDITY 3857529045] valid", StatusResponse(None, "OK", "UIDVALIDITY 3857529045", "valid")),
        (b"+ idling", Continuation("idling")),
        (b"+", Continuation("")),
        (b"* CAPABILITY IMAP4rev1 urlauth=BINARY", CapabilityResponse(frozenset({"IMAP4REV1", "URLAUTH=BINARY"}))),
        (b"* 23 EXISTS", Exists(23)),
        (b"* SEARCH 2 3 6", SearchResponse((2, 3, 6))),
        (b"* SEARCH", SearchResponse(())),
        (b"* SEARCH 2 (MODSEQ 917162500)", SearchResponse((2,))),
        (b"* 44 EXPUNGE", Other("EXPUNGE", 44, ())),
        (b"* FLAGS (\\Seen $x)", Other("FLAGS", None, (ListValue((Atom("\\Seen"), Atom("$x"))),))),
        (b'* LIST (\\Noselect) "/" ~/Mail/foo', Listed("~/Mail/foo", "/", ("\\Noselect",))),
        (b'* LIST () NIL "Entw&APw-rfe"', Listed("Entwürfe", None, ())),
        (b'* METADATA "" (/shared/comment "My comment")', Metadata("", {"/shared/comment": b"My comment"})),
        (b'* METADATA "" (/Shared/MediaServers NIL)', Metadata("", {"/shared/mediaservers": None})),
        (
            b"* METADATA INBOX /shared/comment /private/comment",
            Metadata("INBOX", {}, ("/shared/comment", "/private/comment")),
        ),
        (b'* METADATA ""', Metadata("")),
    ],
)
def test_responses_of_each_type_are_read(octets: bytes, response: Response) -> None:
    assert read(octets + b"\r\n") == [response]


def test_response_codes_are_split_into_name_and_arguments() -> None:
    [status] = read(b"* OK [URLMECH INTERNAL XSAMPLE=P34OKhO7VEkCbsiYY8rGEg==] done\r\n")
    assert isinstance(status, StatusResponse)
    assert (status.code_name, status.code_arguments) == ("URLMECH", "INTERNAL XSAMPLE=P34OKhO7VEkCbsiYY8rGEg==")
    [plain] = read(b"a OK done\r\n")
    assert isinstance(plain, StatusResponse)
    assert (plain.code_name, plain.code_arguments) == ("", "")


def test_metadata_values_in_every_form() -> None:
    octets = b'* METADATA "" (/a {2}\r\n<> /b ~{1}\r\n\0 /c "")\r\n'
    assert read(octets) == [Metadata("", {"/a": b"<>", "/b": b"\0", "/c": b""})]


def test_fetch_with_uid_and_bodystructure_is_read() -> None:
    octets = (
        b'* 26 FETCH (UID 24356 BODYSTRUCTURE (("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 1152 23)'
        b'("AUDIO" "BASIC" NIL NIL NIL "BASE64" 87256) "MIXED"))\r\n'
    )
    [fetch] = read(octets)
    assert isinstance(fetch, FetchResponse)
    assert (fetch.number, fetch.uid) == (26, 24356)
    assert fetch.structure is not None
    assert [part.content_type for _, part in fetch.structure.walk()] == ["text/plain", "audio/basic"]


def test_genurlauth_of_rfc_4467_and_an_unquoted_one() -> None:
    assert read(b'* GENURLAUTH "' + URL + b'"\r\n* GENURLAUTH ' + URL + b" " + URL + b"\r\n") == [
        GenUrlAuthResponse((TEXT,)),
        GenUrlAuthResponse((TEXT, TEXT)),
    ]


IMAGE = b'("IMAGE" "PNG" () NIL NIL "BINARY" 123)'


@pytest.mark.parametrize(
    "url", [URL, b'"' + URL + b'"', b"{%d}\r\n" % len(URL) + URL], ids=["atom", "quoted", "literal"]
)
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b" NIL", FetchedUrl(TEXT, refused=True, body_came=True)),
        (b' ""', FetchedUrl(TEXT, body=b"", body_came=True)),
        (
            b" {28}\r\nSi vis pacem, para bellum.\r\n",
            FetchedUrl(TEXT, body=b"Si vis pacem, para bellum.\r\n", body_came=True),
        ),
        (b" (BINARY {2}\r\nab)", FetchedUrl(TEXT, binary=b"ab", binary_came=True)),
        (b" (BINARY NIL)", FetchedUrl(TEXT, binary_came=True)),
        (b'  (BODY "x")', FetchedUrl(TEXT, body=b"x", body_came=True)),
        (b" (BINARY ~{3}\r\n\0)\n)", FetchedUrl(TEXT, binary=b"\0)\n", binary_came=True)),
        (b" (BINARY {0}\r\n)", FetchedUrl(TEXT, binary=b"", binary_came=True)),
        (b" (BINARY {0}\r\n", FetchedUrl(TEXT, binary=b"", binary_came=True)),
    ],
)
def test_urlfetch_shapes(url: bytes, data: bytes, expected: FetchedUrl) -> None:
    assert read(b"* URLFETCH " + url + data + b"\r\n") == [UrlFetchResponse((expected,))]


@pytest.mark.parametrize(
    "data",
    [
        b"(BODYPARTSTRUCTURE " + IMAGE + b") (BINARY ~{3}\r\n\0\1\2)",
        b"(BINARY ~{3}\r\n\0\1\2) (BODYPARTSTRUCTURE " + IMAGE + b")",
        b"(BODYPARTSTRUCTURE " + IMAGE + b" BINARY ~{3}\r\n\0\1\2)",
        b"(BODYPARTSTRUCTURE " + IMAGE + b")(BINARY ~{3}\r\n\0\1\2",
    ],
    ids=["RFC 5524", "other order", "merged", "unclosed"],
)
def test_urlfetch_with_structure_and_content(data: bytes) -> None:
    [urlfetch] = read(b"* URLFETCH " + URL + b" " + data + b"\r\n")
    assert isinstance(urlfetch, UrlFetchResponse)
    [fetched] = urlfetch.fetched
    assert fetched.binary == b"\0\1\2"
    assert fetched.structure is not None
    assert (fetched.structure.content_type, fetched.structure.size) == ("image/png", 123)
    assert not fetched.body_came


@pytest.mark.parametrize(
    "structure",
    [
        b'("audio" "basic" ("rate" "8000") NIL NIL "base64" 5)',
        b'("AUDIO" "BASIC" ("RATE" "8000") NIL NIL "BINARY" 0 NIL ("INLINE" ("FILENAME" "a.au")) NIL NIL)',
        b'("AUDIO" "BASIC" ("Rate" {4}\r\n8000) NIL "a sound" "binary" 5 "md5" ("attachment" NIL) ("en" "de") "loc" 1)',
    ],
    ids=["Dovecot 2.3", "Cyrus", "all extension fields"],
)
def test_urlfetch_with_structures_of_other_servers(structure: bytes) -> None:
    [urlfetch] = read(b"* URLFETCH u (BODYPARTSTRUCTURE " + structure + b" BINARY ~{5}\r\n\0\1\2\3\4)\r\n")
    assert isinstance(urlfetch, UrlFetchResponse)
    [fetched] = urlfetch.fetched
    assert fetched.binary == b"\0\1\2\3\4"
    assert fetched.structure is not None
    assert fetched.structure.content_type == "audio/basic"
    assert [(name.lower(), value) for name, value in fetched.structure.params] == [("rate", "8000")]


@pytest.mark.parametrize(
    "structure",
    [
        b"NIL",
        b"()",
        b'""',
        b'("AUDIO")',
        b'("AUDIO" "BASIC" NIL NIL NIL "BINARY" NIL)',
        b'("AUDIO" "BASIC" NIL NIL NIL "BINARY" -1)',
        b'(NIL "BASIC" (("a")) NIL NIL "BINARY" 5)',
        b"(" * 50 + b")" * 50,
    ],
)
def test_a_malformed_bodypartstructure_leaves_the_content_usable(structure: bytes) -> None:
    octets = b"* URLFETCH u (BODYPARTSTRUCTURE " + structure + b") (BINARY {2}\r\nab)\r\na1 OK done\r\n"
    assert read(octets) == [
        UrlFetchResponse((FetchedUrl("u", binary=b"ab", binary_came=True),)),
        StatusResponse("a1", "OK", None, "done"),
    ]


def test_urlfetch_of_a_url_that_is_echoed_as_a_literal() -> None:
    [urlfetch] = read(b"* URLFETCH {%d}\r\n%s NIL\r\n" % (len(URL), URL))
    assert urlfetch == UrlFetchResponse((FetchedUrl(TEXT, refused=True, body_came=True),))


def test_urlfetch_that_could_not_decode() -> None:
    octets = b'* URLFETCH "u" (BINARY NIL) (BODYPARTSTRUCTURE ("IMAGE" "PNG" () NIL NIL "X-BLURDYBLOOP" 123))\r\n'
    [urlfetch] = read(octets)
    assert isinstance(urlfetch, UrlFetchResponse)
    [fetched] = urlfetch.fetched
    assert (fetched.refused, fetched.binary, fetched.binary_came) == (False, None, True)
    assert fetched.structure is not None
    assert fetched.structure.encoding == "X-BLURDYBLOOP"


def test_several_urls_of_one_response() -> None:
    [urlfetch] = read(b'* URLFETCH "a" NIL b (BINARY "x") (BODYPARTSTRUCTURE ' + IMAGE + b') "c" {1}\r\ny d NIL\r\n')
    assert isinstance(urlfetch, UrlFetchResponse)
    assert [(one.url, one.refused, one.binary, one.body) for one in urlfetch.fetched] == [
        ("a", True, None, None),
        ("b", False, b"x", None),
        ("c", False, None, b"y"),
        ("d", True, None, None),
    ]


def test_a_literal_above_the_limit_differs_from_nil() -> None:
    octets = b"* URLFETCH a (BINARY {9}\r\n123456789) b {9}\r\n123456789\r\n"
    [urlfetch] = read(octets, max_literal=8)
    assert isinstance(urlfetch, UrlFetchResponse)
    assert [(one.too_large, one.refused, one.binary, one.body) for one in urlfetch.fetched] == [
        (True, False, None, None),
        (True, False, None, None),
    ]


def test_dovecots_empty_part_does_not_hide_the_next_response() -> None:
    found = read(b"* URLFETCH " + URL + b" (BINARY {0}\r\na3 OK Completed\r\n")
    assert found == [
        UrlFetchResponse((FetchedUrl(TEXT, binary=b"", binary_came=True),)),
        StatusResponse("a3", "OK", None, "Completed"),
    ]


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"hello",
        b"*",
        b"* ",
        b"*OK",
        b"* 5 FETCH x",
        b"* 5 EXISTS x",
        b"* SEARCH x",
        b"* URLFETCH u",
        b"* LIST x",
        b"* METADATA",
    ],
)
def test_malformed_responses_are_refused(octets: bytes) -> None:
    with pytest.raises(ImapParseError):
        parse_response(LogicalLine.of(octets))


WORDS = st.sampled_from(
    [
        b"* ",
        b"5 ",
        b"FETCH ",
        b"URLFETCH ",
        b"METADATA ",
        b"LIST ",
        b"CAPABILITY ",
        b"(",
        b")",
        b'"x" ',
        b"NIL ",
        b"BODY ",
        b"u ",
    ]
)


@settings(max_examples=100, deadline=None)
@given(st.lists(WORDS | st.binary(max_size=4), max_size=14).map(b"".join))
def test_anything_raises_only_the_documented_error(octets: bytes) -> None:
    for line in (octets, b"* " + octets, b"* METADATA " + octets, b"* 7 FETCH (" + octets):
        try:
            parse_response(LogicalLine.of(line))
        except ImapParseError:
            continue
