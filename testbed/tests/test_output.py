from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from lemonade_testbed.clauses import SCENARIOS
from lemonade_testbed.ladder.parser import parse_ladder
from lemonade_testbed.output import print_proof_tally, print_proofs, repeat
from lemonade_testbed.prove import Proof
from lemonade_testbed.run import Job
from lemonade_testbed.scenario.model import Given, Scenario
from lemonade_testbed.vendors.catalogue import chosen_vendors

PROOFS = (Proof("one", "no fault", "green", "pass", ok=True), Proof("one", "drop b", "arrow 2", "arrow 3", ok=False))


def job(path: Path, profile: str | None = None, **more: object) -> Job:
    ladder = parse_ladder("client->>imap: IMAP FETCH BODYSTRUCTURE")
    scenario = Scenario("one", "", "", (), {}, Given("x", {}), (), ladder, (), (), path, profile=profile)
    return Job(scenario, "one", **more)  # type: ignore[arg-type]  # the fields of Job


def test_proofs_are_one_plain_line_each_without_a_terminal() -> None:
    text = io.StringIO()
    print_proofs(PROOFS, Console(file=text, width=20))
    assert text.getvalue() == (
        "shown      one, no fault: expected green; seen pass\nNOT SHOWN  one, drop b: expected arrow 2; seen arrow 3\n"
    )


def test_proofs_are_a_table_on_a_terminal() -> None:
    text = io.StringIO()
    print_proofs(PROOFS, Console(file=text, width=80, force_terminal=True, color_system=None))
    assert [line.split()[0] for line in text.getvalue().splitlines()[1:]] == ["shown", "NOT"]


def test_the_tally_of_a_proof_repeats_what_is_wrong_and_what_was_tried_again() -> None:
    text = io.StringIO()
    again = Proof("one", "fault media=no-bye", "red", "red", ok=True, before="nowhere")
    assert not print_proof_tally([*PROOFS * 10, again], Path("runs/1"), Console(file=text, width=20))
    again_line, *wrong, tally = text.getvalue().splitlines()
    assert again_line == "again      one, fault media=no-bye: not shown at first; seen nowhere"
    assert wrong == ["NOT SHOWN  one, drop b: expected arrow 2; seen arrow 3"] * 10
    assert tally == "11 shown, 10 not, 1 shown by a later attempt only; evidence: runs/1"


@pytest.mark.parametrize(("repeated", "holds"), [(1, True), (2, False)])
def test_a_proof_with_many_later_attempts_does_not_hold(repeated: int, holds: bool) -> None:
    again = Proof("one", "fault media=no-bye", "red", "red", ok=True, before="nowhere")
    proofs = [PROOFS[0]] * (20 - repeated) + [again] * repeated
    assert print_proof_tally(proofs, Path("runs/1"), Console(file=io.StringIO())) == holds


def test_the_command_that_repeats_a_job_has_all_its_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", [str(SCENARIOS.parent / ".venv" / "bin" / "lemonade")])
    monkeypatch.chdir(SCENARIOS.parent)
    assert repeat(job(SCENARIOS / "one.yaml")) == ".venv/bin/lemonade run one"
    peers = chosen_vendors({"imap": "dovecot", "client": "sipp", "mail": "folder"}, {})
    swapped = repeat(job(SCENARIOS / "one.yaml", vendors=peers))
    assert swapped == ".venv/bin/lemonade run one --imap dovecot --mail folder --client sipp"
    elsewhere = job(
        tmp_path / "my own.yaml", message=Path("/a b.eml"), faults={"media": "no-bye"}, default_profile="rfc5616"
    )
    assert repeat(elsewhere) == (
        f".venv/bin/lemonade run '{tmp_path}/my own.yaml' --message '/a b.eml' --profile rfc5616 --fault media=no-bye"
    )
    pinned = job(SCENARIOS / "one.yaml", "rfc5616")
    assert (pinned.profile, repeat(pinned)) == ("rfc5616", ".venv/bin/lemonade run one")
