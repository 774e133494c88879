"""The steps inside a call, with a telephone that writes down what it is asked and events that the test gives."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lemonade_client.call_steps import matches
from lemonade_client.faults import DtmfWrongKey, NoOkToResponse, UrlEscapedTwice, UrlTruncated
from lemonade_wire.address import Address
from lemonade_wire.mscml.document import parse_document
from lemonade_wire.mscml.request import Audio, PlayCollect, Stop
from lemonade_wire.sdp.codec import PCMA, PCMU
from lemonade_wire.sdp.description import Direction, SessionDescription
from lemonade_wire.sip.event import (
    CallAnswered,
    CallEnded,
    InviteReceived,
    ReinviteAnswered,
    ReinviteConfirmed,
    ReinviteReceived,
    RequestAnswered,
    RequestReceived,
)

# A URL, and how it stands in the Request-URI: all but RFC 3261's paramchar escaped, % too.
URL = (
    "imap://joe@example.com/Voice%20Mail;UIDVALIDITY=385759045/;UID=20/;SECTION=2"
    ";EXPIRE=2026-11-22T10:00:00+01:00;URLAUTH=submit+joe:INTERNAL:01AB"
)
PLAY = (
    "imap://joe%40example.com/Voice%2520Mail%3BUIDVALIDITY%3D385759045/%3BUID%3D20/%3BSECTION%3D2"
    "%3BEXPIRE%3D2026-11-22T10:00:00+01:00%3BURLAUTH%3Dsubmit+joe:INTERNAL:01AB"
)
IVR = "  - ivr: {skip: 4 s, ff: '6', url: 'imap://x'}\n"


def test_statuses_match_themselves_and_their_class() -> None:
    assert matches(404, "404")
    assert matches(404, "4xx")
    assert not matches(200, "4xx")
    assert not matches(404, "405")


def test_announce_puts_the_escaped_url_into_the_request_uri(bench: Callable[..., Any]) -> None:
    run = bench(f"  - announce: {{url: '{URL}'}}\n").start()
    invite = run.last("INVITE")
    assert invite.target == (f"sip:annc@media.example.net;play={PLAY}", ("127.0.0.2", 5060))
    offer = SessionDescription.parse(invite.body)
    assert offer.media[0].port == 20000
    assert offer.media[0].formats == ("0", "8")
    assert offer.media[0].direction(offer) is Direction.RECVONLY
    assert b"c=IN IP4 127.0.0.3\r\n" in invite.body
    assert run.media.opened == [("audio", {0: PCMU, 8: PCMA}, "127.0.0.2")]
    assert run.states == []
    run.answered()
    assert run.media.streams[0].remote_port == 16384


def test_the_answer_may_stand_in_a_multipart(bench: Callable[..., Any], ticket_steps: str) -> None:
    """RFC 5621 section 4.2: responses too."""
    sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.2\r\ns=-\r\nc=IN IP4 127.0.0.2\r\nt=0 0\r\nm=audio 16390 RTP/AVP 0\r\n"
    body = f"--b\r\nContent-Type: application/sdp\r\n\r\n{sdp}\r\n--b--\r\n"
    run = bench(ticket_steps + "  - announce: {}\n").start().answered(body=body, kind="multipart/mixed;boundary=b")
    assert run.media.streams[0].remote_port == 16390
    run = bench(ticket_steps + "  - announce: {}\n").start().answered(body=sdp, kind="text/plain")
    assert run.why == "the answer's SDP: text/plain as render is not understood"


def test_a_call_that_is_up_at_the_end_is_hung_up_before_the_logout(
    bench: Callable[..., Any], ticket_steps: str
) -> None:
    run = bench(ticket_steps + "  - announce: {}\n").start().answered()
    assert run.states == ["1 done", "2 done", "3 done"]
    assert run.last("BYE").target == "call-1"
    assert "LOGOUT" not in run.mail.sent
    run.ended("bye-answered")
    assert run.mail.sent[-1] == "LOGOUT"
    assert run.runner.finished
    assert not run.runner.failed


@pytest.mark.parametrize(
    ("expect", "status", "outcome"), [("404", 404, "done"), ("4xx", 488, "done"), ("200", 404, "failed")]
)
def test_announce_succeeds_on_the_status_that_the_script_expects(
    bench: Callable[..., Any], expect: str, status: int, outcome: str
) -> None:
    run = bench(f"  - announce: {{url: 'imap://x', expect: {expect}}}\n").start().answered(status)
    assert run.states == [f"1 {outcome}"]
    assert run.runner.finished  # a refused call is not hung up
    assert run.media.closed


def test_a_200_where_a_refusal_is_expected_fails_and_is_hung_up(bench: Callable[..., Any]) -> None:
    run = bench("  - announce: {url: 'imap://x', expect: 404}\n").start().answered()
    assert (run.states, run.why) == (["1 failed"], "the INVITE got 200 OK; 404 is expected")
    assert run.last("BYE")


def test_a_deadline_gives_the_call_up(bench: Callable[..., Any]) -> None:
    run = bench("  - announce: {url: 'imap://x'}\n    within: 3 s\n").start()
    assert run.runner.next_timer() == 103.0
    run.at(2.9)
    assert run.states == []
    run.at(3.0)
    assert (run.states, run.why) == (["1 failed"], "the final response to INVITE did not come in time")
    assert run.last("BYE").target == "call-1"
    run.at(9.0)
    assert run.runner.finished  # the peer answers nothing at all


def test_the_default_deadline_is_the_media_and_five_seconds(bench: Callable[..., Any]) -> None:
    assert bench("  - announce: {url: 'imap://x'}\n").start().runner.next_timer() == 117.0
    assert bench("  - announce: {url: 'imap://x'}\n", head="media: 'sip:m'\n").start().runner.next_timer() == 165.0


def test_video_is_a_second_line_with_its_own_ports(bench: Callable[..., Any]) -> None:
    run = bench("  - announce: {url: 'imap://x', video: [H263/90000]}\n").start()
    offer = SessionDescription.parse(run.last("INVITE").body)
    assert [(line.media, line.port) for line in offer.media] == [("audio", 20000), ("video", 20002)]


def test_no_port_and_no_url_and_no_server_fail_with_their_reason(bench: Callable[..., Any]) -> None:
    run = bench("  - announce: {url: 'imap://x'}\n")
    run.media.full = True
    assert "no RTP port is free" in run.start().why
    assert "'$url' has no value here" in bench("  - announce: {}\n").start().why
    assert "no media server for annc" in bench("  - announce: {url: x}\n", head="").start().why


def test_an_announcement_may_be_asked_for_as_the_draft_writes_it(bench: Callable[..., Any]) -> None:
    step = f"  - announce: {{url: '{URL}', escape: semicolons, params: {{Repeat: '2', param1: $uid}}}}\n"
    run = bench("  - find-part\n" + step).start()
    escaped = URL.replace(";", "%3B")
    assert run.last("INVITE").target[0] == f"sip:annc@media.example.net;play={escaped};Repeat=2;param1=20"


SDP = """  - announce:
      url: imap://x
      sdp: |
        v=0
        o=UserA 1 1 IN IP4 $address
        s=-
        c=IN IP4 $address
        t=3034423619 0
        m=audio $audio RTP/AVP 0 8
        a=alt:1 1 : 01BB7F04 6CBC7A28 $address $audio
        m=video $video RTP/AVP 34
