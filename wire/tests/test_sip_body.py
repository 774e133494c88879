"""Bodies: one entity or a tree of parts, octet by octet."""

from __future__ import annotations

import base64
import quopri

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_wire.sdp.codec import SdpError
from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.message import SipRequest, build
from lemonade_wire.sip.message.body import MAX_DEPTH, MAX_PARTS, Entity, answer_in, session_description, understood

SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.3\r\ns=-\r\nt=0 0\r\n"
BINARY = bytes(range(256)) + b"\r\n--\r\n\n--b\0\r\n"
OPTIONAL = "Content-Disposition: icon;handling=optional"


def request(body: bytes, content_type: str) -> SipRequest:
    return build("INVITE", "sip:ivr@media.example.net", [], body, content_type)


def part(content: bytes, *lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + content


def multipart(*parts: bytes, boundary: str = "b") -> bytes:
    mark = f"--{boundary}".encode()
    return b"".join(mark + b"\r\n" + text + b"\r\n" for text in parts) + mark + b"--\r\n"


def mixed(*parts: bytes) -> SipRequest:
    return request(multipart(*parts), "multipart/mixed;boundary=b")


SDP_PART = part(SDP, "Content-Type: application/sdp")
PNG = part(b"\x89PNG\r\n\x1a\n", "Content-Type: image/png")
OPTIONAL_PNG = part(b"\x89PNG\r\n\x1a\n", "Content-Type: image/png", OPTIONAL)


def test_a_body_of_sdp_alone_is_the_session_description() -> None:
    assert session_description(request(SDP, "application/sdp")) == SDP
    assert session_description(request(SDP, "Application/SDP ; charset=utf-8")) == SDP
    assert session_description(request(b"", "")) is None


# RFC 5621, figure 2, its second part shortened.
FIGURE = (
    b"--boundary1\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n"
    b"--boundary1\r\nContent-Type: application/resource-lists+xml\r\nContent-Disposition: recipient-list\r\n\r\n"
    b'<?xml version="1.0" encoding="UTF-8"?>\r\n<resource-lists/>\r\n\r\n--boundary1--'
)


def test_parts_of_the_figure() -> None:
    first, second = Entity.of(request(FIGURE, 'multipart/mixed;boundary="boundary1"')).parts
    assert (first.media.name, first.disposition, first.content) == ("application/sdp", "session", b"v=0\r\n")
    assert (second.media.name, second.disposition) == ("application/resource-lists+xml", "recipient-list")
    assert second.content == b'<?xml version="1.0" encoding="UTF-8"?>\r\n<resource-lists/>\r\n'


def test_binary_octet_by_octet() -> None:
    first, second = Entity.of(mixed(part(BINARY, "Content-Type: a/b"), part(b"", "Content-Type: c/d"))).parts
    assert (first.content, second.content) == (BINARY, b"")


@pytest.mark.parametrize(
    ("body", "contents"),
    [
        (b"preamble\r\n--b\r\n\r\nx\r\n--b--\r\nepilogue\r\n--b\r\n\r\ny\r\n--b--", [b"x"]),
        (b"--b  \r\n\r\nx\r\n--b-- \t", [b"x"]),
        (b"--b\n\nx\n--b\n\ny\n--b--\n", [b"x", b"y"]),
        (b"--b\r\n--b\r\n\r\n\r\n--b--", [b"", b""]),
        (b"--b\r\n\r\n--bb\r\n--b-\r\n--b--", [b"--bb\r\n--b-"]),
    ],
    ids=["preamble-and-epilogue", "padding", "bare-lf", "empty-parts", "look-alikes"],
)
def test_delimiters_split_a_multipart(body: bytes, contents: list[bytes]) -> None:
    assert [found.content for found in Entity.of(request(body, "multipart/mixed; boundary=b")).parts] == contents


def test_a_part_without_a_type_is_text() -> None:
    (found,) = Entity.of(mixed(b"\r\nhello")).parts
    assert (found.media.name, found.disposition, found.required) == ("text/plain", "render", True)


@pytest.mark.parametrize(
    ("encoding", "octets"),
    [
        ("Binary", SDP),
        ("8bit", SDP),
        ("7bit", SDP),
        ("base64", base64.encodebytes(SDP)),
        ("BASE64", base64.b64encode(SDP)),
        ("quoted-printable", quopri.encodestring(SDP)),
    ],
)
def test_every_transfer_encoding_is_decoded(encoding: str, octets: bytes) -> None:
    """SM-3-1, on a part and on a whole body (E-41)."""
    line = f"Content-Transfer-Encoding: {encoding}"
    assert session_description(mixed(part(octets, "Content-Type: application/sdp", line))) == SDP
    whole = request(octets, "application/sdp")
    name, _, value = line.partition(": ")
    assert session_description(whole.with_headers(whole.headers.with_added((name, value)))) == SDP


def nested(depth: int) -> bytes:
    text = SDP_PART
    for level in range(depth):
        text = part(multipart(text, boundary=f"b{level}"), f"Content-Type: multipart/mixed;boundary=b{level}")
    return text


def test_multiparts_are_read_up_to_the_depth_limit() -> None:
    assert session_description(mixed(OPTIONAL_PNG, nested(MAX_DEPTH - 1))) == SDP
    with pytest.raises(SipParseError, match="inside one another"):
        session_description(mixed(nested(MAX_DEPTH)))


ALTERNATIVE = "Content-Type: multipart/alternative;boundary=a"
NEWER = part(b"{}", "Content-Type: application/newer")


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ([OPTIONAL_PNG, SDP_PART], SDP),
        ([SDP_PART, OPTIONAL_PNG], SDP),
        ([OPTIONAL_PNG], None),
        # RFC 5621 section 4.1: an alternative inside mixed; its last understood part counts.
        ([OPTIONAL_PNG, part(multipart(SDP_PART, NEWER, boundary="a"), ALTERNATIVE)], SDP),
        ([part(multipart(part(b"old", "Content-Type: application/sdp"), SDP_PART, boundary="a"), ALTERNATIVE)], SDP),
        ([SDP_PART, part(multipart(NEWER, boundary="a"), ALTERNATIVE, OPTIONAL)], SDP),
        # RFC 5621 section 8.2: a required part inside an optional multipart does not make the multipart required.
        ([SDP_PART, part(multipart(PNG, boundary="a"), "Content-Type: multipart/mixed;boundary=a", OPTIONAL)], SDP),
        ([part(multipart(SDP_PART, boundary="a"), "Content-Type: multipart/unheard-of;boundary=a")], SDP),
        ([SDP_PART, part(SDP, "Content-Type: application/sdp", "Content-Disposition: icon; handling=OPTIONAL")], SDP),
        ([SDP_PART, part(b"x", "Content-Type: a/b", "Content-Disposition: render;handling=\"optional\"")], SDP),
        ([SDP_PART, part(b"SIP/2.0 200 OK\r\n\r\n", "Content-Type: message/sipfrag", OPTIONAL)], SDP),
    ],
)  # fmt: skip
def test_what_is_understood(parts: list[bytes], found: bytes | None) -> None:
    assert session_description(mixed(*parts)) == found


