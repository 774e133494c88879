"""Re-INVITEs of callers in memory: hold, other ports and codecs, refusals, refreshes (RFC 3264 section 8)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lemonade_media.decoding.decode import EncodedMedia
from lemonade_media.faults.calls import HOLD_IGNORED, OK_BEFORE_URLFETCH
from lemonade_media.model.commands import LogLine, ModifyStream, PlayMedia, StartFetch, StopMedia
from lemonade_media.testing import CALLER, SERVER, Replay
from lemonade_wire.faults import Fault
from lemonade_wire.mscml.document import CONTENT_TYPE, parse_document, write_document
from lemonade_wire.mscml.messages import Audio, MscmlResponse, PlayRequest, Prompt
from lemonade_wire.sdp.codec import PCMA, PCMU, Codec
from lemonade_wire.sdp.description import Attribute, Direction, SdpConnection, SessionDescription
from lemonade_wire.sdp.offer import make_offer
from lemonade_wire.sip.event import CallAnswered, CallEnded, InfoReceived, ReinviteAnswered, ReinviteReceived
from lemonade_wire.sip.message import SipResponse
from lemonade_wire.sip.message.uri import SipUri
from lemonade_wire.sip.netann import AnnouncementUri

URL = "imap://joe@imap.example.com/INBOX;UIDVALIDITY=9/;UID=20/;SECTION=2;URLAUTH=anonymous:INTERNAL:" + "0a" * 32
ANNC = AnnouncementUri(URL).uri("media.example.net")
IVR = SipUri.parse("sip:ivr@media.example.net")
OFFER = make_offer("192.0.2.3", 20000, [PCMU, PCMA])


class Talk:
    """A call that plays, with the answers to its re-INVITEs and the commands that follow."""

    def __init__(self, uri: SipUri = ANNC, offer: SessionDescription = OFFER, fault: Fault | None = None) -> None:
        self.replay = Replay(fault=fault)
        self.call = self.replay.invite(uri, bytes(offer))
        answered = next(event for event in self.replay.heard if isinstance(event, CallAnswered))
        self.first = SessionDescription.parse(answered.response.body)

    def reinvite(self, offer: SessionDescription) -> SipResponse:
        """Send a re-INVITE with this offer; returns the answer, and keeps the commands that follow."""
        before = len(self.replay.commands)
        self.replay.caller.reinvite(self.call, bytes(offer), now=self.replay.now)
        self.replay.settle()
        answered = next(event for event in reversed(self.replay.heard) if isinstance(event, ReinviteAnswered))
        assert answered.response is not None
        self.commands = self.replay.commands[before:]
        return answered.response

    def by_hand(self, method: str, number: int, body: bytes = b"") -> None:
        """Send a request in the dialog that the caller's user agent would not send."""
        ack = next(data for data in self.replay.sent if data.startswith(b"ACK")).decode()
        head = ack.partition("Content-Length")[0].replace("ACK sip", f"{method} sip")
        head = head.replace("branch=z9hG4bK", f"branch=z9hG4bK{method}{number}")
        head = head.replace("CSeq: 1 ACK", f"CSeq: {number} {method}\r\nContact: <sip:{CALLER}>")
        kind = "Content-Type: application/sdp\r\n" if body else ""
        octets = f"{head}{kind}Content-Length: {len(body)}\r\n\r\n".encode() + body
        self.replay.callee.datagram_received(octets, CALLER, self.replay.now)
        self.replay.settle()

    @property
    def changed(self) -> ModifyStream:
        (change,) = (command for command in self.commands if isinstance(command, ModifyStream))
        return change


def other(offer: SessionDescription = OFFER, **line: object) -> SessionDescription:
    """Return an offer with its first m-line changed, and the version."""
    media = (replace(offer.media[0], **line), *offer.media[1:])  # type: ignore[arg-type]  # fields of the m-line
    return replace(offer, media=media, origin=replace(offer.origin, version=offer.origin.version + 1))


def directed(direction: str, offer: SessionDescription = OFFER) -> SessionDescription:
    attributes = tuple(line for line in offer.media[0].attributes if line.name != "recvonly")
    return other(offer, attributes=(*attributes, Attribute(direction)))


ON_HOLD = [
    (directed("inactive"), Direction.INACTIVE, 20001),
    (directed("sendonly"), Direction.RECVONLY, 20001),
    (replace(OFFER, connection=SdpConnection.to("0.0.0.0")), Direction.SENDONLY, None),  # noqa: S104  a word of SDP
]


