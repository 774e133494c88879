from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from lemonade_testbed.clauses import SCENARIOS, Clause
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.model import LadderResult, Observed
from lemonade_testbed.ladder.parser import parse_ladder
from lemonade_testbed.mutate import MutationResult
from lemonade_testbed.prove import SHORT_MAIL, Proof, _off_node, prove, short_mail, too_many_repeated, unnamed
from lemonade_testbed.run import ScenarioRunner
from lemonade_testbed.runtime.local import LocalRuntime
from lemonade_testbed.scenario.model import Given, NamedFault, Scenario
from lemonade_testbed.scenario_loader import load_scenario
from lemonade_testbed.verdict import Outcome, Place, Reason, Verdict

BYE = Place("arrow", "media->>client: SIP BYE")
HEARD = Place("check", "audio heard is the part")
LOGS_OUT = Place("check", "media server logs out")
NO_BYE = NamedFault("media", "no-bye", (BYE,), 30)
NO_LOGOUT = NamedFault("media", "no-logout", (LOGS_OUT,), 31, {LOGS_OUT: ("LS-2.8-10",)})

SWAP = MutationResult("swap", "c", 1, 1)
RIGHT = [MutationResult("drop", "a", 1, 1), MutationResult("drop", "b", 2, 2), SWAP]
WRONG = [MutationResult("drop", "a", 1, 1), MutationResult("drop", "b", 2, 3), SWAP]


def red(*places: Place, node: str = "media", clauses: tuple[str, ...] = ()) -> Verdict:
    reasons = tuple(Reason(place, "what must be", "this", "that", clauses, node=node, role=node) for place in places)
    return Verdict("one", Outcome.FAIL if places else Outcome.PASS, reasons, Observed(()), LadderResult(()))


@pytest.fixture
def proofs(
    tmp_path: Path, fake_programs: Callable[..., dict[str, list[str]]], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[Proof]]:
    """Return a function that proves one scenario with faults.

    Its argument maps each fault (an empty text for none) to the judge's verdict; the key begins with `short` for a run
    with the short mail. A list holds the verdicts of one attempt after the other.
    """
    (tmp_path / "mail.eml").write_text("Subject: x\n\nno sound\n")
    (tmp_path / "one.yaml").write_text("scenario: one\n")
    ladder = parse_ladder("client->>imap: IMAP FETCH BODYSTRUCTURE")
    given = Given("mail.eml", {"joe": "secret"})
    scenario = Scenario("one", "", "", (), {}, given, (), ladder, (), (), tmp_path / "one.yaml", (tmp_path,))

    def run(
        verdicts: Mapping[str, Verdict | list[Verdict]],
        faults: tuple[NamedFault, ...] = (NO_BYE,),
        mutations: Sequence[list[MutationResult]] = (WRONG, WRONG),
    ) -> list[Proof]:
        def judge(_: Scenario, evidence: Evidence, _clauses: Mapping[str, Clause]) -> Verdict:
            short = ["short"] if b"short" in (evidence.message or b"") else []
            verdict = verdicts[" ".join([*short, *evidence.world.faults.values()])]
            return verdict.pop(0) if isinstance(verdict, list) else verdict

        monkeypatch.setattr("lemonade_testbed.run.judge", judge)
        results = iter(mutations)
        monkeypatch.setattr("lemonade_testbed.prove.try_mutations", lambda *_: next(results))
        runtime = partial(LocalRuntime, programs=fake_programs(), patience=5)
        with ScenarioRunner(tmp_path / "runs", make_runtime=runtime).open() as running:
            return prove(running, [replace(scenario, faults=faults)])

    return run


def test_a_fault_that_fails_where_it_names_is_shown(proofs: Callable[..., list[Proof]]) -> None:
    shown = proofs({"": red(), "no-bye": red(BYE, Place("step", "listen"))})  # a failed check makes the step fail too
    assert [(proof.what, proof.ok) for proof in shown] == [
        ("no fault", True),
        ("fault media=no-bye", True),
        ("2 arrows dropped", False),
        ("drop b", False),
        ("1 neighbours swapped", True),
    ]
    assert shown[1].expected == "red at arrow media->>client: SIP BYE"
    assert (shown[3].expected, shown[3].seen) == ("arrow 2", "arrow 3")


