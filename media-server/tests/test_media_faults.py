"""Each fault changes one thing, seen in a replay beside the one without it."""

from __future__ import annotations

import re

import pytest

from lemonade_media.faults.calls import (
    NO_BYE,
    NO_IMAP,
    NO_IMAP_ELSEWHERE,
    NO_WARNING,
    OK_BEFORE_URLFETCH,
    REFUSALS_ARE_500,
    RTP_BEFORE_ACK,
    TICKET_IN_LOG,
)
from lemonade_media.faults.mscml import (
    DRAFT_RESPONSE,
    KEYS_COUNT_TWICE,
    NO_ERROR_INFO,
    NO_RESPONSE_INFO,
    RESPONSE_BEFORE_INFO_OK,
    RTP_KEYS_IGNORED,
    WRONG_OFFSET,
    WRONG_SKIP,
)
from lemonade_media.faults.registry import FAULTS
from lemonade_media.faults.rtp import BURST, TIMESTAMP_RESET_ON_SEEK
from lemonade_media.faults.sdp import ANSWER_DROPS_REJECTED_LINE, CODEC_NOT_OFFERED, DRAFT_ANSWER
from lemonade_media.model.commands import LogLine, PlayMedia, SeekMedia, StartStream
from lemonade_media.model.failures import Failure, FailureKind
from lemonade_media.testing import Replay
from lemonade_wire.faults import Fault
from lemonade_wire.mscml.document import CONTENT_TYPE, parse_document, write_document
from lemonade_wire.mscml.messages import Audio, MscmlResponse, PlayCollectRequest, Prompt
from lemonade_wire.sdp.codec import PCMA, PCMU, Codec
from lemonade_wire.sdp.description import SessionDescription
from lemonade_wire.sdp.offer import make_offer
from lemonade_wire.sip.event import CallAnswered, CallRefused, InfoReceived
from lemonade_wire.sip.message.uri import SipUri
from lemonade_wire.sip.netann import AnnouncementUri

TOKEN = "0a" * 32
URL = f"imap://joe@imap.example.com/INBOX;UIDVALIDITY=9/;UID=20/;SECTION=2;URLAUTH=anonymous:INTERNAL:{TOKEN}"
ANNC = AnnouncementUri(URL).uri("media.example.net")
IVR = SipUri.parse("sip:ivr@media.example.net")
OFFER = make_offer("192.0.2.3", 20000, [PCMU, PCMA], video=(20002, [Codec("H263", 90000)]))
COLLECT = PlayCollectRequest(Prompt((Audio(URL),), stop_on_error=True), "1", ff_key="6", first_digit_ms=0)

ANNC_LOG = [
    "caller INVITE",
    "server 100",
    "OpenMedia",
    "StartFetch",
    "server 200",
    "caller ACK",
    "StartStream",
    "PlayMedia",
    "server BYE",
    "caller 200",
    "CloseMedia",
]


def announcement(fault: Fault | None) -> Replay:
    replay = Replay(fault=fault)
    replay.invite(ANNC, bytes(OFFER))
    replay.advance(12)
    finish(replay)
    return replay


def finish(replay: Replay) -> None:
    play = next(command for command in replay.commands if isinstance(command, PlayMedia))
    replay.server.playing_ended(play.call, 8000, 12000, replay.now)
    replay.settle()


def ivr(fault: Fault | None) -> Replay:
    """Ask for a prompt, skip once, play to the end; the caller answers every INFO."""
    replay = Replay(fault=fault)
    call = replay.invite(IVR, bytes(OFFER))
    replay.caller.info(call, write_document(COLLECT), CONTENT_TYPE, now=replay.now)
    replay.settle()
    answer_infos(replay)
    replay.caller.info(call, b"Signal=6\r\n", "application/dtmf-relay", now=replay.now)
    replay.settle()
    finish(replay)
    answer_infos(replay)
    return replay


def answer_infos(replay: Replay) -> None:
    for event in replay.heard:
        if isinstance(event, InfoReceived) and event.transaction not in replay.log:
            replay.log.append(event.transaction)
            replay.caller.respond(event.transaction, 200, now=replay.now)
    replay.settle()


