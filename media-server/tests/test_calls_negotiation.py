"""The answer to an offer, and the stream that results (RFC 3264 section 6)."""

from __future__ import annotations

import pytest

from lemonade_media.calls.call import MediaCall
from lemonade_media.calls.negotiation import change_for, describe, stream_for, take_answer
from lemonade_media.faults.rtp import BURST, TIMESTAMP_RESET_ON_SEEK
from lemonade_media.faults.sdp import ANSWER_DROPS_KEYS, ANSWER_DROPS_REJECTED_LINE, CODEC_NOT_OFFERED
from lemonade_media.services.announcement import Announcement
from lemonade_media.services.ivr import IvrSession
from lemonade_wire.faults import Fault
from lemonade_wire.sdp.codec import PCMA, PCMU, TELEPHONE_EVENT, SdpError
from lemonade_wire.sdp.description import SessionDescription
from lemonade_wire.sdp.offer import IncompatibleAddress, NoCommonCodec
from lemonade_wire.sip.netann import AnnouncementUri

# The offer of the draft's section 2.6 in short: A-law preferred, a video line, ptime and rtcp of its own.
OFFER = (
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.3\r\ns=-\r\nc=IN IP4 192.0.2.3\r\nt=3 4\r\na=recvonly\r\n"
    b"m=audio 9224 RTP/AVP 18 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:40\r\na=rtcp:9300\r\n"
    b"m=video 9226 RTP/AVP 34\r\n"
)


def call(offer: bytes | None = OFFER) -> MediaCall:
    service = Announcement(AnnouncementUri("imap://joe@imap.example.com/INBOX/;UID=1"))
    return MediaCall("call-1", service, SessionDescription.parse(offer) if offer else None)


def described(offer: bytes | None = OFFER, fault: Fault | None = None) -> tuple[MediaCall, SessionDescription]:
    made = call(offer)
    describe(made, "192.0.2.2", 16384, 77, fault)
    return made, SessionDescription.parse(made.description)


def test_every_m_line_is_answered_and_the_t_line_kept() -> None:
    made, answer = described()
    assert [(line.media, line.port, line.formats) for line in answer.media] == [
        ("audio", 16384, ("8", "0", "101")),
        ("video", 0, ("34",)),
    ]
    connection = answer.connection_of(0)
    assert connection is not None
    assert connection.address == "192.0.2.2"
    assert (answer.timing, answer.origin.session_id) == (("3 4",), 77)
    assert answer.media[0].attribute("sendonly") == ""
    assert answer.media[0].attribute("fmtp") == "101 0-15"
    assert made.law == "PCMA"


def test_stream_follows_the_offer() -> None:
    made, _ = described()
    assert made.stream is not None
    stream = stream_for(made, made.stream, None)
    assert (stream.address, stream.port, stream.rtcp_port) == ("192.0.2.3", 9224, 9300)
    assert (stream.payload_type, stream.ptime_ms, stream.burst, stream.reset_on_seek) == (8, 40, 1, False)
    # what the caller may send, by the numbers of the offer
    assert [(known.payload_type, known.codec) for known in stream.formats] == [
        (8, PCMA),
        (0, PCMU),
        (101, TELEPHONE_EVENT),
    ]


def test_faults_change_one_thing_each() -> None:
    _, answer = described(fault=ANSWER_DROPS_REJECTED_LINE)
    assert [line.media for line in answer.media] == ["audio"]
    _, answer = described(fault=ANSWER_DROPS_KEYS)
    assert [line.formats for line in answer.media] == [("8", "0"), ("34",)]
    assert answer.media[0].attribute("fmtp") is None
    made, _ = described()
    assert made.stream is not None
    assert stream_for(made, made.stream, CODEC_NOT_OFFERED).payload_type == 3
    assert stream_for(made, made.stream, BURST).burst == 5
    assert stream_for(made, made.stream, TIMESTAMP_RESET_ON_SEEK).reset_on_seek


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        (b" 18 8 0 101", b" 18 101", NoCommonCodec),
        (b"c=IN IP4 192.0.2.3", b"c=IN IP4 client.example", IncompatibleAddress),
        (b"c=IN IP4 192.0.2.3", b"c=IN IP6 2001:db8::3", IncompatibleAddress),
        (b"c=IN IP4 192.0.2.3", b"c=IN IP4 2001:db8::3", SdpError),
        (b"c=IN IP4 192.0.2.3\r\n", b"", SdpError),
        (b"9224 RTP/AVP", b"9224 RTP/SAVP", NoCommonCodec),
    ],
)
def test_unusable_offers_raise_their_error(old: bytes, new: bytes, error: type[SdpError]) -> None:
    with pytest.raises(error):
        describe(call(OFFER.replace(old, new)), "192.0.2.2", 16384, 1, None)


