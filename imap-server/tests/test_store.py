"""The same promises of both stores."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lemonade_imap.store.base import (
    CHUNK,
    Arriving,
    Counts,
    Mailbox,
    MailboxExists,
    MailboxMissing,
    Message,
    Scope,
    Store,
    StoreError,
)
from lemonade_imap.store.memory import MemoryStore
from lemonade_imap.store.sqlite import SqliteStore

AT = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made: Store = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "data")
    yield made
    made.close()


def inbox(store: Store) -> Mailbox:
    mailbox = store.mailbox("joe", "inbox")
    assert mailbox is not None
    return mailbox


def keep(store: Store, mailbox: Mailbox, chunks: Iterable[bytes], flags: Collection[str] = ()) -> Message:
    arrival = store.arrive()
    for chunk in chunks:
        arrival.write(chunk)
    (message,) = store.append(mailbox, [Arriving(arrival, flags, AT)])
    return message


def test_inbox_is_always_there_in_any_case(store: Store) -> None:
    assert inbox(store) == store.mailbox("joe", "INBOX")
    assert inbox(store).name == "INBOX"
    assert store.mailboxes("joe") == ["INBOX"]


def test_mailboxes_are_a_users_own(store: Store) -> None:
    made = store.create("joe", "Füße/b")
    assert store.mailbox("joe", "Füße/b") == made
    assert store.mailbox("ann", "Füße/b") is None
    assert store.mailboxes("joe") == ["INBOX", "Füße/b"]
    with pytest.raises(MailboxExists):
        store.create("joe", "Füße/b")


def test_messages_keep_their_order_flags_date_and_parts(store: Store) -> None:
    mailbox = inbox(store)
    first = keep(store, mailbox, [b"Subject: a\r\n", b"\r\nbody"], ["\\Seen"])
    second = keep(store, mailbox, [b"Subject: b\r\n\r\n"])
    assert (first.uid, second.uid) == (1, 2)
    assert store.uids(mailbox) == [1, 2]
    assert store.messages(mailbox) == [first, second]
    assert store.message(mailbox, 1) == first
    assert store.message(mailbox, 3) is None
    assert (first.size, first.flags, first.received, first.root.length) == (18, frozenset({"\\Seen"}), AT, 4)
    assert inbox(store).uid_next == 3


def test_flags_change_in_one_piece_and_tell_their_modseq(store: Store) -> None:
    mailbox = inbox(store)
    for _ in range(3):
        keep(store, mailbox, [b"x"], ["\\Seen"])
    before = inbox(store).highest_modseq
    changed, failed = store.change_flags(mailbox, [9, 2, 1], "+", ["work", "\\Seen"])
    assert [(one.uid, one.flags, one.modseq) for one in changed] == [
        (1, frozenset({"\\Seen", "work"}), before + 1),
        (2, frozenset({"\\Seen", "work"}), before + 1),
    ]
    assert failed == []
    assert store.summaries(mailbox, before) == changed
    assert inbox(store).highest_modseq == before + 1
    # what stays as it was keeps its mod-sequence
    assert store.change_flags(mailbox, [1, 3], "-", ["nothing"]) == ([changed[0], store.summaries(mailbox)[2]], [])
    assert inbox(store).highest_modseq == before + 1
    replaced, failed = store.change_flags(mailbox, [1, 2, 3], "", ["\\Deleted"], unchanged_since=before)
    assert ([one.uid for one in replaced], failed) == ([3], [1, 2])
    assert store.summaries(mailbox)[2].flags == {"\\Deleted"}
    assert [message.flags for message in store.messages(mailbox)] == [one.flags for one in store.summaries(mailbox)]


def test_counts(store: Store) -> None:
    mailbox = inbox(store)
    assert store.counts(mailbox) == Counts()
    for flags in ([], ["\\Seen"], ["\\Deleted", "\\Seenish"]):
        keep(store, mailbox, [b"12345"], flags)
    assert store.counts(mailbox) == Counts(messages=3, recent=3, unseen=2, deleted=1, size=15)
    assert store.claim_recent(mailbox) == {1, 2, 3}
    assert store.claim_recent(mailbox) == store.recent(mailbox) == frozenset()
    keep(store, mailbox, [b"1"])
    assert store.recent(mailbox) == {4}
    assert store.counts(mailbox).recent == 1


def test_several_messages_arrive_together_or_not_at_all(store: Store) -> None:
    mailbox = inbox(store)
    arrivals = [store.arrive() for _ in range(3)]
    for number, arrival in enumerate(arrivals):
        arrival.write(b"%d" % number)
    arrivals.pop().discard()
    made = store.append(mailbox, [Arriving(arrival, [], AT) for arrival in arrivals])
    assert [(message.uid, message.modseq) for message in made] == [(1, 2), (2, 2)]
    assert [b"".join(store.read(message, 0, 9)) for message in made] == [b"0", b"1"]
    gone = store.create("joe", "gone")
    store.delete("joe", "gone")
    with pytest.raises(MailboxMissing):
        store.append(gone, [Arriving(store.arrive(), [], AT), Arriving(store.arrive(), [], AT)])
    assert store.uids(mailbox) == [1, 2]
    assert store.append(mailbox, []) == []
    assert inbox(store).highest_modseq == 2


def test_copies_are_messages_of_their_own(store: Store) -> None:
    mailbox, other = inbox(store), store.create("joe", "other")
    for octets in (b"a", b"b", b"c"):
        keep(store, mailbox, [octets], ["\\Seen"])
    store.expunge(mailbox, [2])
    assert store.copy(mailbox, [3, 1, 2, 9], other) == [(1, 1), (3, 2)]
    store.expunge(mailbox, [1, 3])
    copies = store.messages(other)
    assert [(copy.uid, copy.flags, copy.received) for copy in copies] == [
        (uid, frozenset({"\\Seen"}), AT) for uid in (1, 2)
    ]
    assert [b"".join(store.read(copy, 0, 1)) for copy in copies] == [b"a", b"c"]
    assert store.recent(other) == {1, 2}
    assert store.copy(other, [1], other) == [(1, 3)]
    store.delete("joe", "other")
    keep(store, mailbox, [b"d"])
    with pytest.raises(MailboxMissing):
        store.copy(mailbox, [4], other)


def test_a_move_leaves_nothing_behind(store: Store) -> None:
    mailbox, other = inbox(store), store.create("joe", "other")
    keep(store, mailbox, [b"a"])
    keep(store, mailbox, [b"b"])
    before = inbox(store).highest_modseq
    assert store.move(mailbox, [2, 5], other) == [(2, 1)]
    assert (store.uids(mailbox), store.uids(other)) == ([1], [1])
    assert b"".join(store.read(store.messages(other)[0], 0, 9)) == b"b"
    assert inbox(store).highest_modseq > before
    store.delete("joe", "other")
    with pytest.raises(MailboxMissing):
        store.move(mailbox, [1], other)
    assert store.uids(mailbox) == [1]


def test_what_is_being_read_goes_on_though_it_is_expunged(store: Store) -> None:
    octets = bytes(range(256)) * 4096
    message = keep(store, inbox(store), [octets])
    chunks = store.read(message, 0, len(octets))
    begun = next(chunks)
    store.expunge(inbox(store), [message.uid])
    assert begun + b"".join(chunks) == octets


def test_rename_takes_inferiors_along(store: Store) -> None:
    old = store.create("joe", "a")
    for name in ("a/b", "a/b/c", "ab", "x"):
        store.create("joe", name)
    keep(store, old, [b"x"])
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


def test_a_name_never_gets_a_smaller_uidvalidity(store: Store) -> None:
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
    keep(store, inbox(store), [b"x"], ["work"])
    store.rename("joe", "inbox", "old mail")
    assert store.mailboxes("joe") == ["INBOX", "INBOX/below", "old mail"]
    assert store.uids(inbox(store)) == []
    moved = store.mailbox("joe", "old mail")
    assert moved is not None
    assert [message.flags for message in store.messages(moved)] == [{"work"}]
    assert keep(store, inbox(store), [b"y"]).uid == 2
    with pytest.raises(MailboxExists):
        store.rename("joe", "INBOX", "old mail")


def test_subscriptions_are_names_alone(store: Store) -> None:
    for name in ("b", "a", "inbox", "nothing/here", "b"):
        store.subscribe("joe", name)
    assert store.subscriptions("joe") == ["INBOX", "a", "b", "nothing/here"]
    store.unsubscribe("joe", "a")
    store.unsubscribe("joe", "a")
    assert store.subscriptions("joe") == ["INBOX", "b", "nothing/here"]
    assert store.subscriptions("ann") == []


def test_annotations_are_a_scopes_own_and_go_with_the_mailbox(store: Store) -> None:
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


def test_a_uid_is_never_given_again(store: Store) -> None:
    mailbox = inbox(store)
    gone = keep(store, mailbox, [b"x"])
    store.expunge(mailbox, [gone.uid, 77])
    assert store.messages(mailbox) == []
    assert keep(store, mailbox, [b"y"]).uid == 2
    with pytest.raises(StoreError):
        store.read(gone, 0, 1)


def test_octets_come_in_chunks(store: Store) -> None:
    octets = bytes(range(256)) * 1024
    message = keep(store, inbox(store), [octets[:9], octets[9:]])
    chunks = list(store.read(message, 10, len(octets) - 20))
    assert b"".join(chunks) == octets[10:-10]
    assert max(map(len, chunks)) <= CHUNK
    assert b"".join(store.read(message, 5, 0)) == b""


def test_a_key_is_made_once_and_per_mailbox(store: Store) -> None:
    mailbox, other = inbox(store), store.create("joe", "other")
    assert store.key(mailbox) is None
    key = store.make_key(mailbox)
    assert len(key) == 32
    assert store.make_key(mailbox) == store.key(mailbox) == key
    assert store.make_key(other) != key


def test_reset_keys_are_gone(store: Store) -> None:
    mailbox, other = inbox(store), store.create("joe", "other")
    first, second = store.make_key(mailbox), store.make_key(other)
    store.reset_keys("ann")
    assert (store.key(mailbox), store.key(other)) == (first, second)
    store.reset_keys("joe", "other")
    assert (store.key(mailbox), store.key(other)) == (first, None)
    store.reset_keys("joe")
    assert store.key(mailbox) is None
    assert store.make_key(mailbox) != first


def test_a_mailbox_made_again_is_another(store: Store) -> None:
    old = store.create("joe", "box")
    store.make_key(old)
    keep(store, old, [b"x"])
    store.delete("joe", "box")
    new = store.create("joe", "box")
    assert new.uid_validity > old.uid_validity
    assert store.key(new) is None
    assert store.messages(new) == store.messages(old) == []
    with pytest.raises(MailboxMissing):
        keep(store, old, [b"x"])
    with pytest.raises(MailboxMissing):
        store.delete("joe", "nothing")
