from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from lemonade_testbed.cli import main
from lemonade_testbed.ladder.model import LadderResult, Observed
from lemonade_testbed.places import Places
from lemonade_testbed.run import Ended
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.vendor_check import command
from lemonade_testbed.vendor_check.matrix import add_to_result, combinations, jobs_of, lines, table
from lemonade_testbed.vendors.catalogue import load_vendors
from lemonade_testbed.verdict import Outcome, Verdict


def ends() -> list[Ended]:
    scenarios = Places.find().load(["stranger", "expired-ticket"])
    found = []
    for job in jobs_of(scenarios, combinations(load_vendors())):
        differs = [vendor.name for vendor in job.vendors] == ["dovecot"] and job.scenario.name == "expired-ticket"
        lacks = any(vendor.name == "sipp" for vendor in job.vendors)
        outcome = Outcome.UNSUPPORTED if lacks else Outcome.PASS
        verdict = Verdict(job.scenario.name, outcome, (), Observed(()), LadderResult(()))
        if differs:
            verdict = Verdict(
                job.scenario.name, outcome, (), Observed(()), LadderResult(()), differences=("it refuses",)
            )
        found.append(Ended(job, Path("runs") / job.name, verdict, 1.0, 0))
    return found


def test_every_choice_of_one_peer_a_role() -> None:
    combos = combinations(load_vendors())
    assert combos[0] == ()
    assert len(combos) == 9
    assert ["dovecot", "sipp"] in [[vendor.name for vendor in combo] for combo in combos]
    names = [one.job.name for one in ends()]
    assert len(set(names)) == 18
    assert names[:2] == ["stranger--reference", "expired-ticket--reference"]


class Begun(Exception):  # noqa: N818  the matrix is about to begin
    pass


def test_the_matrix_runs_every_scenario(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []

    def begin(scenarios: Sequence[Scenario], _combos: object) -> None:
        taken.extend(scenario.name for scenario in scenarios)
        raise Begun

    monkeypatch.setattr(command, "ready_for_vendors", lambda _vendors, _say: "docker")
    monkeypatch.setattr(command, "jobs_of", begin)
    with pytest.raises(Begun):
        main(["matrix"])
    assert taken == [scenario.name for scenario in Places.find().load()]
    assert "fetch-cut" in taken


def test_the_table_has_a_row_for_each_combination_and_a_column_for_each_scenario() -> None:
    made = table(ends())
    assert [str(column.header) for column in made.columns] == ["imap", "media", "client", "stranger", "expired-ticket"]
    assert made.row_count == 9
    told = lines(ends())
    assert told[0] == "reference: stranger pass, expired-ticket pass"
    assert "dovecot: stranger pass, expired-ticket pass (1 expected)" in told
    assert "dovecot, sipp: stranger unsupported, expired-ticket unsupported" in told


def test_the_result_has_the_matrix_beside_its_scenarios(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text('{"scenarios": []}')
    add_to_result(tmp_path, ends())
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["scenarios"] == []
    (row,) = [one for one in result["matrix"] if (one["imap"], one["client"]) == ("dovecot", "reference")]
    assert row["media"] == "reference"
    assert row["scenarios"]["expired-ticket"] == {
        "outcome": "pass",
        "differences": ["it refuses"],
        "folder": "expired-ticket--dovecot",
    }