@pytest.mark.parametrize(("offer", "direction", "rtcp_port"), ON_HOLD)
def test_an_announcement_pauses_on_hold(offer: SessionDescription, direction: Direction, rtcp_port: int | None) -> None:
    talk = Talk()
    answer = SessionDescription.parse(talk.reinvite(offer).body)
    assert answer.media[0].direction(answer) is direction
    assert (talk.changed.held, talk.changed.rtcp_port) == (True, rtcp_port)
    assert not any(isinstance(command, StopMedia) for command in talk.commands)
    talk.reinvite(other(OFFER))
    change = talk.changed
    assert (change.address, change.port, change.rtcp_port, change.held) == ("192.0.2.3", 20000, 20001, False)
    assert [known.codec for known in change.formats] == [PCMU, PCMA]


def test_the_version_grows_with_a_change_and_with_nothing_else() -> None:
    talk = Talk()
    same = SessionDescription.parse(talk.reinvite(OFFER).body)
    assert same == talk.first
    assert talk.commands[:-1] == []  # a line in the log
    held = SessionDescription.parse(talk.reinvite(directed("inactive")).body)
    assert held.origin == replace(talk.first.origin, version=talk.first.origin.version + 1)
    again = SessionDescription.parse(talk.reinvite(directed("inactive")).body)
    assert again == held
    assert SessionDescription.parse(talk.reinvite(OFFER).body).origin.version == talk.first.origin.version + 2


def test_media_go_where_the_new_offer_says() -> None:
    talk = Talk()
    moved = replace(other(OFFER, port=30000), connection=SdpConnection.to("192.0.2.33"))
    assert talk.reinvite(moved).status == 200
    change = talk.changed
    assert (change.address, change.port, change.rtcp_port, change.held, change.media) == (
        "192.0.2.33", 30000, 30001, False, None,
    )  # fmt: skip


def test_another_codec_goes_on_with_the_same_sound() -> None:
    talk = Talk()
    assert talk.reinvite(make_offer("192.0.2.3", 20000, [PCMA, PCMU], version=2)).status == 200
    (playing,) = (command for command in talk.replay.commands if isinstance(command, PlayMedia))
    (before,) = playing.media
    assert talk.changed.payload_type == 8
    assert talk.changed.media == (before.to("PCMA"),)
    (after,) = talk.changed.media
    assert (before.law, after.law, after.seconds) == ("PCMU", "PCMA", before.seconds)


def test_content_fetched_for_another_codec_is_converted() -> None:
    replay = Replay(fault=OK_BEFORE_URLFETCH, fetch=lambda command: None)
    call = replay.invite(ANNC, bytes(OFFER))
    fetch = next(command for command in replay.commands if isinstance(command, StartFetch))
    replay.caller.reinvite(call, bytes(make_offer("192.0.2.3", 20000, [PCMA], version=2)), now=replay.now)
    replay.settle()
    replay.server.fetched(fetch.job, EncodedMedia("PCMU", b"\xff" * 8000, "key"), replay.now)
    replay.settle()
    play = replay.commands[-1]
    assert isinstance(play, PlayMedia)
    assert [media.law for media in play.media] == ["PCMA"]


def test_sound_converts_between_mu_law_and_a_law() -> None:
    # The values of G.711 nearest to zero, and the loudest, on both sides.
    media = EncodedMedia("PCMU", b"\xff\x80\x00", "key")
    assert media.to("PCMU") is media
    assert media.to("PCMA").octets == b"\xd5\xaa\x2a"
    assert media.to("PCMA").key != media.key


def test_a_stream_may_be_removed_and_come_back() -> None:
    talk = Talk()
    removed = SessionDescription.parse(talk.reinvite(other(OFFER, port=0)).body)
    assert [line.port for line in removed.media] == [0]
    assert (talk.changed.held, talk.changed.rtcp_port) == (True, None)
    back = SessionDescription.parse(talk.reinvite(OFFER).body)
    assert [line.port for line in back.media] == [16384]
    assert (talk.changed.held, talk.changed.port) == (False, 20000)


def test_a_line_that_is_added_and_refused_changes_nothing() -> None:
    talk = Talk()
    video = make_offer("192.0.2.3", 20000, [PCMU, PCMA], video=(20002, [Codec("H263", 90000)]), version=2)
    answer = SessionDescription.parse(talk.reinvite(video).body)
    assert [(line.media, line.port) for line in answer.media] == [("audio", 16384), ("video", 0)]
    assert not any(isinstance(command, ModifyStream) for command in talk.commands)


