"""The cache of a mailbox agrees with the store after any changes and updates in any order."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_imap.serving.mailbox_cache import KEPT, CacheUpdate, MailboxCache, MailboxCaches, run_query
from lemonade_imap.store.base import NewMessage, StoredMailbox, Summary
from lemonade_imap.testing.memory_store import MemoryStore
from lemonade_imap.testing.messages import mailbox_of

AT = datetime(2026, 11, 22, tzinfo=UTC)


def summary(uid: int, modseq: int, *flags: str) -> Summary:
    return Summary(uid, frozenset(flags), modseq, AT, 1)


def test_updates_add_change_and_remove_messages() -> None:
    cache = MailboxCache()
    cache.apply(CacheUpdate([summary(2, 1), summary(5, 2, "\\Seen", "x")]), 0, 0)
    assert (cache.uids, cache.modseqs, cache.modseq) == ([2, 5], [1, 2], 2)
    assert cache.flags == [frozenset(), frozenset({"\\Seen", "x"})]
    cache.apply(CacheUpdate([summary(2, 3, "\\Deleted"), summary(7, 4)], [2, 7]), 3, 1)
    assert (cache.uids, cache.modseqs, cache.modseq) == ([2, 7], [3, 4], 4)
    assert (cache.count, cache.removals) == (3, 1)
    assert list(cache.with_flag("\\Deleted")) == [2]
    assert cache.keywords() == set()
    assert cache.first_unseen() == 1
    assert (cache.find(7), cache.find(5), cache.after(2), cache.after(0)) == (1, None, 1, 0)


def test_a_late_update_does_not_restore_older_values() -> None:
    cache = MailboxCache()
    cache.apply(CacheUpdate([summary(1, 5, "\\Seen")], [1]), 4, 2)
    cache.apply(CacheUpdate([summary(1, 3)]), 2, 1)
    assert (cache.flags, cache.modseqs, cache.modseq) == ([frozenset({"\\Seen"})], [5], 5)
    assert (cache.count, cache.removals) == (4, 2)


def test_all_uids_are_queried_after_a_removal() -> None:
    cache, mailbox = MailboxCache(), StoredMailbox(1, "joe", "INBOX", 1, 1)
    cache.apply(CacheUpdate([summary(1, 5)]), 1, 0)
    assert (cache.query(mailbox, 0).since, cache.query(mailbox, 0).all_uids) == (5, False)
    assert cache.query(mailbox, 1).all_uids


def test_the_least_recently_used_cache_is_removed_first() -> None:
    caches = MailboxCaches()
    first, second = caches.of(0), caches.of(1)
    for ident in range(2, KEPT):
        caches.of(ident)
    assert caches.of(0) is first
    caches.of(KEPT)
    assert caches.of(0) is first
    assert caches.of(1) is not second
    caches.forget(0)
    assert caches.of(0) is not first


UIDS = st.sets(st.integers(1, 8), max_size=4)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 2)),
        st.tuples(st.just("flags"), UIDS),
        st.tuples(st.just("unflags"), UIDS),
        st.tuples(st.just("expunge"), UIDS),
        st.tuples(st.just("look"), st.integers(0, 1)),
    ),
    max_size=30,
)


@settings(max_examples=60)
@given(STEPS)
def test_caches_updated_at_any_times_equal_the_mailbox_and_know_its_changes(
    steps: list[tuple[str, int | set[int]]],
) -> None:
    store = MemoryStore()
    mailbox = mailbox_of(store)
    removals = 0
    caches = [MailboxCache(), MailboxCache()]

    def looks(cache: MailboxCache) -> None:
        before, known = cache.modseq, dict(zip(cache.uids, cache.flags, strict=True))
        cache.apply(run_query(store, cache.query(mailbox, removals)), 1, removals)
        there = {summary.uid: summary for summary in store.summaries(mailbox)}
        assert cache.uids == list(there)
        assert cache.flags == [summary.flags for summary in there.values()]
        assert cache.modseqs == [summary.modseq for summary in there.values()]
        changed = {cache.uids[at] for at in cache.changed_since(before)}
        assert {uid for uid in known if uid in there and known[uid] != there[uid].flags} <= changed
        assert changed <= {uid for uid, summary in there.items() if summary.modseq > before}

    for word, argument in [*steps, ("look", 0), ("look", 1)]:
        match word, argument:
            case "append", int(count):
                store.append(mailbox, [NewMessage(store.arrive(), [], AT) for _ in range(count)])
            case "expunge", set(uids):
                removals += bool(store.expunge(mailbox, uids))
            case "look", int(which):
                looks(caches[which])
            case _, set(uids):
                store.change_flags(mailbox, uids, "+" if word == "flags" else "-", ["x"])
