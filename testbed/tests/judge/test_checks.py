"""Each check green on the diagrams as they must be, and red where one thing is wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from lemonade_testbed.checks.registry import CHECKS, CheckError, find_check
from lemonade_testbed.clauses import SCENARIOS, load_clauses
from lemonade_testbed.scenario.loader import load_scenario
from lemonade_testbed.verdict import CheckResult

if TYPE_CHECKING:
    from tests.judge.conftest import Flow, Message

ANNC = load_scenario(SCENARIOS / "announcement-service.yaml")
IVR = load_scenario(SCENARIOS / "ivr-service.yaml")
LEAK = "imap://joe@imap.example.com/INBOX/;UID=1;URLAUTH=anonymous:internal:91354a473744909de610943775f92038"


def run(words: str, flow: Flow) -> CheckResult:
    check, file = find_check(words)
    return check.run(ANNC, flow.evidence(), file)


@pytest.mark.parametrize("words", [*ANNC.checks, "audio heard is voicemail-basic.eml"])
def test_the_announcement_as_it_must_be_is_green(annc: Flow, words: str) -> None:
    result = run(words, annc)
    assert result.ok, result


@pytest.mark.parametrize("words", IVR.checks)
def test_the_ivr_call_as_it_must_be_is_green(ivr: Flow, words: str) -> None:
    result = run(words, ivr)
    assert result.ok, result


def replace_text(name: str, old: str, new: str) -> Callable[[Flow], None]:
    return lambda flow: flow.change(name, old, new)


def drop(*names: str) -> Callable[[Flow], None]:
    return lambda flow: [flow.drop(name) for name in names] and None


def set_rtp(**fields: float) -> Callable[[Flow], None]:
    def change(flow: Flow) -> None:
        for name, value in fields.items():
            setattr(flow["rtp"], name, value)

    return change


def reject_video(flow: Flow) -> None:
    """The client offers video too, and the answer leaves the line out."""
    flow.change("invite", "a=recvonly\r\n", "a=recvonly\r\nm=video 20002 RTP/AVP 34\r\n")


def silence(flow: Flow) -> None:
    flow.octets = b"\xff" * len(flow.octets)


def other_content(flow: Flow) -> None:
    flow["urlfetch-data"].literals[0]["sha256"] = "0" * 64


def leak_into(name: str) -> Callable[[Flow], None]:
    return lambda flow: flow.files.update({name: f"fetching {LEAK}\n"})


def ask_for_content(item: str) -> Callable[[Flow], None]:
    return replace_text("fetch", "BODYSTRUCTURE", item)


RED: dict[str, tuple[str, Callable[[Flow], None], str]] = {
    "silence": ("audio heard is the part", silence, "octets were heard"),
    "no sound": ("audio heard is the part", drop("rtp"), "no RTP packet"),
    "half the message": ("audio heard is the part", set_rtp(seconds=6.0), "ends at 6.00 s"),
    "another recording": ("audio heard is voicemail.wav", silence, ""),
    "longer literal": ("part is decoded", replace_text("urlfetch-data", "~{97818}", "~{97819}"), "97819 octets"),
    "other octets": ("part is decoded", other_content, "SHA-256 0000"),
    "nothing fetched": ("part is decoded", drop("urlfetch-data"), "no URLFETCH was answered"),
    "wrong description": ("part is described", replace_text("urlfetch-data", '"BINARY" 9', '"BASE64" 9'), "BASE64"),
    "no description": ("part is described", replace_text("urlfetch-data", "BODYPARTSTRUCTURE", "X"), "nothing"),
    "authorised differs": (
        "url authorised is url asked",
        replace_text("genurlauth-data", "T10:00", "T11:00"),
        "T11:00",
    ),
    "no token given": (
        "url authorised is url asked",
        replace_text("genurlauth-data", ":INTERNAL:fp-0", ""),
        "anonymous",
    ),
    "played differs": ("url played is url authorised", replace_text("invite", "%3D20", "%3D21"), "UID=21"),
    "played without token": ("url played is url authorised", replace_text("invite", ":INTERNAL:fp-0", "-"), ""),
    "fetched differs": ("url fetched is url played", replace_text("urlfetch", "/INBOX", "/Inbox"), "/Inbox"),
    "token differs": ("url fetched is url played", replace_text("urlfetch", "fp-0123", "fp-9123"), "fp-9123"),
    "echo differs": ("url answered is url fetched", replace_text("urlfetch-data", "/INBOX", "/Inbox"), "/Inbox"),
    "no expiry": ("ticket has an expiry", replace_text("genurlauth", ";EXPIRE=2026-11-22T10:00:00Z", ""), "anonymous"),
    "line left out": ("answer has every offered line", reject_video, "audio accepted"),
    "no answer": ("answer has every offered line", drop("invite-ok"), "no m-line"),
    "codec not offered": ("only offered codecs are sent", set_rtp(payload_type=8), "payload types 8"),
    "ack to the address of record": (
        "ack goes to the contact",
        replace_text("ack", "ACK sip:annc@127.9.8.2:5060", "ACK sip:annc@media.example.net"),
        "media.example.net",
    ),
    "no ack": ("ack goes to the contact", drop("ack"), "no ACK"),
    "too fast": ("rtp is paced", set_rtp(gap=0.0198), "a rate of 101"),
    "too slow": ("rtp is paced", set_rtp(gap=0.0202), "a rate of 99"),
    "all at once": ("rtp is paced", set_rtp(gap=0.001), "times three packets"),
    "login": ("no login in clear", replace_text("authenticate", "AUTHENTICATE ANONYMOUS", "LOGIN joe"), "LOGIN"),
    "no authentication": ("no login in clear", drop("authenticate", "authenticate-ok"), "no authentication"),
    "login of nobody": (
        "anonymous login by the rules",
        replace_text("authenticate", "AUTHENTICATE ANONYMOUS", "AUTHENTICATE PLAIN"),
        "AUTHENTICATE PLAIN",
    ),
    "no login": ("anonymous login by the rules", drop("authenticate", "authenticate-ok"), "no login"),
    "one fetch": ("media server keeps its connection", drop("logout"), "1 URLFETCH over 1"),
    "no logout": ("media server logs out", drop("logout"), "URLFETCH"),
    "nothing done": ("media server logs out", drop("authenticate", "urlfetch", "logout"), "no command"),
    "client fetches the body": ("client downloads nothing", ask_for_content("BODY.PEEK[2]"), "BODY.PEEK[2]"),
    "client fetches all": ("client downloads nothing", ask_for_content("RFC822"), "RFC822"),
    "client fetches binary": ("client downloads nothing", ask_for_content("BINARY[2]<0.100>"), "BINARY[2]"),
    "ticket in a log": ("no ticket in any log", leak_into("media.log"), "media.log, line 1"),
}


@pytest.mark.parametrize(("words", "change", "says"), RED.values(), ids=RED)
def test_one_thing_wrong_is_red(annc: Flow, words: str, change: Callable[[Flow], None], says: str) -> None:
    change(annc)
    result = run(words, annc)
    assert not result.ok
    assert says in result.seen


@pytest.mark.parametrize(
    ("words", "change", "says"),
    [
        ("played length agrees", replace_text("response", 'playoffset="', 'playoffset="1'), "s"),
        ("played length agrees", replace_text("response", "playduration", "playdur"), "absent"),
        ("played length agrees", drop("response"), "none"),
        ("info answered before response", drop("response"), "not both"),
        ("info answered before response", lambda flow: flow.swap("info-ok", "response"), "before the 200"),
        ("audio heard is the part", lambda flow: setattr(flow["rtp-again"], "content", 5 * 8000), "5.00 s of the part"),
    ],
)
def test_one_thing_wrong_in_the_ivr_call_is_red(
    ivr: Flow, words: str, change: Callable[[Flow], None], says: str
) -> None:
    change(ivr)
    result = run(words, ivr)
    assert not result.ok
    assert says in result.seen


@pytest.mark.parametrize(
    ("words", "old", "new", "says"),
    [
        ("digit timers are zero", 'interdigittimer="0ms" ', "", "0ms 2000ms 0ms"),
        ("prompt is one audio", "<audio ", '<audio url="imap://h/x"/><audio ', " and "),
        ("prompt is one audio", ";UID=20", ";UID=21", "UID=21"),
        ("prompt is one audio", "<audio ", '<variable type="dig" subtype="gen" value="1"/><audio ', "UID=20"),
        ("prompt stops on errors", ' stoponerror="yes"', "", '"no"'),
    ],
)
def test_requests_of_a_client_that_does_not_know_the_draft_are_red(
    ivr: Flow, words: str, old: str, new: str, says: str
) -> None:
    ivr.change("info", old, new)
    result = run(words, ivr)
    assert not result.ok
    assert says in result.seen


def test_mscml_in_an_invite_is_red(ivr: Flow) -> None:
    ivr.change("invite", "application/sdp", "multipart/mixed;boundary=b")
    assert run("invite only negotiates", ivr).seen == "multipart/mixed"


def test_calls_without_a_playcollect_show_nothing(annc: Flow) -> None:
    for words in ("digit timers are zero", "prompt is one audio", "prompt stops on errors"):
        assert run(words, annc).seen == "no <playcollect>"
    assert run("invite only negotiates", annc).seen == "no INVITE to ivr"


def test_a_response_of_failure_tells_why_and_of_what(ivr: Flow) -> None:
    words = "response explains the failure"
    assert run(words, ivr).seen == "no response of failure"
    ivr.change("response", 'code="200"', 'code="404"')
    assert run(words, ivr).seen == "no error_info"
    url = ivr["info"].text.partition('url="')[2].partition('"')[0]
    ivr.change("response", 'digits=""/>', f'digits=""><error_info code="404" text="Gone" context="{url}"/></response>')
    assert run(words, ivr).ok
    ivr.change("response", 'context="imap://joe', 'context="imap://sue')
    assert "imap://sue" in run(words, ivr).seen
    assert not run(words, ivr).ok


def test_anonymous_logs_in_by_login_where_it_must(annc: Flow) -> None:
    words = "anonymous login by the rules"
    annc.change("authenticate", "AUTHENTICATE ANONYMOUS ***", 'LOGIN "anonymous" "postmaster@example.net"')
    assert not run(words, annc).ok
    annc.change("authenticate-ok", "OK in", "OK [CAPABILITY IMAP4rev1 URLAUTH=BINARY] in")
    annc.drop("greeting")
    assert run(words, annc).ok
    annc.change("authenticate", '"postmaster@example.net"', "null")
    assert run(words, annc).seen == "LOGIN ANONYMOUS"


def test_two_fetches_over_one_connection(annc: Flow) -> None:
    words = "media server keeps its connection"
    again = dataclasses.replace(annc["urlfetch"], name="again", text=annc["urlfetch"].text.replace("b2", "b9"))
    annc.messages.append(again)
    assert run(words, annc).ok
    again.connection += 1
    assert run(words, annc).seen == "2 URLFETCH over 2 connections"


def test_headers_may_be_fetched(annc: Flow) -> None:
    annc.change("fetch", "BODYSTRUCTURE", "BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (SUBJECT)] BODY[1.MIME]")
    assert run("client downloads nothing", annc).ok


def test_a_rejected_line_with_port_0_is_an_answer(annc: Flow) -> None:
    reject_video(annc)
    annc.change("invite-ok", "a=sendonly\r\n", "a=sendonly\r\nm=video 0 RTP/AVP 34\r\n")
    result = run("answer has every offered line", annc)
    assert result.ok
    assert result.seen == "audio accepted, video rejected"


def test_a_stall_that_is_made_up_for_is_no_drift(annc: Flow, make_message: type[Message]) -> None:
    annc["rtp"].seconds = 6.0
    place = annc.messages.index(annc["rtp"]) + 1
    for seconds, gap in ((5.0, 0.02), (1.0, 0.017), (0.02, 0.15)):
        annc.messages.insert(place, make_message("more", "rtp", "media", "client", seconds=seconds, gap=gap))
    assert run("rtp is paced", annc).ok


def test_packets_that_a_busy_machine_delays_do_not_make_the_others_early(
    annc: Flow, make_message: type[Message]
) -> None:
    """Two thirds of the packets are 40 ms late, the others on time."""
    annc["rtp"].seconds = 1.0
    place = annc.messages.index(annc["rtp"]) + 1
    turn = (0.06, *29 * (0.02,), *4 * (0.01,), *6 * (0.02,))
    annc.messages[place:place] = [  # the flow puts 10 ms before each message
        make_message("more", "rtp", "media", "client", seconds=0.02, gap=gap - 0.01) for gap in 8 * turn
    ]
    result = run("rtp is paced", annc)
    assert result.ok, result.seen


def test_one_packet_before_its_time_is_early(annc: Flow, make_message: type[Message]) -> None:
    annc["rtp"].seconds = 6.0
    place = annc.messages.index(annc["rtp"]) + 1
    for seconds, gap in ((5.0, 0.02), (0.02, 0.0475), (0.02, -0.0275)):
        annc.messages.insert(place, make_message("more", "rtp", "media", "client", seconds=seconds, gap=gap))
    result = run("rtp is paced", annc)
    assert not result.ok
    assert "ms early" in result.seen


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("audio heard is the prat", "did you mean 'audio heard is the part'?"),
        ("audio heard is FILE", "no check"),
        ("url plaid is url authorised", "did you mean 'url played is url authorised'?"),
        ("", "no check"),
    ],
)
def test_words_that_are_no_check_name_the_nearest(words: str, says: str) -> None:
    with pytest.raises(CheckError, match="no check") as caught:
        find_check(words)
    assert says in str(caught.value)


def test_every_check_names_clauses_that_exist_and_says_what_it_is() -> None:
    for words, check in CHECKS.items():
        assert check.words == words
        assert check.summary
        assert set(check.clauses) <= set(load_clauses())
