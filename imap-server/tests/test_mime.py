from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_imap.mail import mime
from lemonade_imap.mail.headers import Header
from lemonade_imap.mail.mime import MAX_HEADER, MimePart, index
from lemonade_imap.store.index_json import from_json, to_json


def body(message: bytes, part: MimePart) -> bytes:
    return message[part.body_offset : part.body_offset + part.length]


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode("ascii")


NESTED = crlf(
    """Subject: outer
Content-Type: multipart/mixed; boundary=out

preamble
--out
Content-Type: multipart/alternative; boundary="in"

--in

plain

--in
Content-Type: text/html
Content-Transfer-Encoding: quoted-printable

<p>=20a=
b</p>
--in--
epilogue of the inner
--out
Content-Type: message/rfc822

Subject: inner
From: a@b
Content-Type: audio/basic
Content-Transfer-Encoding: base64

AAEC
AwQ=
--out
Content-Type: audio/basic

--out--
epilogue
"""
)


def test_a_message_without_mime_is_text() -> None:
    message = b"Subject: x\r\n\r\nline one\r\nline two"
    root = index([message])
    assert (root.type, root.subtype, root.params, root.encoding) == (
        "TEXT",
        "PLAIN",
        (("CHARSET", "us-ascii"),),
        "7BIT",
    )
    assert (root.header_length, root.body_offset, root.length, root.lines) == (14, 14, 18, 1)
    assert (root.decoded_length, root.decoded_lines) == (18, 1)
    assert root.envelope is not None
    assert root.envelope.subject == "x"


def test_nested_parts() -> None:
    root = index([NESTED])
    alternative, forwarded, empty = root.children
    plain, html = alternative.children
    assert body(NESTED, plain) == b"plain\r\n"
    assert (plain.lines, plain.header_length) == (1, 2)
    assert body(NESTED, html) == b"<p>=20a=\r\nb</p>"
    assert (html.lines, html.decoded_length, html.decoded_lines) == (1, len("<p> ab</p>"), 0)
    assert body(NESTED, alternative).endswith(b"--in--\r\nepilogue of the inner")
    inner = forwarded.children[0]
    assert forwarded.is_message
    assert body(NESTED, forwarded).startswith(b"Subject: inner\r\n")
    assert inner.envelope is not None
    assert inner.envelope.subject == "inner"
    assert (body(NESTED, inner), inner.decoded_length, inner.has_nul) == (b"AAEC\r\nAwQ=", 5, True)
    assert forwarded.lines == 6
    assert (empty.length, empty.lines, empty.decoded_length) == (0, 0, 0)
    assert body(NESTED, root).endswith(b"epilogue\r\n")


def test_line_ends_are_counted_as_in_the_example_of_rfc_3501() -> None:
    # 7.4.2: "BASE64" 4554 73; lines of 60 characters, and one of 28 whose line end belongs to the boundary
    encoded = (b"x" * 60 + b"\r\n") * 73 + b"x" * 28
    message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n%s\r\n--b--\r\n"
    (part,) = index([message % encoded]).children
    assert (part.length, part.lines) == (4554, 73)


def test_offsets_are_those_of_the_text() -> None:
    html = index([NESTED]).children[0].children[1]
    assert html.header_offset == NESTED.index(b"Content-Type: text/html")
    assert html.body_offset == NESTED.index(b"<p>")


def test_base64_with_odd_lines_is_counted() -> None:
    content = bytes(range(250))
    encoded = base64.b64encode(content)
    lines = b"\r\n".join(encoded[at : at + 7] for at in range(0, len(encoded), 7))
    root = index([b"Content-Transfer-Encoding: base64\r\nContent-Type: audio/basic\r\n\r\n" + lines])
    assert (root.decoded_length, root.length, root.has_nul) == (250, len(lines), True)


@pytest.mark.parametrize("encoding", ["base64", "x-uuencode"])
def test_an_undecodable_part_has_no_decoded_length(encoding: str) -> None:
    root = index([f"Content-Transfer-Encoding: {encoding}\r\nContent-Type: a/b\r\n\r\n*".encode()])
    assert (root.decoded_length, root.length) == (None, 1)


