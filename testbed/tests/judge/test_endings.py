"""The checks of how requests and calls end, of session descriptions, and of RTCP: red for each rule, else green."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from lemonade_testbed.checks.registry import CHECKS
from lemonade_testbed.clauses import SCENARIOS
from lemonade_testbed.scenario_loader import load_scenario
from lemonade_testbed.testing.checking import run_check
from lemonade_testbed.testing.flow import BEGAN, Flow

ENDS, DIRECTION, STREAM = "requests and calls end", "rtp goes by the direction", "accepted calls have a stream"
RTCP, NUMBERS, FORM = "rtcp packets are whole", "rtp numbers and timestamps advance", "session descriptions are whole"
WHOLE, FITS, TAGS = "sip messages are whole", "answers fit their offers", "tags of commands are new"


def red(words: str, flow: Flow) -> list[tuple[str, str]]:
    """Return node and clause of each breach, each pair once."""
    return list(dict.fromkeys((breach.node, breach.clauses[0]) for breach in run_check(words, flow).breaches))


def add(flow: Flow, name: str, behind: str, *changes: tuple[str, str]) -> None:
    """Put a changed copy of a message after another message."""
    copy = deepcopy(flow[name])
    copy.name = f"{name}-again"
    for old, new in changes:
        assert old in copy.text
        copy.text = copy.text.replace(old, new)
    flow.messages.insert(flow.messages.index(flow[behind]) + 1, copy)


def second_bye(flow: Flow) -> None:
    add(flow, "bye", "bye-ok", ("media1BYE", "media9BYE"), ("CSeq: 1", "CSeq: 2"))


def ringing(flow: Flow) -> None:
    head = flow["invite-ok"].text.partition("Contact:")[0]
    add(flow, "invite-ok", "invite-ok", (flow["invite-ok"].text, head.replace("200 OK", "180 Ringing") + "\r\n"))


def media_behind_bye(flow: Flow) -> None:
    flow["rtp"].seconds = 2.0
    flow.messages.remove(bye := flow["bye"])
    flow.messages.insert(flow.messages.index(flow["rtp"]), bye)


def late_copy(flow: Flow) -> None:
    """Let a copy of the 200 be sent at the end of the call."""
    flow["rtp"].seconds = 2.0
    add(flow, "invite-ok", "rtp")


@pytest.mark.parametrize(
    ("change", "clause", "node"),
    [
        (lambda flow: flow.change("bye-ok", "200 OK", "481 No"), "RFC3261-15.1.2-2", "client"),
        (second_bye, "RFC3261-15.1.1", "media"),
        (media_behind_bye, "RFC3261-15.1.1", "media"),
        (ringing, "RFC3261-17.2.1", "media"),
        (late_copy, "RFC3261-13.3.1.4-2", "media"),
    ],
)
def test_a_wrong_ending_is_charged(annc: Flow, change: Callable[[Flow], None], clause: str, node: str) -> None:
    change(annc)
    assert red(ENDS, annc) == [(node, clause)]


def test_an_info_has_an_answer(ivr: Flow) -> None:
    assert run_check(ENDS, ivr).ok
    ivr.drop("key-ok")
    assert red(ENDS, ivr) == [("media", "RFC2976-2.2")]


@pytest.mark.parametrize(
    ("report", "wrong"),
    [
        ({"ssrc": 77, "packets": 50}, False),
        ({"ssrc": 77, "packets": 70}, False),
        ({"ssrc": 77, "packets": 150}, True),
        ({"ssrc": 77, "packets": 0}, True),
        ({"ssrc": 76, "packets": 50}, True),
    ],
)
def test_a_sender_report_counts_the_packets_of_its_source(annc: Flow, report: dict[str, int], wrong: bool) -> None:
    annc["rtp"].seconds = 1.0
    annc.reports, annc.report = [("received", ["SR", "SDES"])], report
    assert red(RTCP, annc) == [("media", "RFC3550-6.4.1")] * wrong


NTP = int(BEGAN) + 2208988800
SR = {"reporter": 77, "ssrc": 77, "ntp": NTP << 32, "timestamp": 90000 + 8000, "packets": 50, "octets": 8000}


@pytest.mark.parametrize(
    ("values", "clauses"),
    [
        ({}, []),
        ({"ntp": 100 << 32}, []),  # a sender without a clock
        ({"ntp": (NTP - 2208988800) << 32}, ["RFC3550-6.4.1-2"]),
        ({"timestamp": 90000 + 80000}, ["RFC3550-6.4.1-2"]),
        ({"octets": 8000 + 12 * 50}, ["RFC3550-6.4.1"]),
        ({"gone": [77]}, []),
        ({"gone": [78]}, ["RFC3550-6.6-3"]),
        ({"cnames": {"77": "m"}}, []),
    ],
)
def test_a_sender_report_has_the_values_of_its_moment(annc: Flow, values: dict[str, Any], clauses: list[str]) -> None:
    annc["rtp"].seconds = 1.0
    annc.reports, annc.report = [("received", ["SR", "SDES"])], SR | values
    assert red(RTCP, annc) == [("media", clause) for clause in clauses]


@pytest.mark.parametrize(("source", "clauses"), [(77, []), (78, ["RFC3550-6.4.2"])])
def test_a_report_is_on_a_source_of_rtp(annc: Flow, source: int, clauses: list[str]) -> None:
    annc.reports, annc.report = [("sent", ["RR", "SDES"])], {"reporter": 5, "reported": [source]}
    assert red(RTCP, annc) == [("client", clause) for clause in clauses]


def test_a_source_keeps_its_name(annc: Flow) -> None:
    annc.reports = [("received", ["SR", "SDES"])] * 2
    annc.report = {"reporter": 77, "cnames": {"77": "one"}}
    evidence = annc.evidence()
    reports = [event for event in evidence.events if event.kind == "rtcp"]
    other = replace(reports[1], fields={**reports[1].fields, "cnames": {"77": "two"}})
    changed = replace(evidence, events=tuple(other if event is reports[1] else event for event in evidence.events))
    (breach,) = CHECKS[RTCP].run(load_scenario(SCENARIOS / "announcement-service.yaml"), changed, "").breaches
    assert (breach.node, breach.clauses) == ("media", ("RFC3550-6.5.1",))


@pytest.mark.parametrize("words", [ENDS, DIRECTION, STREAM, NUMBERS, FORM, WHOLE, FITS, TAGS])
def test_the_correct_call_is_green(annc: Flow, words: str) -> None:
    result = run_check(words, annc)
    assert result.ok, result


@pytest.mark.parametrize(
    ("words", "old", "new", "clause"),
    [
        (DIRECTION, "sendonly", "inactive", "RFC3264-5.1-3"),
        (STREAM, "m=audio 16384", "m=audio 0", "LS-2.6-5"),
        (FORM, "c=IN IP4 127.9.8.2", "c=IN IP4 192.0.2.1", "RFC4566-5.7-2"),
        (FORM, "v=0", "v=1", "RFC4566-5"),
        (FORM, "s=-\r\nc=IN IP4 127.9.8.2\r\n", "c=IN IP4 127.9.8.2\r\ns=-\r\n", "RFC4566-5"),
        (FITS, "PCMU/8000", "PCMU/16000", "RFC3264-6-2"),
        (WHOLE, "SIP/2.0 200", "SIP/1.0 200", "RFC3261-7"),
    ],
)
def test_a_wrong_answer_is_charged_to_the_media_server(annc: Flow, words: str, old: str, new: str, clause: str) -> None:
    annc.change("invite-ok", old, new)
    assert red(words, annc) == [("media", clause)]


def test_an_answer_without_any_line_is_read(annc: Flow) -> None:
    annc.change("invite-ok", "m=audio 16384 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n", "")
    assert run_check(FITS, annc).ok


def test_host_names_are_not_judged(annc: Flow) -> None:
    annc.change("invite-ok", "c=IN IP4 127.9.8.2", "c=IN IP4 media.example.net")
    assert run_check(FORM, annc).ok


def test_a_200_is_sent_again_if_its_ack_has_no_tag(annc: Flow) -> None:
    late_copy(annc)
    annc.change("ack", "media.example.net>;tag=b", "media.example.net>")
    assert run_check(ENDS, annc).ok


def test_a_via_names_its_transport(annc: Flow) -> None:
    annc.change("bye", "SIP/2.0/UDP", "SIP/2.0/TCP")
    assert red(WHOLE, annc) == [("media", "RFC3261-18.1.1")]


def test_commands_have_tags_of_their_own(annc: Flow) -> None:
    annc.change("urlfetch", "b2", "b1")
    annc.change("urlfetch-ok", "b2", "b1")
    assert red(TAGS, annc) == [("media", "RFC3501-2.2.1")]
    assert run_check("every command is answered", annc).ok


def doubled(place: int, packet: dict[str, Any]) -> None:
    packet["seq"] -= place == 60


def racing(place: int, packet: dict[str, Any]) -> None:
    packet["ts"] += 160 * place


@pytest.mark.parametrize(("change", "clause"), [(doubled, "RFC3550-5.1-2"), (racing, "RFC3550-5.1-3")])
def test_packets_come_in_order_and_time(annc: Flow, change: Callable[[int, Any], None], clause: str) -> None:
    annc.change_packet = change
    assert ("media", clause) in red(NUMBERS, annc)


@pytest.mark.parametrize(
    ("kinds", "clauses"),
    [
        (["SR", "SDES"], []),
        (["SR", "SDES", "204"], []),
        (["SR"], ["RFC3550-6.1-2"]),
    ],
)
def test_reports_name_their_source(annc: Flow, kinds: list[str], clauses: list[str]) -> None:
    annc.reports = [("received", kinds)]
    assert red(RTCP, annc) == [("media", clause) for clause in clauses]


def test_reports_are_seconds_apart(annc: Flow) -> None:
    annc.reports = [("received", ["SR", "SDES"])] * 5
    assert red(RTCP, annc) == [("media", "RFC3550-6.2")]
