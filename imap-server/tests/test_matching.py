"""A search stops after a part of a long text and continues there in the next call, with the same result."""

from __future__ import annotations

import tracemalloc
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_imap.config import ServerConfig
from lemonade_imap.connection import ServerConnection
from lemonade_imap.grammar import commands as c
from lemonade_imap.grammar.parser import parse_command
from lemonade_imap.selected_mailbox import SelectedMailbox
from lemonade_imap.serving import matching
from lemonade_imap.serving.backend import Backend
from lemonade_imap.serving.matching import MessageSearch
from lemonade_imap.serving.service import ImapService
from lemonade_imap.store.base import CHUNK, Store, StoredMailbox, StoredMessage, StoreError
from lemonade_imap.store.sqlite import SqliteStore
from lemonade_imap.testing.job_queue import JobQueue, StoreJob
from lemonade_imap.testing.memory_store import MemoryStore
from lemonade_imap.testing.messages import append_message, mailbox_of
from lemonade_wire.imap.framing import LogicalLine
from lemonade_wire.redaction import Redactor
from lemonade_wire.trace import Trace

MIB = 1024 * 1024


class CountingStore(MemoryStore):
    """A store that counts the octets that are read, and can raise errors."""

    def __init__(self) -> None:
        super().__init__()
        self.octets_read = 0
        self.broken = False

    def read(self, message: StoredMessage, offset: int, length: int) -> Iterator[bytes]:
        chunks = super().read(message, offset, length)
        if self.broken:
            raise StoreError("the disk is gone")
        return self._counted(chunks)

    def _counted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.octets_read += len(chunk)
            yield chunk


def filled(*texts: bytes) -> tuple[CountingStore, StoredMailbox]:
    store = CountingStore()
    return store, put(store, *texts)


def put(store: Store, *texts: bytes) -> StoredMailbox:
    mailbox = mailbox_of(store)
    for text in texts:
        append_message(store, mailbox, b"Subject: x\r\n\r\n", text)
    return mailbox


def search(store: Store, mailbox: StoredMailbox, keys: str) -> MessageSearch:
    command = parse_command(LogicalLine.of(f"a SEARCH {keys}".encode())).command
    assert isinstance(command, c.Search)
    view = SelectedMailbox(mailbox, store.uids(mailbox), read_only=True)
    return MessageSearch(store, view, command.key, frozenset())


def numbers(search: MessageSearch) -> list[int]:
    found: list[int] = []
    while (some := search.next_batch()) is not None:
        found += [one.number for one in some]
    return found


@pytest.mark.parametrize("keys", ["TEXT needle", "BODY needle", "NOT TEXT haystack", "OR SEEN NOT (BODY x BODY y)"])
def test_a_long_text_is_read_in_many_calls_of_the_store(keys: str) -> None:
    store, mailbox = filled(b"needle", b"." * (8 * MIB) + b"needle", b"none haystack x y")
    running, calls, found = search(store, mailbox, keys), 0, []
    while (some := running.next_batch()) is not None:
        assert store.octets_read <= MIB + 2 * CHUNK
        store.octets_read = 0
        calls += 1
        found += [one.number for one in some]
    assert found == [1, 2]
    assert calls > 7


def headed(fields: bytes) -> tuple[CountingStore, StoredMailbox]:
    store = CountingStore()
    mailbox = store.mailbox("joe", "INBOX")
    assert mailbox is not None
    append_message(store, mailbox, fields + b"\r\nx")
    return store, mailbox


@pytest.mark.parametrize(
    "keys",
    [
        " ".join(f"NOT HEADER a y{number}" for number in range(50)),
        "TEXT y",
        " ".join(f"NOT TEXT y{number}" for number in range(20)),
    ],
)
def test_a_long_header_is_compared_in_many_calls_of_the_store(keys: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []
    says = matching.Candidate.says

    def counting(one: matching.Candidate, value: str, wanted: str) -> bool:
        compared[-1] += 1
        return says(one, value, wanted)

    monkeypatch.setattr(matching.Candidate, "says", counting)
    store, mailbox = headed(b"a:\r\n" * 30000)
    searching, found = search(store, mailbox, keys), []
    compared.append(0)
    while (some := searching.next_batch()) is not None:
        found += some
        compared.append(0)
    assert len(found) == keys.startswith("NOT")
    assert sum(compared) >= 30000
    assert max(compared) <= MIB // 100 + 1


def test_many_keys_are_tested_for_few_messages_in_one_call_of_the_store() -> None:
    store, mailbox = filled(*[b"x"] * 200)
    searching = search(store, mailbox, " ".join(["NOT KEYWORD y"] * 240))
    first = searching.next_batch()
    assert first is not None
    assert 0 < len(first) <= MIB // (240 * 20 * 2)
    assert len(first) + len(numbers(searching)) == 200


def test_memory_does_not_grow_with_a_text(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    mailbox = put(store, b"." * (32 * MIB))
    running = search(store, mailbox, "BODY needle")
    tracemalloc.start()
    try:
        assert numbers(running) == []
        assert tracemalloc.get_traced_memory()[1] < 4 * MIB
    finally:
        tracemalloc.stop()
        store.close()


def test_a_message_that_is_expunged_during_the_search_is_not_found() -> None:
    store, mailbox = filled(b"." * (4 * MIB) + b"needle", b"needle")
    gone = search(store, mailbox, "OR BODY nothing BODY needle")
    assert gone.next_batch() == []
    store.expunge(mailbox, [1])
    assert numbers(gone) == [2]


def test_a_read_error_is_raised_and_not_taken_for_no_match() -> None:
    store, mailbox = filled(b"needle")
    store.broken = True
    with pytest.raises(StoreError):
        numbers(search(store, mailbox, "BODY needle"))


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
def test_the_limit_of_octets_in_one_call_does_not_change_the_result(keys: str, texts: list[str]) -> None:
    store, mailbox = filled(*(text.encode() for text in texts))
    whole = numbers(search(store, mailbox, keys))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "_MOST_WORK", 0)
        assert numbers(search(store, mailbox, keys)) == whole


class Talker:
    """A connection of joe to a server whose store has a queue as its runner."""

    def __init__(self, service: ImapService) -> None:
        self.said = b""
        trace = Trace("imap", None, Redactor(""))
        self.connection = ServerConnection(service, self, trace, ("127.0.0.1:143", "127.0.0.1:1"), lambda: 0.0)
        self.connection.session.log_in("joe")

    async def write(self, octets: bytes) -> None:
        self.said += octets


class Room:
    """Two connections, and the queue of the work that they wait for."""

    def __init__(self, store: Store) -> None:
        self.queue = JobQueue()
        service = ImapService(Backend(ServerConfig(), store, self.queue))
        self.one, self.other = Talker(service), Talker(service)
        self._waiting: dict[StoreJob, Coroutine[Any, Any, None]] = {}

    def give(self, talker: Talker, octets: bytes) -> None:
        """Send a command; calls of `turn` carry it out."""
        talker.connection.session.receive_data(octets)
        self._go_on(talker.connection.pump())

    def turn(self) -> bool:
        """Carry out the oldest waiting job; returns whether there was one."""
        if not self.queue.jobs:
            return False
        job = self.queue.work()
        self._go_on(self._waiting.pop(job))
        return True

    def _go_on(self, work: Coroutine[Any, Any, None]) -> None:
        with suppress(StopIteration):
            self._waiting[work.send(None)] = work


def test_other_sessions_are_answered_during_a_search() -> None:
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
