from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.model import Observed
from lemonade_testbed.ladder.parser import parse_ladder
from lemonade_testbed.mutate import MutationResult
from lemonade_testbed.prove import Proof, prove, unnamed
from lemonade_testbed.run import Runner
from lemonade_testbed.runtime.local import LocalRuntime
from lemonade_testbed.scenario.model import Given, NamedFault, Scenario
from lemonade_testbed.verdict import LadderResult, Outcome, Place, Reason, Verdict

BYE = Place("arrow", "media->>client: SIP BYE")
HEARD = Place("check", "audio heard is the part")
NO_BYE = NamedFault("media", "no-bye", (BYE,), 30)


def red(*places: Place) -> Verdict:
    reasons = tuple(Reason(place, "what must be", "this", "that") for place in places)
    return Verdict("one", Outcome.FAIL if places else Outcome.PASS, reasons, Observed(()), LadderResult(()))


@pytest.fixture
def proofs(
    tmp_path: Path, fake_programs: Callable[..., dict[str, list[str]]], monkeypatch: pytest.MonkeyPatch
) -> Callable[[dict[str, Verdict]], list[Proof]]:
    """Return the proof of one scenario with one fault, for what the judge says under each fault (`` for none)."""
    (tmp_path / "mail.eml").write_text("Subject: x\n\nno sound\n")
    (tmp_path / "one.yaml").write_text("scenario: one\n")
    ladder = parse_ladder("client->>imap: IMAP FETCH BODYSTRUCTURE")
    given = Given("mail.eml", {"joe": "secret"})
    scenario = Scenario("one", "", "", (), {}, given, (), ladder, (), (NO_BYE,), tmp_path / "one.yaml", (tmp_path,))

    def run(verdicts: dict[str, Verdict]) -> list[Proof]:
        def judge(_: Scenario, evidence: Evidence) -> Verdict:
            return verdicts[evidence.world.faults.get("media", "")]

        monkeypatch.setattr("lemonade_testbed.run.judge", judge)
        results = [
            MutationResult("drop", "a", 1, 1),
            MutationResult("drop", "b", 2, 3),
            MutationResult("swap", "c", 1, 1),
        ]
        monkeypatch.setattr("lemonade_testbed.prove.try_mutations", lambda *_: results)
        runtime = partial(LocalRuntime, programs=fake_programs(), patience=5)
        with Runner(tmp_path / "runs", make_runtime=runtime).open() as running:
            return prove(running, [scenario])

    return run


def test_green_first_then_red_where_the_fault_names(proofs: Callable[..., list[Proof]]) -> None:
    shown = proofs({"": red(), "no-bye": red(BYE, HEARD)})  # a red ladder may drag a check along
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
def test_green_or_red_elsewhere_is_a_failure(
    proofs: Callable[..., list[Proof]], places: tuple[Place, ...], seen: str
) -> None:
    (line,) = [proof for proof in proofs({"": red(), "no-bye": red(*places)}) if proof.what == "fault media=no-bye"]
    assert not line.ok
    assert seen in line.seen


def test_a_scenario_that_is_not_green_is_not_tried_with_faults(proofs: Callable[..., list[Proof]]) -> None:
    (line,) = proofs({"": red(HEARD)})
    assert not line.ok
    assert line.seen == "fail at check audio heard is the part: that"


def test_a_fault_that_no_scenario_names_is_a_failure() -> None:
    ladder = parse_ladder("client->>imap: IMAP FETCH BODYSTRUCTURE")
    scenario = Scenario("one", "", "", (), {}, Given("x", {}), (), ladder, (), (NO_BYE,), Path("one.yaml"))
    lines = unnamed({"media": ("no-bye", "wrong-skip"), "imap": ("no-bye",)}, [scenario])
    assert [line.what for line in lines] == ["fault media=wrong-skip", "fault imap=no-bye"]
    assert not any(line.ok for line in lines)
