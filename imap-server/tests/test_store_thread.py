from __future__ import annotations

import threading

import pytest
from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.trial.unittest import TestCase

from lemonade_imap.store.thread import StoreThread


class StoreThreadTest(TestCase):
    """The store's work is done elsewhere, in its order."""

    def setUp(self) -> None:
        self.thread = StoreThread(reactor)
        self.addCleanup(self.thread.stop)

    async def test_all_calls_share_one_thread_that_is_not_the_reactors(self) -> None:
        threads = await gatherResults([self.thread.call(threading.get_ident) for _ in range(20)])
        assert len(set(threads)) == 1
        assert threading.get_ident() not in threads

    async def test_calls_keep_their_order(self) -> None:
        done: list[int] = []
        await gatherResults([self.thread.call(done.append, number) for number in range(50)])
        assert done == list(range(50))

    async def test_what_a_call_raises_is_raised_where_it_is_awaited(self) -> None:
        with pytest.raises(ValueError, match="invalid literal"):
            await self.thread.call(int, "x")
