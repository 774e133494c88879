from __future__ import annotations

import pytest

from lemonade_imap.mail.charsets import codec_of, decoder_of


@pytest.mark.parametrize(
    "name",
    ["US-ASCII", "utf-8", "UTF8", "ISO-8859-1", "iso-8859-15", "ISO_8859-5:1988", "Windows-1252", "KOI8-R", "Shift_JIS"]
    + [f"ISO-8859-{number}" for number in (*range(1, 12), 13, 14, 15, 16)]
    + ["EUC-KR", "GB18030", "Big5", "ISO-2022-JP", "UTF-16", "UTF-7", "IBM437", "TIS-620"],
)
def test_charsets_that_are_known(name: str) -> None:
    codec = codec_of(name)
    assert codec is not None
    assert isinstance(b"".decode(codec), str)


@pytest.mark.parametrize(
    "name", ["", "x", "rot13", "base64", "hex", "zip", "idna", "unicode_escape", "os", "..", "utf-8\0"]
)
def test_what_is_no_charset(name: str) -> None:
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