HELD = [
    (b"a=recvonly", b"a=sendonly", 9300),
    (b"a=recvonly", b"a=inactive", 9300),
    (b"c=IN IP4 192.0.2.3", b"c=IN IP4 0.0.0.0", None),
    (b"c=IN IP4 192.0.2.3", b"c=IN IP6 ::", None),
]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(("old", "new", "rtcp_port"), HELD)
def test_a_call_is_on_hold_from_its_first_offer_or_late_answer(
    late: bool, old: bytes, new: bytes, rtcp_port: int | None
) -> None:
    body = OFFER.replace(old, new)
    made, _ = described(None if late else body)
    if late:
        take_answer(made, body.replace(b"m=video 9226 RTP/AVP 34\r\n", b""))
    assert made.stream is not None
    assert not made.stream.direction.sends
    change = change_for(made, made.stream, None, None)
    assert (change.held, change.rtcp_port) == (True, rtcp_port)


@pytest.mark.parametrize(("formats", "chosen"), [(b" 18 8 0 101", "PCMA"), (b" 0 8 101", "PCMU"), (b" 8", "PCMA")])
def test_own_offer_has_every_codec_and_the_answer_chooses(formats: bytes, chosen: str) -> None:
    made, offer = described(None)
    assert made.stream is None
    assert [(line.port, line.formats) for line in offer.media] == [(16384, ("0", "8"))]
    take_answer(made, OFFER.replace(b"m=video 9226 RTP/AVP 34\r\n", b"").replace(b" 18 8 0 101", formats))
    assert made.stream is not None
    assert (made.stream.remote_port, made.law) == (9224, chosen)


def test_telephone_event_has_the_payload_type_of_the_offer_or_none() -> None:
    made, answer = described(OFFER.replace(b"101", b"96"))
    assert answer.media[0].formats == ("8", "0", "96")
    assert made.stream is not None
    assert stream_for(made, made.stream, None).formats[-1].payload_type == 96
    _, answer = described(OFFER.replace(b" 101\r\na=rtpmap:101 telephone-event/8000", b""))
    assert answer.media[0].formats == ("8", "0")


def test_keys_are_accepted_whatever_the_direction() -> None:
    for offered, answered in ((b"sendrecv", "sendrecv"), (b"recvonly", "sendonly")):
        made, answer = described(OFFER.replace(b"a=recvonly", b"a=" + offered))
        assert answer.media[0].attribute(answered) == ""
        assert made.stream is not None
        assert stream_for(made, made.stream, None).formats[-1].codec == TELEPHONE_EVENT  # E-36: whatever the direction


def test_own_offer_of_an_ivr_call_asks_for_keys() -> None:
    made = MediaCall("call-1", IvrSession(), None)
    describe(made, "192.0.2.2", 16384, 77, None)
    offer = SessionDescription.parse(made.description)
    assert offer.media[0].formats == ("0", "8", "101")
    assert offer.media[0].attribute("sendrecv") == ""
    # the caller answers with a number of its own for keys, and sends them with ours
    take_answer(made, OFFER.replace(b"m=video 9226 RTP/AVP 34\r\n", b"").replace(b"101", b"97"))
    assert made.stream is not None
    assert [known.payload_type for known in stream_for(made, made.stream, None).formats] == [0, 8, 101]


@pytest.mark.parametrize(
    "body", [b"", b"rubbish", OFFER, OFFER.replace(b"m=video 9226 RTP/AVP 34\r\n", b"").replace(b"9224", b"0")]
)
def test_unusable_answers_raise_sdp_error(body: bytes) -> None:
    made, _ = described(None)
    with pytest.raises(SdpError):
        take_answer(made, body)
    with pytest.raises(SdpError):
        take_answer(call(None), OFFER)
