"""Replays of the IVR diagram of section 2.9.2 in memory: a caller's user agent and the media server's core."""

from __future__ import annotations

import pytest

from lemonade_media.model.commands import LogLine, PlayMedia, SeekMedia, StopMedia
from lemonade_media.model.failures import Failure, FailureKind
from lemonade_media.testing import Replay, deliver_second_copies
from lemonade_wire.mscml.document import CONTENT_TYPE, parse_document, write_document
from lemonade_wire.mscml.messages import Audio, MscmlResponse, PlayCollectRequest, Prompt, Request, StopRequest
from lemonade_wire.sdp.codec import PCMA, PCMU, Codec
from lemonade_wire.sdp.description import SessionDescription
from lemonade_wire.sdp.offer import make_offer, read_answer
from lemonade_wire.sip.event import CallAnswered, InfoReceived, RequestAnswered
from lemonade_wire.sip.message.uri import SipUri
from lemonade_wire.sip.netann import AnnouncementUri

URL = "imap://joe@imap.example.com/INBOX;UIDVALIDITY=9/;UID=20/;SECTION=2;URLAUTH=anonymous:INTERNAL:" + "0a" * 32
ANNC = AnnouncementUri(URL).uri("media.example.net")
IVR = SipUri.parse("sip:ivr@media.example.net")
OFFER = make_offer("192.0.2.3", 20000, [PCMU, PCMA], video=(20002, [Codec("H263", 90000)]))
COLLECT = PlayCollectRequest(
    Prompt((Audio(URL),), stop_on_error=True),
    "1",
    clear_digits=True,
    skip_interval_ms=4000,
    ff_key="6",
    rw_key="4",
    first_digit_ms=0,
    interdigit_ms=0,
    extra_digit_ms=0,
)


def info(replay: Replay, call: str, body: bytes, kind: str) -> None:
    replay.caller.info(call, body, kind, now=replay.now)
    replay.settle()


def ask(replay: Replay, call: str, request: Request) -> None:
    info(replay, call, write_document(request), CONTENT_TYPE)


def press(replay: Replay, call: str, key: str) -> None:
    info(replay, call, f"Signal={key}\r\nDuration=160\r\n".encode(), "application/dtmf-relay")


def responses(replay: Replay) -> list[MscmlResponse]:
    """Answer the server's INFOs, and return the MSCML responses in them."""
    found: list[MscmlResponse] = []
    for event in replay.answer_infos():
        assert event.request.content_type == CONTENT_TYPE
        document = parse_document(event.request.body)
        assert isinstance(document, MscmlResponse)
        found.append(document)
    return found


def final_status(replay: Replay) -> int:
    answered = [event for event in replay.heard if isinstance(event, RequestAnswered)]
    replay.heard.remove(answered[-1])
    assert answered[-1].response is not None
    return answered[-1].response.status


def playing(replay: Replay) -> str:
    """Call the IVR service, ask for COLLECT and return the caller's call."""
    call = replay.invite(IVR, bytes(OFFER))
    ask(replay, call, COLLECT)
    assert isinstance(replay.commands[-1], PlayMedia)
    return call


def test_ivr_diagram() -> None:
    replay = Replay()
    call = playing(replay)
    assert replay.log == [
        "caller INVITE",
        "server 100",
        "OpenMedia",
        "server 200",
        "caller ACK",
        "StartStream",
        "caller INFO",
        "server 200",
        "StartFetch",
        "PlayMedia",
    ]
    replay.log.clear()
    replay.advance(3)
    press(replay, call, "6")
    assert replay.log == ["caller INFO", "server 200", "SeekMedia"]
    assert isinstance(replay.commands[-1], SeekMedia)
    assert replay.commands[-1].by_ms == 4000
    replay.log.clear()
    replay.advance(5)
    replay.end_playing(8000, 12000)
    assert replay.log == ["server INFO"]
    assert responses(replay) == [
        MscmlResponse("playcollect", 200, "OK", "1", "timeout", play_duration_ms=8000, play_offset_ms=12000, digits="")
    ]
    replay.caller.bye(call, now=replay.now)
    replay.settle()
    assert replay.log == ["server INFO", "caller 200", "caller BYE", "server 200", "CloseMedia"]