UNACCEPTABLE = [
    (make_offer("192.0.2.3", 20000, [Codec("G729", 8000)], version=2), 488, "304 192.0.2.2 "),
    (other(OFFER, protocol="RTP/SAVP"), 488, "304 192.0.2.2 "),
    (replace(OFFER, connection=None), 400, ""),
    (replace(OFFER, connection=SdpConnection("IP4", "client.example")), 488, "301 192.0.2.2 "),
    (replace(OFFER, connection=SdpConnection("IP6", "2001:db8::3")), 488, "300 192.0.2.2 "),
]


@pytest.mark.parametrize("uri", [ANNC, IVR])
@pytest.mark.parametrize(("offer", "direction", "rtcp_port"), ON_HOLD)
def test_a_call_on_hold_from_its_start_plays_when_the_hold_ends(
    uri: SipUri, offer: SessionDescription, direction: Direction, rtcp_port: int | None
) -> None:
    """The stream is held before the playing begins: media time stands still, and starts at offset 0 (RFC 3264, 8.4)."""
    talk = Talk(uri, offer)
    assert talk.first.media[0].direction(talk.first) is direction
    names = [type(command).__name__ for command in talk.replay.commands if not isinstance(command, LogLine)]
    assert names[names.index("StartStream") :][:2] == ["StartStream", "ModifyStream"]
    assert "PlayMedia" not in names[: names.index("ModifyStream")]
    held = next(command for command in talk.replay.commands if isinstance(command, ModifyStream))
    assert (held.held, held.rtcp_port) == (True, rtcp_port)
    assert talk.reinvite(other(OFFER)).status == 200
    assert (talk.changed.held, talk.changed.rtcp_port) == (False, 20001)


@pytest.mark.parametrize(("offer", "status", "warning"), UNACCEPTABLE)
def test_an_unacceptable_offer_leaves_the_session(offer: SessionDescription, status: int, warning: str) -> None:
    talk = Talk()
    refused = talk.reinvite(offer)
    assert refused.status == status
    assert (refused.headers.get("Warning") or "").startswith(warning)
    assert not any(isinstance(command, ModifyStream) for command in talk.commands)
    assert SessionDescription.parse(talk.reinvite(OFFER).body) == talk.first
    talk.replay.caller.bye(talk.call, now=talk.replay.now)
    talk.replay.settle()
    assert talk.replay.server.idle


def test_another_body_is_refused() -> None:
    talk = Talk()
    talk.replay.caller.reinvite(talk.call, b"<x/>", now=talk.replay.now, content_type=CONTENT_TYPE)
    talk.replay.settle()
    answered = talk.replay.heard[-1]
    assert isinstance(answered, ReinviteAnswered)
    assert answered.response is not None
    assert (answered.response.status, (answered.response.headers.get("Accept") or "")[:15]) == (415, "application/sdp")


# -- ivr: a change stops the running request (RFC 5022 section 6) -----------------------------------------------------


def playing(talk: Talk) -> None:
    request = write_document(PlayRequest(Prompt((Audio(URL),)), id="7"))
    talk.replay.caller.info(talk.call, request, CONTENT_TYPE, now=talk.replay.now)
    talk.replay.settle()
    assert isinstance(talk.replay.commands[-1], PlayMedia)


def test_a_change_stops_the_running_request() -> None:
    talk = Talk(IVR)
    playing(talk)
    talk.replay.log.clear()
    talk.reinvite(directed("inactive"))
    assert [type(command) for command in talk.commands[-2:]] == [StopMedia, ModifyStream]
    talk.replay.server.playing_ended(talk.changed.call, 3000, 3000, talk.replay.now)
    talk.replay.settle()
    info = next(event for event in reversed(talk.replay.heard) if isinstance(event, InfoReceived))
    said = parse_document(info.request.body)
    assert isinstance(said, MscmlResponse)
    assert (said.request, said.id, said.code, said.reason, said.play_duration_ms) == ("play", "7", 200, "stopped", 3000)
    assert talk.replay.log == [
        "caller INVITE", "server 100", "server 200", "caller ACK", "StopMedia", "ModifyStream", "server INFO",
    ]  # fmt: skip


