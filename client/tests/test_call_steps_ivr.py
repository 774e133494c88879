"""The steps of an ivr call: requests, keys, responses and notifications, with a user agent that records its calls."""

from pathlib import Path

import pytest

from lemonade_client.testing.bench import Bench, behaviour_of
from lemonade_wire.mscml.document import parse_document
from lemonade_wire.mscml.messages import Audio, PlayCollectRequest, StopRequest
from lemonade_wire.sdp.description import Direction, SessionDescription

IVR = "  - ivr: {skip: 4 s, ff: '6', url: 'imap://x'}\n"


def test_ivr_resumes_at_the_playoffset_of_the_last_response() -> None:
    listen = "  - listen: {until: response}\n"
    run = Bench(IVR + listen + "  - ivr: {offset: playoffset, url: 'imap://x'}\n").start().answered().info_answered()
    run.response('id="1" code="200" text="OK" reason="escapekey" playduration="1s" playoffset="5s" digits=""')
    request = parse_document(run.last("INFO").body)
    assert isinstance(request, PlayCollectRequest)
    assert request.prompt is not None
    assert request.prompt.offset_ms == 5000


def test_ivr_offers_sendrecv_and_sends_the_request_by_info() -> None:
    run = Bench(IVR).start()
    invite = run.last("INVITE")
    assert invite.sent_to[0] == "sip:ivr@media.example.net"
    offer = SessionDescription.parse(invite.body)
    assert offer.media[0].direction(offer) is Direction.SENDRECV  # E-36
    assert any(fmt.codec.is_telephone_event for fmt in offer.media[0].rtp_formats())
    run.answered()
    info = run.last("INFO")
    assert info.kind == "application/mediaservercontrol+xml"
    for attribute in ('firstdigittimer="0ms"', 'interdigittimer="0ms"', 'extradigittimer="0ms"'):
        assert attribute.encode() in info.body  # LS-2.7-5
    request = parse_document(info.body)
    assert isinstance(request, PlayCollectRequest)
    assert (request.clear_digits, request.skip_interval_ms, request.ff_key, request.rw_key) == (True, 4000, "6", None)
    assert request.prompt is not None
    assert request.prompt.items == (Audio("imap://x"),)
    assert (request.prompt.stop_on_error, request.prompt.repeat) == (True, 1)
    assert run.states == []
    run.info_answered()
    assert run.states == ["1 done"]


def test_ivr_fails_if_the_info_is_refused() -> None:
    run = Bench(IVR).start().answered().info_answered(415)
    assert run.why == "INFO playcollect got 415 Reason; 200 is expected"


def test_ivr_on_a_call_that_is_up_sends_another_request() -> None:
    run = Bench(IVR + IVR).start().answered().info_answered().info_answered()
    assert [one.what for one in run.phone.asked if one.what != "BYE"] == ["INVITE", "INFO", "INFO"]
    first, second = [parse_document(one.body) for one in run.phone.asked if one.what == "INFO"]
    assert isinstance(first, PlayCollectRequest)
    assert isinstance(second, PlayCollectRequest)
    assert first.id != second.id


def test_press_waits_for_heard_media_and_not_for_the_clock() -> None:
    run = Bench(IVR + "  - press: {key: '6', after: 3 s}\n")
    run.session.heard = 50.0  # of an earlier call
    run.start().answered().info_answered()
    run.at(10).hear(52.98)
    assert run.last("INFO").kind != "application/dtmf-relay"
    run.hear(53.0)
    key = run.last("INFO")
    assert (key.kind, key.body) == ("application/dtmf-relay", b"Signal=6\r\nDuration=160\r\n")
    run.info_answered()
    assert run.states == ["1 done", "2 done"]


