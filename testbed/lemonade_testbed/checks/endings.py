"""Checks of how requests and calls end: the final response, and that nothing follows it.

The rules are those of RFC 3261, sections 9, 13, 15 and 17, and of RFC 2976, section 2.2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.dialogs import PATIENCE, came
from lemonade_testbed.checks.facts import Signal, copies_of, is_relayed, signals
from lemonade_testbed.checks.sip import Findings, calls_of, is_ordered, name_of, requests_of, same_uri, tag_of
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.streams import read_packets
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import CheckResult

_STILL_ON_ITS_WAY = 0.5
"""Seconds after the arrival of an ACK within which a copy of its 2xx may still be sent."""
_UNHEARD = 1.0
"""The same in seconds after the sending of the ACK, if the receiver has no trace of its arrival."""
_SENT_BEFORE = 0.3
"""Seconds after a BYE within which packets may still arrive that were sent before it."""

CANCELLED, HUNG_UP, INFORMED = "RFC3261-9.2-3", "RFC3261-15.1.2-2", "RFC2976-2.2"
CONTACT = "RFC3261-12.1.1"
FINAL, ACKNOWLEDGED, LAST = "RFC3261-17.2.1", "RFC3261-13.3.1.4-2", "RFC3261-15.1.1"
ENDINGS = (CONTACT, CANCELLED, HUNG_UP, INFORMED, FINAL, ACKNOWLEDGED, LAST)


def _check_endings(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    found = Findings()
    all_signals = signals(evidence)
    asked = requests_of(all_signals)
    answers: dict[int, list[Signal]] = {}
    for signal in all_signals:
        if signal.message.is_response and (request := asked[id(signal)]) is not None:
            answers.setdefault(id(request), []).append(signal)
    for signal in all_signals:
        given = answers.get(id(signal), [])
        if signal.message.is_response:
            _judge_copies(found, signal, all_signals, evidence)
            _judge_contact(found, signal, all_signals, evidence)
            continue
        _judge_order(found, given)
        if not is_ordered(signal, scenario, evidence):
            _judge_answer(found, signal, given, all_signals, evidence)
    for messages in calls_of(all_signals):
        _judge_last(found, messages, answers, evidence)
    return found.result(
        "CANCEL and BYE succeed, INFO is answered, and nothing follows what ends a request or a call",
        "requests and calls that end by RFC 3261",
        "request that ended",
    )


def _judge_answer(
    found: Findings, request: Signal, given: Sequence[Signal], all_signals: Sequence[Signal], evidence: Evidence
) -> None:
    """Judge the final response to CANCEL and BYE, and that INFO has a final response."""
    final = next((one for one in given if one.message.status >= "2"), None)
    method, due = request.message.method, request.t + PATIENCE
    if method == "INFO" and final is None:
        same = [
            one.t
            for one in all_signals
            if one.message.call_id == request.message.call_id and one.message.method == "BYE"
        ]
        until = min([one for one in same if one > request.t], default=evidence.world.ended)
        waited = min(until, evidence.world.ended) > due and request.target not in evidence.world.died
        if waited and came(request, evidence):
            found.charge(request.target, INFORMED, f"a final response to {name_of(request)}", "none", due)
    elif method == "INFO":
        found.reached.add(INFORMED)
    elif final is not None and method == "CANCEL" and _is_known(request, all_signals):
        succeeds = final.message.status.startswith("2")
        found.expect(succeeds, CANCELLED, final, "200 to CANCEL", final.message.start, alone=False)
    elif final is not None and method == "BYE" and _is_in_call(request, all_signals):
        succeeds = final.message.status.startswith("2") or final.message.status in {"401", "407"}
        found.expect(succeeds, HUNG_UP, final, "200 to BYE", final.message.start, alone=False)


def _is_known(cancel: Signal, all_signals: Sequence[Signal]) -> bool:
    """Tell whether the receiver of a CANCEL had received the INVITE that it cancels."""
    return any(
        one.message.method == "INVITE" and not one.message.is_response and one.message.branch == cancel.message.branch
        for one in all_signals
        if one.source == cancel.source and one.t <= cancel.t
    )


def _is_in_call(bye: Signal, all_signals: Sequence[Signal]) -> bool:
    """Tell whether a BYE has the tags of a call that its receiver has accepted or made, and has not ended."""
    own, other = tag_of(bye.message.header("from")), tag_of(bye.message.header("to"))
    earlier = [one for one in all_signals if one.t < bye.t and one.message.call_id == bye.message.call_id]
    accepted = any(
        one.message.method == "INVITE"
        and one.message.status.startswith("2")
        and {tag_of(one.message.header("from")), tag_of(one.message.header("to"))} == {own, other}
        for one in earlier
    )
    left = any(one.message.method == "BYE" and not one.message.is_response for one in earlier)
    return accepted and not left


def _judge_order(found: Findings, given: Sequence[Signal]) -> None:
    """Judge that no other response follows the final response to a request."""
    final = next((place for place, one in enumerate(given) if one.message.status >= "2"), None)
    if final is None:
        return
    found.reached.add(FINAL)
    for one in given[final + 1 :]:
        expected = f"nothing after {given[final].message.start}"
        found.expect(False, FINAL, one, expected, one.message.start)


def _judge_copies(found: Findings, response: Signal, all_signals: Sequence[Signal], evidence: Evidence) -> None:
    """Judge that a 2xx to INVITE is not sent again after its ACK arrived.

    An ACK without the tags of the dialog acknowledges nothing.
    """
    message = response.message
    if message.method != "INVITE" or not message.status.startswith("2") or is_relayed(evidence):
        return
    number = message.cseq.partition(" ")[0]
    wanted = (message.call_id, f"{number} ACK", response.target)
    tags = {tag_of(copy.header("to")) for copy in copies_of(response, evidence)}
    acks = [
        one
        for one in all_signals
        if (one.message.call_id, one.message.cseq, one.source) == wanted
        and one.t >= response.t
        and tag_of(one.message.header("from")) == tag_of(message.header("from"))
        and tag_of(one.message.header("to")) in tags
    ]
    if not acks:
        return
    copies = [evidence.events[place] for place in acks[0].events]
    arrived = min((one.t for one in copies if one.text("way") == "received"), default=math.inf)
    until = arrived + _STILL_ON_ITS_WAY if arrived < math.inf else acks[0].t + _UNHEARD
    late = [evidence.events[place].t for place in response.events if evidence.events[place].t > until]
    seen = f"a copy {late[0] - acks[0].t:.1f} s after the ACK" if late else ""
    found.expect(not late, ACKNOWLEDGED, response, "no copy after the ACK", seen)


def _judge_contact(found: Findings, response: Signal, all_signals: Sequence[Signal], evidence: Evidence) -> None:
    """Judge that requests can reach the Contact of a 2xx to INVITE: the ACK that was sent there arrived."""
    message = response.message
    if message.method != "INVITE" or not message.status.startswith("2") or is_relayed(evidence):
        return
    acks = [
        one
        for one in all_signals
        if one.message.method == "ACK" and one.source == response.target and one.t >= response.t
    ]
    wanted = (message.call_id, f"{message.cseq.partition(' ')[0]} ACK")
    ack = next((one for one in acks if (one.message.call_id, one.message.cseq) == wanted), None)
    if ack is not None and same_uri(ack.message.uri, message.contact_uri()):
        expected, seen = "a Contact at which requests arrive", f"Contact: {message.contact_uri()}"
        found.expect(came(ack, evidence), CONTACT, response, expected, seen)


def _judge_last(
    found: Findings, messages: Sequence[Signal], answers: dict[int, list[Signal]], evidence: Evidence
) -> None:
    """Judge that the node that sent BYE sends no further request in the call, and no more media."""
    bye = next((one for one in messages if one.message.method == "BYE" and not one.message.is_response), None)
    if bye is None or any(one.message.status >= "3" for one in answers.get(id(bye), ())):
        return
    found.reached.add(LAST)
    behind = [
        one
        for one in messages
        if one.t > bye.t and one.source == bye.source and one.message.method not in {"ACK", "CANCEL"}
    ]
    for one in behind:
        if not one.message.is_response:
            found.expect(False, LAST, one, "nothing after BYE", one.message.start.partition(" ")[0])
    invites = [one for one in signals(evidence) if one.message.method == "INVITE" and not one.message.is_response]
    until = min((one.t for one in invites if one.t > bye.t), default=math.inf)
    others = [one for one in invites if one.t <= bye.t and one.message.call_id != bye.message.call_id]
    sent = [one for one in read_packets(evidence) if one.stream[0] == bye.source]
    late = [one for one in sent if bye.t + _SENT_BEFORE < one.t < until]
    if late and not others and not is_relayed(evidence):
        found.expect(False, LAST, bye, "no media after BYE", f"{len(late)} packets of RTP after it")


CHECKS = (
    Check(
        "requests and calls end",
        ENDINGS,
        "CANCEL and BYE get 200, INFO a final response; after a final response, an ACK or a BYE only copies follow",
        _check_endings,
    ),
)
