"""Changes that wait for each other share a commit; each of them still happens as a whole or not at all."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList
from twisted.trial.unittest import TestCase

from lemonade_imap.store.base import Arriving, Mailbox, MailboxExists, StoreError
from lemonade_imap.store.sqlite import SqliteStore
from lemonade_imap.store.thread import StoreThread

AT = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)


def keep(store: SqliteStore, mailbox: Mailbox, octets: bytes) -> int:
    arrival = store.arrive()
    arrival.write(octets)
    return store.append(mailbox, [Arriving(arrival, [], AT)])[0].uid


def inbox(store: SqliteStore) -> Mailbox:
    mailbox = store.mailbox("joe", "INBOX")
    assert mailbox is not None
    return mailbox


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(tmp_path)
    inbox(made)
    yield made
    made.close()


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "messages" / "1").glob("[0-9]*"))


def test_what_waits_is_committed_once_and_what_fails_alone_is_left_out(store: SqliteStore, tmp_path: Path) -> None:
    committed: list[str] = []
    store._db.set_trace_callback(lambda text: committed.append(text) if text == "COMMIT" else None)
    store.transactions.hold()
    assert not store.transactions.pending
    assert keep(store, inbox(store), b"a") == 1
    assert store.transactions.pending
    store.create("joe", "a")
    with pytest.raises(MailboxExists):
        store.create("joe", "a")
    assert keep(store, inbox(store), b"b") == 2
    assert committed == []
    store.transactions.release()
    assert committed == ["COMMIT"]
    assert not store.transactions.pending
    store.close()
    again = SqliteStore(tmp_path)
    assert again.uids(inbox(again)) == [1, 2]
    assert again.mailboxes("joe") == ["INBOX", "a"]
    again.close()


def test_a_commit_that_fails_undoes_all_that_waited(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(store, inbox(store), b"a")
    store.transactions.hold()
    keep(store, inbox(store), b"b")
    store.change_flags(inbox(store), [1], "+", ["work"])
    store.expunge(inbox(store), [1])

    def refuses(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", refuses)
        with pytest.raises(StoreError, match="Input/output error"):
            store.transactions.release()
    assert [(one.uid, one.flags) for one in store.summaries(inbox(store))] == [(1, frozenset())]
    assert files(tmp_path) == ["1"]
    assert keep(store, inbox(store), b"c") == 2
    assert b"".join(store.read(store.messages(inbox(store))[1], 0, 9)) == b"c"


def test_a_transaction_that_the_database_gives_up_is_never_answered(store: SqliteStore, tmp_path: Path) -> None:
    store.transactions.hold()
    keep(store, inbox(store), b"a")

    def fails() -> None:
        with store.transactions.write():
            # a full disk does this to SQLite
            store._db.execute("ROLLBACK")
            raise OSError(28, "No space left on device")

    with pytest.raises(StoreError, match="No space left"):
        fails()
    assert store.transactions.pending
    with pytest.raises(StoreError, match="with it"):
        store.transactions.release()
    assert store.uids(inbox(store)) == []
    assert files(tmp_path) == []


class SharedCommitTest(TestCase):
    """Calls that wait for the store's thread are answered after their common commit."""

    folder: Path

    @pytest.fixture(autouse=True)
    def _given(self, tmp_path: Path) -> None:
        # trial's own mktemp leaves its folders where the tests are run from
        self.folder = tmp_path

    async def test_many_appends_one_commit(self) -> None:
        store = SqliteStore(self.folder)
        mailbox = inbox(store)
        commits: list[str] = []
        store._db.set_trace_callback(lambda text: commits.append(text) if text == "COMMIT" else None)
        thread = StoreThread(reactor, store.transactions)
        begun, go = threading.Event(), threading.Event()
        first = thread.call(lambda: (begun.set(), go.wait())[1])
        begun.wait()
        waiting: list[Deferred[int]] = [thread.call(keep, store, mailbox, b"x") for _ in range(20)]
        missing = thread.call(keep, store, Mailbox(99, "joe", "gone", 1, 1), b"x")
        go.set()
        assert await first
        results = await DeferredList([*waiting, missing], consumeErrors=True)
        assert [result for good, result in results if good] == list(range(1, 21))
        assert [good for good, _ in results].count(False) == 1
        assert commits == ["COMMIT"]
        # nothing is held back once the queue is empty
        assert await thread.call(keep, store, mailbox, b"y") == 21
        thread.stop()
        store.close()
