"""Notifications of keys: each rule is red at the media server for its own clause."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lemonade_testbed.checks.registry import find_check
from lemonade_testbed.clauses import SCENARIOS
from lemonade_testbed.scenario_loader import load_scenario
from lemonade_testbed.testing.flow import Flow
from lemonade_testbed.verdict import CheckResult

IVR = load_scenario(SCENARIOS / "ivr-service.yaml")
FIRST = '<keypress digit="5" length="standard" method="standard" interdigittime="0ms"/>'


def notify(flow: Flow, *keypresses: str) -> CheckResult:
    """Put notifications before the response, and return the result of the check."""
    response = flow["response"]
    head, _, _ = response.text.partition("\r\n\r\n")
    for place, keypress in enumerate(keypresses):
        body = f'<MediaServerControl version="1.0"><notification>{keypress}</notification></MediaServerControl>'
        said = replace(
            response, name=f"key-{place}", text=f"{head.replace('z9hG4bK', f'z9hG4bK{place}')}\r\n\r\n{body}"
        )
        flow.messages.insert(flow.messages.index(response), said)
    check, file = find_check("key notifications are whole")
    return check.run(IVR, flow.evidence(), file)


def test_a_call_without_notifications_is_not_judged(ivr: Flow) -> None:
    assert notify(ivr).reached == ()


@pytest.mark.parametrize(
    ("second", "clause"),
    [
        (FIRST, ""),
        (FIRST.replace("0ms", "0.3s"), ""),
        (FIRST.replace('"standard" method="standard"', '"long" method="double"'), ""),
        (FIRST.replace("0ms", "5000ms"), "RFC5022-7.1-2"),
        (FIRST.replace(' interdigittime="0ms"', ""), "RFC5022-7.1"),
        (FIRST.replace(' method="standard"', ""), "RFC5022-7.1"),
        (FIRST.replace('method="standard"', 'method="short"'), "RFC5022-7.1"),
        (FIRST.replace('digit="5"', 'digit="55"'), "RFC5022-7.1"),
    ],
)
def test_a_notification_tells_the_key_and_the_time(ivr: Flow, second: str, clause: str) -> None:
    breaches = notify(ivr, FIRST, second).breaches
    assert [(one.node, one.clauses) for one in breaches] == ([("media", (clause,))] if clause else [])


def test_the_time_before_the_first_is_not_known(ivr: Flow) -> None:
    result = notify(ivr, FIRST.replace("0ms", "700ms"))
    assert not result.breaches
    assert result.reached == ("RFC5022-7.1",)


SUBSCRIPTION = (
    '<MediaServerControl version="1.0"><request><configure_leg id="leg"><subscribe><events>'
    '<keypress report="standard"/></events></subscribe></configure_leg></request></MediaServerControl>'
)


def subscribe(flow: Flow) -> None:
    """Let the client subscribe before its other requests."""
    info = flow["info"]
    head, _, _ = info.text.partition("\r\n\r\n")
    changed = head.replace("z9hG4bK", "z9hG4bKleg").replace("CSeq: 2", "CSeq: 1")
    flow.messages.insert(flow.messages.index(info), replace(info, name="leg", text=f"{changed}\r\n\r\n{SUBSCRIPTION}"))


@pytest.mark.parametrize(
    ("subscribed", "told", "clauses"),
    [
        (False, [], []),
        (False, [FIRST], ["RFC5022-7.1-3"]),
        (True, [FIRST.replace('digit="5"', 'digit="6"')], []),
        (True, [FIRST], ["RFC5022-7.1-3"]),
        (True, [], ["RFC5022-7.1-3"]),
    ],
)
def test_keys_are_told_as_subscribed(ivr: Flow, subscribed: bool, told: list[str], clauses: list[str]) -> None:
    if subscribed:
        subscribe(ivr)
    ivr.waited = 5.0
    notify(ivr, *told)
    check, file = find_check("keys are told as subscribed")
    breaches = check.run(IVR, ivr.evidence(), file).breaches
    assert list(dict.fromkeys((one.node, one.clauses) for one in breaches)) == [("media", (name,)) for name in clauses]


def test_a_standard_press_is_no_long_one(ivr: Flow) -> None:
    breaches = notify(ivr, FIRST.replace('length="standard"', 'length="long"')).breaches
    assert [one.clauses for one in breaches] == [("RFC5022-7.1",)]
