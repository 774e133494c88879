"""The steps around a call, with a user agent that records its calls and events that the test gives."""

import pytest

from lemonade_client.info_requests import matches
from lemonade_client.testing.bench import TICKET_STEPS, Bench, behaviour_of, sip_info, sip_response
from lemonade_wire.address import Address
from lemonade_wire.sdp.codec import PCMA, PCMU
from lemonade_wire.sdp.description import Direction, SessionDescription
from lemonade_wire.sip.event import (
    CallAnswered,
    CallEnded,
    InviteReceived,
    RequestAnswered,
    RequestReceived,
)

# A URL, and its form in the Request-URI: all characters but RFC 3261's paramchar are escaped, also %.
URL = (
    "imap://joe@example.com/Voice%20Mail;UIDVALIDITY=385759045/;UID=20/;SECTION=2"
    ";EXPIRE=2026-11-22T10:00:00+01:00;URLAUTH=submit+joe:INTERNAL:01AB"
)
PLAY = (
    "imap://joe%40example.com/Voice%2520Mail%3BUIDVALIDITY%3D385759045/%3BUID%3D20/%3BSECTION%3D2"
    "%3BEXPIRE%3D2026-11-22T10:00:00+01:00%3BURLAUTH%3Dsubmit+joe:INTERNAL:01AB"
)
IVR = "  - ivr: {skip: 4 s, ff: '6', url: 'imap://x'}\n"


def test_a_status_matches_itself_and_its_class() -> None:
    assert matches(404, "404")
    assert matches(404, "4xx")
    assert not matches(200, "4xx")
    assert not matches(404, "405")


def test_announce_puts_the_escaped_url_into_the_request_uri() -> None:
    run = Bench(f"  - announce: {{url: '{URL}'}}\n").start()
    invite = run.last("INVITE")
    assert invite.sent_to == (f"sip:annc@media.example.net;play={PLAY}", ("127.0.0.2", 5060))
    offer = SessionDescription.parse(invite.body)
    assert offer.media[0].port == 20000
    assert offer.media[0].formats == ("0", "8")
    assert offer.media[0].direction(offer) is Direction.RECVONLY
    assert b"c=IN IP4 127.0.0.3\r\n" in invite.body
    assert run.media.opened == [("audio", {0: PCMU, 8: PCMA}, "127.0.0.2")]
    assert run.states == []
    run.answered()
    assert run.media.streams[0].remote_port == 16384


def test_an_answer_in_a_multipart_is_read() -> None:
    """RFC 5621 section 4.2: a response may have a multipart body too."""
    sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.2\r\ns=-\r\nc=IN IP4 127.0.0.2\r\nt=0 0\r\nm=audio 16390 RTP/AVP 0\r\n"
    body = f"--b\r\nContent-Type: application/sdp\r\n\r\n{sdp}\r\n--b--\r\n"
    run = Bench(TICKET_STEPS + "  - announce: {}\n").start().answered(body=body, kind="multipart/mixed;boundary=b")
    assert run.media.streams[0].remote_port == 16390
    run = Bench(TICKET_STEPS + "  - announce: {}\n").start().answered(body=sdp, kind="text/plain")
    assert run.why == "the answer's SDP: text/plain as render is not understood"


def test_a_call_that_is_up_at_the_end_is_hung_up_before_the_logout() -> None:
    run = Bench(TICKET_STEPS + "  - announce: {}\n").start().answered()
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
def test_announce_succeeds_on_the_status_that_the_script_expects(expect: str, status: int, outcome: str) -> None:
    run = Bench(f"  - announce: {{url: 'imap://x', expect: {expect}}}\n").start().answered(status)
    assert run.states == [f"1 {outcome}"]
    assert run.runner.finished  # a refused call is not hung up
    assert run.media.closed


