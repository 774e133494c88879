"""Encodings that are broken, and what is made of them."""

from __future__ import annotations

import base64
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_media.lenient import decode_leniently


@pytest.mark.parametrize(
    ("octets", "encoding", "decoded"),
    [
        (b"c291bmQ=", "BASE64", b"sound"),
        (b"c291\r\nbm\tQ", "base64", b"sound"),
        (b"c2!9*1b\xffmQ==\r\n", "base64", b"sound"),
        (b"c291bmQx1", "base64", b"sound1"),
        (b"A", "base64", b""),
        (b"", "base64", b""),
        (b"a=3Db=\r\nc=ZZ=", "Quoted-Printable", b"a=bc=ZZ"),
        (b"\0\xff", "binary", b"\0\xff"),
        (b"x", "7BIT", b"x"),
    ],
)
def test_what_is_made_of_it(octets: bytes, encoding: str, decoded: bytes) -> None:
    assert decode_leniently(octets, encoding) == decoded


def test_an_encoding_that_is_not_known() -> None:
    with pytest.raises(ValueError, match="not known"):
        decode_leniently(b"x", "x-uuencode")


@given(st.binary(max_size=200), st.sampled_from([b"\r\n", b" ", b"!\xff", b"=\r\n"]))
def test_what_stands_between_digits_is_passed_over(octets: bytes, between: bytes) -> None:
    written = base64.b64encode(octets).rstrip(b"=")
    broken = between.join(written[at : at + 7] for at in range(0, len(written), 7))
    assert decode_leniently(broken, "base64") == octets


@given(st.binary(max_size=200))
def test_right_ones_are_taken_off_and_nothing_raises(octets: bytes) -> None:
    assert decode_leniently(quopri.encodestring(octets), "quoted-printable") == octets
    for encoding in ("base64", "quoted-printable", "8bit"):
        decode_leniently(octets, encoding)
