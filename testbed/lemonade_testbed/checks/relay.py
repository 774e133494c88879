"""Checks of runs with a relay: its rules were applied, what it lost was sent again, and other losses were noticed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from lemonade_testbed.checks.base import Check, conclude
from lemonade_testbed.checks.facts import answer_to, imap_commands, signals
from lemonade_testbed.evidence import Event, Evidence
from lemonade_testbed.ladder.observe import observe_sip
from lemonade_testbed.ladder.streams import read_packets
from lemonade_testbed.relay.evidence import relay_events, relay_summary, strikes
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import Breach, CheckResult

_SELF_EXPLAINING = frozenset({"404", "487"})
"""Statuses that need no Warning: the content does not exist (LS-2.5-6), the caller cancelled (RFC 3261, section 9.2).
"""
_AGAIN = ("RFC3261-17",)
_OK_AGAIN = ("RFC3261-13.3.1.4",)
_WHOLE = ("LS-2.1-6",)
_REASON = ("LS-2.8-12",)
_CANCELLED = "487"
"""The status of a call that its caller cancelled; it says nothing about the content."""


def _check_rules(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "every rule of the relay is applied, as often as it says"
    rules = scenario.relay.rules if scenario.relay else ()
    expected = "; ".join(map(str, rules)) or "rules"
    if not rules:
        return CheckResult.without_material(requirement, expected, "no relay")
    breaches = []
    for rule in rules:
        count = strikes(evidence, rule)
        if count == 0 or (rule.times is not None and count != rule.times):
            # a rule may apply too seldom because a node did not send its message; too often is a fault of the relay
            often = rule.times is not None and count > rule.times
            t = evidence.world.started if often else evidence.world.ended
            breaches.append(Breach("relay", (), expected, f"rule {rule.number} ({rule}) was applied {count} times", t))
    return CheckResult(requirement, expected, relay_summary(evidence), tuple(breaches))


def _check_retransmissions(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "every SIP message that the relay loses is sent again (RFC 3261, 17)"
    lost = Counter(
        (event.text("leg"), event.text("source"), event.text("message")) for event in relay_events(evidence, "lost")
    )
    wanted = {key: count for key, count in lost.items() if key[2].startswith("SIP ")}
    expected = ", ".join(f"{label} from {source}: over {count} sent" for (_, source, label), count in wanted.items())
    if not wanted:
        return CheckResult.without_material(requirement, "a lost SIP message", "none was lost")
    seen, breaches = [], []
    reached: list[str] = []
    for leg, source, label in wanted:
        times = _times_of_copies(evidence, source, label)
        seen.append(f"{label} from {source}: {len(times)} sent")
        for node, first, clauses in _expected_retransmissions(leg, source, label):
            copies = _times_of_copies(evidence, node, first)
            reached += clauses
            if len(copies) == 1:
                what = seen[-1] if (node, first) == (source, label) else f"{first} from {node}: 1 sent"
                breaches.append(Breach(node, clauses, expected, what, copies[0]))
                break
    return CheckResult(requirement, expected, ", ".join(seen), tuple(breaches), tuple(dict.fromkeys(reached)))


def _expected_retransmissions(leg: str, source: str, label: str) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield what must be sent again after a message was lost, in order: the node, the label, and the clauses.

    A request is sent again by itself, and so is a final response to INVITE, which its sender repeats until the ACK (RFC
    3261, sections 13.3.1.4 and 17.2.1). Any other response is sent again after its request is (section 17.2.2), and an
    ACK after the 2xx (section 13.2.2.4).
    """
    peer = next((node for node in leg.split("-") if node != source), source)
    _, *words = label.split()
    if words == ["ACK"]:
        yield peer, "SIP 200 INVITE", _OK_AGAIN
    elif len(words) > 1 and (words[1] != "INVITE" or words[0] < "2"):
        yield peer, f"SIP {words[1]}", _AGAIN
    yield source, label, _OK_AGAIN if len(words) > 1 and words[1] == "INVITE" and words[0][0] == "2" else _AGAIN


