"""The order in which parts are decoded: callers take turns, and none has all processes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lemonade_media.decoding.queue import DecodeQueue


def started(queue: DecodeQueue) -> list[int]:
    found = []
    while (job := queue.next()) is not None:
        found.append(job)
    return found


def test_a_caller_with_twelve_parts_leaves_a_process_for_another_caller() -> None:
    queue = DecodeQueue(4)
    for job in range(12):
        queue.add(job, "a")
    assert started(queue) == [0, 1, 2]
    queue.add(100, "b")
    assert started(queue) == [100]
    queue.add(101, "b")
    queue.remove(0)
    assert started(queue) == [101], "the caller with fewer parts in processes is next"
    queue.remove(1)
    queue.remove(100)
    assert started(queue) == [3, 4]


def test_callers_take_turns_where_there_is_one_process() -> None:
    queue = DecodeQueue(1)
    for job, caller in enumerate("aaabbc"):
        queue.add(job, caller)
    order = []
    while (begun := queue.next()) is not None:
        order.append(begun)
        assert queue.next() is None
        queue.remove(begun)
    assert order == [0, 3, 5, 1, 4, 2]
    assert len(queue) == 0


def test_a_part_that_is_removed_while_it_waits_is_not_decoded() -> None:
    queue = DecodeQueue(2)
    queue.add(1, "a")
    queue.add(2, "a")
    queue.remove(1)
    queue.remove(7)
    assert started(queue) == [2]


@given(st.integers(1, 5), st.lists(st.tuples(st.integers(0, 3), st.booleans())))
def test_every_part_is_decoded_once_by_a_fair_share(processes: int, does: list[tuple[int, bool]]) -> None:
    queue = DecodeQueue(processes)
    callers: dict[int, int] = {}
    running: list[int] = []
    done: list[int] = []
    for job, (caller, ends) in enumerate(does):
        callers[job] = caller
        queue.add(job, str(caller))
        running += started(queue)
        assert len(running) <= processes
        for other in {callers[one] for one in running} if processes > 1 else ():
            assert sum(callers[one] == other for one in running) < processes
        if ends and running:
            done.append(running.pop(0))
            queue.remove(done[-1])
    while running := running + started(queue):
        done.append(running.pop(0))
        queue.remove(done[-1])
    assert sorted(done) == sorted(callers)
    assert len(queue) == 0
