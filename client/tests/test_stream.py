"""The whole procedure: which server is tried after which, and what is done at each."""

from collections.abc import Callable
from typing import Any

import pytest

from lemonade_client.session import Target
from lemonade_client.stream import Attempt, after_refusal, first_attempts
from lemonade_wire.sip.uri import SipUri

RESPONSE = 'id="1" code="200" text="OK" reason="timeout" playduration="12s" playoffset="12s" digits=""'


def attempt(uri: str, service: Any) -> Attempt:  # noqa: ANN401  a literal type, given as text
    return Attempt(Target(SipUri.parse(uri)), service)


def shown(attempts: list[Attempt]) -> list[str]:
    return [f"{one.service} {one.target.uri.host}" for one in attempts]


def test_the_servers_order_is_kept_and_mscml_comes_first_where_nothing_is_known() -> None:
    targets = tuple(Target(SipUri.parse(uri)) for uri in ("sip:annc@a", "sip:b", "sip:ivr@c", "sip:conf=1@d"))
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
def test_what_follows_a_refused_ivr(status: int | None, expected: list[str]) -> None:
    left = [attempt("sip:annc@b", "annc"), attempt("sip:ivr@c", "ivr")]
    assert shown(after_refusal(attempt("sip:ivr@a", "ivr"), status, left)) == expected


def test_a_host_that_lists_its_announcement_is_not_given_another() -> None:
    left = [attempt("sip:annc@b", "annc"), attempt("sip:annc@A", "annc")]
    assert shown(after_refusal(attempt("sip:ivr@a", "ivr"), 488, left)) == ["annc b", "annc A"]


def test_a_refused_announcement_gives_way_to_the_next() -> None:
    left = [attempt("sip:ivr@b", "ivr")]
    assert shown(after_refusal(attempt("sip:annc@a", "annc"), 404, left)) == ["ivr b"]


def test_stream_by_ivr_with_the_configured_server(bench: Callable[..., Any]) -> None:
    run = bench("  - stream: {}\n").start()
    assert any(";URLAUTH=submit+joe" in line for line in run.mail.sent)
    run.answered().info_answered().response(RESPONSE).ended("bye-answered")
    assert [one.what for one in run.phone.asked] == ["INVITE", "INFO", "respond 200", "BYE"]
    assert run.states == ["1 done"]


def test_stream_falls_back_to_the_announcement_in_a_new_call(bench: Callable[..., Any]) -> None:
    run = bench("  - stream: {}\n").start().answered(488)
    assert [one.target[0].partition(";")[0] for one in run.phone.asked] == [
        "sip:ivr@media.example.net",
        "sip:annc@media.example.net",
    ]
    run.answered().ended()
    assert run.states == ["1 done"]


def test_stream_takes_the_servers_that_discovery_found(bench: Callable[..., Any]) -> None:
    value = '* METADATA "" (/public/mediaServers "<sip:annc@a;transport=tcp>:authuser;<sip:annc@b>")\r\n'
    run = bench("  - stream: {}\n", server={"GETMETADATA": value}).start()
    assert run.last("INVITE").target[0].startswith("sip:annc@a;play=imap://")
    assert run.last("INVITE").target[0].endswith(";transport=tcp")
    run.answered(404)
    assert run.last("INVITE").target[0].startswith("sip:annc@b;")
    run.answered(500)
    assert run.states == ["1 failed"]
    assert "annc at a: the INVITE got 404; annc at b: the INVITE got 500" in run.why


def test_stream_hangs_up_where_the_content_cannot_be_played(bench: Callable[..., Any]) -> None:
    run = bench("  - stream: {}\n").start().answered().info_answered()
    run.response('id="1" code="404" text="Not Found"').ended("bye-answered")
    assert run.states == ["1 failed"]
    assert "response 404 Not Found; 2xx is expected" in run.why


def test_stream_without_any_server_fails(bench: Callable[..., Any]) -> None:
    assert "no media server" in bench("  - stream: {}\n", head="").start().why
