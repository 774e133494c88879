from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import pytest

from lemonade_testbed.ladder.parser import parse_ladder
from lemonade_testbed.places import Places, UsageError, home_folder
from lemonade_testbed.scenario.loader import ScenarioError
from lemonade_testbed.scenario.model import Given, Scenario


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """Two scenarios that load and one that does not."""

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
    assert names(places.load(["two", "one", "two"])) == ["two", "one"]  # one that is wrong does not disturb
    elsewhere = tmp_path / "mine.yaml"
    elsewhere.write_text("scenario: mine\n")
    assert names(places.load([str(elsewhere)])) == ["mine"]
    assert names(places.load([str(elsewhere), "one"])) == ["mine", "one"]


def test_all_of_them_must_be_right(places: Places) -> None:
    with pytest.raises(ScenarioError, match=r"bad\.yaml:3: unknown verb 'lisen'"):
        places.load()
    (places.scenarios[0] / "bad.yaml").unlink()
    assert names(places.load()) == ["two", "one"]


def test_what_is_not_there_is_told_with_what_is(places: Places) -> None:
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
