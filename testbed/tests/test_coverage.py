"""What scenarios judge, read from their files: per clause, check and kind of arrow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lemonade_testbed.checks.registry import CHECKS
from lemonade_testbed.clauses import SCENARIOS, Clause, load_clauses
from lemonade_testbed.coverage import find_coverage
from lemonade_testbed.faults import known_faults
from lemonade_testbed.ladder.parser import parse_ladder
from lemonade_testbed.places import Places
from lemonade_testbed.report.coverage_page import coverage_page
from lemonade_testbed.runtime.local import installed_programs
from lemonade_testbed.scenario.model import Given, NamedFault, Scenario
from lemonade_testbed.verdict import Place

LADDER = """client->>media: SIP INVITE annc $url %% LS-2.5-2
media-->>client: SIP 200 INVITE %% LS-2.5-5
"""
OK = Place("arrow", "media-->>client: SIP 200 INVITE")


def clause(name: str, role: str, **more: str) -> Clause:
    return Clause(name, "2", (role,), "text", f"what {name} says", "argument", **more)


def scenario(*faults: NamedFault) -> Scenario:
    given = Given("mail.eml", {"joe": "secret"})
    clauses = ("LS-2.5-2", "LS-2.5-5")
    return Scenario("one", "", "", clauses, {}, given, (), parse_ladder(LADDER), (), faults, Path("one.yaml"))


def fault(role: str, *clauses: str) -> NamedFault:
    return NamedFault(role, "early", (OK,), 1, {OK: clauses})


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> dict[str, Clause]:
    monkeypatch.setattr("lemonade_testbed.coverage.CHECKS", {})
    clauses = [clause("LS-2.5-2", "client"), clause("LS-2.5-5", "media"), clause("LS-6-1", "media", unobservable="x")]
    return {one.id: one for one in [*clauses, clause("LS-3-4", "client", planned="TLS"), clause("LS-9-9", "imap")]}


def test_a_clause_is_judged_by_a_place_and_a_fault_of_a_node_that_it_binds(known: dict[str, Clause]) -> None:
    coverage = find_coverage([scenario(fault("media", "LS-2.5-5"))], known)
    assert {name: one.status for name, one in coverage.clauses.items()} == {
        "LS-2.5-2": "lacking: no fault of a node that it binds turns it red",
        "LS-2.5-5": "judged",
        "LS-6-1": "not observable",
        "LS-3-4": "planned",
        "LS-9-9": "lacking: no arrow and no check observes it",
    }
    assert coverage.clauses["LS-2.5-5"].faults == ["media=early"]
    assert coverage.arrows == {"SIP INVITE": (), "SIP answer to INVITE": ("media=early",)}


def test_a_clause_check_or_arrow_without_a_proof_is_listed(known: dict[str, Clause]) -> None:
    assert list(find_coverage([scenario(fault("media", "LS-2.5-5"))], known).lacking()) == [
        "clause LS-2.5-2 (text) is lacking: no fault of a node that it binds turns it red",
        "clause LS-9-9 (text) is lacking: no arrow and no check observes it",
        "arrow 'SIP INVITE' is the place of no fault",
    ]


def test_a_fault_of_another_node_proves_nothing(known: dict[str, Clause]) -> None:
    assert find_coverage([scenario(fault("client", "LS-2.5-5"))], known).clauses["LS-2.5-5"].lacks


def test_the_page_names_clauses_reasons_and_faults(known: dict[str, Clause]) -> None:
    one = scenario(fault("media", "LS-2.5-5"))
    page = coverage_page(find_coverage([one], known), [one], {"media=early": "answers | too early"})
    assert "| LS-2.5-5 | text | media | `media-->>client: SIP 200 INVITE` | one | media=early |" in page
    assert "| LS-6-1 | text | x |" in page
    assert "planned: TLS" in page
    assert "| media=early | answers \\| too early | one: arrow media-->>client: SIP 200 INVITE (LS-2.5-5) |" in page


@pytest.fixture(scope="module")
def faults() -> dict[str, dict[str, str]]:
    """Return what the three nodes list: role, fault, and its clauses and summary in one line."""
    return known_faults(installed_programs())


def test_the_page_of_docs_is_what_the_scenarios_and_checks_give(faults: dict[str, dict[str, str]]) -> None:
    scenarios = Places.find([SCENARIOS]).load(known_faults=faults)
    summaries = {f"{role}={name}": text for role, names in faults.items() for name, text in names.items()}
    page = (SCENARIOS.parent / "docs" / "clause-coverage.md").read_text(encoding="utf-8")
    assert page == coverage_page(find_coverage(scenarios), scenarios, summaries), (
        "write it anew: lemonade clauses --coverage --page docs/clause-coverage.md"
    )


def _used(faults: dict[str, dict[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield where a clause is named, and its id."""
    for words, check in CHECKS.items():
        yield from ((f"check {words}", name) for name in check.clauses)
    for one in Places.find([SCENARIOS]).load(known_faults=faults):
        yield from ((f"{one.name}: {arrow}", name) for arrow in one.ladder.arrows for name in arrow.clauses)
        for named in one.faults:
            yield from ((f"{one.name}: {named.name}", name) for names in named.clauses.values() for name in names)
    for role, listed in faults.items():
        for fault_name, line in listed.items():
            breaks = re.match(r"((?:LS|SM|RFC[0-9]+)-[0-9.-]+ )*", line)
            assert breaks, line
            assert breaks[0] or role == "relay", f"{role}={fault_name} names no clause"
            yield from ((f"{role}={fault_name}", name) for name in breaks[0].split())


def test_every_clause_that_a_check_an_arrow_or_a_fault_names_exists(faults: dict[str, dict[str, str]]) -> None:
    assert [one for one in _used(faults) if one[1] not in load_clauses()] == []