def test_press_by_rtp_sends_no_info_and_takes_as_long_as_the_key() -> None:
    run = Bench(IVR + "  - press: {key: 'a', by: rtp}\n").start().answered_with_keys().info_answered()
    assert run.media.pressed == [("A", 160)]
    assert [one.kind for one in run.phone.asked if one.what == "INFO"] == ["application/mediaservercontrol+xml"]
    assert run.runner.next_timer() == pytest.approx(run.now + 0.3)
    run.at(0.29)
    assert run.states == ["1 done"]
    run.at(0.31)
    assert run.states == ["1 done", "2 done"]


def test_press_by_both_sends_the_info_after_the_rtp_event() -> None:
    run = Bench(IVR + "  - press: {key: '6', by: both}\n").start().answered_with_keys().info_answered()
    assert run.media.pressed == [("6", 160)]
    run.at(0.29)
    assert run.last("INFO").kind != "application/dtmf-relay"
    run.at(0.31)
    assert run.last("INFO").body == b"Signal=6\r\nDuration=160\r\n"
    assert run.states == ["1 done"]
    run.info_answered()
    assert run.states == ["1 done", "2 done"]


def test_say_takes_as_long_as_its_sound() -> None:
    run = Bench(IVR + "  - say: spoken.wav\n").start().answered_with_keys().info_answered()
    assert run.media.said == [Path("spoken.wav")]
    run.at(1.4)
    assert run.states == ["1 done"]
    run.at(1.6)
    assert run.states == ["1 done", "2 done"]
    assert Bench("  - say: spoken.wav\n").start().why == "there is no call"


def test_press_by_rtp_fails_if_the_answer_has_no_telephone_event() -> None:
    run = Bench(IVR + "  - press: {key: '6', by: rtp}\n").start().answered().info_answered()
    assert run.why == "no telephone-event"


def test_press_fails_if_the_playing_ends_first() -> None:
    run = Bench(IVR + "  - press: {key: '6', after: 3 s}\n").start().answered().info_answered().hear(2.0)
    run.response('id="1" code="200" text="OK" reason="timeout" playduration="2s" playoffset="2s" digits=""')
    assert run.why == "the playing ended after 2.00 s heard, before 3 s"
    run = Bench(IVR + "  - press: {key: '6', after: 3 s}\n").start().answered().info_answered().hear(2.0).ended()
    assert run.why == "after 2.00 s heard, before 3 s: the media server hung up"


def test_stop_sends_a_stop_with_an_id_of_its_own() -> None:
    run = Bench(IVR + "  - stop: {after: 1 s}\n").start().answered().info_answered().hear(1.0)
    assert parse_document(run.last("INFO").body) == StopRequest(id="2")
    run.info_answered()
    assert run.states == ["1 done", "2 done"]


def test_listen_until_response_answers_200_and_reports_the_reason() -> None:
    run = Bench(IVR + "  - listen: {until: response}\n").start().answered().info_answered()
    run.response('id="1" code="200" text="OK" reason="timeout" playduration="12s" playoffset="12s" digits=""')
    assert run.last("respond 200").target == "peer-1"
    assert (run.states, run.reports[-1].why) == (["1 done", "2 done"], "response 200 timeout")


LEG = '<configure_leg id="a"><subscribe><events><keypress report="both"/></events></subscribe></configure_leg>'


def test_an_mscml_step_calls_ivr_and_sends_its_text_unchanged() -> None:
    run = Bench(f"  - mscml: '{LEG}'\n  - listen: {{until: response}}\n").start().answered()
    assert run.last("INVITE").sent_to[0].startswith("sip:ivr@")
    assert run.last("INFO").body.endswith(f"<request>{LEG}</request></MediaServerControl>".encode())
    run.info_answered()
    assert run.states == ["1 done"]
    run.mscml('<response request="playcollect" id="a" code="200" text="OK"/>')
    assert run.states == ["1 done"]
    run.mscml('<response request="configure_leg" id="a" code="200" text="OK"/>')
    assert (run.states, run.why) == (["1 done", "2 done"], "response 200 OK")


