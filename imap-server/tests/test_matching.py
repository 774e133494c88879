# ruff: noqa: ANN401  a queue takes whatever work there is
"""A hunt through messages stops after little of a long text, goes on from there, and comes to the same all the same."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_imap.config import ServerConfig
from lemonade_imap.connection import Connection
from lemonade_imap.grammar import commands as c
from lemonade_imap.grammar.parser import parse_command
from lemonade_imap.serving import matching
from lemonade_imap.serving.backend import Backend
from lemonade_imap.serving.matching import Hunt
from lemonade_imap.serving.service import Service
from lemonade_imap.store.base import CHUNK, Arriving, Mailbox, Message, Store, StoreError
from lemonade_imap.store.memory import MemoryStore
from lemonade_imap.store.sqlite import SqliteStore
from lemonade_imap.view import View
from lemonade_wire.imap.framing import LogicalLine
from lemonade_wire.redact import Redactor
from lemonade_wire.trace import Trace

AT = datetime(2026, 11, 22, tzinfo=UTC)
MIB = 1024 * 1024


class CountingStore(MemoryStore):
    """Counts the octets that are read, and can break."""

    def __init__(self) -> None:
        super().__init__()
        self.octets_read = 0
        self.broken = False

    def read(self, message: Message, offset: int, length: int) -> Iterator[bytes]:
        chunks = super().read(message, offset, length)
        if self.broken:
            raise StoreError("the disk is gone")
        return self._counted(chunks)

    def _counted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.octets_read += len(chunk)
            yield chunk


def filled(*texts: bytes) -> tuple[CountingStore, Mailbox]:
    store = CountingStore()
    return store, put(store, *texts)


def put(store: Store, *texts: bytes) -> Mailbox:
    mailbox = store.mailbox("joe", "INBOX")
    assert mailbox is not None
    for text in texts:
        arrival = store.arrive()
        arrival.write(b"Subject: x\r\n\r\n" + text)
        store.append(mailbox, [Arriving(arrival, [], AT)])
    return mailbox


def hunt(store: Store, mailbox: Mailbox, keys: str) -> Hunt:
    command = parse_command(LogicalLine.of(f"a SEARCH {keys}".encode())).command
    assert isinstance(command, c.Search)
    view = View(mailbox, store.uids(mailbox), read_only=True)
    return Hunt(store, view, command.key, frozenset())


def numbers(hunt: Hunt) -> list[int]:
    found: list[int] = []
    while (some := hunt.some()) is not None:
        found += [one.number for one in some]
    return found


@pytest.mark.parametrize("keys", ["TEXT needle", "BODY needle", "NOT TEXT haystack", "OR SEEN NOT (BODY x BODY y)"])
def test_a_long_text_is_read_over_many_visits(keys: str) -> None:
    store, mailbox = filled(b"needle", b"." * (8 * MIB) + b"needle", b"none haystack x y")
    hunting, visits, found = hunt(store, mailbox, keys), 0, []
    while (some := hunting.some()) is not None:
        assert store.octets_read <= MIB + 2 * CHUNK
        store.octets_read = 0
        visits += 1
        found += [one.number for one in some]
    assert found == [1, 2]
    assert visits > 7


def test_memory_does_not_grow_with_a_text(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    mailbox = put(store, b"." * (32 * MIB))
    hunting = hunt(store, mailbox, "BODY needle")
    tracemalloc.start()
    try:
        assert numbers(hunting) == []
        assert tracemalloc.get_traced_memory()[1] < 4 * MIB
    finally:
        tracemalloc.stop()
        store.close()


def test_a_message_that_goes_on_the_way_is_not_found() -> None:
    store, mailbox = filled(b"." * (4 * MIB) + b"needle", b"needle")
    gone = hunt(store, mailbox, "OR BODY nothing BODY needle")
    assert gone.some() == []
    store.expunge(mailbox, [1])
    assert numbers(gone) == [2]


def test_a_store_that_cannot_read_is_no_message_without_the_text() -> None:
    store, mailbox = filled(b"needle")
    store.broken = True
    with pytest.raises(StoreError):
        numbers(hunt(store, mailbox, "BODY needle"))


KEYS = st.recursive(
    st.sampled_from(["ALL", "TEXT a", "BODY b", "BODY ab", "TEXT x", "SUBJECT x", "LARGER 30", "UID 2:*"]),
    lambda inner: st.one_of(
        inner.map(lambda key: f"NOT {key}"),
        st.tuples(inner, inner).map(lambda pair: f"OR {pair[0]} {pair[1]}"),
        st.lists(inner, min_size=1, max_size=3).map(lambda keys: f"({' '.join(keys)})"),
    ),
    max_leaves=5,
)


@given(KEYS, st.lists(st.text(alphabet="ab.", max_size=30), max_size=4))
def test_how_much_is_read_at_a_time_changes_nothing(keys: str, texts: list[str]) -> None:
    store, mailbox = filled(*(text.encode() for text in texts))
    whole = numbers(hunt(store, mailbox, keys))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "_MOST_OCTETS", 0)
        assert numbers(hunt(store, mailbox, keys)) == whole


class Job:
    """Work for the store that waits for its turn: awaiting it yields it to whoever drives."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work
        self.result: Any = None

    def __await__(self) -> Generator[Job, None, Any]:
        yield self
        return self.result


class Queue:
    """A runner whose jobs are done one after the other, in the order they came."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Job:
        self.jobs.append(Job(partial(function, *args, **kwargs)))
        return self.jobs[-1]


class Talker:
    """A connection of joe's on a server whose store is behind a queue."""

    def __init__(self, service: Service) -> None:
        self.said = b""
        trace = Trace("imap", None, Redactor(""))
        self.connection = Connection(service, self, trace, ("127.0.0.1:143", "127.0.0.1:1"), lambda: 0.0)
        self.connection.session.log_in("joe")

    async def write(self, octets: bytes) -> None:
        self.said += octets

    async def turn(self) -> None:
        """There is no reactor."""


class Room:
    """Two connections, and the one who does what they wait for."""

    def __init__(self, store: Store) -> None:
        self.queue = Queue()
        service = Service(Backend(ServerConfig(), store, self.queue))
        self.one, self.other = Talker(service), Talker(service)
        self._waiting: dict[Job, Coroutine[Any, Any, None]] = {}

    def give(self, talker: Talker, octets: bytes) -> None:
        """Give a command; its answer comes as `turn` is called."""
        talker.connection.session.receive_data(octets)
        self._go_on(talker.connection.pump())

    def turn(self) -> bool:
        """Do what waits longest; tells whether there was something."""
        if not self.queue.jobs:
            return False
        job = self.queue.jobs.pop(0)
        job.result = job.work()
        self._go_on(self._waiting.pop(job))
        return True

    def _go_on(self, work: Coroutine[Any, Any, None]) -> None:
        with suppress(StopIteration):
            self._waiting[work.send(None)] = work


def test_others_are_answered_while_one_searches() -> None:
    store, _ = filled(b"." * (6 * MIB), b"needle")
    room = Room(store)
    for talker in (room.one, room.other):
        room.give(talker, b"s SELECT INBOX\r\n")
        while room.turn():
            pass
    room.give(room.one, b"t SEARCH BODY needle\r\n")
    room.give(room.other, b"f FETCH 1 RFC822.SIZE\r\n")
    while b"f OK" not in room.other.said:
        assert room.turn()
    assert b"t OK" not in room.one.said
    while room.turn():
        pass
    assert b"* SEARCH 2\r\nt OK" in room.one.said
