"""What is remembered of a mailbox follows the store, whatever happens there and whoever looks when."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_imap.serving.mirror import KEPT, Look, Mirror, Mirrors, look
from lemonade_imap.store.base import Arriving, Mailbox, Summary
from lemonade_imap.store.memory import MemoryStore

AT = datetime(2026, 11, 22, tzinfo=UTC)


def summary(uid: int, modseq: int, *flags: str) -> Summary:
    return Summary(uid, frozenset(flags), modseq, AT, 1)


def test_new_messages_changes_and_removals_are_taken() -> None:
    mirror = Mirror()
    mirror.take(Look([summary(2, 1), summary(5, 2, "\\Seen", "x")]), 0, 0)
    assert (mirror.uids, mirror.modseqs, mirror.modseq) == ([2, 5], [1, 2], 2)
    assert mirror.flags == [frozenset(), frozenset({"\\Seen", "x"})]
    mirror.take(Look([summary(2, 3, "\\Deleted"), summary(7, 4)], [2, 7]), 3, 1)
    assert (mirror.uids, mirror.modseqs, mirror.modseq) == ([2, 7], [3, 4], 4)
    assert (mirror.count, mirror.removals) == (3, 1)
    assert list(mirror.with_flag("\\Deleted")) == [2]
    assert mirror.keywords() == set()
    assert mirror.first_unseen() == 1
    assert (mirror.find(7), mirror.find(5), mirror.after(2), mirror.after(0)) == (1, None, 1, 0)


def test_a_look_that_comes_late_makes_nothing_older() -> None:
    mirror = Mirror()
    mirror.take(Look([summary(1, 5, "\\Seen")], [1]), 4, 2)
    mirror.take(Look([summary(1, 3)]), 2, 1)
    assert (mirror.flags, mirror.modseqs, mirror.modseq) == ([frozenset({"\\Seen"})], [5], 5)
    assert (mirror.count, mirror.removals) == (4, 2)


def test_uids_are_asked_for_where_some_were_removed() -> None:
    mirror, mailbox = Mirror(), Mailbox(1, "joe", "INBOX", 1, 1)
    mirror.take(Look([summary(1, 5)]), 1, 0)
    assert (mirror.question(mailbox, 0).since, mirror.question(mailbox, 0).all_uids) == (5, False)
    assert mirror.question(mailbox, 1).all_uids


def test_the_mailbox_not_asked_for_longest_is_forgotten_first() -> None:
    mirrors = Mirrors()
    first, second = mirrors.of(0), mirrors.of(1)
    for ident in range(2, KEPT):
        mirrors.of(ident)
    assert mirrors.of(0) is first
    mirrors.of(KEPT)
    assert mirrors.of(0) is first
    assert mirrors.of(1) is not second
    mirrors.forget(0)
    assert mirrors.of(0) is not first


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
def test_mirrors_that_look_now_and_then_are_the_mailbox_and_know_what_changed(
    steps: list[tuple[str, int | set[int]]],
) -> None:
    store = MemoryStore()
    mailbox = store.mailbox("joe", "INBOX")
    assert mailbox is not None
    removals = 0
    mirrors = [Mirror(), Mirror()]

    def looks(mirror: Mirror) -> None:
        before, known = mirror.modseq, dict(zip(mirror.uids, mirror.flags, strict=True))
        mirror.take(look(store, mirror.question(mailbox, removals)), 1, removals)
        there = {summary.uid: summary for summary in store.summaries(mailbox)}
        assert mirror.uids == list(there)
        assert mirror.flags == [summary.flags for summary in there.values()]
        assert mirror.modseqs == [summary.modseq for summary in there.values()]
        changed = {mirror.uids[at] for at in mirror.changed_since(before)}
        assert {uid for uid in known if uid in there and known[uid] != there[uid].flags} <= changed
        assert changed <= {uid for uid, summary in there.items() if summary.modseq > before}

    for word, argument in [*steps, ("look", 0), ("look", 1)]:
        match word, argument:
            case "append", int(count):
                store.append(mailbox, [Arriving(store.arrive(), [], AT) for _ in range(count)])
            case "expunge", set(uids):
                removals += bool(store.expunge(mailbox, uids))
            case "look", int(which):
                looks(mirrors[which])
            case _, set(uids):
                store.change_flags(mailbox, uids, "+" if word == "flags" else "-", ["x"])
