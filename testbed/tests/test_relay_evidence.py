"""Reading the relay's trace: the summary in the verdict, the checks, and the error for an incomplete trace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lemonade_testbed.checks.registry import find_check
from lemonade_testbed.evidence import Event, Evidence, NodeAddress, RecordedWorld
from lemonade_testbed.relay.evidence import relay_summary, relay_trouble
from lemonade_testbed.relay.rules import Plan, parse_rule
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.scenario_loader import load_scenario
from lemonade_testbed.verdict import CheckResult

SCENARIOS = Path(__file__).parents[2] / "scenarios"
WORLD = RecordedWorld({name: NodeAddress(f"127.9.9.{n}") for n, name in enumerate(("imap", "media", "client"), 1)})
LOSE = {"leg": "client-media", "from": "client", "lose": "SIP INVITE", "times": "1"}
STARTED = {"state": "started", "seed": 7}
STOPPED = {"state": "stopped", "struck": {"2": 40}}
LOST = {"state": "lost", "rule": 1, "leg": "client-media", "source": "client", "message": "SIP INVITE", "octets": 400}


def scenario(*rules: Mapping[str, str], seed: int = 7) -> Scenario:
    plan = Plan(seed, tuple(parse_rule(words, number) for number, words in enumerate(rules, 1)))
    return replace(load_scenario(SCENARIOS / "relay" / "invite-lost.yaml"), relay=plan)


def evidence(*relay: Mapping[str, Any], others: tuple[Event, ...] = ()) -> Evidence:
    told = tuple(Event(n, "relay", n, "relay", fields) for n, fields in enumerate(relay, 1))
    return Evidence(WORLD, told + others)


def check(words: str, of: Scenario, seen: Evidence) -> CheckResult:
    return find_check(words)[0].run(of, seen, "")


def test_seed_and_counts_in_one_line() -> None:
    cut = {"state": "cut", "rule": 2, "leg": "media-imap", "octets": 40000}
    seen = evidence(STARTED, LOST, {**LOST, "message": "RTP"}, LOST, cut, {**cut, "state": "healed"}, STOPPED)
    assert relay_summary(seen) == (
        "seed 7, lost 1 RTP, lost 2 SIP INVITE, cut media-imap after 40000 octets, healed media-imap"
    )
    assert relay_summary(evidence()) == ""


def test_an_incomplete_relay_trace_is_reported() -> None:
    plan = scenario(LOSE).relay
    assert list(relay_trouble(plan, evidence(STARTED, STOPPED))) == []
    assert list(relay_trouble(None, evidence())) == []
    for seen in (evidence(), evidence(STARTED), evidence(STOPPED)):
        (why,) = relay_trouble(plan, seen)
        assert "from its start to its end" in why
    (why,) = relay_trouble(plan, evidence({**STARTED, "seed": 8}, STOPPED))
    assert "another seed" in why


def test_each_rule_must_be_applied_as_often_as_it_says() -> None:
    late = {"leg": "client-media", "delay": "50 ms"}
    told = scenario(LOSE, late)
    assert check("relay did as told", told, evidence(STARTED, LOST, STOPPED)).ok
    for relay in ((STARTED, STOPPED), (STARTED, LOST, LOST, STOPPED), (STARTED, LOST, {"state": "stopped"})):
        assert not check("relay did as told", told, evidence(*relay)).ok
    without = check("relay did as told", replace(told, relay=None), evidence())
    assert (without.ok, without.seen) == (False, "no relay")


def sip(t: float, node: str, way: str, message: str = "INVITE") -> Event:
    ends = {"client": ("127.9.9.3:5060", "127.9.9.2:5060"), "media": ("127.9.9.2:5060", "127.9.9.3:5060")}[node]
    status, _, method = message.rpartition(" ")
    start = f"SIP/2.0 {status} OK" if status else f"{method} sip:annc@x SIP/2.0"
    branch = "z9hG4bKb" if method == "ACK" else "z9hG4bKa"
    text = f"{start}\r\nVia: SIP/2.0/UDP c;branch={branch}\r\nCall-ID: c\r\nCSeq: 1 {method}\r\n\r\n"
    return Event(t, node, int(t), "sip", {"way": way, "local": ends[0], "remote": ends[1], "text": text})


@pytest.mark.parametrize(
    ("events", "seen", "charged"),
    [
        ([("client", "sent"), ("client", "sent"), ("media", "received")], "2 sent", []),
        ([("client", "sent"), ("client", "sent")], "2 sent", []),
        ([("client", "sent"), ("media", "received")], "1 sent", [("client", ("RFC3261-17",))]),
    ],
)
def test_what_was_lost_is_sent_again_by_its_sender(
    events: list[tuple[str, str]], seen: str, charged: list[tuple[str, tuple[str, ...]]]
) -> None:
    others = tuple(sip(10 + place, *one) for place, one in enumerate(events))
    result = check("what was lost came again", scenario(LOSE), evidence(STARTED, LOST, STOPPED, others=others))
    assert result.seen == f"SIP INVITE from client: {seen}"
    assert [(one.node, one.clauses) for one in result.breaches] == charged


OK, ACK, BYE, BYE_OK = ("media", "200 INVITE"), ("client", "ACK"), ("media", "BYE"), ("client", "200 BYE")


@pytest.mark.parametrize(
    ("lost", "sent", "charged"),
    [
        (OK, (OK, OK), []),
        (OK, (OK,), [("media", ("RFC3261-13.3.1.4",))]),
        (ACK, (OK, ACK, OK, ACK), []),
        (ACK, (OK, ACK, OK), [("client", ("RFC3261-17",))]),
        (ACK, (OK, ACK), [("media", ("RFC3261-13.3.1.4",))]),
        (BYE_OK, (BYE, BYE_OK, BYE, BYE_OK), []),
        (BYE_OK, (BYE, BYE_OK, BYE), [("client", ("RFC3261-17",))]),
        (BYE_OK, (BYE, BYE_OK), [("media", ("RFC3261-17",))]),
        (("media", "486 INVITE"), (("media", "486 INVITE"),), [("media", ("RFC3261-17",))]),
    ],
)
def test_a_missing_retransmission_is_charged_to_the_node_that_must_send_first(
    lost: tuple[str, str], sent: tuple[tuple[str, str], ...], charged: list[tuple[str, tuple[str, ...]]]
) -> None:
    source, message = lost
    gone = {**LOST, "leg": "client-media", "source": source, "message": f"SIP {message}"}
    others = tuple(sip(10 + place, node, "sent", words) for place, (node, words) in enumerate(sent))
    result = check("what was lost came again", scenario(LOSE), evidence(STARTED, gone, STOPPED, others=others))
    assert [(one.node, one.clauses) for one in result.breaches] == charged


def test_without_a_loss_a_retransmission_is_not_checked() -> None:
    assert check("what was lost came again", scenario(LOSE), evidence(STARTED, STOPPED)).reached == ()


def rtp(*numbers: int) -> tuple[Event, ...]:
    fields = {"way": "received", "ssrc": 1, "pt": 0, "payload": "/w==", "ts": 0}
    return tuple(Event(20 + n, "client", n, "rtp", {**fields, "seq": seq}) for n, seq in enumerate(numbers))


@pytest.mark.parametrize(
    ("arrived", "lost", "ok", "seen"),
    [
        ((65534, 65535, 1, 2), (0,), True, "1 lost, 1 missing"),
        ((65534, 65535, 2, 1), (0,), True, "1 lost, 1 missing"),
        ((65534, 65535, 0, 1), (), False, "the relay lost no RTP"),
        ((65534, 65535, 1, 3), (0,), False, "1 lost, 2 missing, 1 of them not lost by the relay"),
        ((65534, 65535, 0, 1), (0,), False, "1 lost, 0 missing"),
    ],
)
def test_loss_is_heard(arrived: tuple[int, ...], lost: tuple[int, ...], ok: bool, seen: str) -> None:
    gone = [{"state": "lost", "rule": 1, "source": "media", "message": "RTP", "seq": number} for number in lost]
    of = scenario({"leg": "client-media", "lose": "RTP 5 %"})
    result = check("loss is heard", of, evidence(STARTED, *gone, STOPPED, others=rtp(*arrived)))
    assert (result.ok, result.seen) == (ok, seen)
    assert {(one.node, one.clauses) for one in result.breaches} <= {("media", ("LS-2.1-6",))}
    assert bool(result.breaches) == (not ok and bool(lost))


def test_an_alias_is_resolved_to_its_role() -> None:
    world = RecordedWorld(
        {"media": NodeAddress("127.9.9.2", aliases=("127.9.9.12",)), "client": NodeAddress("127.9.9.3")}
    )
    assert world.role_of("127.9.9.12:5060") == world.role_of("127.9.9.2") == "media"
    assert world.own("127.9.9.12:5060") == "127.9.9.2:5060"
    assert world.own("127.9.9.3:5060") == "127.9.9.3:5060"
