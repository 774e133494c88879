"""The judge: a pure function of a scenario and the evidence of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lemonade_testbed.capture.ticket import ticket_lines
from lemonade_testbed.checks.facts import answer_to, signals
from lemonade_testbed.checks.registry import find_check
from lemonade_testbed.checks.timing import measure
from lemonade_testbed.clauses import Clause, load_clauses
from lemonade_testbed.evidence import Event, Evidence
from lemonade_testbed.ladder.imaptext import capabilities
from lemonade_testbed.ladder.matcher import match_ladder
from lemonade_testbed.ladder.model import Arrow, Observed
from lemonade_testbed.ladder.observe import observe
from lemonade_testbed.relay.told import relay_summary, relay_trouble
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import (
    CheckVerdict,
    ClauseVerdict,
    LadderResult,
    Mismatch,
    Outcome,
    Place,
    Reason,
    Verdict,
)

UNSUPPORTED_VERB = 127
_LOG_LINES = 8


def judge(scenario: Scenario, evidence: Evidence, observed: Observed | None = None) -> Verdict:
    """Judge a run; `observed` replaces the ladder read from the evidence (a proof drops and swaps its arrows)."""
    known = load_clauses()
    observed = observe(evidence, scenario.ladder.imap_commands) if observed is None else observed
    ladder = match_ladder(scenario.ladder, observed, evidence.world.media_length)
    checks = tuple(_run_check(scenario, evidence, words) for words in scenario.checks)
    reasons = (
        *_trouble(scenario, evidence),
        *_findings(evidence),
        *_unsupported(scenario, evidence),
        *_ladder_reason(scenario, evidence, ladder),
        *_check_reasons(scenario, checks, known),
        *_step_reasons(scenario, evidence),
    )
    clauses = tuple(_clause(name, scenario, ladder, checks, known) for name in scenario.clauses)
    return Verdict(
        scenario.name,
        _outcome(reasons),
        reasons,
        observed,
        ladder,
        checks,
        clauses,
        (*observed.remarks, *evidence.remarks),
        measure(evidence),
        observed.ignored,
        ticket_lines(evidence),
        relay=relay_summary(evidence),
    )


def _outcome(reasons: tuple[Reason, ...]) -> Outcome:
    """Return the verdict of all reasons: whole evidence first, then what the peer declares, then the worst."""
    found = {reason.outcome for reason in reasons}
    order = (Outcome.ERROR, Outcome.UNSUPPORTED, Outcome.FAIL, Outcome.NONSTRICT)
    return next((outcome for outcome in order if outcome in found), Outcome.PASS)


def _run_check(scenario: Scenario, evidence: Evidence, words: str) -> CheckVerdict:
    check, file = find_check(words)
    return CheckVerdict(words, check.clauses, check.run(scenario, evidence, file))


def _trouble(scenario: Scenario, evidence: Evidence) -> Iterator[Reason]:
    for problem in (*evidence.problems, *relay_trouble(scenario.relay, evidence)):
        expected = "every line of every trace, every packet of the capture"
        yield Reason(None, "The evidence is whole", expected, problem, (), Outcome.ERROR)


def _findings(evidence: Evidence) -> Iterator[Reason]:
    """Yield what the second reader cannot read or calls an error; the testbed's own packets blame nobody."""
    requirement = "The second reader finds no packet malformed and no error by its experts"
    for finding in evidence.findings:
        ours = finding.source == "testbed"
        place = Place("packet", f"{finding.packet} {finding.source}->{finding.target}")
        outcome = Outcome.ERROR if ours else Outcome.FAIL
        yield Reason(None if ours else place, requirement, f"readable {finding.protocol}", str(finding), (), outcome)


def _unsupported(scenario: Scenario, evidence: Evidence) -> Iterator[Reason]:
    """Yield what the scenario needs and a peer itself declares that it does not have."""
    listed = [listing for event in evidence.of("imap") if (listing := _listing(event))]
    for name in scenario.needs.get("imap", ()) if listed else ():
        if not any(name.upper() in listing for listing in listed):
            place = Place("needs", f"imap {name}")
            yield _undeclared(place, f"CAPABILITY with {name}", " ".join(sorted(listed[-1])))
    told = signals(evidence)
    for name in scenario.needs.get("media", ()):
        for invite in told:
            if invite.message.method != "INVITE" or invite.message.is_response or invite.message.service() != name:
                continue
            refusal = answer_to(invite, told, "488") or answer_to(invite, told, "501")
            if refusal is not None and not refusal.message.header("warning"):
                yield _undeclared(Place("needs", f"media {name}"), f"the service {name}", refusal.message.start)
                break
    if evidence.world.exits.get("client") == UNSUPPORTED_VERB:
        yield _undeclared(Place("needs", "client"), "every verb of the script", "the client supports one of them not")


def _undeclared(place: Place, expected: str, seen: str) -> Reason:
    return Reason(place, "The peer has what the scenario needs", expected, seen, (), Outcome.UNSUPPORTED)