def _times_of_copies(evidence: Evidence, source: str, label: str) -> list[float]:
    """Return the times (seconds since 1970) at which the most repeated message with this label was sent."""
    words = tuple(label.split())
    found = [
        [event.t for place in seen.events if _is_sent(event := evidence.events[place], source)]
        for seen in observe_sip(evidence)[0]
        if seen.source == source and seen.words[: len(words)] == words
    ]
    return max(found, key=len, default=[])


def _is_sent(event: Event, node: str) -> bool:
    return event.text("way") == "sent" and event.node == node


def _check_losses(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the packets that the relay loses, and no others, are missing from what the client received"
    lost = {event.number("seq") for event in relay_events(evidence, "lost") if event.text("message") == "RTP"}
    missing = set(_missing(evidence))
    if not lost:
        return CheckResult.without_material(requirement, "the lost packets missing", "the relay lost no RTP")
    strange = missing - lost
    seen = f"{len(lost)} lost, {len(missing)} missing"
    seen += f", {len(strange)} of them not lost by the relay" if strange else ""
    # A lost packet before the first or after the last received one leaves no gap.
    ok = bool(missing) and not strange and len(lost - missing) <= len(lost) // 10
    sender = next((packet.stream[0] for packet in read_packets(evidence)), "media")
    ended = evidence.world.ended
    return conclude(ok, requirement, "the lost packets missing", seen, node=sender, clauses=_WHOLE, t=ended)


def _missing(evidence: Evidence) -> Iterator[int]:
    """Yield the sequence numbers that never arrived, between the first and the last that did."""
    streams: dict[int, list[int]] = {}
    for event in evidence.of("rtp"):
        if event.text("way") == "received":
            streams.setdefault(event.number("ssrc"), []).append(event.number("seq"))
    for numbers in streams.values():
        first = numbers[0]
        steps = {(number - first + 0x8000) % 0x10000 - 0x8000 for number in numbers}
        yield from ((first + step) % 0x10000 for step in range(min(steps), max(steps)) if step not in steps)


def _check_refusals(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "a call that is refused for its content gets 404, or another status and the reason in a Warning"
    expected, all_signals = "404, or a Warning", signals(evidence)
    refusals = [
        refused
        for invite in all_signals
        if invite.message.is_call_to("annc")
        for status in "456"
        if (refused := answer_to(invite, all_signals, status)) is not None
        and refused.message.status != _CANCELLED
        and any(invite.t < event.t < refused.t for event, _ in imap_commands(evidence, "media"))
    ]
    if not refusals:
        return CheckResult.without_material(requirement, expected, "no refusal after the IMAP server was asked")
    texts = [(one, f"{one.message.status}, Warning: {one.message.header('warning') or 'none'}") for one in refusals]
    breaches = tuple(
        Breach(one.source, _REASON, expected, text, one.t)
        for one, text in texts
        if one.message.status not in _SELF_EXPLAINING and not one.message.header("warning")
    )
    return CheckResult(requirement, expected, "; ".join(text for _, text in texts), breaches)


CHECKS = (
    Check(
        "relay did as told",
        (),
        "every rule of the scenario's relay was applied, as often as its `times` says",
        _check_rules,
    ),
    Check(
        "what was lost came again",
        (*_AGAIN, *_OK_AGAIN),
        "each SIP message that the relay lost was sent again",
        _check_retransmissions,
    ),
    Check(
        "loss is heard",
        _WHOLE,
        "RTP that the relay lost, and no other, is missing from what the client received",
        _check_losses,
        general=False,
    ),
    Check(
        "refusal has a warning",
        _REASON,
        "an INVITE refused for its content gets 404, or a reason in Warning",
        _check_refusals,
    ),
)
