"""What the relay's trace tells: how often each rule struck, in words for the verdict, and whether it is whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from lemonade_testbed.evidence import Event, Evidence
from lemonade_testbed.relay.rules import Act, Plan, Rule

_STATES: dict[Act, str] = {"lose": "lost", "duplicate": "duplicated", "reorder": "reordered", "cut": "cut"}
"""What a rule's striking is called in the trace; delay and jitter are not told one by one, but counted at its end."""
_ORDER = ("lost", "duplicated", "reordered", "cut-off", "refused")


def strikes(evidence: Evidence, rule: Rule) -> int:
    """Return how often a rule struck."""
    state = _STATES.get(rule.act)
    if state is not None:
        return sum(event.number("rule") == rule.number for event in told(evidence, state))
    counts = [event.fields.get("struck") for event in told(evidence, "stopped")]
    return sum(int(count.get(str(rule.number), 0)) for count in counts if isinstance(count, Mapping))


def told(evidence: Evidence, state: str) -> list[Event]:
    """Return the relay's events of a state."""
    return [event for event in evidence.of("relay", "relay") if event.text("state") == state]


def relay_summary(evidence: Evidence) -> str:
    """Return seed and counts in one line, such as `seed 7, lost 1 SIP INVITE`; empty for a run without a relay."""
    started = told(evidence, "started")
    if not started:
        return ""
    return ", ".join((f"seed {started[0].number('seed')}", *_counts(evidence)))


def _counts(evidence: Evidence) -> Iterator[str]:
    for state in _ORDER:
        counted = Counter(event.text("message") for event in told(evidence, state))
        for message, count in sorted(counted.items()):
            yield f"{state} {count} {message}"
    for event in told(evidence, "cut"):
        yield f"cut {event.text('leg')} after {event.number('octets')} octets"
    for event in told(evidence, "healed"):
        yield f"healed {event.text('leg')}"


def relay_trouble(plan: Plan | None, evidence: Evidence) -> Iterator[str]:
    """Yield why the relay's part of the evidence cannot be trusted; with the plan of the scenario."""
    if plan is None:
        return
    if not told(evidence, "started") or not told(evidence, "stopped"):
        yield "trace-relay.jsonl does not tell of the relay from its start to its end"
    elif told(evidence, "started")[0].number("seed") != plan.seed:
        yield "trace-relay.jsonl tells of another seed than the scenario's"
