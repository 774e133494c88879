"""Checks of offer, answer and call: the answer's lines, the codecs sent, the ACK's target."""

from __future__ import annotations

from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.facts import Signal, answer_to, signals
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.streams import read_packets
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import CheckResult
from lemonade_wire.sdp.description import MediaDescription, SdpError, SessionDescription


def _lines(signal: Signal | None) -> tuple[MediaDescription, ...]:
    if signal is None or signal.message.content_type != "application/sdp":
        return ()
    try:
        return SessionDescription.parse(signal.message.body).media
    except SdpError:
        return ()


def _invites(among: list[Signal]) -> list[Signal]:
    return [one for one in among if one.message.method == "INVITE" and not one.message.is_response]


def _written(lines: tuple[MediaDescription, ...]) -> str:
    return ", ".join(f"{line.media} {'rejected' if line.rejected else 'accepted'}" for line in lines) or "no m-line"


def _every_line(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "an answer has every m-line of its offer, in order; a refused one with port 0"
    told = signals(evidence)
    pairs = [(_lines(invite), _lines(answer_to(invite, told))) for invite in _invites(told)]
    pairs = [(offer, answer) for offer, answer in pairs if offer]
    if not pairs:
        return CheckResult(False, requirement, "an INVITE with an offer", "none")
    wanted = "; ".join(", ".join(line.media for line in offer) for offer, _ in pairs)
    ok = all([line.media for line in offer] == [line.media for line in answer] for offer, answer in pairs)
    return CheckResult(ok, requirement, wanted, "; ".join(_written(answer) for _, answer in pairs))


def _offered_codecs(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the media server sends only formats that were offered and answered"
    told = signals(evidence)
    allowed: set[str] = set()
    for invite in _invites(told):
        answered = _lines(answer_to(invite, told))
        for place, line in enumerate(_lines(invite)):
            rest = answered[place].formats if place < len(answered) and not answered[place].rejected else ()
            allowed |= {payload for payload in line.formats if payload in rest}
    sent = {str(packet.pt) for packet in read_packets(evidence) if packet.stream[0] == "media"}
    expected = "payload types " + ", ".join(sorted(allowed)) if allowed else "no RTP"
    seen = "payload types " + ", ".join(sorted(sent)) if sent else "no RTP"
    return CheckResult(bool(sent) and sent <= allowed, requirement, expected, seen)


def _ack_to_contact(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the ACK of a 200 goes to the Contact of the 200"
    told = signals(evidence)
    expected, seen = [], []
    for invite in _invites(told):
        accepted = answer_to(invite, told)
        if accepted is None:
            continue
        number = invite.message.cseq.partition(" ")[0]
        acks = [
            one.message.uri
            for one in told
            if one.message.method == "ACK"
            and one.message.call_id == invite.message.call_id
            and one.message.cseq.partition(" ")[0] == number
        ]
        expected.append(accepted.message.contact_uri())
        seen.append(acks[0] if acks else "no ACK")
    ok = bool(expected) and expected == seen
    return CheckResult(ok, requirement, ", ".join(expected) or "a 200 to an INVITE", ", ".join(seen) or "none")


CHECKS = (
    Check(
        "answer has every offered line",
        ("LS-2.6-1",),
        "the SDP answer keeps every m-line of the offer, a refused one with port 0",
        _every_line,
    ),
    Check("only offered codecs are sent", ("LS-2.6-2",), "no RTP in a format that was not agreed", _offered_codecs),
    Check(
        "ack goes to the contact",
        ("LS-2.9-1", "LS-2.9-2"),
        "the ACK's Request-URI is the Contact of the 200 (E-28)",
        _ack_to_contact,
    ),
)
