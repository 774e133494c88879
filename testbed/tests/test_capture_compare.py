"""The completeness of a capture: each count that is missing or does not fit is reported."""

from __future__ import annotations

from typing import Any

import pytest

from lemonade_testbed.capture.compare import incomplete

WHOLE: dict[str, Any] = {"packets": 40, "received": 40, "dropped": 0, "interface_dropped": 0, "interface": 40}


def test_a_capture_with_equal_counts_is_complete() -> None:
    assert list(incomplete(WHOLE, 40)) == []
    assert list(incomplete(WHOLE, 41)) == [], "what was captured before the first count"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"dropped": 2}, "the kernel dropped 2 packets"),
        ({"interface_dropped": 1}, "the interface dropped 1 packets"),
        ({"interface": 41}, "40 packets of 41 that crossed the interface"),
        ({"packets": 43}, "40 packets of 43 that were captured"),
        ({"dropped": None}, "lacks its counts of dropped"),
        ({"interface": "many"}, "lacks its counts of interface"),
        ({"packets": True}, "lacks its counts of packets"),
    ],
)
def test_one_count_that_is_wrong_is_named(changed: dict[str, Any], says: str) -> None:
    (problem,) = incomplete(WHOLE | changed, 40)
    assert says in problem


@pytest.mark.parametrize("counts", [None, {}])
def test_a_capture_without_counts_is_not_known_to_be_complete(counts: dict[str, Any] | None) -> None:
    assert ["is not known to be whole" in problem for problem in incomplete(counts, 40)] == [True]
