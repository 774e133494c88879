from __future__ import annotations

import base64
import quopri
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_imap.mail.decode import Base64Decoder, Undecodable, cut, decoded, with_crlf

GOOD = {
    "base64": ("BASE64", b"SGVsbG8=", b"Hello"),
    "base64 with odd lines and blanks": ("BASE64", b"S\r\nG V\tsb\nG8=\r\n\r\n", b"Hello"),
    "base64 of nothing": ("BASE64", b"\r\n", b""),
    "base64 with foreign octets": ("BASE64", b"SG*V-\x00s\xffbG8=", b"Hello"),
    "base64 without padding": ("BASE64", b"SGVsbG8", b"Hello"),
    "base64 with half of its padding": ("BASE64", b"SGVsbA=\r\n", b"Hell"),
    "base64 with a footer": ("BASE64", b"SGVsbG8=\r\n-- \r\nfooter text\r\n", b"Hello"),
    "base64 with more base64 behind its padding": ("BASE64", b"SGVsbG8=SGVs", b"Hello"),
    "quoted-printable escape": ("QUOTED-PRINTABLE", b"caf=C3=a9\r\n", b"caf\xc3\xa9\r\n"),
    "quoted-printable soft break": ("QUOTED-PRINTABLE", b"one =\r\nline", b"one line"),
    "quoted-printable soft break with blanks": ("QUOTED-PRINTABLE", b"one = \t\r\nline", b"one line"),
    "quoted-printable blanks at line end": ("QUOTED-PRINTABLE", b"a \t\r\nb", b"a\r\nb"),
    "quoted-printable ends with a soft break": ("QUOTED-PRINTABLE", b"a=", b"a"),
    "7bit": ("7BIT", b"a=C3\r\n", b"a=C3\r\n"),
    "8bit": ("8BIT", b"\xff\r\n", b"\xff\r\n"),
    "binary": ("BINARY", b"\0\xff", b"\0\xff"),
}
BAD = {
    "base64 of one character": ("BASE64", b"A"),
    "base64 with one character too many": ("BASE64", b"SGVsbG8hA"),
    "base64 with one character before its padding": ("BASE64", b"SGVsA==="),
    "base64 without a character of its own": ("BASE64", b"-- \r\n***"),
    "base64 of padding": ("BASE64", b"===="),
    "quoted-printable wrong escape": ("QUOTED-PRINTABLE", b"a=XY\r\n"),
    "quoted-printable escape over a soft break": ("QUOTED-PRINTABLE", b"a=4=\r\n1\r\n"),
    "quoted-printable with 8 bits": ("QUOTED-PRINTABLE", b"\xe9\r\n"),
    "quoted-printable without line ends": ("QUOTED-PRINTABLE", b"a" * 70000),
    "unknown": ("X-UUENCODE", b""),
}


def chunked(octets: bytes, size: int) -> list[bytes]:
    return [octets[at : at + size] for at in range(0, len(octets), size)]


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("name", GOOD)
def test_each_encoding_is_decoded(name: str, size: int) -> None:
    encoding, octets, content = GOOD[name]
    assert b"".join(decoded(chunked(octets, size), encoding)) == content


@pytest.mark.parametrize("size", [1, 3, 100000])
@pytest.mark.parametrize("name", BAD)
def test_invalid_content_is_undecodable(name: str, size: int) -> None:
    encoding, octets = BAD[name]
    with pytest.raises(Undecodable):
        list(decoded(chunked(octets, size), encoding))


@settings(max_examples=60)
@given(st.binary(max_size=400), st.integers(1, 90))
def test_decodes_what_python_encodes(content: bytes, size: int) -> None:
    assert b"".join(decoded(chunked(base64.encodebytes(content), size), "BASE64")) == content
    assert b"".join(decoded(chunked(quopri.encodestring(content), size), "QUOTED-PRINTABLE")) == content


@settings(max_examples=100)
@given(st.binary(max_size=100), st.sampled_from(["BASE64", "QUOTED-PRINTABLE"]))
def test_only_undecodable_is_raised_and_chunks_do_not_matter(octets: bytes, encoding: str) -> None:
    def outcome(size: int) -> bytes | None:
        try:
            return b"".join(decoded(chunked(octets, size), encoding))
        except Undecodable:
            return None

    assert outcome(1) == outcome(7) == outcome(1000)


@given(st.binary(max_size=40), st.integers(0, 50), st.integers(0, 50), st.integers(1, 9))
def test_cut_returns_what_a_slice_returns(octets: bytes, offset: int, length: int, size: int) -> None:
    assert b"".join(cut(chunked(octets, size), offset, length)) == octets[offset : offset + length]


def test_cut_reads_no_more_chunks_than_necessary() -> None:
    chunks = iter([b"ab", b"cd", b"ef", b"gh"])
    assert list(cut(chunks, 1, 2)) == [b"b", b"c"]
    assert list(chunks)[-1:] == [b"gh"]


@given(st.lists(st.sampled_from([b"", b"\r", b"\n", b"\r\n", b"a", b"a\nb", b"\n\n", b"\r\r\n"]), max_size=8))
def test_text_gets_crlf_in_any_division_into_chunks(chunks: list[bytes]) -> None:
    whole = re.sub(rb"(?<!\r)\n", b"\r\n", b"".join(chunks))
    assert b"".join(with_crlf(chunks)) == whole


@pytest.mark.parametrize(
    ("written", "octets"),
    [(b"a \t \r\nb", b"a\r\nb"), (b" \t\n", b"\n"), (b"a  b \n c", b"a  b\n c"), (b"a\t =\r\nb", b"a\t b")],
)
def test_blanks_at_the_end_of_a_line_are_removed(written: bytes, octets: bytes) -> None:
    assert b"".join(decoded([written], "QUOTED-PRINTABLE")) == octets


@pytest.mark.parametrize(
    ("octets", "irregular"),
    [
        (b"SGVsbG8=", False),
        (b" S\tG\r\nVs ", False),
        (b"SGVsbG8=\r\n", False),
        (b"", False),
        (b"SGVsbG8", True),
        (b"SG!VsbG8=", True),
        (b"SGVsbG8=footer", True),
    ],
)
@pytest.mark.parametrize("size", [1, 100])
def test_base64_that_is_not_to_the_letter_is_noted(octets: bytes, size: int, irregular: bool) -> None:
    decoder = Base64Decoder()
    for chunk in chunked(octets, size):
        decoder.feed(chunk)
    decoder.close()
    assert decoder.irregular is irregular
