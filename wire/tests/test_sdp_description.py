"""Session descriptions, read from hand-written octets."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_wire.sdp import description
from lemonade_wire.sdp.codec import Codec, Format
from lemonade_wire.sdp.description import (
    MAX_LINES,
    MAX_MEDIA,
    Attribute,
    Direction,
    MediaDescription,
    Origin,
    SdpConnection,
    SdpError,
    SessionDescription,
)

# RFC 4566 section 5
SEMINAR = b"""v=0\r
o=jdoe 2890844526 2890842807 IN IP4 10.47.16.5\r
s=SDP Seminar\r
i=A Seminar on the session description protocol\r
u=http://www.example.com/seminars/sdp.pdf\r
e=j.doe@example.com (Jane Doe)\r
c=IN IP4 224.2.17.12/127\r
t=2873397496 2873404696\r
a=recvonly\r
m=audio 49170 RTP/AVP 0\r
m=video 51372 RTP/AVP 99\r
a=rtpmap:99 h263-1998/90000\r
"""
# draft-ietf-lemonade-streaming-07 section 2.6, the offer
DRAFT = b"""v=0
o=UserA 2890844526 2890844526 IN IP4 192.0.2.40
s=Session SDP
c=IN IP4 192.0.2.40
t=3034423619 0
m=audio 9224 RTP/AVP 0 8 3 98 101
a=alt:1 1 : 01BB7F04 6CBC7A28 192.0.2.40 9224
a=fmtp:101 0-15
a=rtpmap:98 ilbc/8000
a=rtpmap:101 telephone-event/8000
a=recvonly
m=video 9226 RTP/AVP 105 34 120
a=alt:1 1 : 01BCADB3 95DFFD80 192.0.2.40 9226
a=fmtp:105 profile=3;level=20
a=fmtp:34 CIF=2 QCIF=2 MAXBR=5120
a=rtpmap:105 h263-2000/90000
a=rtpmap:120 h263/90000
a=recvonly
"""
HEAD = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n"


def test_the_seminar_of_rfc_4566() -> None:
    session = SessionDescription.parse(SEMINAR)
    assert session.origin == Origin("jdoe", 2890844526, 2890842807, SdpConnection("IP4", "10.47.16.5"))
    assert session.name == "SDP Seminar"
    assert session.timing == ("2873397496 2873404696",)
    assert session.connection_of(1) == SdpConnection("IP4", "224.2.17.12")
    assert [(line.media, line.port, line.formats) for line in session.media] == [
        ("audio", 49170, ("0",)),
        ("video", 51372, ("99",)),
    ]
    assert session.media[0].direction(session) is Direction.RECVONLY
    assert session.media[1].rtp_formats() == (Format(99, Codec("H263-1998", 90000)),)
    assert bytes(session) == SEMINAR.replace(b"/127", b"")


def test_the_drafts_offer_with_bare_line_feeds() -> None:
    session = SessionDescription.parse(DRAFT)
    audio, video = session.media
    assert [str(known.codec) for known in audio.rtp_formats()] == [
        "PCMU/8000",
        "PCMA/8000",
        "GSM/8000",
        "ilbc/8000",
        "telephone-event/8000",
    ]
    assert audio.rtp_formats()[-1].fmtp == "0-15"
    assert video.rtp_formats()[1] == Format(34, Codec("H263", 90000), "CIF=2 QCIF=2 MAXBR=5120")
    assert audio.attribute("alt") == "1 1 : 01BB7F04 6CBC7A28 192.0.2.40 9224", "unknown attributes are kept"
    assert bytes(session) == DRAFT.replace(b"\n", b"\r\n")


def test_a_medium_speaks_for_itself_before_the_session() -> None:
    text = HEAD + "c=IN IP4 192.0.2.1\r\nt=0 0\r\na=sendonly\r\n"
    text += "m=audio 4000/2 RTP/AVP 0 96\r\nc=IN IP6 2001:db8::1\r\nb=AS:64\r\na=inactive\r\na=rtpmap:96 nonsense\r\n"
    text += "m=video 0 RTP/AVP 31\r\n"
    session = SessionDescription.parse(text)
    audio, video = session.media
    assert (audio.direction(session), video.direction(session)) == (Direction.INACTIVE, Direction.SENDONLY)
    assert session.connection_of(0) == SdpConnection("IP6", "2001:db8::1")
    assert (audio.port_count, audio.rejected, video.rejected) == (2, False, True)
    assert audio.rtp_formats() == (Format(0, Codec("PCMU", 8000)),), "an unreadable rtpmap makes its format unknown"
    assert audio.attribute("inactive") == ""
    assert audio.attribute("ptime") is None
    assert str(session) == text


def test_rtpmap_goes_before_the_static_table() -> None:
    line = MediaDescription("audio", 1, "RTP/AVP", ("0", "200", "t38"), attributes=(Attribute("rtpmap", "0 GSM/8000"),))
    assert line.rtp_formats() == (Format(0, Codec("GSM", 8000)),)


def test_directions_reversed() -> None:
    assert [direction.reversed.value for direction in Direction] == ["sendrecv", "recvonly", "sendonly", "inactive"]


def test_hold_and_the_missing_line_of_a_fault() -> None:
    assert SdpConnection.parse("IN IP4 0.0.0.0").is_hold
    assert not SdpConnection.to("192.0.2.1").is_hold
    assert SdpConnection.to("::1") == SdpConnection("IP6", "::1")
    assert [line.media for line in SessionDescription.parse(DRAFT).without_media(1).media] == ["audio"]


BAD = {
    "empty": "",
    "version 1": HEAD.replace("v=0", "v=1") + "t=0 0\r\n",
    "order": "v=0\r\ns=-\r\no=- 1 1 IN IP4 192.0.2.1\r\nt=0 0\r\n",
    "no time": HEAD,
    "bad time": HEAD + "t=now then\r\n",
    "origin cut": HEAD.replace(" IP4", "") + "t=0 0\r\n",
    "origin number": HEAD.replace(" 1 1 ", " x 1 ") + "t=0 0\r\n",
    "two connections": HEAD + "c=IN IP4 192.0.2.1\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n",
    "other network": HEAD + "c=ATM NSAP 47\r\nt=0 0\r\n",
    "bad address": HEAD + "c=IN IP4 <x>\r\nt=0 0\r\n",
    "unknown letter": HEAD + "t=0 0\r\nx=1\r\n",
    "unknown letter in a medium": HEAD + "t=0 0\r\nm=audio 1 RTP/AVP 0\r\nt=0 0\r\n",
    "no equals sign": HEAD + "t=0 0\r\nhello\r\n",
    "blank line within": HEAD + "\r\nt=0 0\r\n",
    "port too great": HEAD + "t=0 0\r\nm=audio 65536 RTP/AVP 0\r\n",
    "no formats": HEAD + "t=0 0\r\nm=audio 5000 RTP/AVP\r\n",
    "IPv6 address as IP4": HEAD + "c=IN IP4 ::1\r\nt=0 0\r\n",
    "IPv4 address as IP6": HEAD + "c=IN IP6 192.0.2.1\r\nt=0 0\r\n",
    "IPv6 address as IP4 in a medium": HEAD + "t=0 0\r\nm=audio 1 RTP/AVP 0\r\nc=IN IP4 2001:db8::1\r\n",
    "origin without address": HEAD.replace("IP4 192.0.2.1", "IP4 ") + "t=0 0\r\n",
    "session id beyond the bound": HEAD.replace(" 1 1 ", f" {'1' * 4001} 1 ") + "t=0 0\r\n",
    "lone CR": HEAD + "t=0 0\r\na=x:\ry\r\n",
    "NUL": HEAD + "t=0 0\r\na=x:\0\r\n",
}


@pytest.mark.parametrize("name", BAD)
def test_malformed_descriptions_are_refused(name: str) -> None:
    with pytest.raises(SdpError):
        SessionDescription.parse(BAD[name])


WHOLE = HEAD + "c=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na=sendonly\r\n"
HARMLESS = {
    "blank behind v=": ("v=0", "v=0 "),
    "blank behind o=": ("IP4 192.0.2.1\r\ns=", "IP4 192.0.2.1  \r\ns="),
    "blank behind c=": ("c=IN IP4 192.0.2.1", "c=IN IP4 192.0.2.1 "),
    "blank behind t=": ("t=0 0", "t=0 0 "),
    "blank behind m=": ("RTP/AVP 0", "RTP/AVP 0 "),
    "tabulator behind a=": ("a=sendonly", "a=sendonly \t"),
    "leading CRLF": ("v=0", "\r\nv=0"),
    "leading LFs": ("v=0", "\n\nv=0"),
    "attribute with a blank in its name": ("a=sendonly", "a=foo bar\r\na=sendonly"),
    "attribute without a name": ("a=sendonly", "a=:x\r\na=sendonly"),
    "such an attribute of the session": ("t=0 0", "t=0 0\r\na=foo bar:1"),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_programs_send_and_is_harmless_reads_the_same(name: str) -> None:
    strict, sent = HARMLESS[name]
    text = WHOLE.replace(strict, sent, 1)
    assert text != WHOLE
    assert str(SessionDescription.parse(text)) == WHOLE


@pytest.mark.parametrize("address", ["IP4 my_host_1", "IP6 fe80::1%eth0", "IP4 ::1", "IP4 a,b", "IP6 host.example"])
def test_the_address_of_an_origin_is_any_word(address: str) -> None:
    text = WHOLE.replace("IP4 192.0.2.1\r\ns=", f"{address}\r\ns=", 1)
    assert str(SessionDescription.parse(text).origin) == f"- 1 1 IN {address}"
    assert str(SessionDescription.parse(text)) == text


@pytest.mark.parametrize("digits", [25, 4000])
def test_session_ids_of_any_length(digits: int) -> None:
    text = WHOLE.replace(" 1 1 ", f" {'9' * digits} {'8' * digits} ", 1)
    origin = SessionDescription.parse(text).origin
    assert (origin.session_id, origin.version) == (int("9" * digits), int("8" * digits))


@pytest.mark.parametrize(
    ("charset", "read"), [("ISO-8859-1", True), ("iso-8859-15", True), ("windows-1252", True), ("UTF-16", False)]
)
def test_latin_1_in_the_name_is_read_where_the_description_names_its_charset(charset: str, read: bool) -> None:
    text = WHOLE.replace("s=-", "s=Caf\u00e9").replace("t=0 0", f"t=0 0\r\na=charset:{charset}").encode("latin-1")
    if read:
        assert SessionDescription.parse(text).name == "Caf\u00e9"
    else:
        with pytest.raises(SdpError, match="charset"):
            SessionDescription.parse(text)


def test_octets_that_are_no_utf8() -> None:
    with pytest.raises(SdpError):
        SessionDescription.parse(HEAD.encode() + b"t=0 0\r\na=x:\xff\r\n")


LINES = st.sampled_from(
    [*HEAD.splitlines(), "t=0 0", *DRAFT.decode().splitlines(), "b=AS:1", "i=x", "k=clear:1", "r=1 2", "z=0"]
)


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200), st.lists(LINES).map("\r\n".join)))
def test_nothing_else_is_raised_and_what_is_read_can_be_written(body: bytes | str) -> None:
    try:
        session = SessionDescription.parse(body)
    except SdpError:
        return
    for line in session.media:
        line.rtp_formats()
        line.direction(session)
    written = bytes(session)
    assert bytes(SessionDescription.parse(written)) == written


@given(st.integers(0, len(SEMINAR) - 1), st.integers(0, 255))
def test_one_octet_wrong(place: int, octet: int) -> None:
    with contextlib.suppress(SdpError):
        SessionDescription.parse(SEMINAR[:place] + bytes([octet]) + SEMINAR[place + 1 :])


def test_a_description_cut_anywhere_raises_only_sdp_error() -> None:
    for length in range(len(SEMINAR)):
        with contextlib.suppress(SdpError):
            SessionDescription.parse(SEMINAR[:length])


def test_the_lines_of_a_description_are_each_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Mock(side_effect=replace)
    monkeypatch.setattr(description, "replace", counted)
    head = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n" + "a=x:y\r\n" * 300
    session = SessionDescription.parse(head + "m=audio 9 RTP/AVP 0\r\n" + "a=x:y\r\n" * 300 + "i=z\r\n" * 300)
    assert (len(session.attributes), len(session.media[0].attributes), len(session.media[0].lines)) == (300, 300, 300)
    assert counted.call_count == 3  # one for the session's lines, one for the medium's, one that joins them


def test_a_description_has_at_most_so_many_lines() -> None:
    head = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
    assert len(SessionDescription.parse(head + "a=x\r\n" * (MAX_LINES - 4)).attributes) == MAX_LINES - 4
    with pytest.raises(SdpError, match="more than 1000 lines"):
        SessionDescription.parse(head + "a=x\r\n" * (MAX_LINES - 3))


def test_a_description_has_at_most_so_many_media() -> None:
    head, medium = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n", "m=audio 9 RTP/AVP 0\r\n"
    assert len(SessionDescription.parse(head + medium * MAX_MEDIA).media) == MAX_MEDIA
    with pytest.raises(SdpError, match="more than 64 media"):
        SessionDescription.parse(head + medium * (MAX_MEDIA + 1))
