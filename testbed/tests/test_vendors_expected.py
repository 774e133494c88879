from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lemonade_testbed.ladder.model import LadderResult, Mismatch, Observed
from lemonade_testbed.places import Places
from lemonade_testbed.vendors.catalogue import load_vendors
from lemonade_testbed.vendors.expected import FOLDER, ExpectedDifference, differences_of, load_differences, without
from lemonade_testbed.verdict import CheckResult, CheckVerdict, Outcome, Place, Reason, Verdict
from lemonade_wire.script import ScriptError

ARROW = Place("arrow", "imap-->>client: IMAP OK GENURLAUTH")
CHECK = Place("check", "url fetched is url played")
STEP = Place("step", "authorise")
LACK = Place("needs", "client")
RED = {Outcome.FAIL, Outcome.ERROR}


def difference(place: Place, vendor: str = "dovecot") -> ExpectedDifference:
    return ExpectedDifference(vendor, "expired-ticket", place, "LS-2.3-6", "it refuses", "dovecot.yaml", 2)


def verdict(*places: Place | None, outcome: Outcome = Outcome.FAIL) -> Verdict:
    reasons = tuple(Reason(place, "r", "e", "s", (), outcome) for place in places)
    red = any(place and place.kind == "arrow" for place in places)
    mismatch = Mismatch(4, 3, "changed", (), "") if red else None
    return Verdict(
        "expired-ticket", outcome if places else Outcome.PASS, reasons, Observed(()), LadderResult((), {}, mismatch)
    )


def test_the_files_name_known_peers_scenarios_places_and_clauses() -> None:
    scenarios = {scenario.name: scenario for scenario in Places.find().load()}
    files = sorted(FOLDER.glob("*.yaml"))
    assert {file.stem for file in files} == set(load_vendors())
    for file in files:
        known = load_differences(file.stem)
        assert known
        for one in known:
            assert one in differences_of(scenarios[one.scenario], known)


def test_an_expected_difference_is_no_failure_and_stays_in_the_report() -> None:
    judged = without(verdict(ARROW, STEP), [difference(ARROW)], listed=True)
    assert judged.outcome is Outcome.PASS
    assert judged.reasons == ()
    assert judged.differences == (f"{ARROW} [LS-2.3-6] differs as dovecot is expected to: it refuses",)


def test_an_expected_difference_that_does_not_happen_fails() -> None:
    judged = without(verdict(), [difference(ARROW)], listed=True)
    assert judged.outcome is Outcome.FAIL
    (reason,) = judged.reasons
    assert (reason.place, reason.clauses) == (ARROW, ("LS-2.3-6",))
    assert "dovecot.yaml:2" in reason.requirement
    assert "out of date" in reason.seen


def test_a_difference_that_no_file_names_stays_a_failure() -> None:
    other = Place("arrow", "client->>imap: IMAP FETCH BODYSTRUCTURE")
    judged = without(verdict(other), [], listed=True)
    assert judged == verdict(other)
    judged = without(verdict(CHECK, Place("check", "rtp is paced")), [difference(CHECK)], listed=True)
    assert judged.outcome is Outcome.FAIL
    assert judged.red() == (Place("check", "rtp is paced"),)


def test_an_expected_failed_check_excuses_a_failed_step() -> None:
    judged = without(verdict(CHECK, STEP), [difference(CHECK)], listed=True)
    assert judged.outcome is Outcome.PASS


def test_a_breach_that_is_no_consequence_fails_beside_an_expected_one() -> None:
    judged = without(verdict(ARROW, CHECK), [difference(ARROW)], listed=True)
    assert judged.outcome is Outcome.FAIL
    assert judged.red() == (CHECK,)


def test_a_check_that_was_not_reached_was_not_due() -> None:
    result = CheckResult.without_material("r", "e", "s")
    idle = replace(verdict(), checks=(CheckVerdict(CHECK.where, (), result, Outcome.NOT_REACHED),))
    assert without(idle, [difference(CHECK)], listed=True).outcome is Outcome.PASS
    held = replace(verdict(), checks=(CheckVerdict(CHECK.where, (), result, Outcome.PASS),))
    assert without(held, [difference(CHECK)], listed=True).outcome is Outcome.FAIL


def test_the_second_of_two_arrows_cannot_be_seen_behind_the_first() -> None:
    later = Place("arrow", "media-->>client: SIP 404 INVITE")
    judged = without(verdict(ARROW), [difference(ARROW), difference(later, "sipp")], listed=True)
    assert judged.outcome is Outcome.PASS
    assert len(judged.differences) == 1


def test_a_lacking_capability_is_unsupported_if_named_and_else_fails() -> None:
    lacking = verdict(LACK, STEP, outcome=Outcome.UNSUPPORTED)
    judged = without(lacking, [difference(LACK), difference(CHECK)], listed=True)
    assert judged.outcome is Outcome.UNSUPPORTED
    assert judged.reasons == ()
    assert len(judged.differences) == 1
    assert without(verdict(LACK, outcome=Outcome.UNSUPPORTED), [], listed=True).outcome is Outcome.FAIL
    assert without(verdict(LACK, outcome=Outcome.UNSUPPORTED), [], listed=False).outcome is Outcome.UNSUPPORTED


def test_an_error_of_the_testbed_is_left_unchanged() -> None:
    troubled = verdict(None, ARROW, outcome=Outcome.ERROR)
    assert without(troubled, [difference(ARROW)], listed=True) is troubled


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: b\n", 1, "a list is expected"),
        ("- {scenario: a, place: check b, clause: LS-1-1}\n", 1, "reason"),
        ("- {scenario: a, place: check b, clause: LS-99, reason: c}\n", 1, "unknown clause 'LS-99'"),
        ("- {scenario: a, place: step b, clause: LS-1-1, reason: c}\n", 1, "unknown place 'step'"),
    ],
)
def test_an_error_in_a_file_is_named_with_its_line(tmp_path: Path, text: str, line: int, said: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(ScriptError) as caught:
        load_differences("x", path)
    assert caught.value.line == line
    assert said in str(caught.value)


def test_a_place_that_the_scenario_does_not_have_is_refused_before_the_run() -> None:
    (scenario,) = Places.find().load(["expired-ticket"])
    assert differences_of(scenario, [difference(ARROW), difference(CHECK)])
    with pytest.raises(ScriptError, match=r"dovecot\.yaml:2: expired-ticket has no check 'url fetched'"):
        differences_of(scenario, [difference(Place("check", "url fetched"))])
