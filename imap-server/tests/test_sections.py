from __future__ import annotations

import pytest

from lemonade_imap.mail.mime import index
from lemonade_imap.mail.sections import chosen_fields, resolve
from lemonade_wire.imap.section import MessageSection

PLAIN = b"Subject: x\r\n\r\nbody"
FORWARD = b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninner body"
MULTI = (
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nX: 1\r\n\r\none\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\n\r\n"
    b"Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\ndeep\r\n--c--\r\n"
    b"--b--\r\n"
)


@pytest.mark.parametrize(
    ("message", "section", "octets"),
    [
        (PLAIN, "", PLAIN),
        (PLAIN, "1", b"body"),
        (PLAIN, "TEXT", b"body"),
        (PLAIN, "HEADER", b"Subject: x\r\n\r\n"),
        (PLAIN, "1.MIME", b"Subject: x\r\n\r\n"),
        (PLAIN, "2", None),
        (PLAIN, "1.1", None),
        (PLAIN, "1.HEADER", None),
        (FORWARD, "1", b"Subject: inner\r\n\r\ninner body"),
        (FORWARD, "1.HEADER", b"Subject: inner\r\n\r\n"),
        (FORWARD, "1.TEXT", b"inner body"),
        (FORWARD, "1.1", b"inner body"),
        (FORWARD, "1.1.1", None),
        (MULTI, "1", b"one"),
        (MULTI, "1.MIME", b"X: 1\r\n\r\n"),
        (MULTI, "2.1", b"deep"),
        (MULTI, "2.2", None),
        (MULTI, "3", None),
        (MULTI, "1.2", None),
    ],
)
def test_each_section_names_these_octets(message: bytes, section: str, octets: bytes | None) -> None:
    extent = resolve(index([message]), MessageSection.parse(section))
    found = None if extent is None else message[extent.offset : extent.offset + extent.length]
    assert found == octets


def test_fields_are_selected_in_any_letter_case_with_their_folded_lines() -> None:
    header = b"From: a\r\nSubject: one\r\n two\r\nX: y\r\n\r\n"
    assert chosen_fields(header, ("SUBJECT",), all_but=False) == b"Subject: one\r\n two\r\n\r\n"
    assert chosen_fields(header, ("subject", "x"), all_but=True) == b"From: a\r\n\r\n"


@pytest.mark.parametrize(
    ("header", "octets"),
    [
        (b"\r\n", b"\r\n"),
        (b"\n", b"\r\n"),
        (b"", b""),
        (b"A: b\r\n", b""),
        (b"X: y\nA: b\n\n", b"X: y\n\r\n"),
        (b"X: y", b"X: y"),
    ],
)
def test_the_empty_line_is_included_if_the_message_has_one(header: bytes, octets: bytes) -> None:
    # RFC 3501, 6.4.5: all header fetches include it, except for a message without body and without empty line
    assert chosen_fields(header, ("x",), all_but=False) == octets
