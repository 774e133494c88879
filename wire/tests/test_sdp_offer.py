"""Offers and answers of RFC 3264, the draft's examples among them."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_wire.sdp.codec import PCMA, PCMU, Codec, SdpError
from lemonade_wire.sdp.description import Attribute, Direction, SessionDescription
from lemonade_wire.sdp.offer import (
    Capabilities,
    IncompatibleAddress,
    NoCommonCodec,
    SdpAnswer,
    answer,
    make_offer,
    read_answer,
)

G711 = Capabilities({"audio": (PCMU, PCMA)})
HEAD = "v=0\r\no=- 1 1 IN IP4 192.0.2.40\r\ns=-\r\nc=IN IP4 192.0.2.40\r\nt=3034423619 0\r\n"
DRAFT_OFFER = (
    HEAD + "m=audio 9224 RTP/AVP 0 8 3 98 101\r\na=fmtp:101 0-15\r\na=rtpmap:98 ilbc/8000\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na=recvonly\r\n"
    "m=video 9226 RTP/AVP 105 34 120\r\na=rtpmap:105 h263-2000/90000\r\na=rtpmap:120 h263/90000\r\na=recvonly\r\n"
)
# The draft's own answer: one m-line for two, no direction, PT 18 that was not offered, 0-16 (E-16, E-17, E-18)
DRAFT_ANSWER = (
    "v=0\r\no=NetAnn 2890844527 2890844527 IN IP4 192.0.2.41\r\ns=Session SDP\r\nc=IN IP4 192.0.2.41\r\n"
    "t=3034423619 0\r\nm=audio 17684 RTP/AVP 0 8 3 18 98 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
    "a=rtpmap:3 GSM/8000\r\na=rtpmap:18 G729/8000\r\na=fmtp:18 annexb=no\r\na=rtpmap:98 iLBC/8000\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n"
)


def respond(offer: str, capabilities: Capabilities = G711) -> SdpAnswer:
    ports = {"audio": 16384, "video": 16386}
    return answer(SessionDescription.parse(offer), capabilities, "192.0.2.41", ports, session_id=7, version=2)


def audio(formats: str, *lines: str) -> str:
    return HEAD + f"m=audio 9224 RTP/AVP {formats}\r\n" + "".join(f"a={line}\r\n" for line in lines)


def test_the_answer_to_the_drafts_offer_word_for_word() -> None:
    answered = respond(DRAFT_OFFER)
    assert str(answered.description) == (
        "v=0\r\no=- 7 2 IN IP4 192.0.2.41\r\ns=-\r\nc=IN IP4 192.0.2.41\r\nt=3034423619 0\r\n"
        "m=audio 16384 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
        "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendonly\r\n"
        "m=video 0 RTP/AVP 105 34 120\r\n"
    )
    (stream,) = answered.streams
    assert (stream.codec, stream.payload_type, stream.telephone_event) == (PCMU, 0, 101)
    assert (stream.remote_address, stream.remote_port, stream.remote_rtcp_port) == ("192.0.2.40", 9224, 9225)
    assert (stream.direction, stream.local_port, stream.ptime_ms) == (Direction.SENDONLY, 16384, 20)


@pytest.mark.parametrize(
    ("offered", "answered"),
    [
        ("sendrecv", "sendrecv"),
        ("sendonly", "recvonly"),
        ("recvonly", "sendonly"),
        ("inactive", "inactive"),
        ("x", "sendrecv"),
    ],
)
def test_direction_is_turned_round(offered: str, answered: str) -> None:
    made = respond(audio("0", offered))
    assert made.streams[0].direction.value == answered
    assert made.description.media[0].attributes[-1] == Attribute(answered)


def test_the_offers_order_and_numbers_count() -> None:
    made = respond(audio("97 8 0", "rtpmap:97 pcmu/8000"))
    assert made.description.media[0].formats == ("97", "8", "0")
    assert (made.streams[0].payload_type, made.streams[0].codec) == (97, PCMU)


def test_keys_are_no_codec() -> None:
    with pytest.raises(NoCommonCodec):
        respond(audio("3 101", "rtpmap:101 telephone-event/8000"))
    made = respond(audio("0 101", "rtpmap:101 telephone-event/16000"))
    assert made.description.media[0].formats == ("0",), "keys have the clock of the sound they go with"
    silent = respond(audio("0 101", "rtpmap:101 telephone-event/8000"), replace(G711, telephone_event=False))
    assert silent.streams[0].telephone_event is None


@pytest.mark.parametrize("protocol", ["RTP/SAVP", "RTP/AVPF", "UDP/TLS/RTP/SAVPF", "udptl"])
def test_other_transports_are_rejected(protocol: str) -> None:
    with pytest.raises(NoCommonCodec):
        respond(audio("0").replace("RTP/AVP", protocol))


def test_one_stream_of_each_medium_and_none_that_is_off() -> None:
    offer = audio("3") + "m=audio 5000 RTP/AVP 8\r\nm=audio 5002 RTP/AVP 0\r\nm=text 5004 RTP/AVP 98\r\n"
    made = respond(offer)
    assert [line.port for line in made.description.media] == [0, 16384, 0, 0]
    assert made.streams[0].index == 1
    with pytest.raises(NoCommonCodec):
        respond(audio("0").replace("9224", "0"))
    with pytest.raises(NoCommonCodec):
        respond(HEAD)


def test_addresses_ports_and_packet_time_of_the_other_side() -> None:
    stream = respond(audio("0", "rtcp:53020", "ptime:30")).streams[0]
    assert (stream.remote_rtcp_port, stream.ptime_ms) == (53020, 30)
    for nonsense in ("rtcp:x", "rtcp:0", "rtcp:70000", "ptime:0", "ptime:5000", "ptime:²"):
        stream = respond(audio("0", nonsense)).streams[0]
        assert (stream.remote_rtcp_port, stream.ptime_ms) == (9225, 20)


@pytest.mark.parametrize(
    ("lines", "packet_ms"),
    [
        (("maxptime:10",), 10),
        (("ptime:60", "maxptime:30"), 30),
        (("ptime:30", "maxptime:60"), 30),
        (("maxptime:60",), 20),
        (("maxptime:0",), 20),
        (("maxptime:x",), 20),
    ],
)
def test_maxptime_bounds_the_packet_time(lines: tuple[str, ...], packet_ms: int) -> None:
    assert respond(audio("0", *lines)).streams[0].ptime_ms == packet_ms


@pytest.mark.parametrize(
    ("connection", "warning"),
    [("IP6 2001:db8::1", 300), ("IP6 host.example.com", 300), ("IP4 host.example.com", 301)],
)
def test_an_address_that_cannot_be_sent_to_is_refused_with_its_warning(connection: str, warning: int) -> None:
    offer = audio("0").replace("c=IN IP4 192.0.2.40", f"c=IN {connection}")
    with pytest.raises(IncompatibleAddress) as refused:
        respond(offer)
    assert refused.value.warning == warning
    ours = SessionDescription.parse(audio("0"))
    with pytest.raises(IncompatibleAddress):
        read_answer(ours, SessionDescription.parse(offer))


def test_a_rejected_stream_may_have_an_address_of_the_other_family() -> None:
    answered = respond(audio("0") + "m=video 9226 RTP/AVP 34\r\nc=IN IP6 2001:db8::1\r\n")
    assert [line.port for line in answered.description.media] == [16384, 0]


@pytest.mark.parametrize("connection", ["IP4 0.0.0.0", "IP6 ::"])
def test_the_unspecified_address_of_either_family_is_hold(connection: str) -> None:
    (stream,) = respond(audio("0").replace("c=IN IP4 192.0.2.40", f"c=IN {connection}")).streams
    assert stream.direction is Direction.RECVONLY


def test_hold_is_never_sent_to() -> None:
    held = audio("0").replace("c=IN IP4 192.0.2.40", "c=IN IP4 0.0.0.0")
    assert respond(held).streams[0].direction is Direction.RECVONLY
    with pytest.raises(SdpError):
        respond(audio("0").replace("c=IN IP4 192.0.2.40\r\n", ""))


def test_an_announcement_is_asked_for_in_these_words() -> None:
    offer = make_offer("127.0.0.3", 20000, [PCMU, Codec("iLBC", 8000)], video=(20002, [Codec("H263", 90000)]))
    assert str(offer) == (
        "v=0\r\no=- 1 1 IN IP4 127.0.0.3\r\ns=-\r\nc=IN IP4 127.0.0.3\r\nt=0 0\r\n"
        "m=audio 20000 RTP/AVP 0 96\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:96 iLBC/8000\r\na=ptime:20\r\na=recvonly\r\n"
        "m=video 20002 RTP/AVP 34\r\na=rtpmap:34 H263/90000\r\na=recvonly\r\n"
    )


def test_an_ivr_call_may_send_keys() -> None:
    offer = make_offer("127.0.0.3", 20000, [PCMA], direction=Direction.SENDRECV, telephone_event=True)
    made = answer(offer, G711, "127.0.0.2", {"audio": 16384})
    (ours,) = read_answer(offer, made.description)
    assert (ours.codec, ours.payload_type, ours.telephone_event, ours.direction) == (PCMA, 8, 101, Direction.SENDRECV)
    assert (ours.remote_address, ours.remote_port, ours.local_port) == ("127.0.0.2", 16384, 20000)


def test_the_drafts_own_answer_is_understood() -> None:
    (stream,) = read_answer(SessionDescription.parse(DRAFT_OFFER), SessionDescription.parse(DRAFT_ANSWER))
    assert (stream.codec, stream.payload_type, stream.direction) == (PCMU, 0, Direction.RECVONLY)
    assert (stream.remote_port, stream.telephone_event) == (17684, 101)


def test_an_answer_with_its_rejected_line_left_out_reads_the_same() -> None:
    offer = SessionDescription.parse(DRAFT_OFFER)
    made = respond(DRAFT_OFFER).description
    assert read_answer(offer, made) == read_answer(offer, made.without_media(1))


def test_answers_that_do_not_fit() -> None:
    offer, two = SessionDescription.parse(audio("0")), SessionDescription.parse(DRAFT_OFFER)
    with pytest.raises(SdpError):
        read_answer(offer, two)
    with pytest.raises(SdpError):
        read_answer(offer, replace(two, media=two.media[1:]))
    with pytest.raises(SdpError):
        read_answer(offer, replace(offer, connection=None))
    assert read_answer(offer, SessionDescription.parse(audio("8"))) == (), "nothing of it was offered"
    assert read_answer(offer, SessionDescription.parse(audio("0").replace("9224", "0"))) == ()


NUMBERS = st.lists(st.sampled_from(["0", "8", "3", "101", "97", "34", "x"]), min_size=1, max_size=5).map(" ".join)
LINES = st.builds(
    "m={} {} {} {}\r\na={}\r\na=rtpmap:97 {}\r\n".format,
    st.sampled_from(["audio", "video", "text"]),
    st.sampled_from([0, 4000]),
    st.sampled_from(["RTP/AVP", "RTP/SAVP"]),
    NUMBERS,
    st.sampled_from(["sendonly", "recvonly", "inactive", "sendrecv", "mid:1"]),
    st.sampled_from(["pcma/8000", "telephone-event/8000", "bad"]),
)


@given(st.lists(LINES, max_size=4).map("".join))
def test_every_answer_has_the_m_lines_of_its_offer(lines: str) -> None:
    offer = SessionDescription.parse(HEAD + lines)
    with contextlib.suppress(NoCommonCodec):
        made = answer(offer, G711, "192.0.2.41", {"audio": 16384})
        again = SessionDescription.parse(bytes(made.description))
        assert [line.media for line in again.media] == [line.media for line in offer.media]
        for ours, theirs in zip(again.media, offer.media, strict=True):
            assert set(ours.formats) <= set(theirs.formats)
            assert ours.port == 0 or ours.direction(again) is theirs.direction(offer).reversed
        (stream,) = read_answer(offer, again)
        assert stream.codec == made.streams[0].codec
        assert stream.payload_type == made.streams[0].payload_type