def response_of(replay: Replay) -> MscmlResponse:
    document = parse_document(next(e for e in replay.heard if isinstance(e, InfoReceived)).request.body)
    assert isinstance(document, MscmlResponse)
    return document


def stream_of(replay: Replay) -> StartStream:
    return next(command for command in replay.commands if isinstance(command, StartStream))


def test_every_fault_has_a_name_clauses_and_a_summary() -> None:
    assert FAULTS.faults
    for name, fault in FAULTS.faults.items():
        assert name == fault.name
        assert fault.breaks
        assert all(re.fullmatch(r"(LS|SM|RFC[0-9]+)-[0-9.-]+", clause) for clause in fault.breaks)
        assert fault.summary


def test_without_a_fault_the_announcement_follows_the_diagram() -> None:
    assert announcement(None).log == ANNC_LOG


def test_rtp_before_ack() -> None:
    log = announcement(RTP_BEFORE_ACK).log
    assert log.index("PlayMedia") < log.index("server 200") < log.index("caller ACK")
    assert sorted(log) == sorted(ANNC_LOG)


def test_ok_before_urlfetch() -> None:
    log = announcement(OK_BEFORE_URLFETCH).log
    assert log.index("server 200") < log.index("StartFetch")
    assert sorted(log) == sorted(ANNC_LOG)


def test_ok_before_a_fetch_that_fails_ends_in_bye() -> None:
    failing = Replay(fault=OK_BEFORE_URLFETCH, fetch=lambda command: Failure(FailureKind.NOT_FOUND, "the part is gone"))
    failing.invite(ANNC, bytes(OFFER))
    assert failing.log[-3:] == ["server BYE", "caller 200", "CloseMedia"]


def test_no_bye() -> None:
    assert announcement(NO_BYE).log == ANNC_LOG[:-3]


@pytest.mark.parametrize(("fault", "ports"), [(None, [16384, 0]), (ANSWER_DROPS_REJECTED_LINE, [16384])])
def test_answer_drops_rejected_line(fault: Fault | None, ports: list[int]) -> None:
    answered = next(event for event in announcement(fault).heard if isinstance(event, CallAnswered))
    assert [line.port for line in SessionDescription.parse(answered.response.body).media] == ports


@pytest.mark.parametrize(("fault", "by_ms"), [(None, 6000), (WRONG_SKIP, 3000)])
def test_wrong_skip(fault: Fault | None, by_ms: int) -> None:
    assert [command.by_ms for command in ivr(fault).commands if isinstance(command, SeekMedia)] == [by_ms]


@pytest.mark.parametrize(("fault", "skips"), [(None, 1), (KEYS_COUNT_TWICE, 2), (RTP_KEYS_IGNORED, 1)])
def test_keys_count_twice(fault: Fault | None, skips: int) -> None:
    replay = Replay(fault=fault)
    call = replay.invite(IVR, bytes(OFFER))
    replay.caller.info(call, write_document(COLLECT), CONTENT_TYPE, now=replay.now)
    replay.settle()
    play = next(command for command in replay.commands if isinstance(command, PlayMedia))
    replay.server.key_pressed(play.call, "6", replay.now)
    replay.settle()
    heard = sum(isinstance(command, SeekMedia) for command in replay.commands)
    assert heard == (0 if fault is RTP_KEYS_IGNORED else 1)
    replay.caller.info(call, b"Signal=6\r\n", "application/dtmf-relay", now=replay.now)
    replay.settle()
    assert sum(isinstance(command, SeekMedia) for command in replay.commands) == skips


@pytest.mark.parametrize(("fault", "offset_ms"), [(None, 12000), (WRONG_OFFSET, 14000)])
def test_wrong_offset(fault: Fault | None, offset_ms: int) -> None:
    response = response_of(ivr(fault))
    assert (response.play_offset_ms, response.play_duration_ms) == (offset_ms, 8000)


def test_no_response_info() -> None:
    assert "server INFO" in ivr(None).log
    replay = ivr(NO_RESPONSE_INFO)
    assert "server INFO" not in replay.log
    assert "PlayMedia" in replay.log


