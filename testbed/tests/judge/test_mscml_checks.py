"""The checks of MSCML responses and requests: each rule is red at the node that broke it."""

from __future__ import annotations

from copy import deepcopy

import pytest

from lemonade_testbed.checks.exchanges import MSCML
from lemonade_testbed.checks.registry import find_check
from lemonade_testbed.clauses import SCENARIOS
from lemonade_testbed.scenario_loader import load_scenario
from lemonade_testbed.testing.flow import Flow, Message
from lemonade_testbed.verdict import CheckResult

IVR = load_scenario(SCENARIOS / "ivr-service.yaml")
WHOLE = "mscml response is whole"
TELLS = "mscml response tells what happened"
END = "mscml response comes at the end"
FORM = "mscml request is well formed"


def run(words: str, flow: Flow) -> CheckResult:
    check, file = find_check(words)
    return check.run(IVR, flow.evidence(), file)


@pytest.mark.parametrize("words", [WHOLE, TELLS, END, FORM])
def test_the_correct_call_is_green(ivr: Flow, words: str) -> None:
    result = run(words, ivr)
    assert result.ok, result


@pytest.mark.parametrize(
    ("words", "old", "new", "clause"),
    [
        (WHOLE, 'response id="1"', "response", "RFC5022-10.2"),
        (WHOLE, 'response id="1"', 'response id="2"', "RFC5022-10.2"),
        (WHOLE, ' text="OK"', "", "RFC5022-10.2-2"),
        (WHOLE, ' text="OK"', ' text="Not Found"', "RFC5022-10.2-2"),
        (WHOLE, ' code="200"', ' code="404"', "RFC5022-10.2-2"),
        (WHOLE, 'code="200"', 'code="100"', "RFC5022-10.2-2"),
        (WHOLE, 'request="playcollect"', 'request="play"', "RFC5022-10.2-2"),
        (WHOLE, ' digits=""', "", "RFC5022-10.5"),
        (TELLS, 'digits=""', 'digits="789"', "LS-2.7-13"),
        (TELLS, 'digits=""', 'digits="6"', "LS-2.7-13"),
        (TELLS, 'reason="timeout"', 'reason="returnkey"', "RFC5022-10.5-2"),
        (TELLS, 'reason="timeout"', 'reason="escapekey"', "RFC5022-10.5-2"),
    ],
)
def test_a_wrong_response_is_charged_to_the_media_server(
    ivr: Flow, words: str, old: str, new: str, clause: str
) -> None:
    ivr.change("response", old, new)
    breaches = run(words, ivr).breaches
    assert [(breach.node, breach.clauses[0]) for breach in breaches] == [("media", clause)]


@pytest.mark.parametrize(("told", "red"), [("100ms", False), ("900s", True)])
def test_a_recording_is_no_longer_than_the_time_that_passed(ivr: Flow, told: str, red: bool) -> None:
    ivr.change("response", ' digits=""', f' digits="" recduration="{told}"')
    breaches = run("recording lasts as told", ivr).breaches
    assert [(breach.node, breach.clauses) for breach in breaches] == [("media", ("RFC5022-10.6-2",))] * red


def test_the_phrase_of_a_response_is_free(ivr: Flow) -> None:
    ivr.change("response", ' text="OK"', ' text="Played to the end"')
    assert run(WHOLE, ivr).ok


def test_responses_with_one_id_answer_their_requests_in_order(ivr: Flow) -> None:
    for name, behind, changes in (
        ("info", "info-ok", (('id="1"', 'id="2"'), ("CSeq: 2", "CSeq: 9"), ("client2", "client9"))),
        ("response", "response-ok", (('id="1"', 'id="2"'), ("CSeq: 1", "CSeq: 9"), ("media1", "media9"))),
    ):
        second = deepcopy(ivr[name])
        for old, new in changes:
            assert old in second.text
            second.text = second.text.replace(old, new)
        ivr.messages.insert(ivr.messages.index(ivr[behind]) + 1, second)
    assert run(WHOLE, ivr).ok
    ivr.change("response", 'id="1"', 'id="2"')
    (breach,) = run(WHOLE, ivr).breaches
    assert (breach.node, breach.clauses) == ("media", ("RFC5022-10.2",))
    assert run("mscml requests are answered once", ivr).ok


