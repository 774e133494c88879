"""`<playrecord>`: prompt, beep, and every end of the recording (RFC 5022 sections 6.5 and 10.6)."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lemonade_media.model.actions import (
    CancelFetch,
    FetchMedia,
    PlayBeep,
    RecordingEnd,
    StartPlaying,
    StartRecording,
    StopPlaying,
    StopRecording,
)
from lemonade_media.model.failures import Failure, FailureKind
from lemonade_media.services.ivr import IvrSession, Phase
from lemonade_media.testing import only_response
from lemonade_wire.mscml.messages import Audio, MscmlResponse, PlayRecordRequest, Prompt, StopRequest

FOLDER = Path("/srv/recordings")
PROMPT = Prompt((Audio("imap://h/x"),), stop_on_error=True)
RECORDING = StartRecording(FOLDER / "a.wav", False, None, 3000, 4000)


def record(**more: Any) -> PlayRecordRequest:  # noqa: ANN401  the fields of PlayRecord
    return replace(PlayRecordRequest("file:///a.wav", PROMPT, "1"), **more)


def playing(request: PlayRecordRequest) -> IvrSession:
    session = IvrSession(FOLDER)
    assert session.receive(request, 0) == [FetchMedia("imap://h/x")]
    assert session.media_fetched(5000, 0.1) == [StartPlaying(("imap://h/x",), 0, None)]
    return session


def recording(request: PlayRecordRequest) -> IvrSession:
    session = playing(request)
    assert session.playing_ended(5000, 5000, 5) == [PlayBeep()]
    assert [type(action) for action in session.playing_ended(400, 400, 5.5)] == [StartRecording]
    return session


def test_prompt_then_beep_then_recording() -> None:
    session = playing(record())
    assert session.playing_ended(5000, 5000, 5) == [PlayBeep()]
    phases = [session.phase]
    assert session.playing_ended(400, 400, 5.5) == [RECORDING]
    assert [*phases, session.phase] == [Phase.BEEPING, Phase.RECORDING]
    response = only_response(session.recording_ended(7000, 56058, "last-silence", 20))
    assert response == MscmlResponse(
        "playrecord",
        id="1",
        reason="end_silence",
        play_duration_ms=5000,
        play_offset_ms=5000,
        digits="",
        record_octets=56058,
        record_duration_ms=7000,
    )
    assert session.phase is None


def test_without_prompt_and_beep_it_records_at_once() -> None:
    session = IvrSession(FOLDER)
    asked = record(
        prompt=None, beep=False, append=True, limit_ms=9000, first_silence_ms=math.inf, last_silence_ms=math.inf
    )
    assert session.receive(asked, 0) == [StartRecording(FOLDER / "a.wav", True, 9000, None, None)]


@pytest.mark.parametrize(
    ("why", "code", "reason"),
    [
        ("limit", 200, "max_duration"),
        ("first-silence", 200, "init_silence"),
        ("last-silence", 200, "end_silence"),
        ("error", 500, "error"),
    ],
)
def test_each_end_of_the_recorder_has_its_reason(why: RecordingEnd, code: int, reason: str) -> None:
    response = only_response(recording(record()).recording_ended(1000, 8058, why, 9))
    assert (response.code, response.reason, response.record_octets) == (code, reason, 8058)


@pytest.mark.parametrize(("key", "reason"), [("5", "digit"), ("#", "digit"), ("*", "escapekey")])
def test_a_key_that_ends_a_recording_is_in_the_response(key: str, reason: str) -> None:
    session = recording(record())
    assert session.key(key, 7) == [StopRecording()]
    assert session.phase is Phase.STOPPING
    assert session.key("7", 7.1) == []
    response = only_response(session.recording_ended(1500, 12058, "stopped", 7.2))
    assert (response.reason, response.digits, response.record_duration_ms) == (reason, key, 1500)


def test_other_keys_do_not_end_a_recording() -> None:
    session = recording(record(stop_keys="#", escape_key="9"))
    assert session.key("5", 7) == []
    assert session.key("*", 7.5) == []
    assert session.key("#", 8) == [StopRecording()]
    assert only_response(session.recording_ended(1500, 12058, "stopped", 8.1)).digits == "#"


def test_a_recording_that_ends_by_itself_when_it_is_told_to_has_the_reason_of_the_key() -> None:
    session = recording(record())
    session.key("5", 7)
    assert only_response(session.recording_ended(1500, 12058, "limit", 7.1)).reason == "digit"
    session = recording(record())
    session.key("5", 7)
    assert only_response(session.recording_ended(0, 0, "error", 7.1)).reason == "error"


def test_any_key_ends_the_prompt_and_nothing_else() -> None:
    session = playing(record())
    assert session.key("5", 2) == [StopPlaying()]
    assert session.playing_ended(1900, 1900, 2.1) == [PlayBeep()]
    assert session.playing_ended(400, 400, 2.5) == [RECORDING]
    response = only_response(session.recording_ended(1000, 8058, "limit", 9))
    # 5 is one of the keys that end recordings, which are not kept (section 6.5.2)
    assert (response.play_duration_ms, response.digits) == (1900, "")


def test_digits_of_the_prompt_are_returned_but_for_those_that_end_recordings() -> None:
    session = playing(record(stop_keys="#"))
    session.key("5", 2)
    session.playing_ended(1900, 1900, 2.1)
    session.playing_ended(400, 400, 2.5)
    session.key("#", 5)
    assert only_response(session.recording_ended(1000, 8058, "stopped", 9)).digits == "5#"


def test_without_barge_no_key_but_the_escape_key_ends_the_prompt() -> None:
    session = playing(record(barge=False, clear_digits=True))
    assert session.key("5", 2) == []
    assert session.key("*", 3) == [StopPlaying()]
    response = only_response(session.playing_ended(2900, 2900, 3.1))
    assert (response.reason, response.digits, response.record_octets) == ("escapekey", "", 0)


@pytest.mark.parametrize("key", ["*", "5"])
def test_a_key_during_the_beep_ends_the_request_only_if_it_is_the_escape_key(key: str) -> None:
    session = playing(record())
    session.playing_ended(5000, 5000, 5)
    if key == "5":  # a key that ends recordings is ignored before the recording begins
        assert session.key(key, 5.1) == []
        return
    assert session.key(key, 5.1) == [StopPlaying()]
    assert only_response(session.playing_ended(100, 100, 5.2)).reason == "escapekey"


def test_keys_typed_ahead_end_the_prompt_and_not_the_recording() -> None:
    session = IvrSession(FOLDER)
    session.key("5", 0)
    session.key("#", 0)
    assert session.receive(record(stop_keys="#"), 1) == [PlayBeep()]
    assert session.playing_ended(400, 400, 1.5) == [RECORDING]
    response = only_response(session.recording_ended(1000, 8058, "limit", 9))
    assert (response.digits, response.play_duration_ms) == ("5", 0)
    session.key("5", 10)
    assert session.receive(record(clear_digits=True), 11) == [FetchMedia("imap://h/x")]


def test_an_escape_key_typed_ahead_ends_the_request() -> None:
    session = IvrSession(FOLDER)
    session.key("*", 0)
    assert only_response(session.receive(record(), 1)).reason == "escapekey"


@pytest.mark.parametrize(
    ("timer", "reason"), [({"limit_ms": 0.0}, "max_duration"), ({"first_silence_ms": 0.0}, "init_silence")]
)
def test_immediate_timers_end_it_before_it_begins(timer: dict[str, float], reason: str) -> None:
    response = only_response(playing(record(**timer)).playing_ended(5000, 5000, 5))
    assert (response.reason, response.record_octets, response.record_duration_ms) == (reason, 0, 0)


def test_stop_in_every_phase() -> None:
    session = IvrSession(FOLDER)
    session.receive(record(), 0)
    cancel, first, second = session.receive(StopRequest("2"), 0.1)
    assert cancel == CancelFetch()
    assert (only_response([first]).reason, only_response([second]).request) == ("stopped", "stop")
    session = playing(record())
    assert session.receive(StopRequest(), 1) == [StopPlaying()]
    assert only_response(session.playing_ended(900, 900, 1.1)[:1]).reason == "stopped"
    session = playing(record())
    session.playing_ended(5000, 5000, 5)
    assert session.receive(StopRequest(), 5.1) == [StopPlaying()]
    assert only_response(session.playing_ended(100, 100, 5.2)[:1]).play_duration_ms == 5000
    session = recording(record())
    assert session.stop(7) == [StopRecording()]
    response = only_response(session.recording_ended(1500, 12058, "stopped", 7.1))
    assert (response.reason, response.record_octets) == ("stopped", 12058)


def test_hanging_up_in_every_phase() -> None:
    session = recording(record())
    assert session.close() == [StopRecording()]
    assert session.recording_ended(1500, 12058, "stopped", 7.1) == []
    session = playing(record())
    session.playing_ended(5000, 5000, 5)
    assert session.close() == [StopPlaying()]
    assert playing(record()).close() == [StopPlaying()]


def test_a_recording_url_that_is_not_allowed_is_refused() -> None:
    response = only_response(IvrSession().receive(record(), 0))
    assert (response.code, response.text, response.reason) == (403, "Forbidden", None)
    assert only_response(IvrSession(FOLDER).receive(record(record_url="file:///../a"), 0)).code == 403


def test_a_failed_prompt_ends_the_request_unless_stoponerror_is_no() -> None:
    session = IvrSession(FOLDER)
    session.receive(record(), 0)
    response = only_response(session.fetch_failed(Failure(FailureKind.NOT_FOUND, "NIL"), 1))
    assert response.code == 404
    assert response.error_info is not None
    session.receive(record(prompt=replace(PROMPT, stop_on_error=False)), 2)
    assert session.fetch_failed(Failure(FailureKind.NOT_FOUND, "NIL"), 3) == [PlayBeep()]


def test_a_new_request_ends_a_recording() -> None:
    session = recording(record())
    assert session.receive(record(id="2", prompt=None, beep=False), 7) == [StopRecording()]
    first, begun = session.recording_ended(1500, 12058, "stopped", 7.1)
    assert (only_response([first]).id, only_response([first]).reason, begun) == ("1", "stopped", RECORDING)


def test_an_end_of_a_recording_that_was_not_started_is_ignored() -> None:
    assert IvrSession(FOLDER).recording_ended(1, 1, "limit", 0) == []
    assert playing(record()).recording_ended(1, 1, "limit", 1) == []
