"""The step `stream`: the order in which media servers are tried, and the call to each of them."""

import pytest

from lemonade_client.call import Service
from lemonade_client.session import ChosenServer
from lemonade_client.stream import Attempt, after_refusal, first_attempts
from lemonade_client.testing.bench import Bench, sip_response
from lemonade_wire.sip.event import CallEnded, CallProgressed, CallRefused
from lemonade_wire.sip.message.uri import SipUri

RESPONSE = 'id="1" code="200" text="OK" reason="timeout" playduration="12s" playoffset="12s" digits=""'


def attempt(uri: str, service: Service) -> Attempt:
    return Attempt(ChosenServer(SipUri.parse(uri)), service)


def shown(attempts: list[Attempt]) -> list[str]:
    return [f"{one.service} {one.target.uri.host}" for one in attempts]


def test_calls_keep_the_order_of_the_list_and_use_ivr_if_no_service_is_named() -> None:
    targets = tuple(ChosenServer(SipUri.parse(uri)) for uri in ("sip:annc@a", "sip:b", "sip:ivr@c", "sip:conf=1@d"))
    assert shown(first_attempts(targets)) == ["annc a", "ivr b", "ivr c"]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (488, ["annc a", "annc b", "ivr c"]),
        (404, ["annc a", "annc b", "ivr c"]),
        (503, ["ivr c", "annc b"]),
        (486, ["ivr c", "annc b"]),
        (None, ["ivr c", "annc b"]),
    ],
)
def test_the_status_of_a_refused_ivr_call_decides_the_next_call(status: int | None, expected: list[str]) -> None:
    left = [attempt("sip:annc@b", "annc"), attempt("sip:ivr@c", "ivr")]
    assert shown(after_refusal(attempt("sip:ivr@a", "ivr"), status, left)) == expected


def test_a_listed_announcement_of_the_same_host_is_not_added_again() -> None:
    left = [attempt("sip:annc@b", "annc"), attempt("sip:annc@A", "annc")]
    assert shown(after_refusal(attempt("sip:ivr@a", "ivr"), 488, left)) == ["annc b", "annc A"]


def test_a_refused_announcement_is_followed_by_the_next_one() -> None:
    left = [attempt("sip:ivr@b", "ivr")]
    assert shown(after_refusal(attempt("sip:annc@a", "annc"), 404, left)) == ["ivr b"]


def test_stream_by_ivr_with_the_configured_server() -> None:
    run = Bench("  - stream: {}\n").start()
    assert any(";URLAUTH=submit+joe" in line for line in run.mail.sent)
    run.answered().info_answered().response(RESPONSE).ended("bye-answered")
    assert [one.what for one in run.phone.asked] == ["INVITE", "INFO", "respond 200", "BYE"]
    assert run.states == ["1 done"]


def test_stream_falls_back_to_the_announcement_in_a_new_call() -> None:
    run = Bench("  - stream: {}\n").start().answered(488)
    assert [one.sent_to[0].partition(";")[0] for one in run.phone.asked] == [
        "sip:ivr@media.example.net",
        "sip:annc@media.example.net",
    ]
    run.answered().ended()
    assert run.states == ["1 done"]


def test_stream_calls_the_servers_that_discovery_found() -> None:
    value = '* METADATA "" (/public/mediaServers "<sip:annc@a;transport=tcp>:authuser;<sip:annc@b>")\r\n'
    run = Bench("  - stream: {}\n", server={"GETMETADATA": value}).start()
    assert run.last("INVITE").sent_to[0].startswith("sip:annc@a;play=imap://")
    assert run.last("INVITE").sent_to[0].endswith(";transport=tcp")
    run.answered(404)
    assert run.last("INVITE").sent_to[0].startswith("sip:annc@b;")
    run.answered(500)
    assert run.states == ["1 failed"]
    assert "annc at a: the INVITE got 404; annc at b: the INVITE got 500" in run.why