def test_a_stopped_request_is_the_one_before_the_request_that_stopped_it(ivr: Flow) -> None:
    second = deepcopy(ivr["info"])
    for old, new in (('id="1"', 'id="2"'), ("CSeq: 2", "CSeq: 9"), ("client2", "client9")):
        second.text = second.text.replace(old, new)
    ivr.drop("key")
    ivr.drop("key-ok")
    ivr.messages.insert(ivr.messages.index(ivr["response"]), second)
    ivr.change("response", 'reason="timeout"', 'reason="stopped"')
    assert run(WHOLE, ivr).ok
    ivr.change("response", 'id="1"', 'id="2"')
    (breach,) = run(WHOLE, ivr).breaches
    assert (breach.node, breach.clauses) == ("media", ("RFC5022-10.2",))
    assert run(TELLS, ivr).ok


def test_digits_that_were_pressed_may_be_reported(ivr: Flow) -> None:
    ivr.change("key", "Signal=6", "Signal=7")
    ivr.change("response", 'digits=""', 'digits="7"')
    assert run(TELLS, ivr).ok


def test_a_late_response_is_found(ivr: Flow) -> None:
    pause = Message("pause", "rtp", "client", "media", seconds=0.02, gap=2.5, payload_type=13)
    ivr.messages.insert(ivr.messages.index(ivr["response"]), pause)
    (breach,) = run(END, ivr).breaches
    assert (breach.node, breach.clauses) == ("media", ("LS-2.7-6",))


def test_timers_that_wait_allow_a_late_response(ivr: Flow) -> None:
    pause = Message("pause", "rtp", "client", "media", seconds=0.02, gap=2.5, payload_type=13)
    ivr.messages.insert(ivr.messages.index(ivr["response"]), pause)
    ivr.change("info", 'firstdigittimer="0ms"', 'firstdigittimer="5s"')
    assert not run(END, ivr).breaches


def test_packets_behind_a_response_are_found(ivr: Flow) -> None:
    ivr.swap("response", "rtp-again")
    ivr.messages.remove(ivr["response-ok"])
    (breach,) = run(END, ivr).breaches
    assert (breach.node, breach.clauses) == ("media", ("LS-2.7-12",))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (' version="1.0"', ""),
        ("</request>", "</request><request/>"),
        ('ffkey="6"', 'ffkey="66"'),
        ("</playcollect>", ""),
    ],
)
def test_a_malformed_request_is_charged_to_the_client(ivr: Flow, old: str, new: str) -> None:
    ivr.change("info", old, new)
    (breach,) = run(FORM, ivr).breaches
    assert (breach.node, breach.clauses) == ("client", ("RFC5022-11",))


@pytest.mark.parametrize(
    ("old", "new", "clause"),
    [
        ('<MediaServerControl version="1.0">', '<MediaServerControl version="2.0">', "RFC5022-4.1"),
        ("</MediaServerControl>", "", "RFC5022-4.1"),
        ("<response", '<response/><response x="', "RFC5022-4.1"),
        ('s" playoffset', ' s" playoffset', "RFC5022-4.2.1"),
        ("<response ", "<response\n\tx:vendor='1' xmlns:x='urn:x' ", ""),
    ],
)
def test_a_document_of_a_media_server_is_whole(ivr: Flow, old: str, new: str, clause: str) -> None:
    ivr.change("response", old, new)
    breaches = run("mscml documents are whole", ivr).breaches
    assert [(one.node, one.clauses) for one in breaches] == ([("media", (clause,))] if clause else [])


def test_a_request_is_answered_once(ivr: Flow) -> None:
    assert run("mscml requests are answered once", ivr).ok
    again = deepcopy(ivr["response"])
    again.text = again.text.replace("CSeq: 1", "CSeq: 2").replace("z9hG4bKmedia1", "z9hG4bKmedia2")
    ivr.messages.insert(ivr.messages.index(ivr["response-ok"]) + 1, again)
    (breach,) = run("mscml requests are answered once", ivr).breaches
    assert (breach.node, breach.clauses) == ("media", ("RFC5022-4.1-2",))


def test_stop_gets_a_response_of_its_own(ivr: Flow) -> None:
    stop = '<MediaServerControl version="1.0"><request><stop id="9"/></request></MediaServerControl>'
    key = ivr["key"]
    key.text = key.text.partition("Content-Type")[0] + f"Content-Type: {MSCML}\r\n\r\n{stop}"
    (breach,) = run("mscml requests are answered once", ivr).breaches
    assert (breach.node, breach.clauses) == ("media", ("RFC5022-4.1-2",))
    (late,) = run("playing ends when it is stopped", ivr).breaches
    assert (late.node, late.clauses) == ("media", ("LS-2.7-15",))
    ivr.drop("rtp-again")
    assert not run("playing ends when it is stopped", ivr).breaches
