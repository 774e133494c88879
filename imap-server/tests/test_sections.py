from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_imap.mail import mime
from lemonade_imap.mail.mime import index
from lemonade_imap.mail.sections import BeyondLimit, chosen_fields, resolve
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


def chosen(header: bytes, *fields: str, all_but: bool = False, size: int = 1000) -> bytes:
    chunks = [header[at : at + size] for at in range(0, len(header), size)]
    return b"".join(chosen_fields(chunks, fields, all_but=all_but))


@given(
    st.lists(
        st.sampled_from([b"X: y", b"A: b", b" c", b"\t", b"\r\n", b"\n", b"\r", b"x :", b"no field"]), max_size=12
    ),
    st.integers(1, 9),
    st.booleans(),
)
def test_the_division_into_chunks_does_not_matter(pieces: list[bytes], size: int, all_but: bool) -> None:
    header = b"".join(pieces)
    assert chosen(header, "x", all_but=all_but, size=size) == chosen(header, "x", all_but=all_but)


@pytest.mark.parametrize("length", [10, 65536, 65537, 300_000])
def test_fields_of_any_length_are_selected(length: int) -> None:
    header = b"A: " + b"a" * length + b"\r\nX: y\r\n \r\n\r\n"
    assert chosen(header, "x", size=4096) == b"X: y\r\n \r\n\r\n"
    assert chosen(header, "x", size=4096, all_but=True) == header[: length + 5] + b"\r\n"


def test_fields_are_selected_in_any_letter_case_with_their_folded_lines() -> None:
    header = b"From: a\r\nSubject: one\r\n two\r\nX: y\r\n\r\n"
    assert chosen(header, "SUBJECT") == b"Subject: one\r\n two\r\n\r\n"
    assert chosen(header, "subject", "x", all_but=True) == b"From: a\r\n\r\n"


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
    assert chosen(header, "x") == octets


def test_a_part_beyond_the_limits_is_not_taken_for_one_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mime, "MAX_PARTS", 2)
    root = index([MULTI])
    with pytest.raises(BeyondLimit):
        resolve(root, MessageSection.parse("2"))
    assert resolve(root, MessageSection.parse("1.2")) is None
    monkeypatch.setattr(mime, "MAX_PARTS", 1000)
    monkeypatch.setattr(mime, "MAX_DEPTH", 2)
    nested = b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n" + MULTI + b"\r\n--a--"
    root = index([nested])
    assert (root.children[0].type, root.children[0].subtype) == ("APPLICATION", "OCTET-STREAM")
    with pytest.raises(BeyondLimit):
        resolve(root, MessageSection.parse("1.1"))
    assert resolve(root, MessageSection.parse("2")) is None