BROKEN = {
    "nothing": (b"", ("TEXT", "PLAIN")),
    "header without an end": (b"Content-Type: audio/basic\r\nSubject: x", ("AUDIO", "BASIC")),
    "multipart without a boundary": (b"Content-Type: multipart/mixed\r\n\r\nx", ("TEXT", "PLAIN")),
    "multipart without parts": (b"Content-Type: multipart/mixed; boundary=b\r\n\r\nx", ("TEXT", "PLAIN")),
    "message that is encoded": (
        b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA",
        ("APPLICATION", "OCTET-STREAM"),
    ),
    "message without an end of header": (b"Content-Type: message/rfc822\r\n", ("MESSAGE", "RFC822")),
    "bare line feeds": (b"Content-Type: audio/basic\n\nx\n", ("AUDIO", "BASIC")),
}


@pytest.mark.parametrize("name", BROKEN)
def test_invalid_mime_is_indexed_as_far_as_possible(name: str) -> None:
    message, media = BROKEN[name]
    root = index([message])
    assert (root.type, root.subtype) == media
    assert root.header_length + root.length == len(message)


def test_a_missing_closing_boundary_ends_the_parts_with_the_message() -> None:
    message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n"
    root = index([message])
    assert [body(message, part) for part in root.children] == [b"one", b"two\r\n"]


def test_nesting_is_limited() -> None:
    root = index([b"Content-Type: message/rfc822\r\n\r\n" * 500])
    depth = 0
    while root.children:
        root, depth = root.children[0], depth + 1
    assert depth < 40
    assert (root.type, root.subtype) == ("APPLICATION", "OCTET-STREAM")


def test_a_very_long_line_is_counted_and_not_a_boundary() -> None:
    long = b"x" * 200_000
    root = index([b"Content-Type: text/plain\r\n\r\n", long, b"\r\n", long])
    assert (root.length, root.lines, root.decoded_length) == (400_002, 1, 400_002)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from([*NESTED.splitlines(keepends=True), b"\n", b"--out\r\n", b"\0\xff"]), max_size=30))
def test_any_message_has_the_same_index_in_one_piece_and_octet_by_octet(lines: list[bytes]) -> None:
    message = b"".join(lines)
    root = index([message])
    assert root == index([message[at : at + 1] for at in range(len(message))])
    assert from_json(to_json(root)) == root
    _inside(root, 0, len(message))


def _inside(part: MimePart, start: int, end: int) -> None:
    assert start <= part.header_offset <= part.body_offset <= part.body_offset + part.length <= end
    for child in part.children:
        _inside(child, part.body_offset, part.body_offset + part.length)


def test_json_keeps_octets_that_are_not_utf8() -> None:
    root = index([b"Subject: \xff\r\nContent-Disposition: inline; a=b\r\n\r\n"])
    assert from_json(to_json(root)) == root
    assert replace(root, lines=9) != root


def test_a_content_type_is_read_once_however_many_parts_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    parse = Header.content_type

    def counting(header: Header, *, digest: bool = False) -> object:
        read.append(len(header.text("Content-Type")))
        return parse(header, digest=digest)

    monkeypatch.setattr(Header, "content_type", counting)
    kind = "multipart/mixed; boundary=b" + "".join(f"; p{number}=x" for number in range(20000))
    message = f"Content-Type: {kind}\r\n\r\n".encode() + b"--b\r\n\r\n" * 500
    assert len(index([message]).children) == 500
    assert sum(read) == len(kind)


def test_the_octets_of_all_headers_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mime, "MAX_HEADERS", 300)
    part = b"--b\r\nContent-Type: audio/basic\r\nX-Y: " + b"z" * 60 + b"\r\n\r\n\r\n"
    root = index([b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part * 10])
    assert [child.type for child in root.children] == ["AUDIO"] * 3 + ["TEXT"] * 7
    assert [child.length for child in root.children][:9] == [0] * 9


def test_the_number_of_addresses_and_parameters_of_a_message_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mime, "MAX_ITEMS", 50)
    forwarded = b"--b\r\nContent-Type: message/rfc822\r\n\r\nTo: %s\r\n\r\n\r\n" % b",".join([b"a@b"] * 30)
    root = index([b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + forwarded * 5])
    envelopes = [child.children[0].envelope for child in root.children if child.is_message]
    assert [len(envelope.to or ()) for envelope in envelopes if envelope] == [30, 30]
    assert [child.type for child in root.children] == ["MESSAGE"] * 2 + ["TEXT"] * 3


def test_a_header_of_many_fields_is_indexed_without_keeping_them() -> None:
    message = b"a:\r\n" * 63000 + b"Subject: x\r\n\r\ny"
    assert len(message) < MAX_HEADER
    root = index([message])
    assert root.envelope is not None
    assert root.envelope.subject == "x"
