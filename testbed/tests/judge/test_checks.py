"""Each check is green on the correct diagrams, and red if one thing is wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from lemonade_testbed.checks.registry import CHECKS, CheckError, find_check
from lemonade_testbed.clauses import SCENARIOS, load_clauses
from lemonade_testbed.scenario_loader import load_scenario
from lemonade_testbed.testing.checking import ANNC, run_check
from lemonade_testbed.testing.flow import Flow, Message, drop_messages
from lemonade_testbed.verdict import CheckResult

IVR = load_scenario(SCENARIOS / "ivr-service.yaml")
LEAK = "imap://joe@imap.example.com/INBOX/;UID=1;URLAUTH=anonymous:internal:91354a473744909de610943775f92038"


def breaches(result: CheckResult) -> str:
    """Return what is wrong, in the words of the check."""
    return "; ".join(breach.seen for breach in result.breaches)


@pytest.mark.parametrize("words", ANNC.checks)
def test_the_correct_announcement_is_green(annc: Flow, words: str) -> None:
    result = run_check(words, annc)
    assert result.ok, result


def test_no_ack_is_wrong_where_the_200_has_no_contact(annc: Flow) -> None:
    annc.change("invite-ok", "Contact: <sip:annc@127.9.8.2:5060>\r\n", "")
    assert run_check("ack goes to the contact", annc).reached == ()


@pytest.mark.parametrize("words", IVR.checks)
def test_the_correct_ivr_call_is_green(ivr: Flow, words: str) -> None:
    result = run_check(words, ivr)
    assert result.ok, result


def replace_text(name: str, old: str, new: str) -> Callable[[Flow], None]:
    return lambda flow: flow.change(name, old, new)


def set_rtp(**fields: float) -> Callable[[Flow], None]:
    def change(flow: Flow) -> None:
        for name, value in fields.items():
            setattr(flow["rtp"], name, value)

    return change


def reject_video(flow: Flow) -> None:
    """Let the client offer video too, and leave that m-line out of the answer."""
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
    "half the message": ("audio heard is the part", set_rtp(seconds=6.0), "ends at 6.00 s"),
    "longer literal": ("part is decoded", replace_text("urlfetch-data", "~{97818}", "~{97819}"), "97819 octets"),
    "other octets": ("part is decoded", other_content, "SHA-256 0000"),
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
    "played with the mark in lower case": (
        "url played is url authorised",
        replace_text("invite", ":INTERNAL:", ":internal:"),
        ":internal: here, :INTERNAL: before",
    ),
    "fetched with the mark in lower case": (
        "url fetched is url played",
        replace_text("urlfetch", ":INTERNAL:", ":internal:"),
        ":internal: here",
    ),
    "echo with the mark in lower case": (
        "url answered is url fetched",
        replace_text("urlfetch-data", ":INTERNAL:", ":internal:"),
        ":internal: here",
    ),
    "fetched differs": ("url fetched is url played", replace_text("urlfetch", "/INBOX", "/Inbox"), "/Inbox"),
    "token differs": ("url fetched is url played", replace_text("urlfetch", "fp-0123", "fp-9123"), "fp-9123"),
    "echo differs": ("url answered is url fetched", replace_text("urlfetch-data", "/INBOX", "/Inbox"), "/Inbox"),
    "no expiry": ("ticket has an expiry", replace_text("genurlauth", ";EXPIRE=2026-11-22T10:00:00Z", ""), "anonymous"),
    "line left out": ("answer has every offered line", reject_video, "audio accepted"),
    "codec not offered": ("only offered codecs are sent", set_rtp(payload_type=8), "payload type 8"),
    "ack to the address of record": (
        "ack goes to the contact",
        replace_text("ack", "ACK sip:annc@127.9.8.2:5060", "ACK sip:annc@media.example.net"),
        "media.example.net",
    ),
    "too fast": ("rtp is paced", set_rtp(gap=0.0198), "a rate of 101"),
    "too slow": ("rtp is paced", set_rtp(gap=0.0202), "a rate of 99"),
    "all at once": ("rtp is paced", set_rtp(gap=0.001), "times three packets"),
    "login": ("no login in clear", replace_text("authenticate", "AUTHENTICATE ANONYMOUS", "LOGIN joe"), "LOGIN"),
    "login with an account": (
        "anonymous login by the rules",
        replace_text("authenticate", "AUTHENTICATE ANONYMOUS", "AUTHENTICATE PLAIN"),
        "AUTHENTICATE PLAIN",
    ),
    "no logout": ("media server logs out", drop_messages("logout"), "URLFETCH"),
    "client fetches the body": ("client downloads nothing", ask_for_content("BODY.PEEK[2]"), "BODY.PEEK[2]"),
    "client fetches all": ("client downloads nothing", ask_for_content("RFC822"), "RFC822"),
    "client fetches binary": ("client downloads nothing", ask_for_content("BINARY[2]<0.100>"), "BINARY[2]"),
    "ticket in a log": ("no ticket in any log", leak_into("media.log"), "media.log, line 1"),
}


WAITING: dict[str, tuple[str, Callable[[Flow], None], str]] = {
    "no ack": ("ack goes to the contact", drop_messages("ack"), "none"),
    "no answer": ("answer has every offered line", drop_messages("invite-ok"), "none was answered"),
    "no authentication": ("no login in clear", drop_messages("authenticate", "authenticate-ok"), "no authentication"),
    "no login": ("anonymous login by the rules", drop_messages("authenticate", "authenticate-ok"), "no login"),
    "no sound": ("audio heard is the part", drop_messages("rtp"), "no RTP packet"),
    "nothing done": ("media server logs out", drop_messages("authenticate", "urlfetch", "logout"), "no command"),
    "nothing fetched": ("part is decoded", drop_messages("urlfetch-data"), "no URLFETCH returned any content"),
    "one fetch": ("media server keeps its connection", drop_messages("logout"), "1 URLFETCH over 1"),
}


@pytest.mark.parametrize(("words", "change", "says"), WAITING.values(), ids=WAITING)
def test_a_check_without_material_is_not_reached(
    annc: Flow, words: str, change: Callable[[Flow], None], says: str
) -> None:
    change(annc)
    result = run_check(words, annc)
    assert result.reached == ()
    assert not result.breaches
    assert says in result.seen


@pytest.mark.parametrize(("words", "change", "says"), RED.values(), ids=RED)
def test_one_thing_wrong_is_red(annc: Flow, words: str, change: Callable[[Flow], None], says: str) -> None:
    change(annc)
    result = run_check(words, annc)
    assert says in breaches(result)
    assert result.breaches


@pytest.mark.parametrize(
    ("words", "change", "says"),
    [
        ("played length agrees", replace_text("response", 'playoffset="', 'playoffset="1'), "s"),
        ("played length agrees", replace_text("response", "playduration", "playdur"), "absent"),
        ("info answered before response", lambda flow: flow.swap("info-ok", "response"), "before the 200"),
        ("audio heard is the part", lambda flow: setattr(flow["rtp-again"], "content", 5 * 8000), "5.00 s of the part"),
    ],
)
def test_one_thing_wrong_in_the_ivr_call_is_red(
    ivr: Flow, words: str, change: Callable[[Flow], None], says: str
) -> None:
    change(ivr)
    result = run_check(words, ivr)
    assert says in breaches(result)
    assert result.breaches


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
    result = run_check(words, ivr)
    assert says in breaches(result)
    assert result.breaches


def test_mscml_in_an_invite_is_red(ivr: Flow) -> None:
    ivr.change("invite", "application/sdp", "multipart/mixed;boundary=b")
    assert breaches(run_check("invite only negotiates", ivr)) == "multipart/mixed"


def test_calls_without_a_playcollect_show_nothing(annc: Flow) -> None:
    for words in ("digit timers are zero", "prompt is one audio", "prompt stops on errors"):
        assert run_check(words, annc).seen == "no <playcollect>"
    assert run_check("invite only negotiates", annc).seen == "no INVITE to ivr"


def test_a_response_of_failure_tells_why_and_of_what(ivr: Flow) -> None:
    words = "response explains the failure"
    assert run_check(words, ivr).seen == "no response of failure"
    ivr.change("response", 'code="200"', 'code="404"')
    assert breaches(run_check(words, ivr)) == "no error_info"
    url = ivr["info"].text.partition('url="')[2].partition('"')[0]
    ivr.change("response", 'digits=""/>', f'digits=""><error_info code="404" text="Gone" context="{url}"/></response>')
    assert run_check(words, ivr).ok
    ivr.change("response", 'context="imap://joe', 'context="imap://sue')
    assert "imap://sue" in breaches(run_check(words, ivr))


def test_a_refusal_is_for_the_content_where_a_fetch_came_before_it(annc: Flow) -> None:
    words = "refusal has a warning"
    annc.change("invite-ok", "200 OK", "400 Bad Request")
    assert breaches(run_check(words, annc)) == "400, Warning: none"
    annc.change("invite-ok", "400 Bad Request", "487 Request Terminated")  # the caller cancelled
    assert run_check(words, annc).seen == "no refusal after the IMAP server was asked"
    annc.change("invite-ok", "487 Request Terminated", "400 Bad Request")
    annc.swap("authenticate", "invite-ok")  # what the IMAP server is asked for belongs to a later call
    assert run_check(words, annc).seen == "no refusal after the IMAP server was asked"


def test_anonymous_logs_in_by_login_where_it_must(annc: Flow) -> None:
    words = "anonymous login by the rules"
    annc.change("authenticate", "AUTHENTICATE ANONYMOUS ***", 'LOGIN "anonymous" "postmaster@example.net"')
    assert not run_check(words, annc).ok
    annc.change("authenticate-ok", "CAPABILITY IMAP4rev1 URLAUTH URLAUTH", "CAPABILITY IMAP4rev1 URLAUTH")
    annc.drop("greeting")
    assert run_check(words, annc).ok
    annc.change("authenticate", '"postmaster@example.net"', "null")
    assert breaches(run_check(words, annc)) == "LOGIN ANONYMOUS"


def test_two_fetches_over_one_connection(annc: Flow) -> None:
    words = "media server keeps its connection"
    again = dataclasses.replace(annc["urlfetch"], name="again", text=annc["urlfetch"].text.replace("b2", "b9"))
    annc.messages.append(again)
    assert run_check(words, annc).ok
    again.connection += 1
    assert breaches(run_check(words, annc)) == "2 URLFETCH over 2 connections"


def test_headers_may_be_fetched(annc: Flow) -> None:
    annc.change("fetch", "BODYSTRUCTURE", "BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (SUBJECT)] BODY[1.MIME]")
    assert run_check("client downloads nothing", annc).ok


def test_a_rejected_line_with_port_0_is_an_answer(annc: Flow) -> None:
    reject_video(annc)
    annc.change("invite-ok", "a=sendonly\r\n", "a=sendonly\r\nm=video 0 RTP/AVP 34\r\n")
    result = run_check("answer has every offered line", annc)
    assert result.ok
    assert result.seen == "audio accepted, video rejected"


def test_a_stall_that_is_made_up_for_is_no_drift(annc: Flow) -> None:
    annc["rtp"].seconds = 6.0
    place = annc.messages.index(annc["rtp"]) + 1
    for seconds, gap in ((5.0, 0.02), (1.0, 0.017), (0.02, 0.15)):
        annc.messages.insert(place, Message("more", "rtp", "media", "client", seconds=seconds, gap=gap))
    assert run_check("rtp is paced", annc).ok


def test_packets_that_a_busy_machine_delays_do_not_make_the_others_early(annc: Flow) -> None:
    """Two thirds of the packets are 40 ms late, the others are on time."""
    annc["rtp"].seconds = 1.0
    place = annc.messages.index(annc["rtp"]) + 1
    turn = (0.06, *29 * (0.02,), *4 * (0.01,), *6 * (0.02,))
    annc.messages[place:place] = [  # a flow has 10 ms before each message
        Message("more", "rtp", "media", "client", seconds=0.02, gap=gap - 0.01) for gap in 8 * turn
    ]
    result = run_check("rtp is paced", annc)
    assert result.ok, result.seen


def test_packets_before_their_time_are_early(annc: Flow) -> None:
    annc["rtp"].seconds = 6.0
    place = annc.messages.index(annc["rtp"]) + 1
    for seconds, gap in ((5.0, 0.02), (0.02, 0.05), (0.08, 0.006)):
        annc.messages.insert(place, Message("more", "rtp", "media", "client", seconds=seconds, gap=gap))
    result = run_check("rtp is paced", annc)
    assert "ms early" in breaches(result)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("audio heard is the prat", "did you mean 'audio heard is the part'?"),
        ("recorded is FILE", "no check"),
        ("url plaid is url authorised", "did you mean 'url played is url authorised'?"),
        ("", "no check"),
    ],
)
def test_unknown_words_name_the_nearest_check(words: str, says: str) -> None:
    with pytest.raises(CheckError, match="no check") as caught:
        find_check(words)
    assert says in str(caught.value)


def test_every_check_has_a_summary_and_clauses_that_exist() -> None:
    for words, check in CHECKS.items():
        assert check.words == words
        assert check.summary
        assert set(check.clauses) <= set(load_clauses())