def _listing(event: Event) -> frozenset[str]:
    """Return the capabilities that the IMAP server lists in an event's response, if any."""
    from_server = (event.text("way") == "sent") == (event.text("side") == "server")
    return capabilities(event.text("text")) if from_server else frozenset()


def _ladder_reason(scenario: Scenario, evidence: Evidence, ladder: LadderResult) -> Iterator[Reason]:
    mismatch = ladder.mismatch
    died = tuple(_death(node, fate, evidence) for node, fate in evidence.world.died.items())
    if mismatch is None:
        for death in died:
            yield Reason(Place("arrow", "end"), "Every node lives until it is stopped", "a live node", death[0], (),
                         detail=death[1:])  # fmt: skip
        return
    arrows = scenario.ladder.arrows
    due = arrows[mismatch.index - 1] if mismatch.index <= len(arrows) else None
    requirement = (
        f"Arrow {mismatch.index} of the ladder: {due}" if due else "Nothing more after the ladder's last arrow"
    )
    seen = f"{_HOW[mismatch.how]}: {mismatch.seen}"
    yield Reason(
        Place("arrow", str(due) if due else "end"),
        requirement,
        _wanted(mismatch, due, evidence.world.media_length),
        "; ".join([seen, *(death[0] for death in died)]),
        due.clauses if due else (),
        detail=(*mismatch.around, *(line for death in died for line in death[1:])),
    )


_HOW = {
    "missing": "missing; seen instead",
    "extra": "one message too many",
    "out-of-order": "out of order",
    "changed": "another message",
}


def _wanted(mismatch: Mismatch, due: Arrow | None, media_length: float) -> str:
    """Name the arrows that could stand here, and in seconds what `media` means in the one that was due."""
    wanted = " or ".join(mismatch.wanted) or "nothing more"
    if due is None or due.rtp is None:
        return wanted
    low, high = (bound.value(media_length) for bound in (due.rtp.low, due.rtp.high))
    return f"{wanted} (from {low:.2f} s to {high:.2f} s)"


def _death(node: str, fate: object, evidence: Evidence) -> tuple[str, ...]:
    """Return a sentence on the death of a node, and its last log lines."""
    told: Mapping[str, object] = fate if isinstance(fate, Mapping) else {}
    log = told.get("log")
    lines = [str(line) for line in log] if isinstance(log, list) else evidence.files.get(f"{node}.log", "").splitlines()
    code = f" with exit code {told['exit']}" if "exit" in told else ""
    return (f"the {node} node died{code}", f"last lines of {node}.log:", *(f"  {line}" for line in lines[-_LOG_LINES:]))


def _check_reasons(
    scenario: Scenario, checks: tuple[CheckVerdict, ...], known: Mapping[str, Clause]
) -> Iterator[Reason]:
    for check in checks:
        if check.result.ok:
            continue
        broken = tuple(name for name in check.clauses if name in scenario.clauses)
        only_should = bool(broken) and all(known[name].is_should for name in broken)
        outcome = Outcome.NONSTRICT if only_should else Outcome.FAIL
        result = check.result
        yield Reason(Place("check", check.words), result.requirement, result.expected, result.seen, broken, outcome)


def _step_reasons(scenario: Scenario, evidence: Evidence) -> Iterator[Reason]:
    failed = [event for event in evidence.of("step", "client") if event.text("state") == "failed"]
    for event in failed:
        verb, why = event.text("verb"), event.text("why")
        yield Reason(Place("step", verb), f"The client's step {verb!r} succeeds", "done", why or "failed")
    code = evidence.world.exits.get("client")
    if failed or code in {0, None, UNSUPPORTED_VERB}:
        return
    last = next((event.text("verb") for event in reversed(evidence.of("step", "client"))), "")
    verb = last or next(iter(scenario.client[0]))
    seen = "it did not end in its time" if evidence.world.timed_out else f"exit code {code}"
    tail = tuple(evidence.files.get("client.log", "").splitlines()[-_LOG_LINES:])
    yield Reason(Place("step", verb), "The client carries out its script", "exit code 0", seen, detail=tail)


def _clause(
    name: str, scenario: Scenario, ladder: LadderResult, checks: tuple[CheckVerdict, ...], known: Mapping[str, Clause]
) -> ClauseVerdict:
    """Return the verdict on one clause: of the arrows up to the mismatch that observe it, and of the checks."""
    level = known[name].level
    red: list[str] = []
    green: list[str] = []
    taken = {index for index in ladder.arrows if index is not None}
    for arrow in scenario.ladder.arrows:
        if name not in arrow.clauses:
            continue
        if ladder.mismatch is not None and arrow.index == ladder.mismatch.index:
            red.append(f"arrow {arrow.index}")
        elif arrow.index in taken:
            green.append(f"arrow {arrow.index}")
    for check in checks:
        if name in check.clauses:
            (green if check.result.ok else red).append(f"check {check.words}")
    if red:
        outcome = Outcome.NONSTRICT if known[name].is_should else Outcome.FAIL
    else:
        outcome = Outcome.PASS if green else Outcome.UNSUPPORTED
    return ClauseVerdict(name, level, outcome, tuple(red or green))