def test_a_200_where_a_refusal_is_expected_fails_and_is_hung_up() -> None:
    run = Bench("  - announce: {url: 'imap://x', expect: 404}\n").start().answered()
    assert (run.states, run.why) == (["1 failed"], "the INVITE got 200 OK; 404 is expected")
    assert run.last("BYE")


def test_announce_may_expect_that_no_answer_comes() -> None:
    run = Bench("  - announce: {url: 'imap://x', expect: none}\n").start()
    assert run.runner.next_timer() == 102.0
    run.at(1.9)
    assert run.states == []
    run.at(2.0)
    assert run.states == ["1 done"]
    assert [one.what for one in run.phone.asked] == ["INVITE"]
    run = Bench("  - announce: {url: 'imap://x', expect: none}\n").start().answered(404)
    assert (run.states, run.why) == (["1 failed"], "the INVITE got 404; no answer is expected")


def test_a_deadline_ends_the_step_and_the_call() -> None:
    run = Bench("  - announce: {url: 'imap://x'}\n    within: 3 s\n").start()
    assert run.runner.next_timer() == 103.0
    run.at(2.9)
    assert run.states == []
    run.at(3.0)
    assert (run.states, run.why) == (["1 failed"], "the final response to INVITE did not come in time")
    assert run.last("BYE").target == "call-1"
    run.at(9.0)
    assert run.runner.finished  # without any answer of the peer


def test_the_default_deadline_is_the_media_length_plus_five_seconds() -> None:
    assert Bench("  - announce: {url: 'imap://x'}\n").start().runner.next_timer() == 117.0
    assert Bench("  - announce: {url: 'imap://x'}\n", head="media: 'sip:m'\n").start().runner.next_timer() == 165.0


def test_video_is_a_second_line_with_its_own_ports() -> None:
    run = Bench("  - announce: {url: 'imap://x', video: [H263/90000]}\n").start()
    offer = SessionDescription.parse(run.last("INVITE").body)
    assert [(line.media, line.port) for line in offer.media] == [("audio", 20000), ("video", 20002)]


def test_a_missing_port_url_or_server_fails_with_its_reason() -> None:
    run = Bench("  - announce: {url: 'imap://x'}\n")
    run.media.full = True
    assert "no RTP port is free" in run.start().why
    assert "'$url' has no value here" in Bench("  - announce: {}\n").start().why
    assert "no media server for annc" in Bench("  - announce: {url: x}\n", head="").start().why


def test_announce_can_escape_semicolons_only_as_the_draft_does() -> None:
    step = f"  - announce: {{url: '{URL}', escape: semicolons, params: {{Repeat: '2', param1: $uid}}}}\n"
    run = Bench("  - find-part\n" + step).start()
    escaped = URL.replace(";", "%3B")
    assert run.last("INVITE").sent_to[0] == f"sip:annc@media.example.net;play={escaped};Repeat=2;param1=20"


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


def test_a_session_description_of_the_script_is_sent_unchanged() -> None:
    run = Bench(SDP).start()
    body = run.last("INVITE").body
    assert b"m=audio 20000 RTP/AVP 0 8\r\na=alt:1 1 : 01BB7F04 6CBC7A28 127.0.0.3 20000\r\nm=video 20002 RTP" in body
    assert [medium for medium, _, _ in run.media.opened] == ["audio", "video"]
    assert run.answered().states == ["1 done"]


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [("v=0", "v=7", "the step's session description"), ("m=audio", "m=text", "has no audio line")],
)
def test_an_invalid_session_description_of_the_script_fails(old: str, new: str, why: str) -> None:
    assert why in Bench(SDP.replace(old, new)).start().why


def test_listen_until_bye() -> None:
    run = Bench(TICKET_STEPS + "  - announce: {}\n  - listen: {until: bye}\n").start().answered().at(12).ended()
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
def test_steps_inside_a_call_fail_without_a_call(step: str, why: str) -> None:
    assert Bench(f"  - {step}\n").start().why == why


