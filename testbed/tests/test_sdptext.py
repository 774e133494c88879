"""The judge's reader of session descriptions, compared with the reader of the nodes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_testbed.ladder.sdptext import STATIC, CodecText, read_sdp
from lemonade_wire.sdp.codec import STATIC as NODES_STATIC
from lemonade_wire.sdp.description import SessionDescription

OFFER = (
    "v=0\r\no=- 7 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\na=recvonly\r\n"
    "m=audio 20000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n"
    "m=video 0 RTP/AVP 96\r\nc=IN IP4 0.0.0.0\r\na=rtpmap:96 H264/90000\r\na=sendrecv\r\n"
)


def test_a_description_is_read() -> None:
    read = read_sdp(OFFER)
    assert (read.origin, read.version) == (("-", "7", "2", "IN", "IP4", "192.0.2.1"), 2)
    audio, video = read.media
    assert (audio.media, audio.port, audio.protocol, audio.formats) == ("audio", 20000, "RTP/AVP", ("0", "101"))
    assert (audio.address, audio.direction, audio.rejected) == ("192.0.2.1", "recvonly", False)
    assert (video.address, video.direction, video.rejected) == ("0.0.0.0", "sendrecv", True)  # noqa: S104  SDP's
    assert audio.codecs() == {101: CodecText("telephone-event", 8000)}
    assert audio.codecs()[101].is_telephone_event
    assert (audio.attribute("ptime"), audio.attribute("rtcp")) == ("20", None)


@pytest.mark.parametrize(
    ("line", "receives"),
    [
        ("m=audio 20000 RTP/AVP 0", True),
        ("m=audio 0 RTP/AVP 0", False),
        ("m=audio 20000 RTP/AVP 0\r\na=sendonly", False),
        ("m=audio 20000 RTP/AVP 0\r\na=inactive", False),
        ("m=audio 20000 RTP/AVP 0\r\na=recvonly", True),
        ("m=audio 20000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0", False),
    ],
)
def test_what_offers_to_receive(line: str, receives: bool) -> None:
    (media,) = read_sdp(f"v=0\r\nc=IN IP4 192.0.2.1\r\n{line}\r\n").media
    assert media.receives == receives


def test_damaged_lines_are_passed_over() -> None:
    read = read_sdp(
        "o=-\nnonsense\nm=audio port RTP/AVP\na=rtpmap:x PCMU/8000\na=rtpmap:0 PCMU\na=rtpmap:8 PCMA/8000/1\n"
    )
    assert read.version == -1
    assert (read.media[0].port, read.media[0].formats) == (-1, ())
    assert read.media[0].codecs() == {8: CodecText("PCMA", 8000)}


@given(st.text(alphabet="vomacst= :/\r\n0129audioRTPAVPIN", max_size=200))
def test_anything_is_read(text: str) -> None:
    for line in read_sdp(text).media:
        assert line.codecs() is not None


def test_it_agrees_with_the_nodes_reader_where_that_reads() -> None:
    nodes, read = SessionDescription.parse(OFFER), read_sdp(OFFER)
    for theirs, ours in zip(nodes.media, read.media, strict=True):
        assert (theirs.media, theirs.port, theirs.formats) == (ours.media, ours.port, ours.formats)
        assert theirs.direction(nodes).value == ours.direction


def test_static_payload_types_are_those_of_the_rfc_as_the_nodes_have_them() -> None:
    assert {n: (one.name, one.clock, one.channels) for n, one in STATIC.items()} == {
        n: (one.name, one.clock, one.channels) for n, one in NODES_STATIC.items()
    }
