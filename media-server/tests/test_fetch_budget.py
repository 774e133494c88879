"""The bound on the parts of all fetches in memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lemonade_media.fetch.budget import PartBudget


def test_what_is_reserved_counts_until_it_is_released() -> None:
    budget = PartBudget(100)
    assert budget.reserve(1, 60)
    assert not budget.reserve(2, 41)
    assert budget.reserve(2, 40)
    assert not budget.reserve(1, 1)
    budget.release(1)
    budget.release(1)
    assert budget.used == 40
    assert budget.reserve(3, 60)


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 60), st.booleans())))
def test_the_sum_never_exceeds_the_limit(does: list[tuple[int, int, bool]]) -> None:
    budget = PartBudget(100)
    for job, octets, ends in does:
        budget.reserve(job, octets)
        assert budget.used <= 100
        if ends:
            budget.release(job)
    for job in range(6):
        budget.release(job)
    assert budget.used == 0
