"""Every end of an IVR request, without I/O (RFC 5022 section 6, LS-2.7)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from lemonade_media.model.actions import CancelFetch, FetchMedia, Respond, SkipBy, StartPlaying, StopPlaying
from lemonade_media.model.failures import Failure, FailureKind
from lemonade_media.services.ivr import IvrSession, Phase
from lemonade_media.testing import only_response
from lemonade_wire.mscml.messages import (
    Audio,
    ErrorInfo,
    MscmlResponse,
    PlayCollectRequest,
    PlayRequest,
    Prompt,
    StopRequest,
    Unsupported,
    Variable,
)

URL = "imap://joe@imap.example.com/INBOX/;UID=20/;SECTION=2;URLAUTH=anonymous:INTERNAL:" + "0" * 64
NO_WAIT = {"first_digit_ms": 0.0, "interdigit_ms": 0.0, "extra_digit_ms": 0.0}


def prompt(**more: Any) -> Prompt:  # noqa: ANN401  the fields of Prompt
    return replace(Prompt((Audio(URL),), stop_on_error=True), **more)


def collect(prompt_: Prompt | None = None, **more: Any) -> PlayCollectRequest:  # noqa: ANN401  the fields of PlayCollect
    request = PlayCollectRequest(
        prompt_ or prompt(), "1", clear_digits=True, skip_interval_ms=4000, ff_key="6", rw_key="4"
    )
    return replace(request, **{**NO_WAIT, **more})


def playing(request: PlayCollectRequest | PlayRequest, length_ms: float = 12000) -> IvrSession:
    session = IvrSession()
    assert session.receive(request, 0) == [FetchMedia(URL)]
    actions = session.media_fetched(length_ms, 0.1)
    assert [type(action) for action in actions] == [StartPlaying]
    return session


def test_prompt_that_plays_to_its_end_times_out_at_once_with_zero_timers() -> None:
    session = playing(collect())
    response = only_response(session.playing_ended(12000, 12000, 12.1))
    assert response == MscmlResponse(
        "playcollect", id="1", reason="timeout", play_duration_ms=12000, play_offset_ms=12000, digits=""
    )
    assert session.phase is None


def test_skip_key_moves_and_does_not_end_the_prompt() -> None:
    session = playing(collect())
    assert session.key("6", 3) == [SkipBy(4000)]
    assert session.key("4", 4) == [SkipBy(-4000)]
    response = only_response(session.playing_ended(8000, 12000, 8.1))
    assert (response.reason, response.play_duration_ms, response.play_offset_ms) == ("timeout", 8000, 12000)


def test_skip_key_before_the_media_is_fetched_does_nothing() -> None:
    session = IvrSession()
    session.receive(collect(), 0)
    assert session.key("6", 0.05) == []
    assert session.phase is Phase.FETCHING


@pytest.mark.parametrize(("key", "reason"), [("*", "escapekey"), ("#", "returnkey")])
def test_keys_that_end_a_prompt_wait_for_the_players_report(key: str, reason: str) -> None:
    session = playing(collect())
    assert session.key(key, 5) == [StopPlaying()]
    assert session.phase is Phase.STOPPING
    response = only_response(session.playing_ended(4900, 4900, 5.01))
    assert (response.reason, response.play_duration_ms, response.digits) == (reason, 4900, "")


def test_escape_while_fetching_aborts_the_fetch() -> None:
    session = IvrSession()
    session.receive(collect(), 0)
    cancel, respond = session.key("*", 0.2)
    assert cancel == CancelFetch()
    assert only_response([respond]).reason == "escapekey"
    assert session.media_fetched(12000, 0.3) == []


def test_without_barge_the_escape_key_ends_a_prompt_and_no_other_key_does() -> None:
    session = playing(collect(barge=False))
    assert session.key("5", 1) == []
    assert session.key("*", 2) == [StopPlaying()]
    session = playing(collect(barge=False))
    assert session.key("5", 1) == []
    assert session.key("#", 2) == []
    response = only_response(session.playing_ended(12000, 12000, 12))
    assert (response.reason, response.digits) == ("returnkey", "5")


def test_a_key_that_is_both_skip_and_escape_key_skips() -> None:
    session = playing(collect(ff_key="*"))
    assert session.key("*", 1) == [SkipBy(4000)]


def test_barge_ends_the_prompt_and_returns_the_digit() -> None:
    session = playing(collect())
    assert session.key("5", 2) == [StopPlaying()]
    response = only_response(session.playing_ended(1900, 1900, 2.01))
    assert (response.reason, response.digits, response.play_offset_ms) == ("timeout", "5", 1900)


def test_digits_buffered_without_barge_are_collected_after_the_prompt() -> None:
    session = playing(collect(barge=False, interdigit_ms=2000.0))
    assert session.key("5", 2) == []
    assert session.playing_ended(12000, 12000, 12) == []
    assert session.phase is Phase.COLLECTING
    assert session.next_timer() == 14
    assert session.handle_timer(13.9) == []
    response = only_response(session.handle_timer(14))
    assert (response.reason, response.digits) == ("timeout", "5")


def test_digits_are_awaited_after_the_prompt() -> None:
    session = playing(collect(first_digit_ms=5000.0, interdigit_ms=2000.0, max_digits=2, extra_digit_ms=1000.0))
    session.playing_ended(12000, 12000, 12)
    assert session.next_timer() == 17
    assert session.key("1", 13) == []
    assert session.next_timer() == 15
    assert session.key("2", 14) == []
    assert session.next_timer() == 15
    response = only_response(session.handle_timer(15))
    assert (response.reason, response.digits) == ("match", "12")


def test_return_key_belongs_to_the_digits_before_it() -> None:
    session = playing(collect(first_digit_ms=5000.0, interdigit_ms=2000.0))
    session.playing_ended(12000, 12000, 12)
    session.key("7", 13)
    response = only_response(session.key("#", 14))
    assert (response.reason, response.digits) == ("returnkey", "7")


def test_escape_discards_digits() -> None:
    session = playing(collect(first_digit_ms=5000.0, interdigit_ms=2000.0))
    session.playing_ended(12000, 12000, 12)
    session.key("7", 13)
    assert only_response(session.key("*", 14)).digits == ""


def test_type_ahead_ends_the_prompt_before_it_begins_unless_cleared() -> None:
    session = IvrSession()
    session.key("9", 0)
    response = only_response(session.receive(collect(clear_digits=False), 1))
    assert (response.digits, response.play_duration_ms) == ("9", 0)
    session.key("9", 2)
    assert session.receive(collect(clear_digits=True), 3) == [FetchMedia(URL)]


def test_stop_gives_the_stopped_response_first() -> None:
    session = playing(collect())
    assert session.receive(StopRequest("2"), 5) == [StopPlaying()]
    first, second = session.playing_ended(5000, 5000, 5.01)
    assert only_response([first]).reason == "stopped"
    assert only_response([second]) == MscmlResponse("stop", id="2")


def test_stop_with_nothing_running_is_answered() -> None:
    assert only_response(IvrSession().receive(StopRequest("2"), 0)) == MscmlResponse("stop", id="2")


def test_stop_goes_before_the_collection_that_a_key_asked_for() -> None:
    session = playing(collect(first_digit_ms=5000.0, interdigit_ms=2000.0))
    session.key("5", 2)
    assert session.receive(StopRequest("2"), 2.001) == []
    first, second = session.playing_ended(1900, 1900, 2.01)
    assert (only_response([first]).reason, only_response([second]).request) == ("stopped", "stop")


def test_the_first_reason_counts() -> None:
    session = playing(collect())
    assert session.key("*", 5) == [StopPlaying()]
    assert session.receive(StopRequest("2"), 5.001) == []
    ended = session.playing_ended(5000, 5000, 5.01)
    assert [one.response.reason for one in ended if isinstance(one, Respond)] == ["escapekey", None]
    assert len(ended) == 2


def test_a_key_after_a_full_count_is_kept_for_the_next_request() -> None:
    session = playing(collect(first_digit_ms=5000.0, interdigit_ms=2000.0, max_digits=2, extra_digit_ms=1000.0))
    session.playing_ended(12000, 12000, 12)
    session.key("1", 13)
    session.key("2", 13)
    assert only_response(session.key("3", 13)).digits == "12"
    response = only_response(session.receive(collect(clear_digits=False), 14))
    assert (response.digits, response.play_duration_ms) == ("3", 0)


def test_the_number_of_kept_keys_is_limited() -> None:
    session = IvrSession()
    for number in range(200):
        session.key(str(number % 10), number)
    assert (
        only_response(session.receive(collect(clear_digits=False, interdigit_ms=math.inf, max_digits=63), 200)).digits
        == ("0123456789" * 20)[-64:-1]
    )


def test_new_request_stops_the_old_one_and_is_carried_out_after_its_response() -> None:
    session = playing(collect())
    assert session.receive(collect(id="2"), 5) == [StopPlaying()]
    assert session.receive(collect(id="3"), 5) == []
    first, second, fetch = session.playing_ended(5000, 5000, 5.01)
    assert (only_response([first]).id, only_response([first]).reason) == ("1", "stopped")
    assert (only_response([second]).id, only_response([second]).reason) == ("2", "stopped")
    assert fetch == FetchMedia(URL)


def test_end_that_crosses_a_stop_counts_as_stopped() -> None:
    session = playing(collect())
    session.receive(StopRequest(), 11.99)
    assert only_response([session.playing_ended(12000, 12000, 12)[0]]).reason == "stopped"


def test_implicit_stop_has_one_response() -> None:
    session = playing(collect())
    assert session.stop(5) == [StopPlaying()]
    assert session.stop(5) == []
    assert only_response(session.playing_ended(5000, 5000, 5)).reason == "stopped"


def test_hanging_up_ends_playing_without_a_response() -> None:
    session = playing(collect())
    assert session.close() == [StopPlaying()]
    assert session.playing_ended(5000, 5000, 5) == []
    assert session.key("*", 6) == []
    assert session.receive(StopRequest(), 6) == []
    fetching = IvrSession()
    fetching.receive(collect(), 0)
    assert fetching.close() == [CancelFetch()]


@pytest.mark.parametrize(
    ("kind", "code", "remote"),
    [
        (FailureKind.NOT_FOUND, 404, 404),
        (FailureKind.BAD_URL, 400, 400),
        (FailureKind.HOST_REFUSED, 403, 403),
        (FailureKind.BUSY, 500, 503),
        (FailureKind.TIMED_OUT, 500, 504),
        (FailureKind.UNREACHABLE, 500, 503),
        (FailureKind.CONNECTION_LOST, 500, 503),
        (FailureKind.TLS_FAILED, 500, 503),
        (FailureKind.TOO_LARGE, 500, 413),
        (FailureKind.LOGIN_REFUSED, 500, 401),
        (FailureKind.NO_BINARY, 500, 501),
        (FailureKind.REFUSED, 500, 500),
        (FailureKind.UNDECODABLE_ENCODING, 500, 415),
        (FailureKind.UNPLAYABLE, 415, None),
        (FailureKind.NO_COMMON_CODEC, 488, None),
    ],
)
def test_failed_fetch_is_reported_with_stoponerror(kind: FailureKind, code: int, remote: int | None) -> None:
    session = IvrSession()
    session.receive(collect(), 0)
    response = only_response(session.fetch_failed(Failure(kind, "because"), 1))
    assert (response.code, response.reason, response.digits) == (code, None, "")
    assert (response.play_duration_ms, response.play_offset_ms) == (0, 0)
    assert (response.error_info.code if response.error_info else None) == remote
    assert response.error_info is None or response.error_info.context == URL


def test_without_stoponerror_the_next_url_is_played() -> None:
    session = IvrSession()
    items = (Audio("imap://one"), Audio("imap://two"))
    session.receive(collect(prompt(items=items, stop_on_error=False)), 0)
    assert session.fetch_failed(Failure(FailureKind.NOT_FOUND, "NIL"), 1) == [FetchMedia("imap://two")]
    assert session.media_fetched(3000, 2) == [StartPlaying(("imap://two",), 0, None)]
    response = only_response(session.playing_ended(3000, 3000, 5))
    assert (response.code, response.reason) == (200, "timeout")
    assert response.error_info == ErrorInfo(404, "Not Found", "imap://one")


def test_offset_past_the_end_wraps() -> None:
    session = IvrSession()
    session.receive(collect(prompt(offset_ms=15000)), 0)
    assert session.media_fetched(12000, 1) == [StartPlaying((URL,), 3000, None)]


def test_repetitions_silence_and_duration_are_passed_to_the_player() -> None:
    session = IvrSession()
    session.receive(collect(prompt(repeat=2, delay_ms=1000, offset_ms=2000, duration_ms=20000)), 0)
    assert session.media_fetched(12000, 0.1) == [StartPlaying((URL,), 2000, 20000, 2, 1000)]
    response = only_response(session.playing_ended(19000, 9000, 20))
    assert (response.play_duration_ms, response.play_offset_ms) == (19000, 9000)
    session.receive(collect(prompt(repeat=None)), 30)
    assert session.media_fetched(12000, 30.1) == [StartPlaying((URL,), 0, None, None)]


def test_a_stop_while_fetching_reports_the_requested_offset() -> None:
    session = IvrSession()
    session.receive(collect(prompt(offset_ms=15000)), 0)
    cancel, first, _ = session.receive(StopRequest(), 0.1)
    assert cancel == CancelFetch()
    assert (only_response([first]).play_duration_ms, only_response([first]).play_offset_ms) == (0, 15000)


def test_resumed_at_its_last_offset_a_prompt_goes_on_where_it_stopped() -> None:
    session = playing(collect())
    session.key("6", 1)
    session.key("*", 5)
    stopped = only_response(session.playing_ended(5000, 9000, 5.01))
    assert stopped.play_offset_ms == 9000
    session.receive(collect(prompt(offset_ms=stopped.play_offset_ms)), 6)
    assert session.media_fetched(12000, 6.1) == [StartPlaying((URL,), 9000, None)]


def test_several_pieces_are_one_sequence_with_gains_of_their_own() -> None:
    session = IvrSession()
    items = (Audio("imap://one"), Audio("imap://two", gain_db=-6))
    session.receive(collect(prompt(items=items, offset_ms=4000)), 0)
    assert session.media_fetched(3000, 1) == [FetchMedia("imap://two")]
    assert session.media_fetched(3000, 2) == [StartPlaying(("imap://one", "imap://two"), 4000, None, gains_db=(0, -6))]


@pytest.mark.parametrize("silent", [prompt(repeat=0), prompt(duration_ms=0), Prompt(())])
def test_prompt_of_no_length_is_over_at_once(silent: Prompt) -> None:
    response = only_response(IvrSession().receive(collect(silent), 0))
    assert (response.reason, response.play_duration_ms) == ("timeout", 0)


def test_play_ends_with_eof_and_keeps_keys_for_later() -> None:
    session = playing(PlayRequest(prompt(), "p"))
    assert session.key("*", 1) == []
    response = only_response(session.playing_ended(12000, 12000, 12))
    assert (response.request, response.reason, response.digits) == ("play", "EOF", None)
    assert only_response(session.receive(collect(clear_digits=False), 13)).reason == "escapekey"


def test_unsupported_requests_get_501_or_500_and_stop_nothing() -> None:
    session = playing(collect())
    for name in ("configure_conference", "faxplay", "faxrecord", "playcollect"):
        assert only_response(session.receive(Unsupported(name, "r"), 1)) == MscmlResponse(
            name, 501, "Not Implemented", "r"
        )
    refused = only_response(session.receive(Unsupported("managecontent", "r"), 1))
    assert (refused.code, refused.text) == (500, "Server Error")
    assert refused.reason
    assert session.phase is Phase.PLAYING


def test_spoken_variable_is_refused() -> None:
    response = only_response(IvrSession().receive(collect(prompt(items=(Variable("dig", "gen", "12"),))), 0))
    assert response.code == 501


def test_an_infinite_timer_is_not_set() -> None:
    session = playing(collect(first_digit_ms=math.inf))
    session.playing_ended(12000, 12000, 12)
    assert session.next_timer() is None