@pytest.mark.parametrize(
    "parts",
    [
        [PNG],
        [SDP_PART, PNG],
        [SDP_PART, b"\r\nhello"],
        [SDP_PART, SDP_PART],
        [part(multipart(NEWER, boundary="a"), ALTERNATIVE)],
        [part(SDP, "Content-Type: application/sdp", "Content-Disposition: early-session")],
        [part(SDP, "Content-Type: application/sdp", "Content-Disposition: by-reference;handling=required")],
        [part(SDP, "Content-Type: application/sdp", "Content-Encoding: gzip")],
        [part(SDP, "Content-Type: application/sdp", "Content-Transfer-Encoding: x-uue")],
        [SDP_PART, part(b"x", "Content-Type: a/b", "Content-Disposition: render;handling=whatever")],
        [b"\r\n"] * (MAX_PARTS + 1),
    ],
)
def test_required_parts_that_are_not_understood_are_refused_by_415(parts: list[bytes]) -> None:
    with pytest.raises(SipParseError) as caught:
        session_description(mixed(*parts))
    assert caught.value.status == 415


@pytest.mark.parametrize(
    ("body", "content_type", "reason"),
    [
        (SDP, "", "Missing Content-Type"),
        (SDP, "application", "Bad Content-Type"),
        (SDP, "application/sdp;;", "Bad Content-Type"),
        (multipart(SDP_PART), "multipart/mixed", "without a boundary"),
        (multipart(SDP_PART), 'multipart/mixed;boundary=""', "without a boundary"),
        (multipart(SDP_PART, boundary="b" * 71), f"multipart/mixed;boundary={'b' * 71}", "without a boundary"),
        (multipart(SDP_PART)[:-4], "multipart/mixed;boundary=b", "without its last boundary"),
        (b"--b--\r\n", "multipart/mixed;boundary=b", "without a part"),
        (multipart(b"hello"), "multipart/mixed;boundary=b", "header line in a part"),
        (multipart(part(b"a", "Content-Type: x")), "multipart/mixed;boundary=b", "Bad Content-Type"),
        (multipart(part(b"a", "Content-Disposition: x;;")), "multipart/mixed;boundary=b", "Bad Content-Disposition"),
        # The handling parameter is for parts that are not understood; a malformed part is an error all the same.
        (multipart(part(b"a", "Content-Type: multipart/mixed", OPTIONAL)), "multipart/mixed;boundary=b", "boundary"),
        (
            multipart(part(b"a", "Content-Type: application/sdp", "Content-Transfer-Encoding: base64")),
            "multipart/mixed;boundary=b",
            "Bad base64",
        ),
    ],
)
def test_malformed_mime_is_refused_by_400(body: bytes, content_type: str, reason: str) -> None:
    with pytest.raises(SipParseError, match=reason) as caught:
        session_description(request(body, content_type))
    assert caught.value.status == 400


