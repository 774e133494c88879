from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_imap.mail.charsets import _CODECS, codec_of, decoder_of, readable


@pytest.mark.parametrize(
    "name",
    ["US-ASCII", "utf-8", "UTF8", "ISO-8859-1", "iso-8859-15", "ISO_8859-5:1988", "Windows-1252", "KOI8-R", "Shift_JIS"]
    + [f"ISO-8859-{number}" for number in (*range(1, 12), 13, 14, 15, 16)]
    + ["EUC-KR", "GB18030", "Big5", "ISO-2022-JP", "UTF-16", "UTF-7", "IBM437", "TIS-620"],
)
def test_known_charsets(name: str) -> None:
    codec = codec_of(name)
    assert codec is not None
    assert isinstance(b"".decode(codec), str)


@pytest.mark.parametrize(
    "name", ["", "x", "rot13", "base64", "hex", "zip", "idna", "unicode_escape", "os", "..", "utf-8\0"]
)
def test_names_of_other_codecs_are_not_charsets(name: str) -> None:
    assert codec_of(name) is None


@pytest.mark.parametrize(
    ("charset", "octets", "text"),
    [
        ("iso-8859-1", b"\xfc", "ü"),
        ("us-ascii", b"\xc3\xbc", "ü"),
        (None, b"a\xff", "a\ufffd"),
        ("no-such", b"a", "a"),
        ("utf-16", b"\xff\xfea\0", "a"),
    ],
)
def test_decoding_never_fails(charset: str | None, octets: bytes, text: str) -> None:
    decoder = decoder_of(charset)
    assert "".join(decoder.decode(octets[at : at + 1]) for at in range(len(octets))) + decoder.decode(b"", True) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        # RFC 2047, 8
        ("=?ISO-8859-1?Q?a?=", "a"),
        ("=?ISO-8859-1?Q?a?= b", "a b"),
        ("=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
        ("=?ISO-8859-1?Q?a?=   \t  =?ISO-8859-1?Q?b?=", "ab"),
        ("=?ISO-8859-1?Q?a_b?=", "a b"),
        ("=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"),
        ("=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>"),
        ("=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=", "If you can read this yo"),
        ("=?iso-8859-1?q?Andr=E9?= Pirard", "André Pirard"),
        ("Re: =?utf-8*de?q?Gr=C3=BC=C3=9Fe?= dir", "Re: Grüße dir"),
        # a character that is divided between two words, and base64 without padding
        ("=?utf-8?q?=C3?= =?utf-8?q?=BC?=", "ü"),
        ("=?utf-8?B?w7w?=", "ü"),
        ("=?gb2312?B?1tDOxA==?=", "中文"),
        ("=?koi8-r?B?8NLJ18XU?=", "Привет"),
        # a word that cannot be decoded stays, or is replaced by its readable part
        ("=?utf-8?q?open", "=?utf-8?q?open"),
        ("=?x-unknown?q?a=C3=BC?=", "aü"),
        ("=?utf-8?q?=FF?=", "\ufffd"),
        ("=?rot13?q?a?=", "a"),
        ("Gr\udcfc\udcdfe", "Grüße"),
    ],
)
def test_encoded_words_are_decoded(value: str, text: str) -> None:
    assert readable(value) == text


# RFC 2781, 4.3: without a byte order mark the text is big-endian
@pytest.mark.parametrize(
    ("charset", "octets", "text"),
    [
        ("utf-16", b"\xff\xfea\x00", "a"),
        ("utf-16", b"\xfe\xff\x00a", "a"),
        ("utf-16", b"\x00a\x00b", "ab"),
        ("utf-16", b"\x00", "\ufffd"),
        ("utf-16", b"", ""),
        ("utf-32", b"\xff\xfe\x00\x00a\x00\x00\x00", "a"),
        ("utf-32", b"\x00\x00\x00a", "a"),
    ],
)
def test_a_byte_order_mark_may_be_absent(charset: str, octets: bytes, text: str) -> None:
    decoder = decoder_of(charset)
    assert "".join(decoder.decode(octets[at : at + 1]) for at in range(len(octets))) + decoder.decode(b"", True) == text
    assert decoder_of(charset).decode(octets, final=True) == text


@pytest.mark.parametrize("charset", ["iso-2022-jp", "iso-2022-jp-2", "iso-2022-kr"])
def test_a_piece_that_a_codec_of_python_fails_at_is_decoded_by_itself(charset: str) -> None:
    # "pending buffer overflow": more than 8 octets of what looks like one escape sequence
    decoder = decoder_of(charset)
    texts = [decoder.decode(piece) for piece in (b"A\x1b&\x1b&", b"(&\x1b}},(", b"B")]
    assert texts[0].startswith("A")
    assert texts[1].endswith("}},(")
    assert texts[2] + decoder.decode(b"", True) == "B"


@given(st.sampled_from(sorted(_CODECS)), st.lists(st.binary(max_size=9)))
def test_no_charset_fails_on_any_octets(charset: str, pieces: list[bytes]) -> None:
    decoder = decoder_of(charset)
    assert isinstance("".join(map(decoder.decode, pieces)) + decoder.decode(b"", True), str)


@given(st.text(alphabet="=?qQbB_ \tautf-8*;\udcfcé", max_size=60))
def test_any_text_is_decoded_without_an_error(value: str) -> None:
    assert isinstance(readable(value), str)
