from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_imap.mail import headers
from lemonade_imap.mail.headers import MOST_ADDRESSES, MOST_PARAMETERS, Header, addresses, envelope_of, pieces_of
from lemonade_wire.imap.bodystructure import Disposition, MailAddress

US_ASCII = (("CHARSET", "us-ascii"),)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"audio/basic", ("AUDIO", "BASIC", ())),
        (b'Audio/Wav; Rate=8000; channels="1"', ("AUDIO", "WAV", (("RATE", "8000"), ("CHANNELS", "1")))),
        (b"text/plain", ("TEXT", "PLAIN", US_ASCII)),
        (b"text/plain (sent by me); charset=utf-8 (the usual)", ("TEXT", "PLAIN", (("CHARSET", "utf-8"),))),
        (b'a/b; name="x; y=\\"z\\" (no comment)"', ("A", "B", (("NAME", 'x; y="z" (no comment)'),))),
        (b"nonsense", ("TEXT", "PLAIN", US_ASCII)),
        (b"", ("TEXT", "PLAIN", US_ASCII)),
    ],
)
def test_content_type_is_parsed_or_replaced(value: bytes, expected: object) -> None:
    assert Header.parse(b"Content-Type: " + value + b"\r\n").content_type() == expected


def test_fields_are_unfolded_and_found_in_any_letter_case() -> None:
    header = Header.parse(b"Subject: one\r\n\ttwo\r\nno field\r\nX-Y : z\nsubject: again\r\n\r\n")
    assert header.fields == (("Subject", "one\ttwo"), ("X-Y", "z"), ("subject", "again"))
    assert header.text("SUBJECT") == "one\ttwo"
    assert header.present("To") is None


def test_digest_parts_are_messages() -> None:
    assert Header.parse(b"").content_type(digest=True) == ("MESSAGE", "RFC822", ())


def test_encoding_and_disposition() -> None:
    header = Header.parse(b'Content-Transfer-Encoding: Base64 (x)\r\nContent-Disposition: inline; filename="a b"\r\n')
    assert header.encoding() == "BASE64"
    assert header.disposition() == Disposition("INLINE", (("FILENAME", "a b"),))
    assert Header.parse(b"").encoding() == "7BIT"
    assert Header.parse(b"").disposition() is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("joe@example.com", [(None, "joe", "example.com")]),
        ('"Doe, Joe" <joe@example.com>, ann@x', [("Doe, Joe", "joe", "example.com"), (None, "ann", "x")]),
        ("joe@example.com (Joe Doe)", [("Joe Doe", "joe", "example.com")]),
        ("(a remark) joe@example.com", [(None, "joe", "example.com")]),
        ("joe@[IPv6:::1]", [(None, "joe", "[IPv6:::1]")]),
        ("friends: a@x, b@y;", [(None, "friends", None), (None, "a", "x"), (None, "b", "y"), (None, None, None)]),
        ("nobody", [(None, "nobody", "")]),
        ("", []),
    ],
)
def test_addresses(value: str, expected: list[tuple[str | None, str | None, str | None]]) -> None:
    assert addresses(value) == tuple(MailAddress(name, None, local, domain) for name, local, domain in expected)


@pytest.mark.parametrize("value", ["J <@a,@b:joe@c>", "J < @a,@b : joe@c >", "J <@a,@b(x):joe@c>"])
def test_a_source_route_is_an_element_of_its_own(value: str) -> None:
    assert addresses(value) == (MailAddress("J", "@a,@b", "joe", "c"),)


@pytest.mark.parametrize(
    ("value", "local", "domain"),
    [
        ('"john doe"@example.com', "john doe", "example.com"),
        ('<"john doe"@example.com>', "john doe", "example.com"),
        ('"a@b"@c', "a@b", "c"),
        (r'"a\"b\\"@c', 'a"b\\', "c"),
        ('"a" . b @ c . d', "a.b", "c.d"),
        ('"open@c', '"open', "c"),
    ],
)
def test_a_local_part_is_returned_without_quoting(value: str, local: str, domain: str) -> None:
    # RFC 3501, 9: addr-mailbox holds the local-part after removing quoting
    assert addresses(value) == (MailAddress(None, None, local, domain),)


def test_text_that_is_not_a_route_stays_in_the_address() -> None:
    assert addresses("<@joe>") == (MailAddress(None, None, "", "joe"),)


