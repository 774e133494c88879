from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

import pytest

from lemonade_testbed.ladder.parser import parse_ladder
from lemonade_testbed.places import Places, UsageError, home_folder, new_run, point_latest, prune
from lemonade_testbed.runtime.processes import ProcessTable
from lemonade_testbed.scenario.model import Given, Scenario
from lemonade_testbed.scenario_loader import ScenarioError


def test_two_runs_of_the_same_second_get_two_folders(tmp_path: Path) -> None:
    first = new_run(tmp_path / "runs", now=1_800_000_000.2)
    second = new_run(tmp_path / "runs", now=1_800_000_000.9)
    assert second.name == first.name + ".001"
    assert sorted([second.name, first.name]) == [first.name, second.name]


def test_latest_moves_to_the_newest(tmp_path: Path) -> None:
    first, second = new_run(tmp_path, now=1.0), new_run(tmp_path, now=2.0)
    point_latest(first)
    point_latest(second)
    assert (tmp_path / "latest").resolve() == second
    assert os.readlink(tmp_path / "latest") == second.name  # relative: the clone may be moved
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([first.name, second.name, "latest"])


def test_the_newest_stay_and_so_does_what_runs_or_is_not_a_run(tmp_path: Path) -> None:
    runs = [new_run(tmp_path, now=1_800_000_000.0 + second) for second in range(6)]
    (tmp_path / "playground").mkdir()
    point_latest(runs[-1])
    table = ProcessTable(runs[0])
    assert prune(tmp_path, keep=2) == [runs[3], runs[2], runs[1]]
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {runs[0].name, runs[4].name, runs[5].name, "playground", "latest"}
    table.stop()
    assert prune(tmp_path, keep=2) == [runs[0]]


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """A folder with two valid scenarios and one that is not valid."""

    def load(path: Path, *, known_faults: Mapping[str, Collection[str]] | None = None) -> Scenario:
        if "bad" in path.stem:
            raise ScenarioError(str(path), 3, "unknown verb 'lisen'")
        name = path.read_text().split()[1]
        ladder = parse_ladder("client->>imap: IMAP FETCH BODYSTRUCTURE")
        return Scenario(name, "", "", (), {}, Given("x", {}), (), ladder, (), (), path)

    monkeypatch.setattr("lemonade_testbed.places.load_scenario", load)
    folder = tmp_path / "scenarios"
    (folder / "negative").mkdir(parents=True)
    (folder / "clauses.yaml").write_text("LS-1-1: {}\n")
    (folder / "one.yaml").write_text("scenario: one\n")
    (folder / "negative" / "two.yaml").write_text("scenario: two\n")
    (folder / "bad.yaml").write_text("scenario: bad\n")
    return Places.find([folder], tmp_path / "runs")


def names(found: list[Scenario]) -> list[str]:
    return [one.name for one in found]


def test_scenarios_are_found_by_name_and_by_file(places: Places, tmp_path: Path) -> None:
    assert names(places.load(["two", "one", "two"])) == ["two", "one"]  # a file that is not valid is ignored
    elsewhere = tmp_path / "mine.yaml"
    elsewhere.write_text("scenario: mine\n")
    assert names(places.load([str(elsewhere)])) == ["mine"]
    assert names(places.load([str(elsewhere), "one"])) == ["mine", "one"]


def test_without_a_name_every_file_must_be_valid(places: Places) -> None:
    with pytest.raises(ScenarioError, match=r"bad\.yaml:3: unknown verb 'lisen'"):
        places.load()
    (places.scenarios[0] / "bad.yaml").unlink()
    assert names(places.load()) == ["two", "one"]


def test_an_unknown_scenario_or_file_is_refused_with_a_hint(places: Places) -> None:
    with pytest.raises(ScenarioError, match=r"bad\.yaml:3"):
        places.load(["bad"])
    with pytest.raises(UsageError, match=r"no scenario 'tow'; did you mean 'two'\?"):
        places.load(["tow"])
    with pytest.raises(UsageError, match=r"no scenario 'zzz'; there are: one, two"):
        places.load(["zzz"])
    with pytest.raises(UsageError, match=r"nope\.yaml: no such file"):
        places.load(["nope.yaml"])
    with pytest.raises(UsageError, match="is not there: --scenarios takes"):
        Places.find([Path("nowhere")])


def test_two_scenarios_of_one_name_are_an_error(places: Places) -> None:
    (places.scenarios[0] / "zwei.yaml").write_text("scenario: two\n")
    with pytest.raises(ScenarioError, match=r"zwei\.yaml:1: the scenario 'two' is in .*two\.yaml too"):
        places.load(["one"])


def test_the_current_folder_comes_before_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    repository = Path(__file__).resolve().parents[2]
    assert home_folder() == repository
    assert Places.find().runs == repository / "runs"
    (tmp_path / "scenarios").mkdir()
    assert home_folder() == tmp_path
    assert Places.find().scenarios == (tmp_path / "scenarios",)
