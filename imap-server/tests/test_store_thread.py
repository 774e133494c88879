from __future__ import annotations

import threading

import pytest
from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.trial.unittest import TestCase

from lemonade_imap.store.thread import StoreThread


class StoreThreadTest(TestCase):
    """The store's calls run in another thread, in their order."""

    def setUp(self) -> None:
        self.thread = StoreThread(reactor)
        self.addCleanup(self.thread.stop)

    async def test_all_calls_run_in_one_thread_that_is_not_the_reactors(self) -> None:
        threads = await gatherResults([self.thread.call(threading.get_ident) for _ in range(20)])
        assert len(set(threads)) == 1
        assert threading.get_ident() not in threads

    async def test_calls_keep_their_order(self) -> None:
        done: list[int] = []
        await gatherResults([self.thread.call(done.append, number) for number in range(50)])
        assert done == list(range(50))

    async def test_names_take_turns_and_other_calls_wait_for_one_turn_at_most(self) -> None:
        begun, go_on = threading.Event(), threading.Event()

        def hold() -> None:
            begun.set()
            go_on.wait(10)

        done: list[str] = []
        held = self.thread.call(hold)
        begun.wait(10)
        waiting = [self.thread.call_in_turn("joe", done.append, f"joe {number}") for number in range(3)]
        waiting.append(self.thread.call_in_turn("ann", done.append, "ann"))
        waiting += [self.thread.call(done.append, "call") for _ in range(2)]
        go_on.set()
        await gatherResults([held, *waiting])
        assert done == ["joe 0", "call", "call", "ann", "joe 1", "joe 2"]

    async def test_a_turn_returns_what_its_function_returns(self) -> None:
        assert await self.thread.call_in_turn("joe", int, "7") == 7
        with pytest.raises(ValueError, match="invalid literal"):
            await self.thread.call_in_turn("joe", int, "x")

    async def test_an_exception_of_a_call_is_raised_where_it_is_awaited(self) -> None:
        with pytest.raises(ValueError, match="invalid literal"):
            await self.thread.call(int, "x")
