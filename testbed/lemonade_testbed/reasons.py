"""Finds why a run is not `pass`: each reason has a place, clauses, and the node that is charged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from lemonade_testbed.checks.facts import Signal, answer_to, declared_services, signals
from lemonade_testbed.clauses import DIAGRAMS, Clause
from lemonade_testbed.evidence import Event, Evidence
from lemonade_testbed.ladder.blame import Charge, charge_mismatch
from lemonade_testbed.ladder.imaptext import capabilities
from lemonade_testbed.ladder.matcher import Matcher
from lemonade_testbed.ladder.model import LadderResult, Observed
from lemonade_testbed.relay.evidence import relay_trouble
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import CheckResult, Outcome, Place, Reason

UNSUPPORTED_VERB = 127
_LOG_LINES = 8
_READABLE = {"sdp": "RFC4566-5", "rtp": "LS-2.1-6", "rtcp": "LS-2.1-6", "imap": "RFC3501-7"}
"""The clause that a packet breaks if the second reader cannot read it, by protocol; for all others see RFC3261-7."""


@dataclass(frozen=True)
class Judged:
    """The material of a verdict: the run, its matched ladder, and the results of its checks by their words."""

    scenario: Scenario
    evidence: Evidence
    matcher: Matcher
    observed: Observed
    ladder: LadderResult
    results: Mapping[str, CheckResult]
    known: Mapping[str, Clause]

    def outcome_of(self, clauses: Sequence[str]) -> Outcome:
        """Return the outcome of breaking `clauses`; without clauses it is an error of the testbed."""
        if not clauses:
            return Outcome.ERROR
        return Outcome.NONSTRICT if all(self.known[name].is_should for name in clauses) else Outcome.FAIL

    @cached_property
    def charge(self) -> Charge | None:
        """The node and the arrow that the mismatch of the ladder is charged to; None if the ladder matches."""
        return charge_mismatch(self.matcher, self.observed, self.ladder, self.evidence)

    @property
    def diagram(self) -> str:
        """The clause for the diagram of the draft that the scenario follows: that of the IVR service, or of
        announcements.
        """
        arrows = self.scenario.ladder.arrows
        return DIAGRAMS[any(arrow.words[:3] == ("SIP", "INVITE", "ivr") for arrow in arrows)]


def find_reasons(judged: Judged) -> Iterator[Reason]:
    """Yield everything that is wrong with a run, consequences too, in no particular order."""
    yield from _capture_findings(judged.evidence)
    yield from _unsupported(judged.scenario, judged.evidence)
    yield from _deaths(judged)
    yield from _mismatch(judged)
    yield from _check_reasons(judged)
    yield from _step_reasons(judged)


def find_trouble(scenario: Scenario, evidence: Evidence) -> Iterator[Reason]:
    """Yield what is wrong with the evidence itself, for which no node is charged."""
    for problem in (*evidence.problems, *relay_trouble(scenario.relay, evidence)):
        expected = "every line of every trace, every packet of the capture"
        yield Reason(None, "The evidence is whole", expected, problem, (), Outcome.ERROR)


def _capture_findings(evidence: Evidence) -> Iterator[Reason]:
    """Yield the packets that the second reader reports as malformed or as an error.

    Packets of the testbed itself are charged to no node.
    """
    requirement = "The second reader reports no malformed packet and no error"
    for finding in evidence.findings:
        expected, seen = f"readable {finding.protocol}", str(finding)
        if finding.source == "testbed":
            yield Reason(None, requirement, expected, seen, (), Outcome.ERROR)
            continue
        t = next((event.t for event in evidence.events if event.fields.get("packet") == finding.packet), 0.0)
        yield Reason(
            Place("packet", f"{finding.packet} {finding.source}->{finding.target}"),
            requirement,
            expected,
            seen,
            (_READABLE.get(finding.protocol.lower(), "RFC3261-7"),),
            node=finding.source,
            role=evidence.world.kind_of(finding.source),
            t=t,
            alone=True,
        )


def _unsupported(scenario: Scenario, evidence: Evidence) -> Iterator[Reason]:
    """Yield what the scenario needs and a peer itself declares that it lacks."""
    listings = [(event, listing) for event in evidence.of("imap") if (listing := _listing(event))]
    for name in scenario.needs.get("imap", ()) if listings else ():
        if not any(name.upper() in listing for _, listing in listings):
            event, listing = listings[-1]
            place = Place("needs", f"imap {name}")
            yield _unsupported_reason(place, f"CAPABILITY with {name}", " ".join(sorted(listing)), "imap", event.t)
    for name in scenario.needs.get("media", ()):
        refusal = _missing_service(name, evidence)
        if refusal is not None:
            place, seen = Place("needs", f"media {name}"), refusal.message.start
            yield _unsupported_reason(place, f"the service {name}", seen, refusal.source, refusal.t)
    if evidence.world.exits.get("client") == UNSUPPORTED_VERB:
        seen = "the client declares that it does not support one of them"
        yield _unsupported_reason(
            Place("needs", "client"), "every verb of the script", seen, "client", evidence.world.started
        )


def _missing_service(name: str, evidence: Evidence) -> Signal | None:
    """Return the refusal by which a media server says that it has no service `name`; None if it does not say so.

    It says so if it refuses every INVITE to the service and OPTIONS as RFC 4240, section 2, describes, and has another
    service. A node that refuses everything is not a media server (LS-2.1-8).
    """
    all_signals, declared = signals(evidence), declared_services(evidence)
    calls = [one for one in all_signals if one.message.is_call_to(name)]
    refusals = [answer_to(call, all_signals, "488") or answer_to(call, all_signals, "501") for call in calls]
    refusal = next((one for one in refusals if one is not None and not one.message.header("warning")), None)
    if refusal is None or any(answer_to(call, all_signals) for call in calls):
        return None
    node = refusal.source
    others = [status for (one, service), status in declared.items() if one == node and service != name]
    invites = [one for one in all_signals if one.message.method == "INVITE" and one.target == node]
    served = any(answer_to(one, all_signals) for one in invites if not one.message.is_response)
    refused = not declared.get((node, name), "488").startswith("2")
    return refusal if refused and (served or not others or "200" in others) else None


def _unsupported_reason(place: Place, expected: str, seen: str, node: str, t: float) -> Reason:
    requirement = "The peer has what the scenario needs"
    role = place.where.partition(" ")[0]
    return Reason(place, requirement, expected, seen, (), Outcome.UNSUPPORTED, node=node, role=role, t=t)


def _listing(event: Event) -> frozenset[str]:
    """Return the capabilities that the IMAP server lists in the response of an event; empty without a list."""
    from_server = (event.text("way") == "sent") == (event.text("side") == "server")
    return capabilities(event.text("text")) if from_server else frozenset()


def _mismatch(judged: Judged) -> Iterator[Reason]:
    charge = judged.charge
    mismatch = judged.ladder.mismatch
    if charge is None or mismatch is None or charge.node in judged.evidence.world.died:
        return  # what a dead node left out is reported with its death
    clauses = (charge.arrow.clauses if charge.arrow else ()) or (judged.diagram,)
    yield Reason(
        Place("arrow", str(charge.arrow) if charge.arrow else _due(judged.scenario, mismatch.index)),
        judged.known[clauses[0]].says,
        charge.expected,
        charge.seen,
        clauses,
        judged.outcome_of(clauses),
        detail=mismatch.around,
        ends=True,
        node=charge.node,
        role=judged.evidence.world.kind_of(charge.node),
        t=charge.t,
    )


def _deaths(judged: Judged) -> Iterator[Reason]:
    """Yield a reason for each node that died after it was ready, at the arrow that it left out, if there is one."""
    evidence = judged.evidence
    charge = judged.charge
    for node, fate in evidence.world.died.items():
        facts: Mapping[str, object] = fate if isinstance(fate, Mapping) else {}
        t = facts.get("t")
        sentence, *detail = _death(node, facts, evidence)
        arrow = charge.arrow if charge is not None and charge.node == node else None
        yield Reason(
            Place("arrow", str(arrow) if arrow else "end"),
            "Every node runs until it is stopped",
            "a running node",
            sentence,
            (arrow.clauses if arrow else ()) or (judged.diagram,),
            detail=(*(judged.ladder.mismatch.around if arrow and judged.ladder.mismatch else ()), *detail),
            node=node,
            role=evidence.world.kind_of(node),
            t=float(t) if isinstance(t, int | float) else evidence.world.ended,
            alone=True,
        )


def _due(scenario: Scenario, index: int) -> str:
    arrows = scenario.ladder.arrows
    return str(arrows[index - 1]) if index <= len(arrows) else "end"


def _death(node: str, facts: Mapping[str, object], evidence: Evidence) -> tuple[str, ...]:
    """Return a sentence on the death of a node, and the last lines of its log."""
    log = facts.get("log")
    lines = [str(line) for line in log] if isinstance(log, list) else evidence.files.get(f"{node}.log", "").splitlines()
    code = f" with exit code {facts['exit']}" if "exit" in facts else ""
    return (f"the {node} node died{code}", f"last lines of {node}.log:", *(f"  {line}" for line in lines[-_LOG_LINES:]))


def _check_reasons(judged: Judged) -> Iterator[Reason]:
    """Yield the breaches that the checks found; those of one kind by one node become one reason.

    A node that is wrong on purpose (`given: wrong`) is not charged, because the scenario judges how the others react.
    """
    for words, result in judged.results.items():
        charged = [one for one in result.breaches if not _is_wrong_on_purpose(judged, one.node)]
        charged.sort(key=lambda one: (one.node, one.clauses, one.t))
        for _, group in groupby(charged, key=lambda one: (one.node, one.clauses)):
            first, *more = group
            yield Reason(
                Place("check", words),
                result.requirement,
                first.expected,
                first.seen + (f" (and {len(more)} more of the kind)" if more else ""),
                first.clauses,
                judged.outcome_of(first.clauses),
                node=first.node,
                role=judged.evidence.world.kind_of(first.node),
                t=first.t,
                alone=first.alone,
                ends=first.ends,
            )


def _is_wrong_on_purpose(judged: Judged, node: str) -> bool:
    """Tell whether a node runs with the fault that the scenario gives it, and with no other one."""
    world, wrong = judged.evidence.world, judged.scenario.given.wrong
    names = {node, world.kind_of(node)}
    return any(world.faults.get(name, wrong[name]) == wrong[name] for name in names & wrong.keys())


def _step_reasons(judged: Judged) -> Iterator[Reason]:
    """Yield the failed steps of the client, which are charged to it if nothing before explains them."""
    evidence, clauses = judged.evidence, (judged.diagram,)
    failed = [event for event in evidence.of("step") if event.text("state") == "failed"]
    for event in failed:
        verb, why = event.text("verb"), event.text("why")
        requirement = f"The client's step {verb!r} succeeds"
        yield Reason(Place("step", verb), requirement, "done", why or "failed", clauses,
                     node=event.node, role="client", t=event.t)  # fmt: skip
    code = evidence.world.exits.get("client")
    if failed or code in {0, None, UNSUPPORTED_VERB}:
        return
    last = next((event.text("verb") for event in reversed(evidence.of("step", "client"))), "")
    verb = last or next(iter(judged.scenario.client[0]))
    seen = "it did not end in time" if evidence.world.timed_out else f"exit code {code}"
    tail = tuple(evidence.files.get("client.log", "").splitlines()[-_LOG_LINES:])
    yield Reason(Place("step", verb), "The client carries out its script", "exit code 0", seen, clauses,
                 detail=tail, node="client", role="client", t=evidence.world.ended)  # fmt: skip