@pytest.mark.parametrize(
    ("places", "seen"),
    [((), "not red at arrow media->>client: SIP BYE; red: nowhere"), ((HEARD,), "red: check audio heard is the part")],
)
def test_a_fault_that_fails_nowhere_or_elsewhere_is_a_failure(
    proofs: Callable[..., list[Proof]], places: tuple[Place, ...], seen: str
) -> None:
    (line,) = [proof for proof in proofs({"": red(), "no-bye": red(*places)}) if proof.what == "fault media=no-bye"]
    assert not line.ok
    assert seen in line.seen


def test_a_scenario_that_fails_without_a_fault_is_not_tried_with_faults(proofs: Callable[..., list[Proof]]) -> None:
    (line,) = proofs({"": red(HEARD)})
    assert not line.ok
    assert line.seen == "fail at check audio heard is the part: that"


@pytest.mark.parametrize(
    ("attempts", "ok", "before"),
    [
        ([red(BYE)], True, ""),
        ([red(), red(BYE)], True, f"not red at {BYE}; red: nowhere"),
        ([red(), red(HEARD), red(BYE)], True, f"not red at {BYE}; red: nowhere"),
        ([red(), red(), red()], False, f"not red at {BYE}; red: nowhere"),
    ],
)
def test_a_fault_that_is_not_shown_is_tried_again_and_the_line_says_so(
    proofs: Callable[..., list[Proof]], attempts: list[Verdict], ok: bool, before: str
) -> None:
    (line,) = _of(proofs({"": red(), "no-bye": attempts}), "fault media=no-bye")
    assert (line.ok, line.before) == (ok, before)
    assert attempts == []


def test_a_mutation_that_is_not_reported_right_is_tried_again_with_another_run(
    proofs: Callable[..., list[Proof]],
) -> None:
    shown = proofs({"": red(), "no-bye": red(BYE)}, mutations=(WRONG, RIGHT))
    assert [(line.what, line.ok, line.before) for line in shown[2:]] == [
        ("2 arrows dropped", True, "drop b"),
        ("1 neighbours swapped", True, "drop b"),
    ]


@pytest.mark.parametrize(("repeated", "too_many"), [(1, False), (2, True)])
def test_more_lines_than_one_in_twenty_shown_by_a_later_attempt_are_too_many(repeated: int, too_many: bool) -> None:
    line = Proof("one", "fault media=no-bye", "red", "red", ok=True)
    lines = [replace(line, before="nowhere")] * repeated + [line] * (20 - repeated)
    assert too_many_repeated(lines) == too_many


@pytest.fixture
def scenario() -> Scenario:
    """Return a scenario of one arrow and one fault."""
    ladder = parse_ladder("client->>imap: IMAP FETCH BODYSTRUCTURE %% LS-2.1-1")
    return Scenario("one", "", "", (), {}, Given("x", {}), (), ladder, (), (NO_BYE,), Path("one.yaml"))


def _faults(lines: Sequence[Proof]) -> list[str]:
    return [line.what for line in lines if line.what.startswith("fault ")]


def test_a_fault_that_no_scenario_names_is_a_failure(scenario: Scenario) -> None:
    lines = unnamed({"media": ("no-bye", "wrong-skip"), "imap": ("no-bye",)}, [scenario])
    assert _faults(lines) == ["fault media=wrong-skip", "fault imap=no-bye"]
    assert not any(line.ok for line in lines)


def test_a_fault_of_a_node_that_is_wrong_on_purpose_counts_as_named(scenario: Scenario) -> None:
    world = replace(scenario, given=Given("x", {}, wrong={"imap": "no-bye"}))
    assert _faults(unnamed({"media": ("no-bye", "wrong-skip"), "imap": ("no-bye",)}, [world])) == [
        "fault media=wrong-skip"
    ]


