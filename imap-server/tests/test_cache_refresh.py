"""`refresh_cache` queries the store for changes only if the notifier has counted one."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from lemonade_imap.config import ServerConfig
from lemonade_imap.serving.backend import Backend
from lemonade_imap.serving.cache_refresh import RefreshedCache, current, refresh_cache
from lemonade_imap.serving.mailbox_cache import CacheUpdate
from lemonade_imap.store.base import StoredMailbox, Summary
from lemonade_imap.store.thread import InlineRunner
from lemonade_imap.testing.memory_store import MemoryStore

BOX = StoredMailbox(7, "joe", "INBOX", 1, 3, 5)
FIRST, SECOND = (Summary(uid, frozenset(), uid, datetime(2026, 11, 22, tzinfo=UTC), 1) for uid in (1, 2))


class Asked(MemoryStore):
    """A store that records its queries and returns what the test has set."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.there = [FIRST]

    def summaries(self, mailbox: StoredMailbox, since_modseq: int = 0) -> list[Summary]:
        assert mailbox == BOX
        self.asked.append(f"since {since_modseq}")
        return [summary for summary in self.there if summary.modseq > since_modseq]

    def uids(self, mailbox: StoredMailbox) -> list[int]:
        assert mailbox == BOX
        self.asked.append("uids")
        return [summary.uid for summary in self.there]


@pytest.fixture
def backend() -> Backend:
    return Backend(ServerConfig(), Asked(), InlineRunner())


def asked(backend: Backend) -> list[str]:
    assert isinstance(backend.store, Asked)
    told, backend.store.asked = backend.store.asked, []
    return told


def work(seen: CacheUpdate) -> list[int]:
    return [summary.uid for summary in seen.changed]


def refreshed(backend: Backend, *, always_query: bool = False) -> RefreshedCache[list[int]]:
    return asyncio.run(refresh_cache(backend, BOX, work, always_query=always_query))


def test_the_first_visit_reads_all_and_the_next_one_nothing(backend: Backend) -> None:
    first = refreshed(backend)
    assert (first.result, first.count, first.cache.uids) == ([1], 0, [1])
    assert asked(backend) == ["since 0"]
    assert refreshed(backend).result == []
    assert asked(backend) == []


def test_a_counted_change_is_read_from_the_store(backend: Backend) -> None:
    refreshed(backend)
    assert isinstance(backend.store, Asked)
    backend.store.there.append(SECOND)
    backend.change_notifier.changed(BOX.ident)
    asked(backend)
    second = refreshed(backend)
    assert (second.result, second.count, second.cache.uids) == ([2], 1, [1, 2])
    assert asked(backend) == ["since 1"]
    backend.store.there.remove(FIRST)
    backend.change_notifier.changed(BOX.ident, removed=True)
    assert refreshed(backend).cache.uids == [2]
    assert asked(backend) == ["uids", "since 2"]


def test_always_query_reads_the_store_without_a_counted_change(backend: Backend) -> None:
    refreshed(backend)
    assert isinstance(backend.store, Asked)
    backend.store.there.append(SECOND)
    asked(backend)
    assert refreshed(backend, always_query=True).result == [2]
    assert asked(backend) == ["since 1"]


def test_a_current_cache_needs_no_visit(backend: Backend) -> None:
    assert asyncio.run(current(backend, BOX)).uids == [1]
    assert asked(backend) == ["since 0"]
    assert asyncio.run(current(backend, BOX)).uids == [1]
    assert asked(backend) == []