@pytest.mark.parametrize("fault", [None, NO_WARNING])
def test_no_warning(fault: Fault | None) -> None:
    replay = Replay(fault=fault, fetch=lambda command: Failure(FailureKind.TIMED_OUT, "late"))
    replay.invite(ANNC, bytes(OFFER))
    (refused,) = (event.response for event in replay.heard if isinstance(event, CallRefused))
    assert refused is not None
    assert (refused.headers.get("Warning") is None) == (fault is not None)


@pytest.mark.parametrize("fault", [None, NO_ERROR_INFO])
def test_no_error_info(fault: Fault | None) -> None:
    replay = Replay(fault=fault, fetch=lambda command: Failure(FailureKind.NOT_FOUND, "NIL"))
    call = replay.invite(IVR, bytes(OFFER))
    replay.caller.info(call, write_document(COLLECT), CONTENT_TYPE, now=replay.now)
    replay.settle()
    response = response_of(replay)
    assert response.code == 404
    assert (response.error_info is None) == (fault is not None)


def test_response_before_info_ok() -> None:
    def of_info(replay: Replay) -> list[str]:
        return replay.log[replay.log.index("caller INFO") :][:3]

    assert of_info(ivr(None)) == ["caller INFO", "server 200", "StartFetch"]
    replay = ivr(RESPONSE_BEFORE_INFO_OK)
    assert of_info(replay) == ["caller INFO", "server INFO", "server 200"]
    assert replay.log.count("server INFO") == 1


@pytest.mark.parametrize(
    ("fault", "stream"),
    [
        (None, (0, 1, False)),
        (TIMESTAMP_RESET_ON_SEEK, (0, 1, True)),
        (BURST, (0, 5, False)),
        (CODEC_NOT_OFFERED, (3, 1, False)),
    ],
)
def test_faults_of_the_stream(fault: Fault | None, stream: tuple[int, int, bool]) -> None:
    added = stream_of(announcement(fault))
    assert (added.payload_type, added.burst, added.reset_on_seek) == stream


def test_ticket_in_log() -> None:
    def raw(fault: Fault | None) -> str:
        return " ".join(line.text for line in announcement(fault).commands if isinstance(line, LogLine) and line.raw)

    assert raw(None) == ""
    assert TOKEN in raw(TICKET_IN_LOG)


def test_answer_of_the_draft() -> None:
    replay = announcement(DRAFT_ANSWER)
    answered = next(event for event in replay.heard if isinstance(event, CallAnswered))
    assert replay.log == ANNC_LOG
    [line] = SessionDescription.parse(answered.response.body).media
    assert (line.port, line.formats[-1]) == (16384, "18")
    assert not {attribute.name for attribute in line.attributes} & {"sendonly", "sendrecv", "recvonly", "inactive"}


def test_response_of_the_draft() -> None:
    response = response_of(ivr(DRAFT_RESPONSE))
    assert (response.text, response.play_offset_ms, response.play_duration_ms) == (None, 8000, 8000)


def test_refusals_are_500() -> None:
    replay = Replay(fault=REFUSALS_ARE_500, fetch=lambda command: Failure(FailureKind.NOT_FOUND, "NIL"))
    replay.invite(ANNC, bytes(OFFER))
    (refused,) = (event.response for event in replay.heard if isinstance(event, CallRefused))
    assert refused is not None
    assert refused.status == 500


def test_no_imap() -> None:
    replay = Replay(fault=NO_IMAP)
    replay.invite(ANNC, bytes(OFFER))
    assert "server 404" in replay.log


@pytest.mark.parametrize(
    ("port", "log"), [(None, ANNC_LOG[:5]), (5060, ANNC_LOG[:5]), (5070, ["caller INVITE", "server 100"])]
)
def test_no_imap_elsewhere(port: int | None, log: list[str]) -> None:
    replay = Replay(fault=NO_IMAP_ELSEWHERE)
    replay.invite(AnnouncementUri(URL).uri("media.example.net", port), bytes(OFFER))
    assert replay.log[: len(log)] == log
    assert ("server 404" in replay.log) is (port == 5070)
