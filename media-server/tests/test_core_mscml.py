"""MSCML over SIP in memory: recordings, notifications, gains and refusals. Each document sent must be valid."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lemonade_media.calls.dtmf import beep
from lemonade_media.model.commands import LogLine, OpenMedia, PlayMedia, RecordMedia, StopMedia, StopRecordingMedia
from lemonade_media.model.failures import Failure, FailureKind
from lemonade_media.testing import CONFIG, Replay
from lemonade_wire.mscml.document import CONTENT_TYPE, Document, parse_document, write_document
from lemonade_wire.mscml.messages import (
    Audio,
    ConfigureLeg,
    Keypress,
    KeypressSubscription,
    MscmlResponse,
    PlayCollectRequest,
    PlayRecordRequest,
    Prompt,
    Request,
    StopRequest,
)
from lemonade_wire.sdp.codec import PCMU
from lemonade_wire.sdp.offer import make_offer
from lemonade_wire.sip.message.uri import SipUri
from lemonade_wire.testing.messages import mscml_request

URL = "imap://joe@imap.example.com/INBOX;UIDVALIDITY=9/;UID=20/;SECTION=2;URLAUTH=anonymous:INTERNAL:" + "0a" * 32
OFFER = bytes(make_offer("192.0.2.3", 20000, [PCMU], telephone_event=True))
IVR = SipUri.parse("sip:ivr@media.example.net")
FOLDER = Path("/srv/recordings")
RECORDING = replace(CONFIG, recordings=FOLDER)
QUICK = PlayCollectRequest(
    Prompt((Audio(URL),), stop_on_error=True), "1", first_digit_ms=0, interdigit_ms=0, extra_digit_ms=0
)


class Talk:
    """A call to the IVR service, and the MSCML in it."""

    def __init__(self, check: Callable[[bytes], None], replay: Replay | None = None) -> None:
        self.replay = replay or Replay(config=RECORDING)
        self.check = check
        self.call = self.replay.invite(IVR, OFFER)
        self.replay.log.clear()

    def ask(self, request: Request) -> None:
        self.info(write_document(request), CONTENT_TYPE)

    def press(self, key: str, held_ms: int = 160) -> None:
        self.info(f"Signal={key}\r\nDuration={held_ms}\r\n".encode(), "application/dtmf-relay")

    def info(self, body: bytes, kind: str) -> None:
        self.replay.caller.info(self.call, body, kind, now=self.replay.now)
        self.replay.settle()

    def told(self) -> list[Document]:
        """Answer the server's INFO requests as they come, and return the MSCML in them."""
        bodies = [event.request.body for event in self.replay.answer_infos()]
        for body in bodies:
            self.check(body)
        return [parse_document(body) for body in bodies]

    def played(self, played_ms: float) -> None:
        self.replay.end_playing(played_ms, played_ms)

    @property
    def last(self) -> object:
        """The last command of the core."""
        return [command for command in self.replay.commands if not isinstance(command, LogLine)][-1]


@pytest.fixture
def talk(valid_mscml: Callable[[bytes], None]) -> Talk:
    return Talk(valid_mscml)


def test_a_recording_from_prompt_to_response(talk: Talk) -> None:
    talk.ask(PlayRecordRequest("file:///a.wav", Prompt((Audio(URL),)), "r", limit_ms=30000))
    talk.played(12000)
    assert isinstance(talk.last, PlayMedia)
    assert talk.last.media == (beep("PCMU"),)
    talk.played(400)
    recording = talk.last
    assert isinstance(recording, RecordMedia)
    assert recording == RecordMedia(recording.call, FOLDER / "a.wav", False, 30000, 3000, 4000)
    talk.press("#")
    assert isinstance(talk.last, StopRecordingMedia)
    talk.replay.server.recording_ended(talk.last.call, 5000, 40058, "stopped", talk.replay.now)
    talk.replay.settle()
    assert talk.told() == [
        MscmlResponse(
            "playrecord",
            id="r",
            reason="digit",
            play_duration_ms=12000,
            play_offset_ms=12000,
            digits="#",
            record_octets=40058,
            record_duration_ms=5000,
        )
    ]


