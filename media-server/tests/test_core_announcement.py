"""Replays of the announcement diagram of section 2.9.1 in memory: a caller's user agent and the media server's core."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lemonade_media.model.commands import AbortFetch, LogLine, PlayMedia, StartFetch, StartStream
from lemonade_media.model.plans import FetchPlan, ProvisionedPlan
from lemonade_media.testing import CONFIG, Replay, deliver_second_copies
from lemonade_wire.mscml.document import CONTENT_TYPE, write_document
from lemonade_wire.mscml.messages import Audio, PlayCollectRequest, Prompt
from lemonade_wire.sdp.codec import PCMA, PCMU, Codec
from lemonade_wire.sdp.description import Direction, SessionDescription
from lemonade_wire.sdp.offer import make_offer
from lemonade_wire.sip.event import ByeReceived, CallAnswered, CallEnded, CallRefused
from lemonade_wire.sip.message.uri import SipUri
from lemonade_wire.sip.netann import AnnouncementUri

URL = "imap://joe@imap.example.com/INBOX;UIDVALIDITY=9/;UID=20/;SECTION=2;URLAUTH=anonymous:INTERNAL:" + "0a" * 32
ANNC = AnnouncementUri(URL).uri("media.example.net")
OFFER = make_offer("192.0.2.3", 20000, [PCMU, PCMA], video=(20002, [Codec("H263", 90000)]))


def test_announcement_diagram() -> None:
    replay = Replay()
    replay.invite(ANNC, bytes(OFFER))
    assert replay.log == [
        "caller INVITE",
        "server 100",
        "OpenMedia",
        "StartFetch",
        "server 200",
        "caller ACK",
        "StartStream",
        "PlayMedia",
    ]
    fetch = next(command for command in replay.commands if isinstance(command, StartFetch))
    assert isinstance(fetch.plan, FetchPlan)
    assert (fetch.plan.url, fetch.plan.host, fetch.plan.port, fetch.law) == (URL, "imap.example.com", 143, "PCMU")
    replay.advance(12)
    replay.log.clear()
    replay.end_playing(12000, 12000)
    assert replay.log == ["server BYE", "caller 200", "CloseMedia"]
    assert [type(event) for event in replay.heard[-2:]] == [ByeReceived, CallEnded]
    assert replay.server.idle


def test_provisioned_content_needs_no_imap_connection(tmp_path: Path) -> None:
    replay = Replay(config=replace(CONFIG, provisioned=tmp_path))
    replay.invite(
        AnnouncementUri("/provisioned/welcome", repeat=2, delay=40, locale="de", substitutions=("5",)).uri("media"),
        bytes(OFFER),
    )
    fetch = next(command for command in replay.commands if isinstance(command, StartFetch))
    assert fetch.plan == ProvisionedPlan("/provisioned/welcome", tmp_path, "welcome", "de", ("5",))
    play = next(command for command in replay.commands if isinstance(command, PlayMedia))
    assert (play.offset_ms, play.limit_ms, play.plays, play.delay_ms) == (0, 3_600_000, 2, 40)


def test_provisioned_content_is_played_by_ivr_too(tmp_path: Path) -> None:
    replay = Replay(config=replace(CONFIG, provisioned=tmp_path))
    call = replay.invite(SipUri.parse("sip:ivr@media.example.net"), bytes(OFFER))
    request = write_document(PlayCollectRequest(Prompt((Audio("/provisioned/welcome", None),)), "1"))
    replay.caller.info(call, request, CONTENT_TYPE, now=replay.now)
    replay.settle()
    fetch = next(command for command in replay.commands if isinstance(command, StartFetch))
    assert fetch.plan == ProvisionedPlan("/provisioned/welcome", tmp_path, "welcome")


def test_answer_covers_every_line_and_names_ports() -> None:
    replay = Replay()
    replay.invite(ANNC, bytes(OFFER))
    answered = next(event for event in replay.heard if isinstance(event, CallAnswered))
    description = SessionDescription.parse(answered.response.body)
    assert [(line.media, line.port) for line in description.media] == [("audio", 16384), ("video", 0)]
    assert description.media[0].direction(description) is Direction.SENDONLY
    stream = next(command for command in replay.commands if isinstance(command, StartStream))
    assert (stream.address, stream.port, stream.rtcp_port, stream.payload_type) == ("192.0.2.3", 20000, 20001, 0)
    assert (stream.burst, stream.reset_on_seek) == (1, False)


def test_first_copy_of_every_datagram_may_be_lost() -> None:
    replay = Replay(deliver=deliver_second_copies())
    replay.invite(ANNC, bytes(OFFER))
    replay.advance(10)
    assert isinstance(replay.commands[-1], PlayMedia)
    replay.end_playing(12000, 12000)
    replay.advance(10)
    assert isinstance(replay.heard[-1], CallEnded)
    assert replay.server.idle
    assert sum(isinstance(command, PlayMedia) for command in replay.commands) == 1


def test_invite_without_an_offer_gets_one_and_is_played_after_the_answer_in_the_ack() -> None:
    replay = Replay()
    replay.invite(ANNC, b"")
    answered = next(event for event in replay.heard if isinstance(event, CallAnswered))
    offer = SessionDescription.parse(answered.response.body)
    assert [line.formats for line in offer.media] == [("0", "8")]
    # The caller's user agent acknowledges without an answer: nothing can be sent, so the server hangs up.
    assert replay.log[-3:] == ["server BYE", "caller 200", "CloseMedia"]
    assert not any(isinstance(command, StartStream) for command in replay.commands)


def test_caller_may_hang_up_while_it_plays() -> None:
    replay = Replay()
    call = replay.invite(ANNC, bytes(OFFER))
    replay.caller.bye(call, now=replay.now)
    replay.settle()
    assert replay.log[-3:] == ["caller BYE", "server 200", "CloseMedia"]
    replay.end_playing(3000, 3000)
    assert replay.log[-1] == "CloseMedia"


def test_cancel_aborts_the_fetch() -> None:
    replay = Replay(fetch=lambda command: None)
    call = replay.invite(ANNC, bytes(OFFER))
    replay.caller.cancel(call, now=replay.now)
    replay.settle()
    refused = next(event for event in replay.heard if isinstance(event, CallRefused))
    assert refused.response is not None
    assert refused.response.status == 487
    assert any(isinstance(command, AbortFetch) for command in replay.commands)
    assert replay.server.idle


def test_log_has_a_line_for_every_step() -> None:
    replay = Replay()
    replay.invite(ANNC, bytes(OFFER))
    lines = " ".join(command.text for command in replay.commands if isinstance(command, LogLine))
    assert all(word in lines for word in ("INVITE", "fetching", "fetched 12.00 s of PCMU", "answered 200"))
    assert not any(command.raw for command in replay.commands if isinstance(command, LogLine))