def test_an_answer_that_cannot_be_refused() -> None:
    assert answer_in(mixed(OPTIONAL_PNG, SDP_PART)) == SDP
    for missing in (request(b"", ""), request(SDP, "text/plain"), mixed(OPTIONAL_PNG), request(SDP, "multipart/mixed")):
        with pytest.raises(SdpError):
            answer_in(missing)


def test_all_that_is_understood_is_returned_in_order() -> None:
    parts = Entity.of(mixed(SDP_PART, part(b"1", "Content-Type: a/b"), OPTIONAL_PNG))
    found = understood(parts, lambda entity: entity.media.name != "image/png")
    assert [entity.media.name for entity in found] == ["application/sdp", "a/b"]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=60).filter(lambda octets: b"--b" not in octets), min_size=1, max_size=5))
def test_parts_are_read_as_they_were_written(contents: list[bytes]) -> None:
    body = multipart(*(part(octets, "Content-Type: a/b") for octets in contents))
    assert [found.content for found in Entity.of(request(body, "multipart/mixed;boundary=b")).parts] == contents


PIECES = st.sampled_from(
    [b"--b", b"--b--", b"\r\n", b"\n", b"Content-Type: multipart/mixed;boundary=b", SDP_PART, b" "]
)


@settings(max_examples=100, deadline=None)
@given(st.lists(PIECES | st.binary(max_size=10), max_size=12).map(b"".join), st.text(max_size=30))
def test_any_octets_are_read_or_refused(body: bytes, kind: str) -> None:
    for content_type in ("multipart/mixed;boundary=b", "".join(char for char in kind if char not in "\r\n")):
        try:
            found = session_description(request(body, content_type))
        except SipParseError:
            continue
        assert found is None or isinstance(found, bytes)