@pytest.mark.parametrize(("asked", "bound"), [(math.inf, 60_000), (90_000, 60_000), (59_000, 59_000)])
def test_every_recording_ends_at_the_servers_limit(
    valid_mscml: Callable[[bytes], None], asked: float, bound: float
) -> None:
    talk = Talk(valid_mscml, Replay(config=replace(RECORDING, max_recording_seconds=60)))
    talk.ask(PlayRecordRequest("file:///a.wav", id="r", limit_ms=asked, beep=False))
    assert isinstance(talk.last, RecordMedia)
    assert talk.last.limit_ms == bound
    talk.replay.server.recording_ended(talk.last.call, bound, 480_058, "limit", talk.replay.now)
    talk.replay.settle()
    (response,) = talk.told()
    assert isinstance(response, MscmlResponse)
    assert (response.code, response.reason) == (200, "max_duration")


def test_without_a_folder_a_recording_is_refused(valid_mscml: Callable[[bytes], None]) -> None:
    talk = Talk(valid_mscml, Replay())
    talk.ask(PlayRecordRequest("file:///a.wav", id="r"))
    (response,) = talk.told()
    assert isinstance(response, MscmlResponse)
    assert (response.code, response.text, response.record_octets) == (403, "Forbidden", 0)


def test_a_key_is_notified_before_its_effect(talk: Talk) -> None:
    talk.ask(ConfigureLeg(KeypressSubscription("both"), id="leg"))
    assert talk.replay.log == ["caller INFO", "server 200", "server INFO"]
    assert talk.told() == [MscmlResponse("configure_leg", id="leg")]
    talk.ask(QUICK)
    talk.replay.advance(2)
    talk.replay.log.clear()
    talk.press("5")
    assert talk.replay.log == ["caller INFO", "server 200", "server INFO", "StopMedia"]
    assert talk.told() == [Keypress("5", "standard", 0, "play", 2000)]
    assert isinstance(talk.last, StopMedia)
    talk.played(2000)
    talk.replay.advance(1)
    talk.told()
    talk.press("5", held_ms=1500)
    assert talk.told() == [Keypress("5", "standard", 1000, "idle", 1000), Keypress("5", "long", 0, "idle", 1000)]


def test_a_long_key_by_rtp_is_notified_at_its_release(talk: Talk) -> None:
    talk.ask(ConfigureLeg(KeypressSubscription("long")))
    talk.told()
    call = next(command.call for command in talk.replay.commands if isinstance(command, OpenMedia))
    talk.replay.server.key_pressed(call, "7", talk.replay.now)
    talk.replay.advance(1.5)
    talk.replay.server.key_released(call, "7", talk.replay.now)
    talk.replay.settle()
    assert [one.method for one in talk.told() if isinstance(one, Keypress)] == ["long"]


def test_the_gain_of_an_audio_element_is_applied(talk: Talk) -> None:
    talk.ask(replace(QUICK, prompt=Prompt((Audio(URL), Audio(URL, gain_db=-6)))))
    assert isinstance(talk.last, PlayMedia)
    plain, softer = talk.last.media
    assert softer == plain.amplified(-6)
    assert softer.octets != plain.octets


def test_a_prompt_of_nothing_but_bad_urls_ends(talk: Talk) -> None:
    items = tuple(Audio(f"http://h/{number}") for number in range(64))
    talk.ask(replace(QUICK, prompt=Prompt(items)))
    (response,) = talk.told()
    assert isinstance(response, MscmlResponse)
    assert (response.code, response.reason) == (200, "timeout")
    assert response.error_info is not None
    assert response.error_info.context == "http://h/63"


