from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_imap.mail.headers import Header, addresses, envelope_of
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
def test_content_type(value: bytes, expected: object) -> None:
    assert Header.parse(b"Content-Type: " + value + b"\r\n").content_type() == expected


def test_fields_are_unfolded_and_found_without_case() -> None:
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
def test_a_source_route_has_its_place(value: str) -> None:
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
def test_a_local_part_is_told_without_quoting(value: str, local: str, domain: str) -> None:
    # RFC 3501, 9: addr-mailbox holds the local-part after removing quoting
    assert addresses(value) == (MailAddress(None, None, local, domain),)


def test_what_is_no_route_is_left_in_the_address() -> None:
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
def test_values_in_pieces_are_put_together(written: str, params: object) -> None:
    assert Header.parse(f"Content-Type: a/b; {written}\r\n".encode()).content_type() == ("A", "B", params)


def test_absent_sender_and_reply_to_are_the_from() -> None:
    envelope = envelope_of(Header.parse(b"From: a@b\r\nReply-To:\r\n"))
    assert envelope.sender == envelope.reply_to == envelope.from_ == (MailAddress(None, None, "a", "b"),)
    assert envelope.subject is None


@settings(max_examples=100)
@given(st.binary(max_size=200), st.text(max_size=100))
def test_nothing_is_refused(octets: bytes, text: str) -> None:
    header = Header.parse(b"Content-Type: " + octets)
    header.content_type()
    header.disposition()
    envelope_of(header)
    addresses(text)
