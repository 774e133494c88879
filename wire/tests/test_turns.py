"""The queue of turns: bounded work in each turn, and fairness between groups and names."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_wire.turns import TurnQueue


class Turns:
    """A queue, the calls that it wants in the next turn, and the names of the jobs that were done, by turn."""

    def __init__(self, turn: int = 100, most: int | None = None, most_in_all: int | None = None) -> None:
        self.later: list[Callable[[], None]] = []
        self.queue = TurnQueue(self.later.append, turn=turn, most=most, most_in_all=most_in_all)
        self.done: list[str] = []

    def add(self, group: str, work: int, name: str = "", *, times: int = 1) -> None:
        """Add a job that does so much work, and then waits again until it was done so many times."""

        def job() -> None:
            self.done.append(group + name)
            self.queue.spend(group, work)
            if times > 1:
                self.add(group, work, name, times=times - 1)

        self.queue.wait(group, name, job)

    def turn(self) -> list[str]:
        """Carry out one turn of the reactor; returns the jobs that were done in it."""
        before = len(self.done)
        calls, self.later[:] = list(self.later), []
        for call in calls:
            call()
        return self.done[before:]


def test_a_turn_ends_when_its_work_is_done() -> None:
    turns = Turns(turn=100)
    turns.add("a", 40, times=7)
    assert [len(turns.turn()) for _ in range(4)] == [3, 3, 1, 0]
    assert turns.queue.free


def test_work_outside_of_jobs_uses_up_the_turn_too() -> None:
    turns = Turns(turn=100)
    assert turns.queue.free
    turns.queue.spend("a", 100)
    assert not turns.queue.free
    turns.turn()
    assert turns.queue.free


def test_a_group_that_was_idle_is_next_after_the_job_that_is_done() -> None:
    turns = Turns(turn=1)
    for number in range(90):
        turns.add("stranger", 1000, str(number), times=5)
    for _ in range(10):
        turns.turn()
    turns.add("control", 1)
    assert turns.turn() == ["control"]


def test_names_of_a_group_take_turns() -> None:
    turns = Turns(turn=1)
    for name in "abc":
        turns.add("g", 1, name, times=2)
    assert [turns.turn()[0] for _ in range(6)] == ["ga", "gb", "gc", "ga", "gb", "gc"]


def test_too_many_jobs_of_a_group_are_refused() -> None:
    turns = Turns(most=2, most_in_all=3)
    assert [turns.queue.wait("a", "", lambda: None) for _ in range(3)] == [True, True, False]
    assert turns.queue.wait("b", "", lambda: None)
    assert not turns.queue.wait("b", "", lambda: None)
    assert [turns.queue.wait(group, "", lambda: None) for group in "cdefg"] == [True, True, True, False, False]
    turns.turn()
    assert turns.queue.wait("a", "", lambda: None)


def test_a_job_that_raises_does_not_stop_the_others() -> None:
    turns = Turns(turn=1)

    def wrong() -> None:
        raise ValueError

    turns.queue.wait("a", "", wrong)
    turns.add("a", 1)
    turns.queue.spend("a", 1)
    with pytest.raises(ValueError):  # noqa: PT011  the test's own
        turns.turn()
    turns.queue.spend("b", 1)
    assert turns.turn() == ["a"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 50)), max_size=40), st.integers(1, 60))
def test_every_job_is_done_once_and_turns_are_bounded(jobs: list[tuple[str, int]], turn: int) -> None:
    turns = Turns(turn=turn)
    works: dict[int, int] = {}
    for number, (group, work) in enumerate(jobs):
        works[number] = work
        turns.add(group, work, f"#{number}")
    while turns.later:
        done = turns.turn()
        # all but the last job of a turn fit into it; one unit is counted for each job besides
        assert sum(works[int(name.partition("#")[2])] + 1 for name in done[:-1]) < turn + 1
    assert sorted(turns.done) == sorted(f"{group}#{number}" for number, (group, _) in enumerate(jobs))


def test_work_while_no_job_waits_counts_for_nothing_later() -> None:
    turns = Turns(turn=100)
    for _ in range(50):
        turns.queue.spend("control", 90)
        turns.turn()
    turns.queue.spend("stranger", 100)
    turns.add("stranger", 100, times=20)
    turns.add("control", 1)
    assert turns.turn() == ["control", "stranger"]
