"""The summary of a run per role."""

from __future__ import annotations

from lemonade_testbed.ladder.model import LadderResult, Observed
from lemonade_testbed.report.text import count_outcomes, role_lines, summarise_roles
from lemonade_testbed.verdict import ClauseVerdict, Outcome, Place, Reason, Verdict


def verdict(outcome: Outcome, *clauses: ClauseVerdict, node: str = "", role: str = "") -> Verdict:
    place = Place("check", "a")
    reasons = (Reason(place, "r", "e", "s", (), outcome, node=node, role=role),) if node else ()
    return Verdict("one", outcome, reasons, Observed(()), LadderResult(()), clauses=clauses)


def clause(name: str, outcome: Outcome, *nodes: str) -> ClauseVerdict:
    return ClauseVerdict(name, "text", outcome, (), nodes)


def test_a_clause_counts_for_the_roles_that_it_binds() -> None:
    found = summarise_roles([verdict(Outcome.PASS, clause("LS-2.5-5", Outcome.PASS), clause("LS-1-2", Outcome.PASS))])
    assert found == {"imap": {}, "media": {"LS-2.5-5": Outcome.PASS}, "client": {"LS-1-2": Outcome.PASS}}


def test_one_broken_scenario_outweighs_one_that_keeps_the_clause() -> None:
    broken = verdict(Outcome.FAIL, clause("LS-2.5-5", Outcome.FAIL, "ms1"), node="ms1", role="media")
    kept = verdict(Outcome.PASS, clause("LS-2.5-5", Outcome.PASS))
    for order in ([broken, kept], [kept, broken]):
        assert summarise_roles(order)["media"] == {"LS-2.5-5": Outcome.FAIL}


def test_a_clause_that_another_role_broke_is_not_reached_by_this_one() -> None:
    broken = verdict(Outcome.FAIL, clause("LS-1-1", Outcome.FAIL, "media"), node="media", role="media")
    found = summarise_roles([broken])
    assert found["media"] == {"LS-1-1": Outcome.FAIL}
    assert found["client"] == {"LS-1-1": Outcome.NOT_REACHED}


def test_unsupported_is_the_role_that_lacks_it_alone() -> None:
    lacking = verdict(Outcome.UNSUPPORTED, clause("LS-1-1", Outcome.UNSUPPORTED), node="media", role="media")
    found = summarise_roles([lacking])
    assert found["media"] == {"LS-1-1": Outcome.UNSUPPORTED}
    assert found["client"] == {"LS-1-1": Outcome.NOT_REACHED}


def test_a_line_for_each_role_counts_its_clauses() -> None:
    verdicts = [
        verdict(
            Outcome.FAIL,
            clause("LS-2.5-5", Outcome.FAIL, "media"),
            clause("LS-2.8-1", Outcome.PASS),
            clause("LS-2.8-2", Outcome.NOT_REACHED),
            node="media",
            role="media",
        )
    ]
    assert role_lines(verdicts) == ["media server: 1 clauses pass, 1 fail, 1 not reached"]
    assert count_outcomes({"a": Outcome.PASS, "b": Outcome.PASS}) == {"pass": 2}