@pytest.mark.parametrize(
    ("written", "params"),
    [
        # RFC 2231, 3
        (
            'URL*0="ftp://"; URL*1="cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar"',
            (("URL", "ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar"),),
        ),
        # RFC 2231, 4.1
        (
            "title*0*=us-ascii'en'This%20is%20even%20more%20; title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2=\"isn't it!\"",
            (("TITLE*", "us-ascii'en'This%20is%20even%20more%20%2A%2A%2Afun%2A%2A%2A%20isn%27t%20it!"),),
        ),
        ("x=1; a*1=two; y=2; a*0=one; z=3", (("X", "1"), ("A", "onetwo"), ("Y", "2"), ("Z", "3"))),
        ("title*=us-ascii'en'one", (("TITLE*", "us-ascii'en'one"),)),
        ("a*0=one; a*2=three", (("A*0", "one"), ("A*2", "three"))),
        ("a*1=two", (("A*1", "two"),)),
        ("a*0=one; a*1*=%20two", (("A*0", "one"), ("A*1*", "%20two"))),
        ("a*0=one; a*0=again; a*1=two", (("A", "onetwo"),)),
        ("a*00=x; a*-1=y; a*x=z", (("A*00", "x"), ("A*-1", "y"), ("A*X", "z"))),
    ],
)
def test_parameter_values_in_pieces_are_joined(written: str, params: object) -> None:
    assert Header.parse(f"Content-Type: a/b; {written}\r\n".encode()).content_type() == ("A", "B", params)


def test_from_replaces_missing_sender_and_reply_to() -> None:
    envelope = envelope_of(Header.parse(b"From: a@b\r\nReply-To:\r\n"))
    assert envelope.sender == envelope.reply_to == envelope.from_ == (MailAddress(None, None, "a", "b"),)
    assert envelope.subject is None


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ('"a" b', ['"a"', " b"]),
        ('"a\\"b" "', ['"a\\"b"', " ", '"']),
        ("(a (b) c) (d", ["(a (b) c)", " ", "(", "d"]),
        ('(it is 5" wide) "(" x', ['(it is 5" wide)', " ", '"("', " x"]),
        ("<a> <b <c> [d] [e", ["<a>", " ", "<", "b ", "<c>", " ", "[d]", " ", "[", "e"]),
        (r"\(a\) \"b\" (\))", [r"\(", "a", r"\)", " ", r"\"", "b", r"\"", " ", r"(\))"]),
        (") > ] \\", [")", " ", ">", " ", "]", " ", "\\"]),
    ],
)
def test_a_text_is_cut_into_pieces(text: str, pieces: list[str]) -> None:
    assert pieces_of(text) == pieces


class CountedPieces:
    """The expression of `pieces_of`, with the number of characters that it read."""

    def __init__(self) -> None:
        self.read = 0
        self._pieces = headers._PIECES

    def findall(self, text: str) -> list[str]:
        self.read += len(text)
        return list(self._pieces.findall(text))


@pytest.mark.parametrize(
    "unit", ['\\"', "\\(", '"', "(", "(()", "<", "[", "() ", '" ', "<(", '(\\"', "\\", ";", "x,", ":;"]
)
def test_each_character_of_an_address_list_is_read_a_few_times(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = CountedPieces()
    monkeypatch.setattr(headers, "_PIECES", counted)
    text = unit * 20000
    assert "".join(pieces_of(text)) == text
    addresses(text)
    assert counted.read <= 6 * len(text)
    counted.read = 0
    Header.parse(b"Content-Type: text/plain; a=" + text.encode()).content_type()
    assert counted.read <= len(text) + 20


def test_the_number_of_addresses_parameters_and_languages_is_limited() -> None:
    assert len(addresses("a," * 2000)) == MOST_ADDRESSES
    assert len(addresses("a," * 900)) == 900
    written = "".join(f"; p{number}*1=x" for number in range(2000))
    header = Header.parse(f"Content-Type: a/b{written}\r\nContent-Language: {'a ' * 2000}\r\n".encode())
    assert header.content_type()[2] == tuple((f"P{number}*1", "x") for number in range(MOST_PARAMETERS))
    assert len(header.languages()) == MOST_PARAMETERS


def test_only_the_first_of_the_fields_that_are_asked_for_is_kept() -> None:
    octets = b"x: 1\r\n" * 1000 + b"Subject: a\r\nsubject: b\r\nTo: c\r\n"
    assert Header.parse(octets, {"subject", "from"}).fields == (("Subject", "a"),)
    assert len(Header.parse(octets).values["x"]) == 1000


@settings(max_examples=100)
@given(st.binary(max_size=200), st.text(max_size=100))
def test_any_octets_are_parsed_without_an_error(octets: bytes, text: str) -> None:
    header = Header.parse(b"Content-Type: " + octets)
    header.content_type()
    header.disposition()
    envelope_of(header)
    addresses(text)
