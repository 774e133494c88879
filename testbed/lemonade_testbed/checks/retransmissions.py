"""Checks of the times of SIP messages: no copy before its timer, 100 while an INVITE waits (RFC 3261, section 17)."""

from __future__ import annotations

from itertools import pairwise

from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.dialogs import came
from lemonade_testbed.checks.facts import Signal, is_relayed, signals
from lemonade_testbed.checks.sip import Findings, requests_of
from lemonade_testbed.evidence import Event, Evidence
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import CheckResult

_SOONEST = 0.25
"""Seconds between two copies at least: half of T1, because a busy machine may send the first copy late."""
_TRYING = 0.2
"""Seconds after which an INVITE without a final response is answered by 100 (RFC 3261, section 17.2.1)."""
_PATIENCE = 1.0
"""Seconds until which the first response to an INVITE counts as in time: a busy machine may be late."""

_TIMER, _PROVISIONAL = "RFC3261-17.1.1.2", "RFC3261-17.2.1-2"


def _check_times(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    found = Findings()
    all_signals = signals(evidence)
    asked = requests_of(all_signals)
    senders = {signal.source for signal in all_signals}
    for signal in all_signals:
        _judge_copies(found, signal, asked.get(id(signal)), evidence)
        if signal.message.method == "INVITE" and not signal.message.is_response and came(signal, evidence):
            given = [one for one in all_signals if asked.get(id(one)) is signal]
            _judge_first(found, signal, given, evidence, alive=signal.target in senders)
    return found.result("copies and first responses come when they are due", "T1 between copies", "SIP message")


def _copies(signal: Signal, way: str, node: str, evidence: Evidence) -> list[Event]:
    events = (evidence.events[place] for place in signal.events)
    return sorted((one for one in events if (one.node, one.text("way")) == (node, way)), key=lambda one: one.t)


def _judge_copies(found: Findings, signal: Signal, request: Signal | None, evidence: Evidence) -> None:
    """Judge the time between copies that a node sent; a copy of a request may bring a copy of its response at once.

    The ACK of a 2xx is sent for each copy of the 2xx.
    """
    if signal.message.method == "ACK" and not signal.message.is_response:
        return
    sent = _copies(signal, "sent", signal.source, evidence)
    again = [one.t for one in _copies(request, "received", signal.source, evidence)] if request else []
    for before, after in pairwise(sent):
        if "tcp" in before.text("transport") or any(before.t <= t <= after.t for t in again):
            continue
        soon = after.t - before.t < _SOONEST
        seen = f"a copy after {(after.t - before.t) * 1000:.0f} ms"
        found.expect(not soon, _TIMER, signal, "a copy after 500 ms", seen)
    if signal.message.method == "INVITE" and not signal.message.is_response and sent:
        found.reached.add(_TIMER)


def _judge_first(found: Findings, invite: Signal, given: list[Signal], evidence: Evidence, *, alive: bool) -> None:
    """Judge that the first response to an INVITE comes soon after it arrived.

    A receiver that sends nothing in the whole run may not be there, or may have dropped what it cannot answer.
    """
    arrived = [one.t for one in _copies(invite, "received", invite.target, evidence)]
    unknown = not arrived and (not given or is_relayed(evidence))  # a relay may have lost what a trace lacks
    if not alive or unknown or invite.target in evidence.world.died:
        return
    since, first = min(arrived, default=invite.t), min((one.t for one in given), default=evidence.world.ended)
    found.reached.add(_PROVISIONAL)
    if first - since > _PATIENCE:
        seen = f"nothing for {first - since:.1f} s"
        found.charge(invite.target, _PROVISIONAL, "100, or a final response within 200 ms", seen, since + _TRYING)


CHECKS = (
    Check(
        "sip messages come in time",
        (_TIMER, _PROVISIONAL),
        "a copy of a message is not sent before its timer, and an INVITE that waits gets 100",
        _check_times,
    ),
)
