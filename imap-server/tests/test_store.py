"""Tests that the store in memory and the store on disk both must pass."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lemonade_imap.store.base import (
    CHUNK,
    Counts,
    MailboxExists,
    MailboxMissing,
    NewMessage,
    Scope,
    Store,
    StoreError,
)
from lemonade_imap.store.sqlite import SqliteStore
from lemonade_imap.testing.memory_store import MemoryStore
from lemonade_imap.testing.messages import RECEIVED, append_message, mailbox_of


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made: Store = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "data")
    yield made
    made.close()


def test_inbox_always_exists_in_any_letter_case(store: Store) -> None:
    assert mailbox_of(store, "inbox") == store.mailbox("joe", "INBOX")
    assert mailbox_of(store, "inbox").name == "INBOX"
    assert store.mailboxes("joe") == ["INBOX"]


def test_each_user_has_own_mailboxes(store: Store) -> None:
    made = store.create("joe", "Füße/b")
    assert store.mailbox("joe", "Füße/b") == made
    assert store.mailbox("ann", "Füße/b") is None
    assert store.mailboxes("joe") == ["INBOX", "Füße/b"]
    with pytest.raises(MailboxExists):
        store.create("joe", "Füße/b")


def test_messages_keep_their_order_flags_date_and_parts(store: Store) -> None:
    mailbox = mailbox_of(store)
    first = append_message(store, mailbox, b"Subject: a\r\n", b"\r\nbody", flags=["\\Seen"])
    second = append_message(store, mailbox, b"Subject: b\r\n\r\n")
    assert (first.uid, second.uid) == (1, 2)
    assert store.uids(mailbox) == [1, 2]
    assert store.messages(mailbox) == [first, second]
    assert store.message(mailbox, 1) == first
    assert store.message(mailbox, 3) is None
    assert (first.size, first.flags, first.received, first.root.length) == (18, frozenset({"\\Seen"}), RECEIVED, 4)
    assert mailbox_of(store).uid_next == 3


def test_flags_change_atomically_with_a_new_modseq(store: Store) -> None:
    mailbox = mailbox_of(store)
    for _ in range(3):
        append_message(store, mailbox, b"x", flags=["\\Seen"])
    before = mailbox_of(store).highest_modseq
    changed, failed = store.change_flags(mailbox, [9, 2, 1], "+", ["work", "\\Seen"])
    assert [(one.uid, one.flags, one.modseq) for one in changed] == [
        (1, frozenset({"\\Seen", "work"}), before + 1),
        (2, frozenset({"\\Seen", "work"}), before + 1),
    ]
    assert failed == []
    assert store.summaries(mailbox, before) == changed
    assert mailbox_of(store).highest_modseq == before + 1
    # a message whose flags stay the same keeps its mod-sequence
    assert store.change_flags(mailbox, [1, 3], "-", ["nothing"]) == ([changed[0], store.summaries(mailbox)[2]], [])
    assert mailbox_of(store).highest_modseq == before + 1
    replaced, failed = store.change_flags(mailbox, [1, 2, 3], "", ["\\Deleted"], unchanged_since=before)
    assert ([one.uid for one in replaced], failed) == ([3], [1, 2])
    assert store.summaries(mailbox)[2].flags == {"\\Deleted"}
    assert [message.flags for message in store.messages(mailbox)] == [one.flags for one in store.summaries(mailbox)]


def test_counts_of_a_mailbox_for_status(store: Store) -> None:
    mailbox = mailbox_of(store)
    assert store.counts(mailbox) == Counts()
    for flags in ([], ["\\Seen"], ["\\Deleted", "\\Seenish"]):
        append_message(store, mailbox, b"12345", flags=flags)
    assert store.counts(mailbox) == Counts(messages=3, recent=3, unseen=2)
    assert store.claim_recent(mailbox) == {1, 2, 3}
    assert store.claim_recent(mailbox) == store.recent(mailbox) == frozenset()
    append_message(store, mailbox, b"1")
    assert store.recent(mailbox) == {4}
    assert store.counts(mailbox).recent == 1


def test_several_messages_arrive_together_or_not_at_all(store: Store) -> None:
    mailbox = mailbox_of(store)
    arrivals = [store.arrive() for _ in range(3)]
    for number, arrival in enumerate(arrivals):
        arrival.write(b"%d" % number)
    arrivals.pop().discard()
    made = store.append(mailbox, [NewMessage(arrival, [], RECEIVED) for arrival in arrivals])
    assert [(message.uid, message.modseq) for message in made] == [(1, 2), (2, 2)]
    assert [b"".join(store.read(message, 0, 9)) for message in made] == [b"0", b"1"]
    gone = store.create("joe", "gone")
    store.delete("joe", "gone")
    with pytest.raises(MailboxMissing):
        store.append(gone, [NewMessage(store.arrive(), [], RECEIVED), NewMessage(store.arrive(), [], RECEIVED)])
    assert store.uids(mailbox) == [1, 2]
    assert store.append(mailbox, []) == []
    assert mailbox_of(store).highest_modseq == 2


def test_copies_are_independent_messages(store: Store) -> None:
    mailbox, other = mailbox_of(store), store.create("joe", "other")
    for octets in (b"a", b"b", b"c"):
        append_message(store, mailbox, octets, flags=["\\Seen"])
    store.expunge(mailbox, [2])
    assert store.copy(mailbox, [3, 1, 2, 9], other) == [(1, 1), (3, 2)]
    store.expunge(mailbox, [1, 3])
    copies = store.messages(other)
    assert [(copy.uid, copy.flags, copy.received) for copy in copies] == [
        (uid, frozenset({"\\Seen"}), RECEIVED) for uid in (1, 2)
    ]
    assert [b"".join(store.read(copy, 0, 1)) for copy in copies] == [b"a", b"c"]
    assert store.recent(other) == {1, 2}
    assert store.copy(other, [1], other) == [(1, 3)]
    store.delete("joe", "other")
    append_message(store, mailbox, b"d")
    with pytest.raises(MailboxMissing):
        store.copy(mailbox, [4], other)


def test_a_move_leaves_nothing_behind(store: Store) -> None:
    mailbox, other = mailbox_of(store), store.create("joe", "other")
    append_message(store, mailbox, b"a")
    append_message(store, mailbox, b"b")
    before = mailbox_of(store).highest_modseq
    assert store.move(mailbox, [2, 5], other) == [(2, 1)]
    assert (store.uids(mailbox), store.uids(other)) == ([1], [1])
    assert b"".join(store.read(store.messages(other)[0], 0, 9)) == b"b"
    assert mailbox_of(store).highest_modseq > before
    store.delete("joe", "other")
    with pytest.raises(MailboxMissing):
        store.move(mailbox, [1], other)
    assert store.uids(mailbox) == [1]


def test_a_message_can_be_read_to_its_end_after_expunge(store: Store) -> None:
    octets = bytes(range(256)) * 4096
    message = append_message(store, mailbox_of(store), octets)
    chunks = store.read(message, 0, len(octets))
    begun = next(chunks)
    store.expunge(mailbox_of(store), [message.uid])
    assert begun + b"".join(chunks) == octets


def test_rename_also_renames_mailboxes_below(store: Store) -> None:
    old = store.create("joe", "a")
    for name in ("a/b", "a/b/c", "ab", "x"):
        store.create("joe", name)
    append_message(store, old, b"x")
    with pytest.raises(MailboxExists):
        store.rename("joe", "a", "x")
    with pytest.raises(MailboxExists):
        store.rename("joe", "a", "a")
    with pytest.raises(MailboxMissing):
        store.rename("joe", "nothing", "y")
    with pytest.raises(StoreError):
        store.rename("joe", "a", "a/b/d")
    store.rename("joe", "a", "z")
    assert store.mailboxes("joe") == ["INBOX", "ab", "x", "z", "z/b", "z/b/c"]
    new = store.mailbox("joe", "z")
    assert new is not None
    assert (new.ident, new.uid_validity, store.uids(new)) == (old.ident, old.uid_validity, [1])
    store.delete("joe", "z")
    store.rename("joe", "z", "y")
    assert store.mailboxes("joe") == ["INBOX", "ab", "x", "y/b", "y/b/c"]


def test_the_uidvalidity_of_a_name_never_decreases(store: Store) -> None:
    old = store.create("joe", "old")
    store.make_key(old)
    gone = store.create("joe", "new")
    store.delete("joe", "new")
    store.rename("joe", "old", "new")
    new = store.mailbox("joe", "new")
    assert new is not None
    assert new.uid_validity > gone.uid_validity
    assert store.key(new) is None


def test_renaming_inbox_moves_its_messages(store: Store) -> None:
    store.create("joe", "INBOX/below")
    append_message(store, mailbox_of(store), b"x", flags=["work"])
    store.rename("joe", "inbox", "old mail")
    assert store.mailboxes("joe") == ["INBOX", "INBOX/below", "old mail"]
    assert store.uids(mailbox_of(store)) == []
    moved = store.mailbox("joe", "old mail")
    assert moved is not None
    assert [message.flags for message in store.messages(moved)] == [{"work"}]
    assert append_message(store, mailbox_of(store), b"y").uid == 2
    with pytest.raises(MailboxExists):
        store.rename("joe", "INBOX", "old mail")


def test_subscriptions_are_names_and_need_no_mailbox(store: Store) -> None:
    for name in ("b", "a", "inbox", "nothing/here", "b"):
        store.subscribe("joe", name)
    assert store.subscriptions("joe") == ["INBOX", "a", "b", "nothing/here"]
    store.unsubscribe("joe", "a")
    store.unsubscribe("joe", "a")
    assert store.subscriptions("joe") == ["INBOX", "b", "nothing/here"]
    assert store.subscriptions("ann") == []


def test_each_scope_has_own_annotations_which_follow_the_mailbox(store: Store) -> None:
    mailbox = store.create("joe", "box")
    scopes = [Scope(), Scope("joe"), Scope(None, mailbox), Scope("joe", mailbox)]
    for number, scope in enumerate(scopes):
        store.set_entries(scope, {"/shared/Comment": b"%d" % number, "/a": b"\0\xff"})
    for number, scope in enumerate(scopes):
        assert store.entries(scope) == {"/a": b"\0\xff", "/shared/Comment": b"%d" % number}
    store.set_entries(scopes[2], {"/SHARED/comment": b"new", "/A": None, "/none": None})
    assert store.entries(scopes[2]) == {"/SHARED/comment": b"new"}
    store.rename("joe", "box", "other")
    assert store.entries(scopes[2]) == {"/SHARED/comment": b"new"}
    store.delete("joe", "other")
    assert store.entries(scopes[2]) == store.entries(scopes[3]) == {}
    with pytest.raises(MailboxMissing):
        store.set_entries(scopes[3], {"/a": b""})
    assert store.entries(scopes[1]) == {"/a": b"\0\xff", "/shared/Comment": b"1"}


def test_a_uid_is_never_used_twice(store: Store) -> None:
    mailbox = mailbox_of(store)
    gone = append_message(store, mailbox, b"x")
    store.expunge(mailbox, [gone.uid, 77])
    assert store.messages(mailbox) == []
    assert append_message(store, mailbox, b"y").uid == 2
    with pytest.raises(StoreError):
        store.read(gone, 0, 1)


def test_octets_are_read_in_chunks(store: Store) -> None:
    octets = bytes(range(256)) * 1024
    message = append_message(store, mailbox_of(store), octets[:9], octets[9:])
    chunks = list(store.read(message, 10, len(octets) - 20))
    assert b"".join(chunks) == octets[10:-10]
    assert max(map(len, chunks)) <= CHUNK
    assert b"".join(store.read(message, 5, 0)) == b""


def test_a_key_is_made_once_and_per_mailbox(store: Store) -> None:
    mailbox, other = mailbox_of(store), store.create("joe", "other")
    assert store.key(mailbox) is None
    key = store.make_key(mailbox)
    assert len(key) == 32
    assert store.make_key(mailbox) == store.key(mailbox) == key
    assert store.make_key(other) != key


def test_reset_keys_deletes_keys(store: Store) -> None:
    mailbox, other = mailbox_of(store), store.create("joe", "other")
    first, second = store.make_key(mailbox), store.make_key(other)
    store.reset_keys("ann")
    assert (store.key(mailbox), store.key(other)) == (first, second)
    store.reset_keys("joe", "other")
    assert (store.key(mailbox), store.key(other)) == (first, None)
    store.reset_keys("joe")
    assert store.key(mailbox) is None
    assert store.make_key(mailbox) != first


def test_a_mailbox_made_again_has_no_messages_and_no_key(store: Store) -> None:
    old = store.create("joe", "box")
    store.make_key(old)
    append_message(store, old, b"x")
    store.delete("joe", "box")
    new = store.create("joe", "box")
    assert new.uid_validity > old.uid_validity
    assert store.key(new) is None
    assert store.messages(new) == store.messages(old) == []
    with pytest.raises(MailboxMissing):
        append_message(store, old, b"x")
    with pytest.raises(MailboxMissing):
        store.delete("joe", "nothing")
