from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from lemonade_testbed.clauses import SCENARIOS
from lemonade_testbed.ladder.parser import parse_ladder
from lemonade_testbed.output import print_proofs, repeat
from lemonade_testbed.prove import Proof
from lemonade_testbed.run import Job
from lemonade_testbed.scenario.model import Given, Scenario
from lemonade_testbed.vendors.catalogue import chosen_vendors

PROOFS = (Proof("one", "no fault", "green", "pass", ok=True), Proof("one", "drop b", "arrow 2", "arrow 3", ok=False))


def job(path: Path, **more: object) -> Job:
    ladder = parse_ladder("client->>imap: IMAP FETCH BODYSTRUCTURE")
    scenario = Scenario("one", "", "", (), {}, Given("x", {}), (), ladder, (), (), path)
    return Job(scenario, "one", **more)  # type: ignore[arg-type]


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


def test_the_repeating_command_says_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", [str(SCENARIOS.parent / ".venv" / "bin" / "lemonade")])
    monkeypatch.chdir(SCENARIOS.parent)
    assert repeat(job(SCENARIOS / "one.yaml")) == ".venv/bin/lemonade run one"
    peers = chosen_vendors({"imap": "dovecot", "client": "sipp", "mail": "folder"}, {})
    swapped = repeat(job(SCENARIOS / "one.yaml", vendors=peers))
    assert swapped == ".venv/bin/lemonade run one --imap dovecot --mail folder --client sipp"
    elsewhere = job(tmp_path / "my own.yaml", message=Path("/a b.eml"), faults={"media": "no-bye"}, profile="rfc5616")
    assert repeat(elsewhere) == (
        f".venv/bin/lemonade run '{tmp_path}/my own.yaml' --message '/a b.eml' --profile rfc5616 --fault media=no-bye"
    )
