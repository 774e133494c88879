"""Checks of the SDP answer and of the call: m-lines, accepted streams, codecs sent, target of the ACK, services."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.facts import Signal, answer_to, declared_services, signals
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.sdptext import MediaText
from lemonade_testbed.ladder.siptext import sdp_of
from lemonade_testbed.ladder.streams import read_packets
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import Breach, CheckResult

_SERVICES = ("annc", "ivr")
_SENDERS = frozenset({"client", "media"})
_SERVES = ("LS-2.1-8",)
_NEGOTIATED = ("LS-2.6-1",)
_NO_CODEC = ("LS-2.6-5",)
_NEGOTIATES = ("LS-2.7-2",)
_COMMON = ("LS-2.6-2",)
_TO_CONTACT = ("LS-2.9-1",)
_SETTLED = 0.5
"""Seconds after an answer within which packets may arrive that were sent by the agreement before it."""


@dataclass
class _Agreement:
    """The payload types that each node may send after one offer and its answer, and the time for which they hold.

    `since` and `until` are in seconds since 1970.
    """

    call: str
    since: float
    until: float = math.inf
    types: dict[str, set[str]] = field(default_factory=dict)

    def holds_at(self, t: float) -> bool:
        return self.since <= t <= self.until


def _lines(signal: Signal | None) -> tuple[MediaText, ...]:
    description = sdp_of(signal.message) if signal else None
    return description.media if description else ()


def _invites(among: Sequence[Signal]) -> list[Signal]:
    return [one for one in among if one.message.method == "INVITE" and not one.message.is_response]


def _written(lines: tuple[MediaText, ...]) -> str:
    return ", ".join(f"{line.media} {'rejected' if line.rejected else 'accepted'}" for line in lines) or "no m-line"


def _every_line(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "an answer has every m-line of its offer, in order; a refused one with port 0"
    all_signals = signals(evidence)
    expected, seen, breaches = [], [], []
    for invite in _invites(all_signals):
        answer = answer_to(invite, all_signals)
        offered, answered = _lines(invite), _lines(answer)
        if not offered or answer is None:
            continue
        wanted = ", ".join(line.media for line in offered)
        expected.append(wanted)
        seen.append(_written(answered))
        if [line.media for line in offered] != [line.media for line in answered]:
            breaches.append(Breach(answer.source, _NEGOTIATED, wanted, _written(answered), answer.t))
    if not expected:
        return CheckResult.without_material(requirement, "an INVITE with an offer", "none was answered")
    return CheckResult(requirement, "; ".join(expected), "; ".join(seen), tuple(breaches))


def _keeps_keys(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "an answer for the IVR service agrees to telephone-event, if it is offered for keys of the script"
    expected = "an answer with telephone-event"
    if not any(_presses_by_rtp(step.get("press")) for step in scenario.client):
        return CheckResult.without_material(requirement, expected, "the script presses no key in RTP")
    all_signals = signals(evidence)
    seen, breaches = [], []
    for invite in _invites(all_signals):
        answer = answer_to(invite, all_signals) if invite.message.is_call_to("ivr") else None
        if answer is None or not _has_keys(_lines(invite)) or not any(not line.rejected for line in _lines(answer)):
            continue
        seen.append(_formats(_lines(answer)))
        if not _has_keys(_lines(answer)):
            breaches.append(Breach(answer.source, _NEGOTIATED, expected, seen[-1], answer.t, alone=True))
    if not seen:
        return CheckResult.without_material(requirement, expected, "no answer to an offer with telephone-event")
    return CheckResult(requirement, expected, "; ".join(seen), tuple(breaches))


def _presses_by_rtp(press: object) -> bool:
    return isinstance(press, Mapping) and press.get("by") in {"rtp", "both"}


def _has_keys(lines: tuple[MediaText, ...]) -> bool:
    """Tell whether an accepted line has telephone-event among its formats."""
    return any(
        str(number) in line.formats and codec.is_telephone_event
        for line in lines
        if not line.rejected
        for number, codec in line.codecs().items()
    )


def _formats(lines: tuple[MediaText, ...]) -> str:
    return "; ".join(f"{line.media} {' '.join(line.formats)}" for line in lines)


def _has_a_stream(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "a media server that accepts an INVITE accepts one of its streams"
    all_signals = signals(evidence)
    seen, breaches = [], []
    for invite in _invites(all_signals):
        answer = answer_to(invite, all_signals)
        offered, answered = _lines(invite), _lines(answer)
        first = "tag=" not in invite.message.header("to")
        if answer is None or not first or evidence.world.kind_of(answer.source) != "media":
            continue
        if not any(not line.rejected for line in offered) or not answered:
            continue
        seen.append(_written(answered))
        if all(line.rejected for line in answered):
            clauses = _NO_CODEC if invite.message.service() == "annc" else _NEGOTIATES
            breaches.append(Breach(answer.source, clauses, "an accepted m-line, or a refusal", seen[-1], answer.t))
    if not seen:
        return CheckResult.without_material(requirement, "an answer", "none")
    return CheckResult(requirement, "an accepted m-line", "; ".join(seen), tuple(breaches))


def _offered_codecs(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "client and media server send only formats that were offered and answered"
    all_signals = signals(evidence)
    agreements: list[_Agreement] = []
    for invite in _invites(all_signals):
        answer = answer_to(invite, all_signals)
        answered = _lines(answer)
        if answered and _lines(invite) and answer is not None:
            settled = max(evidence.events[place].t for place in answer.events) + _SETTLED
            for before in agreements:
                before.until = min(before.until, settled) if before.call == invite.message.call_id else before.until
        new = _Agreement(invite.message.call_id, invite.t)
        agreements.append(new)
        for place, line in enumerate(_lines(invite)):
            rest = answered[place].formats if place < len(answered) and not answered[place].rejected else ()
            new.types.setdefault(invite.target, set()).update(payload for payload in line.formats if payload in rest)
            new.types.setdefault(invite.source, set()).update(rest)  # the receiver chose the payload type
    sent = [packet for packet in read_packets(evidence) if evidence.world.kind_of(packet.stream[0]) in _SENDERS]
    senders = {packet.stream[0] for packet in sent}
    types = sorted({payload for one in agreements for node in senders for payload in one.types.get(node, ())})
    expected = "payload types " + ", ".join(types) if types else "no RTP"
    if not sent:
        return CheckResult.without_material(requirement, expected, "no RTP")
    stray: dict[tuple[str, int], Breach] = {}
    for packet in sent:
        node = packet.stream[0]
        allowed = {type_ for one in agreements if one.holds_at(packet.t) for type_ in one.types.get(node, ())}
        is_judged = any(node in one.types for one in agreements) or evidence.world.kind_of(node) == "media"
        if str(packet.pt) not in allowed and is_judged:
            seen = f"payload type {packet.pt}"
            stray.setdefault((node, packet.pt), Breach(node, _COMMON, expected, seen, packet.t))
    seen = ", ".join(sorted({str(packet.pt) for packet in sent}))
    return CheckResult(requirement, expected, f"payload types {seen}", tuple(stray.values()))


def _ack_to_contact(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the ACK of a 200 goes to the Contact of the 200"
    all_signals = signals(evidence)
    expected, seen, breaches = [], [], []
    for invite in _invites(all_signals):
        accepted = answer_to(invite, all_signals)
        ack = next((one for one in all_signals if accepted is not None and _acknowledges(one, invite)), None)
        if accepted is None or ack is None or not accepted.message.contact_uri():
            continue
        contact = accepted.message.contact_uri()
        expected.append(contact)
        seen.append(ack.message.uri)
        if ack.message.uri != contact:
            breaches.append(Breach(ack.source, _TO_CONTACT, contact, ack.message.uri, ack.t, alone=True))
    if not expected:
        return CheckResult.without_material(requirement, "a 200 with a Contact and its ACK", "none")
    return CheckResult(requirement, ", ".join(expected), ", ".join(seen), tuple(breaches))


def _acknowledges(ack: Signal, invite: Signal) -> bool:
    number, _, _ = invite.message.cseq.partition(" ")
    sent = (ack.message.method, ack.message.call_id, ack.message.cseq.partition(" ")[0])
    return sent == ("ACK", invite.message.call_id, number)


def _has_a_service(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "a media server has the announcement service or the IVR service"
    all_signals, declared = signals(evidence), declared_services(evidence)
    refused: dict[str, dict[str, Signal]] = {}
    nodes: dict[str, bool] = {}
    for invite in _invites(all_signals):
        service = invite.message.service()
        if service in _SERVICES:
            served = answer_to(invite, all_signals) is not None
            nodes[invite.target] = nodes.get(invite.target, False) or served
            refusal = answer_to(invite, all_signals, "488") or answer_to(invite, all_signals, "501")
            if refusal is not None and not refusal.message.header("warning"):
                refused.setdefault(invite.target, {})[service] = refusal
    if not nodes:
        return CheckResult.without_material(requirement, "a service", "no INVITE to a service")
    breaches = []
    for node, by_service in refused.items():
        has = [name for name in _SERVICES if declared.get((node, name), "" if name in by_service else "2")[:1] == "2"]
        if not nodes[node] and not has:
            last = max(by_service.values(), key=lambda one: one.t)
            breaches.append(Breach(node, _SERVES, "annc or ivr", f"{last.message.start} to both", last.t, alone=True))
    return CheckResult(requirement, "annc or ivr", ", ".join(nodes), tuple(breaches))


CHECKS = (
    Check(
        "media server has a service",
        _SERVES,
        "a media server does not refuse calls to annc and to ivr alike as unknown services",
        _has_a_service,
    ),
    Check(
        "answer has every offered line",
        _NEGOTIATED,
        "the SDP answer keeps every m-line of the offer, a refused one with port 0",
        _every_line,
    ),
    Check(
        "answer keeps keys",
        _NEGOTIATED,
        "the SDP answer for the IVR service keeps telephone-event, if the script presses keys in RTP",
        _keeps_keys,
    ),
    Check(
        "accepted calls have a stream",
        (*_NO_CODEC, *_NEGOTIATES),
        "a 200 of a media server to INVITE accepts one m-line at least: what has no codec in common is refused",
        _has_a_stream,
    ),
    Check("only offered codecs are sent", _COMMON, "no RTP in a format that was not agreed", _offered_codecs),
    Check(
        "ack goes to the contact",
        _TO_CONTACT,
        "the ACK's Request-URI is the Contact of the 200 (E-28)",
        _ack_to_contact,
    ),
)