def test_listen_waits_for_the_response_to_the_last_request_first() -> None:
    listens = "  - listen: {until: response}\n" * 2
    run = Bench(IVR + f"  - mscml: {{request: '{LEG}', after: 1 s}}\n" + listens).start().answered().info_answered()
    assert run.states == ["1 done"]
    run.hear(1.0).info_answered()
    run.response('id="1" code="200" text="OK" reason="timeout"')
    assert run.states == ["1 done", "2 done"]
    run.mscml('<response request="configure_leg" id="a" code="200" text="OK"/>')
    assert run.states == ["1 done", "2 done", "3 done", "4 done"]


def test_a_refused_mscml_request_has_no_response_to_wait_for() -> None:
    step = "  - mscml: {request: '<dance', expect: '400'}\n"
    run = Bench(step + "  - listen: {until: response}\n").start().answered().info_answered(400)
    assert run.why == "no MSCML request waits for its response"
    assert Bench("  - mscml: '<dance/>'\n").start().answered().info_answered(400).why.startswith("INFO dance got 400")


def test_variables_in_an_mscml_request_are_escaped_as_xml() -> None:
    run = Bench("  - mscml: '<play><prompt><audio url=\"$url\"/></prompt></play>'\n")
    run.session.url = "imap://h/a&b;URLAUTH=x"
    assert b'url="imap://h/a&amp;b;URLAUTH=x"' in run.start().answered().last("INFO").body


def test_listen_until_keypress_reads_one_notification_at_a_time() -> None:
    step = "  - listen: {until: keypress}\n"
    run = Bench(IVR + step + step + step).start().answered().info_answered()
    assert run.states == ["1 done"]
    for method in ("standard", "long"):
        run.mscml(f'<notification><keypress digit="5" length="long" method="{method}"/></notification>')
    assert run.states == ["1 done", "2 done", "3 done"]
    assert [report.why for report in run.reports[-2:]] == ["keypress long", ""]
    assert run.last("respond 200")
    run.ended()
    assert run.why == "no notification came: the media server hung up"


def test_a_response_that_came_during_an_earlier_step_is_not_lost() -> None:
    run = Bench(IVR + "  - stop: {}\n  - listen: {until: response}\n").start().answered().info_answered()
    run.response('id="1" code="200" text="OK" reason="stopped" playduration="1s" playoffset="1s" digits=""')
    run.info_answered()
    assert run.states == ["1 done", "2 done", "3 done"]


def test_a_response_to_another_request_is_answered_and_not_used() -> None:
    run = Bench(IVR + "  - listen: {until: response}\n").start().answered().info_answered()
    run.response('id="99" code="200" text="OK" reason="stopped"')
    assert run.last("respond 200")
    assert run.states == ["1 done"]


def test_a_failing_response_reports_its_error_info() -> None:
    attributes = 'id="1" code="404" text="Not Found" playduration="0ms" playoffset="0ms" digits=""'
    inner = '<error_info code="404" text="Not Found" context="imap://x"/>'
    run = Bench(IVR + "  - listen: {until: response}\n").start().answered().info_answered().response(attributes, inner)
    assert run.why == "response 404 Not Found (its server: 404 Not Found); 200 is expected"
    run = Bench(IVR + "  - listen: {until: response, expect: 4xx}\n").start().answered().info_answered()
    assert run.response(attributes).states == ["1 done", "2 done"]


def test_fault_dtmf_wrong_key() -> None:
    run = (
        Bench(IVR + "  - press: {key: '6'}\n", behaviour=behaviour_of("dtmf-wrong-key"))
        .start()
        .answered()
        .info_answered()
    )
    assert run.last("INFO").body.startswith(b"Signal=9")


def test_fault_no_ok_to_response() -> None:
    run = (
        Bench(IVR + "  - listen: {until: response}\n", behaviour=behaviour_of("no-ok-to-response"))
        .start()
        .answered()
        .info_answered()
    )
    run.response('id="1" code="200" text="OK" reason="timeout"')
    assert not any(one.what == "respond 200" for one in run.phone.asked)
    assert run.states == ["1 done", "2 done"]
