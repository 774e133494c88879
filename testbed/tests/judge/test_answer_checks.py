"""The checks of the payload types that an answer agrees to: which are sent and when, and that keys stay."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import pytest

from lemonade_testbed.checks.registry import find_check
from lemonade_testbed.clauses import SCENARIOS
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.scenario_loader import load_scenario
from lemonade_testbed.testing.flow import Flow, Message
from lemonade_testbed.verdict import Breach

ANNC, IVR = (load_scenario(SCENARIOS / f"{name}.yaml") for name in ("announcement-service", "ivr-rfc4733"))
PCMU_LINE, PCMA_LINE = "RTP/AVP 0\r\na=rtpmap:0 PCMU", "RTP/AVP 8\r\na=rtpmap:8 PCMA"
KEYS = "\r\na=rtpmap:101 telephone-event"


def breaches(words: str, scenario: Scenario, flow: Flow) -> tuple[Breach, ...]:
    check, file = find_check(words)
    return check.run(scenario, flow.evidence(), file).breaches


def change_codec(flow: Flow) -> None:
    """Let the client offer PCMA alone in a re-INVITE, behind the first stream."""
    behind = "rtp"
    for name in ("invite", "invite-ok"):
        again = deepcopy(flow[name])
        again.name = f"{name}-again"
        changes = [("client1", "client2"), ("1 INVITE", "2 INVITE"), ("net>\r", "net>;tag=b\r"), (PCMU_LINE, PCMA_LINE)]
        for old, new in changes:
            again.text = again.text.replace(old, new)
        assert PCMA_LINE in again.text
        flow.messages.insert(flow.messages.index(flow[behind]) + 1, again)
        behind = again.name


@pytest.mark.parametrize(("payload_type", "seconds", "red"), [(8, 2.0, False), (0, 0.3, False), (0, 2.0, True)])
def test_a_payload_type_ends_with_the_agreement_that_had_it(
    annc: Flow, payload_type: int, seconds: float, red: bool
) -> None:
    change_codec(annc)
    more = Message("more", "rtp", "media", "client", seconds=seconds, payload_type=payload_type)
    annc.messages.insert(annc.messages.index(annc["invite-ok-again"]) + 1, more)
    found = breaches("only offered codecs are sent", ANNC, annc)
    assert [(one.node, one.clauses) for one in found] == [("media", ("LS-2.6-2",))] * red


@pytest.mark.parametrize(("formats", "red"), [("0 101", False), ("0", True)])
def test_an_answer_of_the_ivr_service_keeps_the_format_of_keys(ivr: Flow, formats: str, red: bool) -> None:
    ivr.change("invite", PCMU_LINE, PCMU_LINE.replace("AVP 0", "AVP 0 101").replace("\r\n", f"{KEYS}/8000\r\n"))
    agreed = PCMU_LINE.replace("AVP 0", f"AVP {formats}")
    ivr.change("invite-ok", PCMU_LINE, agreed if red else agreed.replace("\r\n", f"{KEYS}/8000\r\n"))
    found = breaches("answer keeps keys", IVR, ivr)
    assert [(one.node, one.clauses) for one in found] == [("media", ("LS-2.6-1",))] * red
    pressed_by_info = replace(IVR, client=tuple(step for step in IVR.client if "press" not in step))
    assert not breaches("answer keeps keys", pressed_by_info, ivr)