def test_stream_hangs_up_if_the_content_cannot_be_played() -> None:
    run = Bench("  - stream: {}\n").start().answered().info_answered()
    run.response('id="1" code="404" text="Not Found"').ended("bye-answered")
    assert run.states == ["1 failed"]
    assert "response 404 Not Found; 2xx is expected" in run.why


def test_stream_without_any_server_fails() -> None:
    assert "no media server" in Bench("  - stream: {}\n", head="").start().why


def test_a_url_is_authorised_anew_for_a_server_that_needs_another_access() -> None:
    listed = "<sip:annc@a>:authuser;<sip:annc@b>:authuser;<sip:annc@c>;<sip:annc@d>;<sip:annc@e>:stream"
    value = f'* METADATA "" (/public/mediaServers "{listed}")\r\n'
    run = Bench("  - stream: {access: anonymous}\n", server={"GETMETADATA": value}).start()
    for _ in "abcde":
        run.answered(404)
    called = [one.sent_to[0] for one in run.phone.asked if one.what == "INVITE"]
    wanted = ["submit+joe", "submit+joe", "anonymous", "anonymous", "submit+joe"]
    assert [access in uri for access, uri in zip(wanted, called, strict=True)] == [True] * 5
    assert sum("GENURLAUTH" in line for line in run.mail.sent) == 3


def test_without_an_expected_ticket_the_step_is_done_and_no_call_is_made() -> None:
    run = Bench("  - stream: {expect: none}\n", server={"GENURLAUTH": "NO [LIMIT] too long"}).start()
    assert (run.states, run.phone.asked) == (["1 done"], [])
    run = Bench("  - stream: {expect: none}\n").start()
    assert (run.states, run.phone.asked) == (["1 failed"], [])
    assert "a ticket came back; none is expected" in run.why


TWO = {"GETMETADATA": '* METADATA "" (/public/mediaServers "<sip:annc@a>:authuser;<sip:annc@b>")\r\n'}


def test_a_server_without_a_response_is_followed_by_the_next_after_4_s() -> None:
    run = Bench("  - stream: {}\n", server=TWO).start()
    assert run.runner.next_timer() == 104.0
    run.at(3.9)
    assert [one.what for one in run.phone.asked] == ["INVITE"]
    run.at(4.0)
    assert [one.what for one in run.phone.asked] == ["INVITE", "BYE", "INVITE"]
    assert run.phone.asked[1].target == run.phone.asked[0].name  # the user agent sends CANCEL for this bye
    assert run.last("INVITE").sent_to[0].startswith("sip:annc@b;")
    run.answered().ended()
    assert run.states == ["1 done"]


def test_answer_within_sets_the_wait_for_a_silent_server() -> None:
    run = Bench("  - stream: {answer-within: 1500 ms}\n", server=TWO).start().at(1.5)
    run.at(3.0)
    assert run.states == ["1 failed"]
    assert "annc at a: the INVITE got no response within 1.5 s; annc at b: the INVITE got no response" in run.why
    assert run.media.closed


def test_a_server_with_a_provisional_response_is_waited_for() -> None:
    run = Bench("  - stream: {}\n", server=TWO).start().at(2.0)
    run.sip(CallProgressed(run.last("INVITE").name, sip_response(100)))
    run.at(10.0)
    assert [one.what for one in run.phone.asked] == ["INVITE"]
    run.answered().ended()
    assert run.states == ["1 done"]


def test_an_unreachable_server_is_followed_by_the_next_at_once() -> None:
    run = Bench("  - stream: {}\n", server=TWO).start()
    run.sip(CallRefused(run.last("INVITE").name, None))
    assert run.last("INVITE").sent_to[0].startswith("sip:annc@b;")
    run.sip(CallRefused(run.last("INVITE").name, None))
    assert "annc at b: the INVITE got no answer" in run.why


def test_events_of_a_call_that_was_given_up_are_ignored() -> None:
    run = Bench("  - stream: {}\n", server=TWO).start().at(4.0)
    given_up, second = (one for one in run.phone.asked if one.what == "INVITE")
    run.sip(CallEnded(given_up.name, "cancelled"))
    assert run.states == []
    assert run.last("INVITE") is second
