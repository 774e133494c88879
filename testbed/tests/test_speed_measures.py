from __future__ import annotations

from typing import cast

import pytest

from speed.client import ServerFailedError
from speed.command import told
from speed.measures import IMAP, BenchFigure, BenchTarget, Measure, measured
from speed.servers import BenchServer

MORE, TENTH, BOUND = BenchTarget("MB/s", "max"), BenchTarget("ms", "min", 0.1), BenchTarget("MB", limit=100)


@pytest.mark.parametrize(
    ("target", "ours", "others", "met"),
    [
        (MORE, 100.0, [90.0, 100.0], True),
        (MORE, 99.0, [90.0, 100.0], False),
        (MORE, 99.0, [], None),
        (TENTH, 8.0, [80.0, 120.0], True),
        (TENTH, 8.1, [80.0, 120.0], False),
        (BOUND, 100.0, [], True),
        (BOUND, 100.5, [1.0], False),
    ],
)
def test_a_target_is_met_against_the_better_peer(
    target: BenchTarget, ours: float, others: list[float], met: bool | None
) -> None:
    assert target.met(ours, others) is met


def test_every_measure_has_targets_and_every_target_a_text() -> None:
    assert len({measure.name for measure in IMAP}) == len(IMAP)
    assert all(measure.targets and measure.rounds for measure in IMAP)
    assert [str(target) for target in (MORE, TENTH, BOUND)] == [
        "at least 1 x the better peer's",
        "at most 0.1 x the better peer's",
        "at most 100 MB",
    ]


class Named:
    def __init__(self, name: str) -> None:
        self.name = name


def servers(*names: str) -> list[BenchServer]:
    return [cast("BenchServer", Named(name)) for name in names]


def test_rounds_are_interleaved_and_their_median_counts() -> None:
    order: list[str] = []
    figures = iter([10.0, 1.0, 30.0, 2.0, 20.0, 3.0])

    def run(server: BenchServer) -> dict[str, float]:
        order.append(server.name)
        return {"speed": next(figures)}

    (line,) = measured(Measure("m", "title", {"speed": MORE}, run, 3), servers("reference", "other"))
    assert order == ["reference", "other"] * 3
    assert line.medians == {"reference": 20.0, "other": 2.0}
    assert line.ratio == 10.0
    assert told(line) == "speed (MB/s): reference 20, other 2; ratio 10.00; at least 1 x the better peer's: met"


def test_an_absolute_measure_asks_the_reference_alone() -> None:
    def run(server: BenchServer) -> dict[str, float]:
        assert server.name == "reference"
        return {"memory": 120.0}

    (line,) = measured(Measure("idle-1000", "title", {"memory": BOUND}, run, 1), servers("reference", "other"))
    assert told(line) == "memory (MB): reference 120; at most 100 MB: MISSED"


def test_a_server_that_fails_is_named() -> None:
    def run(server: BenchServer) -> dict[str, float]:
        raise ServerFailedError("closed the connection")

    with pytest.raises(ServerFailedError, match="m: other closed the connection"):
        measured(Measure("m", "title", {"speed": MORE}, run, 1), servers("other"))


def test_a_figure_without_a_peer_is_marked() -> None:
    line = BenchFigure("m", "title", "speed", MORE, {"reference": 5.0}, {"reference": [5.0]})
    assert told(line).endswith("no peer")