def test_listen_fails_at_once_for_an_event_that_cannot_come() -> None:
    announce = "  - announce: {url: 'imap://x'}\n"
    run = Bench(announce + "  - listen: {until: response}\n").start().answered()
    assert run.why == "no MSCML request waits for its response"
    run = Bench(IVR + "  - listen: {until: response}\n").start().answered().info_answered().ended()
    assert run.why == "no response to <playcollect>: the media server hung up"
    run = Bench(announce + "  - listen: {until: bye}\n").start().answered().ended("dialog-gone")
    assert run.why == "no BYE came: the media server no longer knows the call"


def test_listen_for_a_duration_ends_by_the_timer() -> None:
    run = Bench("  - listen: {until: 5 s}\n").start()
    assert run.runner.next_timer() == 105.0
    assert run.at(4.9).states == []
    assert run.at(5.0).states == ["1 done"]


def test_hang_up_waits_for_its_answer() -> None:
    run = Bench("  - announce: {url: 'imap://x'}\n  - hang-up\n").start().answered()
    assert run.states == ["1 done"]
    run.ended("bye-answered")
    assert run.states == ["1 done", "2 done"]
    assert [one.what for one in run.phone.asked] == ["INVITE", "BYE"]


def test_raw_sip_is_sent_inside_the_call_or_outside_a_dialog() -> None:
    raw = "  - sip: {method: INFO, headers: {Content-Type: x/y}, body: abc, expect: 415}\n"
    run = Bench("  - announce: {url: 'imap://x'}\n" + raw).start().answered()
    info = run.last("INFO")
    assert (info.target, info.body, info.headers) == ("call-1", b"abc", (("Content-Type", "x/y"),))
    assert run.info_answered(415).states == ["1 done", "2 done"]
    run = Bench("  - sip: {method: OPTIONS}\n").start()
    options = run.last("OPTIONS")
    assert options.sent_to == ("sip:media.example.net", ("127.0.0.2", 5060))
    run.sip(RequestAnswered(None, options.name, None))
    assert run.why == "OPTIONS got no answer"
    assert "the URI cannot be used" in Bench("  - sip: {method: OPTIONS, uri: 'tel:1'}\n").start().why


def test_an_invite_gets_486_and_another_request_501() -> None:
    run = Bench("  - listen: {until: 5 s}\n").start()
    request = sip_info("x")
    run.sip(InviteReceived("call-x", request, Address("127.0.0.9", 5060)))
    assert run.last("refuse 486").target == "call-x"
    run.sip(RequestReceived(None, request, "tx-x"))
    assert run.last("respond 501").target == "tx-x"
    run.sip(CallEnded("call-x", "bye-received"))
    assert run.states == []


def test_an_answer_without_audio_or_sdp_fails() -> None:
    run = Bench("  - announce: {url: 'imap://x'}\n").start()
    run.sip(CallAnswered("call-1", sip_response(200, "OK", "nonsense")))
    assert "the answer's SDP" in run.why
    assert run.last("BYE")


def test_interrupt_hangs_up_and_logs_out() -> None:
    run = Bench(TICKET_STEPS + "  - announce: {}\n  - listen: {until: bye}\n").start().answered()
    run.runner.interrupt(run.now)
    assert (run.states[-1], run.why) == ("4 failed", "interrupted")
    assert run.last("BYE")
    run.ended("bye-answered")
    assert run.mail.sent[-1] == "LOGOUT"
    assert run.runner.finished


def test_fault_url_escaped_twice_and_url_truncated() -> None:
    run = Bench(f"  - announce: {{url: '{URL}'}}\n", behaviour=behaviour_of("url-escaped-twice")).start()
    assert "play=imap://joe%2540example.com/" in run.last("INVITE").sent_to[0]
    run = Bench(f"  - announce: {{url: '{URL}'}}\n", behaviour=behaviour_of("url-truncated")).start()
    assert run.last("INVITE").sent_to[0].endswith(":INTERNAL:01A")
