"""The checks of a client against its script: red at the client for what was not ordered, green for variations."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lemonade_testbed.checks import ordered, rtp
from lemonade_testbed.clauses import SCENARIOS
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.scenario_loader import load_scenario
from lemonade_testbed.testing.flow import Flow

ANNC = load_scenario(SCENARIOS / "announcement-service.yaml")
IVR = load_scenario(SCENARIOS / "ivr-service.yaml")
SHORT = replace(ANNC, client=({"announce": {"offer": ["PCMU/8000"], "params": {"Duration": "500"}}},))


def red(flow: Flow, scenario: Scenario, verb: str) -> set[tuple[str, str]]:
    """Return the node and the first clause of each breach; the trace of the client shows the running step."""
    step = next(at for at, one in enumerate(scenario.client, 1) if verb in one)
    evidence = flow.evidence()
    began = {
        "t": evidence.world.started,
        "n": 0,
        "event": "step",
        "state": "started",
        "verb": verb,
        "index": step,
    }
    event = evidence.events[0]
    begun = replace(event, t=evidence.world.started, node="client", n=0, kind="step", fields=began)
    evidence = replace(evidence, events=(begun, *evidence.events))
    results = [check.run(scenario, evidence, "") for check in ordered.CHECKS]
    return {(one.node, one.clauses[0]) for result in results for one in result.breaches}


@pytest.mark.parametrize(
    ("old", "new", "clauses"),
    [
        ("", "", set()),
        (" SIP/2.0", ";transport=udp SIP/2.0", set()),
        (" SIP/2.0", ";repeat=1;delay=0;locale=en SIP/2.0", set()),
        (" SIP/2.0", ";repeat=2 SIP/2.0", {"LS-2.5-2"}),
        (" SIP/2.0", ";Duration=1000 SIP/2.0", {"LS-2.5-2"}),
        ("a=recvonly", "a=sendrecv", set()),
        ("a=recvonly", "a=sendonly", {"LS-2.6-1"}),
        ("a=recvonly", "a=inactive", {"LS-2.6-1"}),
    ],
)
def test_an_announcement_is_as_ordered(annc: Flow, old: str, new: str, clauses: set[str]) -> None:
    text = annc["invite"].text
    annc["invite"].text = text.replace(old, new, 1) if old else text
    assert red(annc, ANNC, "announce") == {("client", clause) for clause in clauses}


def test_parameters_that_were_ordered_are_expected(annc: Flow) -> None:
    assert red(annc, SHORT, "announce") == {("client", "LS-2.5-2")}
    annc.change("invite", " SIP/2.0", ";dURATION=%3500 SIP/2.0")
    assert red(annc, SHORT, "announce") == set()


@pytest.mark.parametrize(
    ("old", "new", "clauses"),
    [
        ("", "", set()),
        ('skipinterval="4s"', 'skipinterval="4000ms"', set()),
        ('skipinterval="4s"', 'skipinterval="6s"', {"LS-2.7-7"}),
        ('ffkey="6" rwkey="4"', 'ffkey="4" rwkey="6"', {"LS-2.7-7"}),
        ('ffkey="6"', "", {"LS-2.7-7"}),
        ("<prompt ", '<prompt offset="0s" repeat="1" ', set()),
        ("<prompt ", '<prompt offset="2s" ', {"RFC5022-6.1"}),
        ("<prompt ", '<prompt repeat="2" ', {"RFC5022-6.1"}),
        ("<prompt ", '<prompt duration="1s" ', {"RFC5022-6.1"}),
    ],
)
def test_a_request_is_as_ordered(ivr: Flow, old: str, new: str, clauses: set[str]) -> None:
    name = next(one.name for one in ivr.messages if "<playcollect" in one.text and "<request>" in one.text)
    ivr[name].text = ivr[name].text.replace(old, new, 1) if old else ivr[name].text
    assert red(ivr, IVR, "ivr") == {("client", clause) for clause in clauses}


@pytest.mark.parametrize(
    ("contact", "is_red"), [("192.0.2.7", True), ("client.example.net", False), ("127.9.8.3", False)]
)
def test_contact_is_an_address_of_the_run(annc: Flow, contact: str, is_red: bool) -> None:
    annc.change("invite", "Contact: <sip:127.9.8.3", f"Contact: <sip:joe@{contact}")
    assert (("client", "RFC3261-8.1.1.8-2") in red(annc, ANNC, "announce")) == is_red


ADVANCE = next(check for check in rtp.CHECKS if check.words == "rtp numbers and timestamps advance")


@pytest.mark.parametrize(("gap", "is_red"), [(0.02, False), (0.01, True)])
def test_a_client_sends_sound_in_its_time(ivr: Flow, gap: float, is_red: bool) -> None:
    place = next(at for at, one in enumerate(ivr.messages) if one.kind == "rtp")
    voice = replace(ivr.messages[place], name="voice", source="client", target="media", seconds=2.0, gap=gap, ssrc=5)
    ivr.messages.insert(place, voice)
    ivr.change_packet = lambda _, packet: packet.update({"remote": "127.9.8.3:20000"} if packet["ssrc"] == 5 else {})
    charged = {(one.node, one.clauses[0]) for one in ADVANCE.run(IVR, ivr.evidence(), "").breaches}
    assert (("client", "RFC3550-5.1-3") in charged) == is_red


@pytest.mark.parametrize(("copies", "is_red"), [(True, False), (False, True)])
def test_a_sequence_number_stands_for_one_packet(annc: Flow, copies: bool, is_red: bool) -> None:
    evidence = annc.evidence()
    first = next(event for event in evidence.events if event.kind == "rtp")
    same = first.fields if copies else {**first.fields, "ts": first.number("ts") + 160}
    at = evidence.events.index(first)
    again = replace(first, fields=same)
    evidence = replace(evidence, events=(*evidence.events[: at + 1], again, *evidence.events[at + 1 :]))
    charged = {(one.node, one.clauses[0]) for one in ADVANCE.run(ANNC, evidence, "").breaches}
    assert (("media", "RFC3550-5.1-2") in charged) == is_red
