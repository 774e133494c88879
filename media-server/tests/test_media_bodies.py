"""Where the session description of an INVITE is looked for."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_media.bodies import UnsupportedBodyError, charset_of, session_description
from lemonade_wire.sip.message import Request, build

SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.3\r\ns=-\r\nt=0 0\r\n"


def request(body: bytes, content_type: str) -> Request:
    return build("INVITE", "sip:ivr@media.example.net", [], body, content_type)


def test_alone() -> None:
    assert session_description(request(SDP, "application/sdp")) == SDP
    assert session_description(request(SDP, "Application/SDP; charset=utf-8")) == SDP
    assert session_description(request(b"", "")) is None


def test_in_multipart_mixed_octet_by_octet() -> None:
    body = (
        b'--x\r\nContent-Type: image/png\r\nContent-Disposition: icon;handling="optional"\r\n\r\n\x89PNG\r\n'
        b"--x\r\nContent-Type: application/sdp\r\n\r\n" + SDP + b"\r\n--x--\r\n"
    )
    assert session_description(request(body, 'multipart/mixed;boundary="x"')) == SDP


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (SDP, "text/plain"),
        (SDP, ""),
        (b"--x\r\nContent-Type: text/plain\r\n\r\nhello\r\n--x--\r\n", "multipart/mixed;boundary=x"),
        (b"--x\r\nContent-Type: application/sdp\r\n\r\n" + SDP, "multipart/mixed"),
    ],
)
def test_refused(body: bytes, content_type: str) -> None:
    with pytest.raises(UnsupportedBodyError):
        session_description(request(body, content_type))


@settings(max_examples=50)
@given(st.binary(max_size=200))
def test_any_octets_are_refused_or_read(body: bytes) -> None:
    for octets in (body, b"--x\r\nContent-Type: application/sdp\r\n" + body):
        try:
            found = session_description(request(octets, "multipart/mixed;boundary=x"))
        except UnsupportedBodyError:
            continue
        assert found is None or isinstance(found, bytes)


def test_charset() -> None:
    assert charset_of(request(b"x", "application/xml; charset=ISO-8859-1")) == "iso-8859-1"
    assert charset_of(request(b"x", "application/xml")) is None
