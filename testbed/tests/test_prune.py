from __future__ import annotations

import os
from pathlib import Path

from lemonade_testbed.prune import new_run, point_latest, prune
from lemonade_testbed.runtime.processes import ProcessTable


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