"""


def test_an_offer_goes_out_as_it_stands(bench: Callable[..., Any]) -> None:
    run = bench(SDP).start()
    body = run.last("INVITE").body
    assert b"m=audio 20000 RTP/AVP 0 8\r\na=alt:1 1 : 01BB7F04 6CBC7A28 127.0.0.3 20000\r\nm=video 20002 RTP" in body
    assert [medium for medium, _, _ in run.media.opened] == ["audio", "video"]
    assert run.answered().states == ["1 done"]


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [("v=0", "v=7", "the step's session description"), ("m=audio", "m=text", "has no audio line")],
)
def test_an_offer_that_is_none_fails(bench: Callable[..., Any], old: str, new: str, why: str) -> None:
    assert why in bench(SDP.replace(old, new)).start().why


def test_a_playing_goes_on_where_the_last_response_says(bench: Callable[..., Any]) -> None:
    listen = "  - listen: {until: response}\n"
    run = bench(IVR + listen + "  - ivr: {offset: playoffset, url: 'imap://x'}\n").start().answered().info_answered()
    run.response('id="1" code="200" text="OK" reason="escapekey" playduration="1s" playoffset="5s" digits=""')
    request = parse_document(run.last("INFO").body)
    assert isinstance(request, PlayCollect)
    assert request.prompt is not None
    assert request.prompt.offset_ms == 5000


def test_ivr_offers_both_ways_and_sends_the_request_by_info(bench: Callable[..., Any]) -> None:
    run = bench(IVR).start()
    invite = run.last("INVITE")
    assert invite.target[0] == "sip:ivr@media.example.net"
    offer = SessionDescription.parse(invite.body)
    assert offer.media[0].direction(offer) is Direction.SENDRECV  # E-36
    assert any(fmt.codec.is_telephone_event for fmt in offer.media[0].rtp_formats())
    run.answered()
    info = run.last("INFO")
    assert info.kind == "application/mediaservercontrol+xml"
    for attribute in ('firstdigittimer="0ms"', 'interdigittimer="0ms"', 'extradigittimer="0ms"'):
        assert attribute.encode() in info.body  # LS-2.7-5
    request = parse_document(info.body)
    assert isinstance(request, PlayCollect)
    assert (request.clear_digits, request.skip_interval_ms, request.ff_key, request.rw_key) == (True, 4000, "6", None)
    assert request.prompt is not None
    assert request.prompt.items == (Audio("imap://x"),)
    assert (request.prompt.stop_on_error, request.prompt.repeat) == (True, 1)
    assert run.states == []
    run.info_answered()
    assert run.states == ["1 done"]


def test_ivr_fails_where_info_is_refused(bench: Callable[..., Any]) -> None:
    run = bench(IVR).start().answered().info_answered(415)
    assert run.why == "INFO playcollect got 415 Reason; 200 is expected"


def test_ivr_on_a_call_that_is_up_sends_another_request(bench: Callable[..., Any]) -> None:
    run = bench(IVR + IVR).start().answered().info_answered().info_answered()
    assert [one.what for one in run.phone.asked if one.what != "BYE"] == ["INVITE", "INFO", "INFO"]
    first, second = [parse_document(one.body) for one in run.phone.asked if one.what == "INFO"]
    assert isinstance(first, PlayCollect)
    assert isinstance(second, PlayCollect)
    assert first.id != second.id


def test_press_waits_for_heard_media_and_not_for_the_clock(bench: Callable[..., Any]) -> None:
    run = bench(IVR + "  - press: {key: '6', after: 3 s}\n")
    run.session.heard = 50.0  # of an earlier call
    run.start().answered().info_answered()
    run.at(10).hear(52.98)
    assert run.last("INFO").kind != "application/dtmf-relay"
    run.hear(53.0)
    key = run.last("INFO")
    assert (key.kind, key.body) == ("application/dtmf-relay", b"Signal=6\r\nDuration=160\r\n")
    run.info_answered()
    assert run.states == ["1 done", "2 done"]


def test_press_by_rtp_sends_no_info_and_takes_as_long_as_the_key(bench: Callable[..., Any]) -> None:
    run = bench(IVR + "  - press: {key: 'a', by: rtp}\n").start().answered_with_keys().info_answered()
    assert run.media.pressed == [("A", 160)]
    assert [one.kind for one in run.phone.asked if one.what == "INFO"] == ["application/mediaservercontrol+xml"]
    assert run.runner.next_timer() == pytest.approx(run.now + 0.3)
    run.at(0.29)
    assert run.states == ["1 done"]
    run.at(0.31)
    assert run.states == ["1 done", "2 done"]


def test_press_both_ways_sends_the_info_when_the_key_is_up(bench: Callable[..., Any]) -> None:
    run = bench(IVR + "  - press: {key: '6', by: both}\n").start().answered_with_keys().info_answered()
    assert run.media.pressed == [("6", 160)]
    run.at(0.29)
    assert run.last("INFO").kind != "application/dtmf-relay"
    run.at(0.31)
    assert run.last("INFO").body == b"Signal=6\r\nDuration=160\r\n"
    assert run.states == ["1 done"]
    run.info_answered()
    assert run.states == ["1 done", "2 done"]


def test_say_takes_as_long_as_what_is_said(bench: Callable[..., Any]) -> None:
    run = bench(IVR + "  - say: spoken.wav\n").start().answered_with_keys().info_answered()
    assert run.media.said == [Path("spoken.wav")]
    run.at(1.4)
    assert run.states == ["1 done"]
    run.at(1.6)
    assert run.states == ["1 done", "2 done"]
    assert bench("  - say: spoken.wav\n").start().why == "there is no call"


def test_press_by_rtp_fails_where_the_answer_has_no_keys(bench: Callable[..., Any]) -> None:
    run = bench(IVR + "  - press: {key: '6', by: rtp}\n").start().answered().info_answered()
    assert run.why == "no telephone-event"


def test_press_fails_where_the_playing_ends_first(bench: Callable[..., Any]) -> None:
    run = bench(IVR + "  - press: {key: '6', after: 3 s}\n").start().answered().info_answered().hear(2.0)
    run.response('id="1" code="200" text="OK" reason="timeout" playduration="2s" playoffset="2s" digits=""')
    assert run.why == "the playing ended after 2.00 s heard, before 3 s"
    run = bench(IVR + "  - press: {key: '6', after: 3 s}\n").start().answered().info_answered().hear(2.0).ended()
    assert run.why == "after 2.00 s heard, before 3 s: the media server hung up"


def test_stop_sends_a_stop_with_an_id_of_its_own(bench: Callable[..., Any]) -> None:
    run = bench(IVR + "  - stop: {after: 1 s}\n").start().answered().info_answered().hear(1.0)
    assert parse_document(run.last("INFO").body) == Stop(id="2")
    run.info_answered()
    assert run.states == ["1 done", "2 done"]


def test_listen_until_response_answers_it_200_and_tells_its_reason(bench: Callable[..., Any]) -> None:
    run = bench(IVR + "  - listen: {until: response}\n").start().answered().info_answered()
    run.response('id="1" code="200" text="OK" reason="timeout" playduration="12s" playoffset="12s" digits=""')
    assert run.last("respond 200").target == "peer-1"
    assert (run.states, run.reports[-1].why) == (["1 done", "2 done"], "response 200 timeout")


LEG = '<configure_leg id="a"><subscribe><events><keypress report="both"/></events></subscribe></configure_leg>'


def test_an_mscml_request_goes_out_as_it_stands_in_a_call_of_its_own(bench: Callable[..., Any]) -> None:
    run = bench(f"  - mscml: '{LEG}'\n  - listen: {{until: response}}\n").start().answered()
    assert run.last("INVITE").target[0].startswith("sip:ivr@")
    assert run.last("INFO").body.endswith(f"<request>{LEG}</request></MediaServerControl>".encode())
    run.info_answered()
    assert run.states == ["1 done"]
    run.mscml('<response request="playcollect" id="a" code="200" text="OK"/>')
    assert run.states == ["1 done"]
    run.mscml('<response request="configure_leg" id="a" code="200" text="OK"/>')
    assert (run.states, run.why) == (["1 done", "2 done"], "response 200 OK")


def test_responses_are_listened_for_from_the_last_request_back(bench: Callable[..., Any]) -> None:
    listens = "  - listen: {until: response}\n" * 2
    run = bench(IVR + f"  - mscml: {{request: '{LEG}', after: 1 s}}\n" + listens).start().answered().info_answered()
    assert run.states == ["1 done"]
    run.hear(1.0).info_answered()
    run.response('id="1" code="200" text="OK" reason="timeout"')
    assert run.states == ["1 done", "2 done"]
    run.mscml('<response request="configure_leg" id="a" code="200" text="OK"/>')
    assert run.states == ["1 done", "2 done", "3 done", "4 done"]


def test_an_mscml_request_may_be_refused_and_is_then_not_listened_for(bench: Callable[..., Any]) -> None:
    step = "  - mscml: {request: '<dance', expect: '400'}\n"
    run = bench(step + "  - listen: {until: response}\n").start().answered().info_answered(400)
    assert run.why == "no MSCML request waits for its response"
    assert bench("  - mscml: '<dance/>'\n").start().answered().info_answered(400).why.startswith("INFO dance got 400")


def test_what_the_script_knows_is_put_into_an_mscml_request_as_xml(bench: Callable[..., Any]) -> None:
    run = bench("  - mscml: '<play><prompt><audio url=\"$url\"/></prompt></play>'\n")
    run.session.url = "imap://h/a&b;URLAUTH=x"
    assert b'url="imap://h/a&amp;b;URLAUTH=x"' in run.start().answered().last("INFO").body


def test_listen_until_keypress_takes_one_notification_at_a_time(bench: Callable[..., Any]) -> None:
    step = "  - listen: {until: keypress}\n"
    run = bench(IVR + step + step + step).start().answered().info_answered()
    assert run.states == ["1 done"]
    for method in ("standard", "long"):
        run.mscml(f'<notification><keypress digit="5" length="long" method="{method}"/></notification>')
    assert run.states == ["1 done", "2 done", "3 done"]
    assert [report.why for report in run.reports[-2:]] == ["keypress long", ""]
    assert run.last("respond 200")
    run.ended()
    assert run.why == "no notification came: the media server hung up"


def test_a_response_that_came_during_an_earlier_step_is_not_lost(bench: Callable[..., Any]) -> None:
    run = bench(IVR + "  - stop: {}\n  - listen: {until: response}\n").start().answered().info_answered()
    run.response('id="1" code="200" text="OK" reason="stopped" playduration="1s" playoffset="1s" digits=""')
    run.info_answered()
    assert run.states == ["1 done", "2 done", "3 done"]


def test_a_response_to_another_request_is_answered_and_not_taken(bench: Callable[..., Any]) -> None:
    run = bench(IVR + "  - listen: {until: response}\n").start().answered().info_answered()
    run.response('id="99" code="200" text="OK" reason="stopped"')
    assert run.last("respond 200")
    assert run.states == ["1 done"]


def test_a_refusing_response_fails_and_names_what_the_content_server_said(bench: Callable[..., Any]) -> None:
    attributes = 'id="1" code="404" text="Not Found" playduration="0ms" playoffset="0ms" digits=""'
    inner = '<error_info code="404" text="Not Found" context="imap://x"/>'
    run = bench(IVR + "  - listen: {until: response}\n").start().answered().info_answered().response(attributes, inner)
    assert run.why == "response 404 Not Found (its server: 404 Not Found); 200 is expected"
    run = bench(IVR + "  - listen: {until: response, expect: 4xx}\n").start().answered().info_answered()
    assert run.response(attributes).states == ["1 done", "2 done"]


def test_listen_until_bye(bench: Callable[..., Any], ticket_steps: str) -> None:
    run = bench(ticket_steps + "  - announce: {}\n  - listen: {until: bye}\n").start().answered().at(12).ended()
    assert run.states[-1] == "4 done"
    assert run.runner.finished
    assert not any(one.what == "BYE" for one in run.phone.asked)


@pytest.mark.parametrize(
    ("step", "why"),
    [
        ("listen: {until: bye}", "there is no call"),
        ("listen: {until: response}", "there is no call"),
        ("press: {key: 6}", "there is no call"),
        ("stop", "there is no call"),
        ("hang-up", "there is no call"),
    ],
)
def test_steps_of_a_call_need_one(bench: Callable[..., Any], step: str, why: str) -> None:
    assert bench(f"  - {step}\n").start().why == why


def test_listening_for_what_can_not_come_fails_at_once(bench: Callable[..., Any]) -> None:
    announce = "  - announce: {url: 'imap://x'}\n"
    run = bench(announce + "  - listen: {until: response}\n").start().answered()
    assert run.why == "no MSCML request waits for its response"
    run = bench(IVR + "  - listen: {until: response}\n").start().answered().info_answered().ended()
    assert run.why == "no response to <playcollect>: the media server hung up"
    run = bench(announce + "  - listen: {until: bye}\n").start().answered().ended("dialog-gone")
    assert run.why == "no BYE came: the media server no longer knows the call"


def test_listen_for_some_time_wakes_by_itself(bench: Callable[..., Any]) -> None:
    run = bench("  - listen: {until: 5 s}\n").start()
    assert run.runner.next_timer() == 105.0
    assert run.at(4.9).states == []
    assert run.at(5.0).states == ["1 done"]


def test_hang_up_waits_for_its_answer(bench: Callable[..., Any]) -> None:
    run = bench("  - announce: {url: 'imap://x'}\n  - hang-up\n").start().answered()
    assert run.states == ["1 done"]
    run.ended("bye-answered")
    assert run.states == ["1 done", "2 done"]
    assert [one.what for one in run.phone.asked] == ["INVITE", "BYE"]


def test_raw_sip_goes_into_the_call_or_on_its_own(bench: Callable[..., Any]) -> None:
    raw = "  - sip: {method: INFO, headers: {Content-Type: x/y}, body: abc, expect: 415}\n"
    run = bench("  - announce: {url: 'imap://x'}\n" + raw).start().answered()
    info = run.last("INFO")
    assert (info.target, info.body, info.headers) == ("call-1", b"abc", (("Content-Type", "x/y"),))
    assert run.info_answered(415).states == ["1 done", "2 done"]
    run = bench("  - sip: {method: OPTIONS}\n").start()
    options = run.last("OPTIONS")
    assert options.target == ("sip:media.example.net", ("127.0.0.2", 5060))
    run.sip(RequestAnswered(None, options.name, None))
    assert run.why == "OPTIONS got no answer"
    assert "the URI cannot be used" in bench("  - sip: {method: OPTIONS, uri: 'tel:1'}\n").start().why


def test_other_requests_are_answered(bench: Callable[..., Any]) -> None:
    run = bench("  - listen: {until: 5 s}\n").start()
    request = run.make_info("x")
    run.sip(InviteReceived("call-x", request, Address("127.0.0.9", 5060)))
    assert run.last("refuse 486").target == "call-x"
    run.sip(RequestReceived(None, request, "tx-x"))
    assert run.last("respond 501").target == "tx-x"
    run.sip(CallEnded("call-x", "bye-received"))
    assert run.states == []


def test_an_answer_without_audio_or_sdp_fails(bench: Callable[..., Any]) -> None:
    run = bench("  - announce: {url: 'imap://x'}\n").start()
    run.sip(CallAnswered("call-1", run.make_response(200, "OK", "nonsense")))
    assert "the answer's SDP" in run.why
    assert run.last("BYE")


def test_interrupt_hangs_up_and_logs_out(bench: Callable[..., Any], ticket_steps: str) -> None:
    run = bench(ticket_steps + "  - announce: {}\n  - listen: {until: bye}\n").start().answered()
    run.runner.interrupt(run.now)
    assert (run.states[-1], run.why) == ("4 failed", "interrupted")
    assert run.last("BYE")
    run.ended("bye-answered")
    assert run.mail.sent[-1] == "LOGOUT"
    assert run.runner.finished


def test_fault_url_escaped_twice_and_url_truncated(bench: Callable[..., Any]) -> None:
    run = bench(f"  - announce: {{url: '{URL}'}}\n", behaviour=UrlEscapedTwice()).start()
    assert "play=imap://joe%2540example.com/" in run.last("INVITE").target[0]
    run = bench(f"  - announce: {{url: '{URL}'}}\n", behaviour=UrlTruncated()).start()
    assert run.last("INVITE").target[0].endswith(":INTERNAL:01A")


def test_fault_dtmf_wrong_key(bench: Callable[..., Any]) -> None:
    run = bench(IVR + "  - press: {key: '6'}\n", behaviour=DtmfWrongKey()).start().answered().info_answered()
    assert run.last("INFO").body.startswith(b"Signal=9")


def test_fault_no_ok_to_response(bench: Callable[..., Any]) -> None:
    run = bench(IVR + "  - listen: {until: response}\n", behaviour=NoOkToResponse()).start().answered().info_answered()
    run.response('id="1" code="200" text="OK" reason="timeout"')
    assert not any(one.what == "respond 200" for one in run.phone.asked)
    assert run.states == ["1 done", "2 done"]


# What `reinvite` says; the m-line's port and formats, its direction, the address in c=, the version.
OFFERS = [
    ("{}", (20000, ("0", "8"), Direction.RECVONLY, "127.0.0.3", 1)),
    ("{hold: direction}", (20000, ("0", "8"), Direction.INACTIVE, "127.0.0.3", 2)),
    ("{hold: address}", (20000, ("0", "8"), Direction.RECVONLY, "0.0.0.0", 2)),  # noqa: S104  a word of SDP
    ("{offer: [PCMA/8000]}", (20000, ("8",), Direction.RECVONLY, "127.0.0.3", 2)),
    ("{move: yes}", (20004, ("0", "8"), Direction.RECVONLY, "127.0.0.3", 2)),
]


@pytest.mark.parametrize(("words", "expected"), OFFERS)
def test_reinvite_offers_what_the_step_says(bench: Callable[..., Any], words: str, expected: tuple[Any, ...]) -> None:
    run = bench(f"  - announce: {{url: 'imap://x'}}\n  - reinvite: {words}\n").start().answered()
    first = SessionDescription.parse(run.last("INVITE").body)
    offer = SessionDescription.parse(run.last("re-INVITE").body)
    (line,) = offer.media
    assert offer.connection is not None
    seen = (line.port, line.formats, line.direction(offer), offer.connection.address, offer.origin.version)
    assert seen == expected
    assert offer.origin.session_id == first.origin.session_id
    assert run.states == ["1 done"]
    run.reinvite_answered()
    assert run.states == ["1 done", "2 done"]


def test_hold_of_an_ivr_call_is_sendonly_and_ends_with_the_version_gone_up(bench: Callable[..., Any]) -> None:
    run = bench(IVR + "  - reinvite: {hold: direction, after: 2 s}\n  - reinvite: {}\n").start().answered()
    run.info_answered().hear(1.9)
    assert not any(asked.what == "re-INVITE" for asked in run.phone.asked)
    run.hear(2.0)
    held = SessionDescription.parse(run.last("re-INVITE").body)
    assert held.media[0].direction(held) is Direction.SENDONLY
    assert any(fmt.codec.is_telephone_event for fmt in held.media[0].rtp_formats())
    run.reinvite_answered()
    back = SessionDescription.parse(run.last("re-INVITE").body)
    assert (back.media[0].direction(back), back.origin.version) == (Direction.SENDRECV, 3)


@pytest.mark.parametrize(
    ("words", "status", "body", "why"),
    [
        ("{}", 488, "", "the re-INVITE got 488 Reason; 200 is expected"),
        ("{expect: 488}", 200, "", "the re-INVITE got 200 Reason; 488 is expected"),
        ("{}", 200, "rubbish", "the answer's SDP: not a line of SDP: 'rubbish'"),
    ],
)
def test_reinvite_fails_on_another_status_or_answer(
    bench: Callable[..., Any], words: str, status: int, body: str, why: str
) -> None:
    run = bench(f"  - announce: {{url: 'imap://x'}}\n  - reinvite: {words}\n").start().answered()
    run.reinvite_answered(status, body)
    assert run.why == why


def test_reinvite_without_an_answer_or_a_port_fails(bench: Callable[..., Any]) -> None:
    run = bench("  - announce: {url: 'imap://x'}\n  - reinvite: {}\n").start().answered()
    asked = run.last("re-INVITE")
    run.sip(ReinviteAnswered(asked.target, asked.name, None))
    assert run.why == "the re-INVITE got no answer; 200 is expected"
    run = bench("  - announce: {url: 'imap://x'}\n  - reinvite: {move: yes}\n").start()
    run.media.full = True
    assert "no RTP port is free" in run.answered().why


def reinvite_of_the_server(run: Any, body: str) -> Any:  # noqa: ANN401  a bench
    kind = "application/sdp"
    return run.sip(ReinviteReceived("call-1", run.make_info(body, kind)))


THEIRS = (
    "v=0\r\no=- 1 2 IN IP4 127.0.0.2\r\ns=-\r\nc=IN IP4 127.0.0.2\r\nt=0 0\r\nm=audio 17000 RTP/AVP 8\r\na=sendonly\r\n"
)


def test_a_reinvite_of_the_media_server_is_answered_by_what_the_call_can_do(bench: Callable[..., Any]) -> None:
    run = bench("  - announce: {url: 'imap://x'}\n  - listen: {until: bye}\n").start().answered()
    for version in (2, 2):
        answer = SessionDescription.parse(reinvite_of_the_server(run, THEIRS).last("accept").body)
        (line,) = answer.media
        assert (line.port, line.formats, line.direction(answer)) == (20000, ("8",), Direction.RECVONLY)
        assert answer.origin.version == version
        assert run.media.streams[0].remote_port == 17000


def test_a_reinvite_without_an_offer_gets_the_last_one_and_its_ack_is_heeded(bench: Callable[..., Any]) -> None:
    run = bench("  - announce: {url: 'imap://x'}\n  - listen: {until: bye}\n").start().answered()
    assert reinvite_of_the_server(run, "").last("accept").body == run.last("INVITE").body
    run.sip(ReinviteConfirmed("call-1", run.make_info(THEIRS, "application/sdp")))
    assert run.media.streams[0].remote_port == 17000
    run.sip(ReinviteConfirmed("call-1", run.make_info("rubbish", "application/sdp")))
    assert run.media.streams[0].remote_port == 17000


@pytest.mark.parametrize("body", ["rubbish", THEIRS.replace("RTP/AVP 8", "RTP/AVP 18")])
def test_a_reinvite_that_cannot_be_met_is_refused(bench: Callable[..., Any], body: str) -> None:
    run = bench("  - announce: {url: 'imap://x'}\n  - listen: {until: bye}\n").start().answered()
    assert reinvite_of_the_server(run, body).last("refuse 488").target == "call-1"
