"""A visit asks the store for what changed where something was counted, and for nothing else."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from lemonade_imap.config import ServerConfig
from lemonade_imap.serving.backend import Backend
from lemonade_imap.serving.mirror import Look
from lemonade_imap.serving.visiting import Visited, current, visit
from lemonade_imap.store.base import Mailbox, Summary
from lemonade_imap.store.memory import MemoryStore
from lemonade_imap.store.runner import InlineRunner

BOX = Mailbox(7, "joe", "INBOX", 1, 3, 5)
FIRST, SECOND = (Summary(uid, frozenset(), uid, datetime(2026, 11, 22, tzinfo=UTC), 1) for uid in (1, 2))


class Asked(MemoryStore):
    """Notes what it is asked, and answers what a test says."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.there = [FIRST]

    def summaries(self, mailbox: Mailbox, since_modseq: int = 0) -> list[Summary]:
        assert mailbox == BOX
        self.asked.append(f"since {since_modseq}")
        return [summary for summary in self.there if summary.modseq > since_modseq]

    def uids(self, mailbox: Mailbox) -> list[int]:
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


def work(seen: Look) -> list[int]:
    return [summary.uid for summary in seen.changed]


def visited(backend: Backend, *, looks_anyway: bool = False) -> Visited[list[int]]:
    return asyncio.run(visit(backend, BOX, work, looks_anyway=looks_anyway))


def test_the_first_visit_sees_all_and_the_next_one_nothing(backend: Backend) -> None:
    first = visited(backend)
    assert (first.made, first.count, first.mirror.uids) == ([1], 0, [1])
    assert asked(backend) == ["since 0"]
    assert visited(backend).made == []
    assert asked(backend) == []


def test_what_was_counted_is_looked_up(backend: Backend) -> None:
    visited(backend)
    assert isinstance(backend.store, Asked)
    backend.store.there.append(SECOND)
    backend.hub.changed(BOX.ident)
    asked(backend)
    second = visited(backend)
    assert (second.made, second.count, second.mirror.uids) == ([2], 1, [1, 2])
    assert asked(backend) == ["since 1"]
    backend.store.there.remove(FIRST)
    backend.hub.changed(BOX.ident, removed=True)
    assert visited(backend).mirror.uids == [2]
    assert asked(backend) == ["uids", "since 2"]


def test_who_changes_something_looks_whatever_was_counted(backend: Backend) -> None:
    visited(backend)
    assert isinstance(backend.store, Asked)
    backend.store.there.append(SECOND)
    asked(backend)
    assert visited(backend, looks_anyway=True).made == [2]
    assert asked(backend) == ["since 1"]


def test_a_mirror_that_is_current_costs_no_visit(backend: Backend) -> None:
    assert asyncio.run(current(backend, BOX)).uids == [1]
    assert asked(backend) == ["since 0"]
    assert asyncio.run(current(backend, BOX)).uids == [1]
    assert asked(backend) == []
