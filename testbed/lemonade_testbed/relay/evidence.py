"""Reads the relay's trace: how often each rule was applied, a summary for the verdict, and whether it is complete."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from lemonade_testbed.evidence import Event, Evidence
from lemonade_testbed.relay.rules import Act, Plan, Rule

_STATES: dict[Act, str] = {"lose": "lost", "duplicate": "duplicated", "reorder": "reordered", "cut": "cut"}
"""The state that the trace has for each application of a rule; those of `delay` and `jitter` are counted at its end."""
_ORDER = ("lost", "duplicated", "reordered", "cut-off", "refused")


def strikes(evidence: Evidence, rule: Rule) -> int:
    """Return how often a rule was applied."""
    state = _STATES.get(rule.act)
    if state is not None:
        return sum(event.number("rule") == rule.number for event in relay_events(evidence, state))
    counts = [event.fields.get("struck") for event in relay_events(evidence, "stopped")]
    return sum(int(count.get(str(rule.number), 0)) for count in counts if isinstance(count, Mapping))


def relay_events(evidence: Evidence, state: str) -> list[Event]:
    """Return the relay's events with the state `state`."""
    return [event for event in evidence.of("relay", "relay") if event.text("state") == state]


def relay_summary(evidence: Evidence) -> str:
    """Return the seed and the counts in one line, such as `seed 7, lost 1 SIP INVITE`; empty without a relay."""
    started = relay_events(evidence, "started")
    if not started:
        return ""
    return ", ".join((f"seed {started[0].number('seed')}", *_counts(evidence)))


def _counts(evidence: Evidence) -> Iterator[str]:
    for state in _ORDER:
        counted = Counter(event.text("message") for event in relay_events(evidence, state))
        for message, count in sorted(counted.items()):
            yield f"{state} {count} {message}"
    for event in relay_events(evidence, "cut"):
        yield f"cut {event.text('leg')} after {event.number('octets')} octets"
    for event in relay_events(evidence, "healed"):
        yield f"healed {event.text('leg')}"


def relay_trouble(plan: Plan | None, evidence: Evidence) -> Iterator[str]:
    """Yield a sentence if the relay's trace is incomplete, or does not fit the scenario's plan (None: no relay)."""
    if plan is None:
        return
    if not relay_events(evidence, "started") or not relay_events(evidence, "stopped"):
        yield "trace-relay.jsonl does not cover the relay from its start to its end"
    elif relay_events(evidence, "started")[0].number("seed") != plan.seed:
        yield "trace-relay.jsonl has another seed than the scenario"
