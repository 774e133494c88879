"""Waiting changes share one commit; each change is still made as a whole or not at all."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet import reactor
from twisted.internet.defer import DeferredList
from twisted.trial.unittest import TestCase

from lemonade_imap.store.base import MailboxExists, StoredMailbox, StoreError
from lemonade_imap.store.sqlite import SqliteStore
from lemonade_imap.store.thread import StoreThread
from lemonade_imap.testing.messages import append_message, mailbox_of


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(tmp_path)
    mailbox_of(made)
    yield made
    made.close()


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "messages" / "1").glob("[0-9]*"))


def test_waiting_changes_share_one_commit_without_those_that_failed(store: SqliteStore, tmp_path: Path) -> None:
    committed: list[str] = []
    store._db.set_trace_callback(lambda text: committed.append(text) if text == "COMMIT" else None)
    store.transactions.hold()
    assert not store.transactions.pending
    assert append_message(store, mailbox_of(store), b"a").uid == 1
    assert store.transactions.pending
    store.create("joe", "a")
    with pytest.raises(MailboxExists):
        store.create("joe", "a")
    assert append_message(store, mailbox_of(store), b"b").uid == 2
    assert committed == []
    store.transactions.release()
    assert committed == ["COMMIT"]
    assert not store.transactions.pending
    store.close()
    again = SqliteStore(tmp_path)
    assert again.uids(mailbox_of(again)) == [1, 2]
    assert again.mailboxes("joe") == ["INBOX", "a"]
    again.close()


def test_a_commit_that_fails_undoes_all_that_waited(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append_message(store, mailbox_of(store), b"a")
    store.transactions.hold()
    append_message(store, mailbox_of(store), b"b")
    store.change_flags(mailbox_of(store), [1], "+", ["work"])
    store.expunge(mailbox_of(store), [1])

    def refuses(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", refuses)
        with pytest.raises(StoreError, match="Input/output error"):
            store.transactions.release()
    assert [(one.uid, one.flags) for one in store.summaries(mailbox_of(store))] == [(1, frozenset())]
    assert files(tmp_path) == ["1"]
    assert append_message(store, mailbox_of(store), b"c").uid == 2
    assert b"".join(store.read(store.messages(mailbox_of(store))[1], 0, 9)) == b"c"


def test_a_transaction_that_sqlite_rolls_back_is_never_answered(store: SqliteStore, tmp_path: Path) -> None:
    store.transactions.hold()
    append_message(store, mailbox_of(store), b"a")

    def fails() -> None:
        with store.transactions.write():
            # SQLite rolls back in this way if the disk is full
            store._db.execute("ROLLBACK")
            raise OSError(28, "No space left on device")

    with pytest.raises(StoreError, match="No space left"):
        fails()
    assert store.transactions.pending
    with pytest.raises(StoreError, match="waited with this one"):
        store.transactions.release()
    assert store.uids(mailbox_of(store)) == []
    assert files(tmp_path) == []


class SharedCommitTest(TestCase):
    """Calls that wait for the store's thread are answered after their common commit."""

    folder: Path

    @pytest.fixture(autouse=True)
    def _given(self, tmp_path: Path) -> None:
        # the `mktemp` of trial would leave folders in the current folder
        self.folder = tmp_path

    async def test_many_appends_share_one_commit(self) -> None:
        store = SqliteStore(self.folder)
        mailbox = mailbox_of(store)
        commits: list[str] = []
        store._db.set_trace_callback(lambda text: commits.append(text) if text == "COMMIT" else None)
        thread = StoreThread(reactor, store.transactions)
        begun, go = threading.Event(), threading.Event()

        def wait() -> bool:
            begun.set()
            return go.wait()

        first = thread.call(wait)
        begun.wait()
        waiting = [thread.call(append_message, store, mailbox, b"x") for _ in range(20)]
        missing = thread.call(append_message, store, StoredMailbox(99, "joe", "gone", 1, 1), b"x")
        go.set()
        assert await first
        results = await DeferredList([*waiting, missing], consumeErrors=True)
        assert [message.uid for good, message in results if good] == list(range(1, 21))
        assert [good for good, _ in results].count(False) == 1
        assert commits == ["COMMIT"]
        # commits are not delayed any more after the queue is empty
        assert (await thread.call(append_message, store, mailbox, b"y")).uid == 21
        thread.stop()
        store.close()
