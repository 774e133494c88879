"""Checks of runs through the relay: it struck, what it lost was repaired, and what cannot be repaired is noticed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from lemonade_testbed.checks.audio import heard_is_part
from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.facts import answer_to, signals
from lemonade_testbed.evidence import Event, Evidence
from lemonade_testbed.ladder.observe import observe_sip
from lemonade_testbed.relay.told import relay_summary, strikes, told
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import CheckResult


def _did_as_told(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "every rule of the relay strikes, as often as it says"
    rules = scenario.relay.rules if scenario.relay else ()
    wrong = []
    for rule in rules:
        count = strikes(evidence, rule)
        if count == 0 or (rule.times is not None and count != rule.times):
            wrong.append(f"rule {rule.number} ({rule}) struck {count} times")
    obeyed = bool(rules) and not wrong
    expected = "; ".join(map(str, rules)) or "rules"
    return CheckResult(obeyed, requirement, expected, "; ".join(wrong) or relay_summary(evidence) or "no relay")


def _came_again(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "every SIP message that the relay loses is sent again until it arrives (RFC 3261, 17)"
    lost = Counter((event.text("source"), event.text("message")) for event in told(evidence, "lost"))
    wanted = {key: count for key, count in lost.items() if key[1].startswith("SIP ")}
    expected = ", ".join(
        f"{label} from {source}: over {count} sent, 1 arrived" for (source, label), count in wanted.items()
    )
    seen, ok = [], bool(wanted)
    for (source, label), count in wanted.items():
        sent, arrived = _copies(evidence, source, label)
        ok = ok and sent > count and arrived > 0
        seen.append(f"{label} from {source}: {sent} sent, {arrived} arrived")
    return CheckResult(ok, requirement, expected or "a lost SIP message", ", ".join(seen) or "none was lost")


def _copies(evidence: Evidence, source: str, label: str) -> tuple[int, int]:
    """Return how often the most repeated message of that label was sent, and how often it arrived."""
    words = tuple(label.split())
    best = (0, 0)
    for seen in observe_sip(evidence)[0]:
        if seen.source == source and seen.words[: len(words)] == words:
            events = [evidence.events[place] for place in seen.events]
            best = max(best, (_ways(events, "sent", seen.source), _ways(events, "received", seen.target)))
    return best


def _ways(events: list[Event], way: str, node: str) -> int:
    return sum(event.text("way") == way and event.node == node for event in events)


def _loss_heard(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the packets that the relay loses, and no others, are missing from what the client hears"
    lost = {event.number("seq") for event in told(evidence, "lost") if event.text("message") == "RTP"}
    missing = set(_missing(evidence))
    ear = heard_is_part(evidence, None)
    # A packet lost before the first or after the last one that was heard leaves no gap.
    ok = bool(missing) and missing <= lost and len(lost - missing) <= len(lost) // 10 and not ear.ok
    seen = f"{len(lost)} lost, {len(missing)} missing"
    strange = len(missing - lost)
    seen += f", {strange} of them not lost by the relay" if strange else ""
    return CheckResult(ok, requirement, "the lost packets missing", f"{seen}; the ear: {ear.seen}")


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


def _refusal_warns(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "who refuses a call because the content cannot be had says so in a Warning (RFC 3261, 20.43)"
    told_by = signals(evidence)
    refusals = [
        refused.message
        for invite in told_by
        if invite.message.method == "INVITE" and not invite.message.is_response
        for status in "456"
        if (refused := answer_to(invite, told_by, status)) is not None
    ]
    ok = bool(refusals) and all(refused.header("warning") for refused in refusals)
    seen = "; ".join(f"{one.status}, Warning: {one.header('warning') or 'none'}" for one in refusals)
    return CheckResult(ok, requirement, "a Warning in every refusal", seen or "no refusal")


CHECKS = (
    Check(
        "relay did as told",
        (),
        "every rule of the scenario's relay struck, as often as its `times` says",
        _did_as_told,
    ),
    Check(
        "what was lost came again",
        (),
        "each SIP message that the relay lost was sent again and arrived",
        _came_again,
    ),
    Check(
        "loss is heard",
        ("LS-2.1-6",),
        "RTP that the relay lost, and no other, is missing from what the client heard, and the ear says so",
        _loss_heard,
    ),
    Check("refusal has a warning", ("LS-2.8-12",), "a refused INVITE gets a reason in Warning", _refusal_warns),
)