def test_a_clause_check_or_arrow_that_no_fault_breaks_is_a_failure(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    observed = Clause("LS-2.1-1", "2.1", ("client",), "MUST", "reads the structure", "the arrow")
    monkeypatch.setattr("lemonade_testbed.coverage.CHECKS", {})
    monkeypatch.setattr("lemonade_testbed.coverage.load_clauses", lambda: {observed.id: observed})
    arrow = Place("arrow", "client->>imap: IMAP FETCH BODYSTRUCTURE")
    shown = NamedFault("client", "no-fetch", (arrow,), 33, {arrow: (observed.id,)})
    assert [line.what for line in unnamed({}, [replace(scenario, faults=())])] == [
        "clause LS-2.1-1 (MUST) is lacking: no fault of a node that it binds turns it red",
        "arrow 'IMAP FETCH' is the place of no fault",
    ]
    assert unnamed({}, [replace(scenario, faults=(shown,))]) == []


@pytest.mark.parametrize(
    ("verdicts", "ok"),
    [
        ({"short no-bye": red(BYE)}, True),
        ({"short no-bye": red(), "no-bye": red(BYE)}, True),
        ({"short no-bye": red(), "no-bye": red()}, False),
    ],
)
def test_a_fault_is_tried_with_a_short_mail_first_and_then_with_the_scenarios_own(
    proofs: Callable[..., list[Proof]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    verdicts: dict[str, Verdict],
    ok: bool,
) -> None:
    mail = tmp_path / "short.eml"
    mail.write_text("Subject: short\n\nno sound\n")
    monkeypatch.setattr("lemonade_testbed.prove.short_mail", lambda _: mail)
    (line,) = _of(proofs({"": red(), **verdicts}), "fault media=no-bye")
    assert line.ok == ok


def _of(lines: Sequence[Proof], what: str) -> list[Proof]:
    return [line for line in lines if line.what == what]


@pytest.mark.parametrize(
    ("name", "short"), [("announcement-service", True), ("ivr-rfc4733", False), ("draft-announcement", False)]
)
def test_the_short_mail_is_for_long_scenarios_that_it_fits(name: str, short: bool) -> None:
    (path,) = SCENARIOS.rglob(f"{name}.yaml")
    assert short_mail(load_scenario(path)) == (SHORT_MAIL if short else None)


def test_a_fault_for_which_the_other_node_is_charged_is_not_shown(proofs: Callable[..., list[Proof]]) -> None:
    stranger = red(LOGS_OUT, node="client", clauses=("LS-2.8-10",))
    shown = proofs({"": red(), "no-logout": stranger}, (NO_LOGOUT,))
    assert (shown[1].ok, shown[1].seen) == (False, f"at {LOGS_OUT} the client is charged")


def test_a_fault_is_to_break_the_clauses_that_it_names() -> None:
    reasons = [
        Reason(LOGS_OUT, "", "", "", clauses, node="media", role="media") for clauses in (("LS-2.8-9",), ("LS-2.8-10",))
    ]
    assert _off_node(NO_LOGOUT, reasons) == ""
    assert _off_node(NO_LOGOUT, reasons[:1]) == f"at {LOGS_OUT} not for LS-2.8-10, but for LS-2.8-9"


def test_a_fault_of_a_named_node_is_to_be_charged_to_that_node() -> None:
    fault = NamedFault("ms1", "no-bye", (BYE,), 30, kind="media")
    reasons = [Reason(BYE, "", "", "", ("LS-2.9-1",), node=node, role="media") for node in ("ms1", "ms2")]
    assert _off_node(fault, reasons[:1]) == ""
    assert _off_node(fault, reasons) == f"at {BYE} the ms2 is charged"
    assert _off_node(replace(fault, role="media", kind="media"), reasons) == ""