def test_a_refresh_and_a_refusal_stop_nothing() -> None:
    talk = Talk(IVR)
    playing(talk)
    talk.reinvite(OFFER)
    talk.reinvite(make_offer("192.0.2.3", 20000, [Codec("G729", 8000)], version=2))
    assert not any(isinstance(command, StopMedia | ModifyStream) for command in talk.replay.commands)


def test_content_played_after_a_codec_change_is_in_the_new_codec() -> None:
    talk = Talk(IVR)
    playing(talk)
    talk.reinvite(make_offer("192.0.2.3", 20000, [PCMA], version=2))
    assert talk.changed.media is None
    talk.replay.server.playing_ended(talk.changed.call, 100, 100, talk.replay.now)
    talk.replay.settle()
    info = next(event for event in reversed(talk.replay.heard) if isinstance(event, InfoReceived))
    talk.replay.caller.respond(info.transaction, 200, now=talk.replay.now)
    playing(talk)
    again = talk.replay.commands[-1]
    assert isinstance(again, PlayMedia)
    assert [media.law for media in again.media] == ["PCMA"]


# -- offers of the media server ---------------------------------------------------------------------------------------


def test_a_reinvite_without_an_offer_gets_one_with_every_line() -> None:
    video = make_offer("192.0.2.3", 20000, [PCMU], video=(20002, [Codec("H263", 90000)]))
    talk = Talk(offer=video)
    talk.by_hand("INVITE", 2)
    ok = next(data for data in reversed(talk.replay.sent) if data.startswith(b"SIP/2.0 200"))
    offer = SessionDescription.parse(ok.partition(b"\r\n\r\n")[2])
    assert [(line.media, line.port, line.formats) for line in offer.media] == [
        ("audio", 16384, ("0", "8")),
        ("video", 0, video.media[1].formats),
    ]
    assert offer.origin == replace(talk.first.origin, version=talk.first.origin.version + 1)
    assert offer.media[0].direction(offer) is Direction.SENDONLY
    answer = make_offer("192.0.2.4", 25000, [PCMA], video=(0, [Codec("H263", 90000)]), version=2)
    talk.by_hand("ACK", 2, bytes(answer))
    change = talk.replay.commands[-1]
    assert isinstance(change, ModifyStream)
    assert (change.address, change.port, change.payload_type, change.held) == ("192.0.2.4", 25000, 8, False)


@pytest.mark.parametrize("body", [b"", b"rubbish"])
def test_without_a_usable_answer_in_the_ack_the_call_is_ended(body: bytes) -> None:
    talk = Talk()
    talk.by_hand("INVITE", 2)
    talk.by_hand("ACK", 2, body)
    assert isinstance(talk.replay.heard[-1], CallEnded)
    assert talk.replay.server.idle


def test_a_refresh_by_the_server_offers_the_same_and_its_answer_counts() -> None:
    """RFC 4028 section 9: if the caller asks for a timer, but does not support `timer`, the server is the refresher."""
    replay = Replay()
    call = replay.caller.invite(
        ANNC, next_hop=SERVER, now=replay.now, body=bytes(OFFER), headers=[("Session-Expires", "200")]
    )
    replay.settle()
    answered = next(event for event in replay.heard if isinstance(event, CallAnswered))
    assert answered.response.headers.get("Session-Expires") == "200;refresher=uas"
    for moved, changes in ((OFFER, 0), (other(OFFER, port=30000), 1)):
        replay.advance(101)
        refresh = next(event for event in reversed(replay.heard) if isinstance(event, ReinviteReceived))
        assert refresh.request.body == answered.response.body
        replay.caller.accept(call, bytes(moved), now=replay.now)
        replay.settle()
        assert sum(isinstance(command, ModifyStream) for command in replay.commands) == changes
    change = replay.commands[-1]
    assert isinstance(change, ModifyStream)
    assert change.port == 30000
    replay.advance(101)
    replay.caller.refuse(call, 488, now=replay.now)
    replay.settle()
    lines = [command.text for command in replay.commands if isinstance(command, LogLine)]
    assert any("could not be refreshed: 488" in line for line in lines)
    assert not replay.server.idle
    replay.advance(101)
    assert replay.heard[-1] == CallEnded(call, "bye-received"), "nobody refreshed it"
    assert replay.server.idle


def test_fault_hold_ignored() -> None:
    talk = Talk(fault=HOLD_IGNORED)
    answer = SessionDescription.parse(talk.reinvite(directed("inactive")).body)
    assert answer.media[0].direction(answer) is Direction.INACTIVE
    assert not talk.changed.held