def test_a_key_by_rtp_acts_as_one_by_info_and_both_together_act_once() -> None:
    replay = Replay()
    call = playing(replay)
    server_call = next(command.call for command in replay.commands if isinstance(command, PlayMedia))

    def seeks() -> int:
        return sum(isinstance(command, SeekMedia) for command in replay.commands)

    replay.server.key_pressed(server_call, "6", replay.now)
    replay.settle()
    assert seeks() == 1
    press(replay, call, "6")
    assert final_status(replay) == 200
    assert seeks() == 1
    replay.server.key_released(server_call, "6", replay.now)
    press(replay, call, "6")
    replay.server.key_pressed(server_call, "6", replay.now)
    replay.server.key_released(server_call, "6", replay.now)
    replay.settle()
    assert seeks() == 2
    replay.server.key_pressed("no call", "6", replay.now)
    replay.server.key_released("no call", "6", replay.now)
    assert not replay.server.commands()


def test_a_hook_flash_is_answered_and_does_nothing() -> None:
    replay = Replay()
    call = playing(replay)
    press(replay, call, "16")
    assert final_status(replay) == 200
    assert isinstance(replay.commands[-1], PlayMedia)


def test_ivr_call_survives_the_loss_of_every_first_datagram() -> None:
    replay = Replay(deliver=deliver_second_copies())
    call = replay.invite(IVR, bytes(OFFER))
    replay.advance(5)
    ask(replay, call, COLLECT)
    replay.advance(5)
    press(replay, call, "6")
    replay.advance(5)
    assert [type(command) for command in replay.commands if isinstance(command, PlayMedia | SeekMedia)] == [
        PlayMedia,
        SeekMedia,
    ]
    replay.end_playing(8000, 12000)
    replay.advance(5)
    assert [response.reason for response in responses(replay)] == ["timeout"]
    replay.advance(5)
    replay.caller.bye(call, now=replay.now)
    replay.advance(5)
    assert replay.server.idle


def test_stop_is_answered_before_its_effects() -> None:
    replay = Replay()
    call = playing(replay)
    replay.log.clear()
    ask(replay, call, StopRequest("2"))
    assert replay.log == ["caller INFO", "server 200", "StopMedia"]
    assert isinstance(replay.commands[-1], StopMedia)
    replay.end_playing(1000, 1000)
    first = responses(replay)
    second = responses(replay)
    assert [(one.request, one.reason) for one in first + second] == [("playcollect", "stopped"), ("stop", None)]


def test_escape_key_ends_the_request_and_not_the_call() -> None:
    replay = Replay()
    call = playing(replay)
    press(replay, call, "*")
    assert isinstance(replay.commands[-1], StopMedia)
    replay.end_playing(1000, 1000)
    assert responses(replay)[0].reason == "escapekey"
    assert not replay.server.idle
    ask(replay, call, COLLECT)
    assert isinstance(replay.commands[-1], PlayMedia)


def test_a_failed_fetch_is_reported_with_the_url() -> None:
    replay = Replay(fetch=lambda command: Failure(FailureKind.NOT_FOUND, "NIL"))
    ask(replay, replay.invite(IVR, bytes(OFFER)), COLLECT)
    response = responses(replay)[0]
    assert response.code == 404
    assert response.error_info is not None
    assert (response.error_info.code, response.error_info.context) == (404, URL)