def test_two_requests_and_a_stop_are_answered_in_their_order(talk: Talk) -> None:
    talk.ask(QUICK)
    talk.ask(replace(QUICK, id="2"))
    talk.ask(StopRequest("3"))
    talk.played(500)
    answered = [(one.id, one.reason) for one in talk.told() if isinstance(one, MscmlResponse)]
    assert answered == [("1", "stopped"), ("2", "stopped"), ("3", None)]


@pytest.mark.parametrize(
    ("grammar", "keys", "wait", "digits"),
    [
        ('<regex value="x{4}" name="pin"/>', "1234", 0.0, "1234"),
        ('<mgcpdigitmap value="(0T|[1-7]xxx)" name="pin"/>', "0", 0.6, "0"),
        ('<mgcpdigitmap value="(0T|[1-7]xxx)" name="pin"/>', "1234", 0.0, "1234"),
        ('<megacodigitmap value="S:1,(0|00|9011x.)" name="pin"/>', "90114", 1.1, "90114"),
        ('<megacodigitmap value="(0|00|9011x.)" name="pin"/>', "00", 0.0, "00"),
    ],
)
def test_the_name_of_the_grammar_that_matched(talk: Talk, grammar: str, keys: str, wait: float, digits: str) -> None:
    asked = f'<playcollect id="1" interdigitcriticaltimer="500"><pattern>{grammar}</pattern></playcollect>'
    document = mscml_request(asked)
    talk.check(document)
    talk.info(document, CONTENT_TYPE)
    for key in keys:
        assert not talk.told()
        talk.press(key)
    if wait:
        talk.replay.advance(wait - 0.2)
        assert not talk.told()
        talk.replay.advance(0.2)
    (response,) = talk.told()
    assert isinstance(response, MscmlResponse)
    assert (response.code, response.reason, response.digits, response.name) == (200, "match", digits, "pin")


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        ('<faxplay id="1"/>', 501, "Not Implemented"),
        ('<configure_conference id="1" reservedtalkers="2"/>', 501, "Not Implemented"),
        ('<managecontent id="1" src="file:///x" action="delete"/>', 500, "Server Error"),
        ('<managecontent id="1" src="file:///x"/>', 400, "Bad Request"),
        ('<playrecord id="1" recurl="file:///../x"/>', 403, "Forbidden"),
        ('<playrecord id="1" recurl="file:///x" recencoding="msgsm"/>', 415, "Unsupported Media"),
        ('<playcollect id="1" ffkey="1" rwkey="1"/>', 400, "Bad Request: ffkey and rwkey are the same"),
        ('<playcollect id="1" colour="red"/>', 400, "Bad Request: <playcollect> has no attribute colour"),
        ('<play id="1"><prompt><variable type="num" value="1"/></prompt></play>', 501, "Not Implemented"),
    ],
)
def test_requests_that_are_refused_and_their_codes(talk: Talk, body: str, code: int, text: str) -> None:
    talk.info(mscml_request(body), CONTENT_TYPE)
    assert talk.replay.log[:2] == ["caller INFO", "server 200"]
    (response,) = talk.told()
    assert isinstance(response, MscmlResponse)
    assert (response.code, response.text, response.id) == (code, text, "1")


def test_digits_are_in_the_response_and_in_no_log(valid_mscml: Callable[[bytes], None]) -> None:
    talk = Talk(valid_mscml, Replay(fetch=lambda command: Failure(FailureKind.NOT_FOUND, "NIL")))
    talk.ask(PlayCollectRequest(Prompt((Audio(URL),)), "1", mask_digits=True, max_digits=6, clear_digits=True))
    for key in "975310":
        talk.press(key)
    talk.info(b"Signal=975\r\n", "application/dtmf-relay")
    talk.replay.advance(1.1)
    (response,) = talk.told()
    assert isinstance(response, MscmlResponse)
    assert response.digits == "975310"
    said = " ".join(line.text for line in talk.replay.commands if isinstance(line, LogLine))
    assert "playcollect answered 200 match" in said
    assert not any(digits in said for digits in ("97", "75", "53", "31", "10", "'9'"))
