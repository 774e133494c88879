"""Decoding of transfer encodings in traced messages."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_wire.redaction import Redactor, decode_bodies

MSCML = '<MediaServerControl version="1.0"><request><stop/></request></MediaServerControl>'
TICKET = 'url="imap://h/a;URLAUTH=anonymous:INTERNAL:0123456789abcdef0123456789abcdef"'


def encoded(octets: bytes) -> str:
    return base64.encodebytes(octets).decode().replace("\n", "\r\n")


def message(body: str, *headers: str) -> str:
    return "\r\n".join(("INFO sip:ivr@h SIP/2.0", "Call-ID: c", *headers, "", body))


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("base64", encoded(MSCML.encode())),
        ("BASE64", encoded(MSCML.encode()).replace("=", "")),
        ("base64", encoded(MSCML.encode("utf-16"))),
        ("base64", encoded(MSCML.encode("utf-16-be"))),
        ("Quoted-Printable", MSCML.replace("=", "=3D").replace("<request>", "=\r\n<request>")),
    ],
)
def test_a_body_is_decoded_with_a_note_in_its_header(encoding: str, body: str) -> None:
    header = f"Content-Transfer-Encoding: {encoding}"
    assert decode_bodies(message(body, header, "X: y")) == message(MSCML, f"{header}; decoded", "X: y")


def test_parts_are_decoded_where_they_stand() -> None:
    kind = 'Content-Type: multipart/mixed; boundary="=b"'
    first, second = "--=b\r\nContent-Type: text/plain\r\n\r\n--a\r\n", "--=b\r\nContent-Transfer-Encoding: base64"
    before = message(f"{first}{second}\r\n\r\n{encoded(b'one')}--=b--", kind)
    assert decode_bodies(before.replace(encoded(b"one"), "b25l\r\n")) == message(
        f"{first}{second}; decoded\r\n\r\none\r\n--=b--", kind
    )


def test_a_ticket_inside_encodings_in_encodings_is_found_by_redaction() -> None:
    inner = f"Content-Transfer-Encoding: base64\r\n\r\n{encoded(TICKET.encode())}"
    outer = message(encoded(inner.encode()), "Content-Transfer-Encoding: base64")
    shown = Redactor("salt").text(decode_bodies(outer))
    assert "INTERNAL:fp-" in shown
    assert "0123456789abcdef" not in shown


@pytest.mark.parametrize("cut", [1, 2, 3, 5])
def test_damaged_base64_hides_no_ticket(cut: int) -> None:
    body = encoded(TICKET.encode()).strip()[:-cut]
    shown = Redactor("salt").text(decode_bodies(message(body, "Content-Transfer-Encoding: base64")))
    assert "INTERNAL:fp-" in shown


@pytest.mark.parametrize("text", ["", "INFO", message("body"), message("b25l", "Content-Transfer-Encoding: binary")])
def test_other_encodings_are_unchanged(text: str) -> None:
    assert decode_bodies(text) == text


def test_decoded_content_is_not_decoded_again() -> None:
    once = decode_bodies(message("b25l", "Content-Transfer-Encoding: base64"))
    assert decode_bodies(once) == once


@given(st.text(max_size=80), st.text(alphabet="ab-=\r\n:;\0", max_size=80))
def test_decoding_never_raises(head: str, body: str) -> None:
    decode_bodies(f"{head}\nContent-Transfer-Encoding: base64\r\nboundary={head}\r\n\r\n{body}")