def test_hanging_up_while_playing_sends_no_response() -> None:
    replay = Replay()
    call = playing(replay)
    replay.caller.bye(call, now=replay.now)
    replay.settle()
    replay.end_playing(1000, 1000)
    assert replay.log[-3:] == ["caller BYE", "server 200", "CloseMedia"]


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"hello", "text/plain", 415),
        (b"Signal=5\r\n", "application/dtmf-relay", 200),
        (b"7", "application/dtmf", 200),
        (b"Signal=\r\n", "application/dtmf-relay", 400),
        (b"\xff\xff", "application/dtmf", 400),
        (b"<MediaServerControl", CONTENT_TYPE, 400),
        (b'<!DOCTYPE x [<!ENTITY y "z">]><MediaServerControl version="1.0"/>', CONTENT_TYPE, 400),
        (write_document(MscmlResponse("play", 200)), CONTENT_TYPE, 400),
    ],
)
def test_each_kind_of_info_body_gets_its_status(body: bytes, kind: str, status: int) -> None:
    replay = Replay()
    call = replay.invite(IVR, bytes(OFFER))
    info(replay, call, body, kind)
    answered = [event for event in replay.heard if isinstance(event, RequestAnswered)][-1]
    assert answered.response is not None
    assert answered.response.status == status
    if status == 415:
        assert CONTENT_TYPE in (answered.response.headers.get("Accept") or "")


MIXED = "multipart/mixed;boundary=b"
KEY = b"--b\r\nContent-Type: application/dtmf-relay\r\n\r\nSignal=6\r\n\r\n"
REQUEST = f"--b\r\nContent-Type: {CONTENT_TYPE}\r\n\r\n".encode() + write_document(COLLECT) + b"\r\n"
NOTE = b"--b\r\nContent-Type: text/plain\r\nContent-Disposition: render;handling=optional\r\n\r\nhello\r\n"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (KEY + b"--b--", 200),
        (NOTE + REQUEST + b"--b--", 200),
        (NOTE + b"--b--", 200),
        (KEY + KEY + b"--b--", 400),
        (KEY + b"--b\r\n\r\nhello\r\n--b--", 415),
        (KEY, 400),
    ],
    ids=["key", "request", "nothing-for-us", "two", "unknown", "broken"],
)
def test_an_info_may_hold_one_mscml_or_key_body_in_a_multipart(body: bytes, status: int) -> None:
    """RFC 5621 sections 4.2 and 8.4; RFC 5022 section 4: an INFO has one MSCML body at most."""
    replay = Replay()
    call = replay.invite(IVR, bytes(OFFER))
    info(replay, call, body, MIXED)
    answered = [event for event in replay.heard if isinstance(event, RequestAnswered)][-1]
    assert answered.response is not None
    assert answered.response.status == status
    assert ("StartFetch" in replay.log) == (REQUEST in body)


def test_request_that_is_invalid_gets_its_response_after_the_200() -> None:
    replay = Replay()
    call = replay.invite(IVR, bytes(OFFER))
    body = write_document(COLLECT).replace(b'skipinterval="4', b'skipinterval="four')
    replay.log.clear()
    info(replay, call, body, CONTENT_TYPE)
    assert replay.log == ["caller INFO", "server 200", "server INFO"]
    assert (responses(replay)[0].code, replay.log[-1]) == (400, "caller 200")


def test_announcement_takes_no_requests_and_ignores_keys() -> None:
    replay = Replay()
    call = replay.invite(ANNC, bytes(OFFER))
    ask(replay, call, COLLECT)
    assert final_status(replay) == 488
    press(replay, call, "6")
    assert final_status(replay) == 200
    assert isinstance(replay.commands[-1], PlayMedia)


def test_a_caller_that_refuses_the_response_info_keeps_its_call() -> None:
    replay = Replay()
    playing(replay)
    replay.end_playing(12000, 12000)
    received = next(event for event in replay.heard if isinstance(event, InfoReceived))
    replay.caller.respond(received.transaction, 500, now=replay.now)
    replay.settle()
    assert not replay.server.idle
    assert any(isinstance(line, LogLine) and "500" in line.text for line in replay.commands)


def test_the_answer_agrees_to_pcma_and_telephone_event() -> None:
    replay = Replay()
    replay.invite(IVR, bytes(make_offer("192.0.2.3", 20000, [PCMA], telephone_event=True)))
    answered = next(event for event in replay.heard if isinstance(event, CallAnswered))
    offer = make_offer("192.0.2.3", 20000, [PCMA], telephone_event=True)
    (stream,) = read_answer(offer, SessionDescription.parse(answered.response.body))
    assert (stream.codec, stream.telephone_event) == (PCMA, 101)
