from __future__ import annotations

from datetime import UTC, datetime

from lemonade_imap.selected_mailbox import SelectedMailbox
from lemonade_imap.serving.mailbox_cache import CacheUpdate, MailboxCache
from lemonade_imap.store.base import StoredMailbox, Summary

NOBODY: frozenset[int] = frozenset()


def summary(uid: int, modseq: int, *flags: str) -> Summary:
    return Summary(uid, frozenset(flags), modseq, datetime(2026, 11, 22, tzinfo=UTC), 1)


def opened(*uids: int, modseqs: bool = False) -> tuple[SelectedMailbox, MailboxCache]:
    cache = MailboxCache()
    cache.apply(CacheUpdate([summary(uid, uid) for uid in uids]), 0, 0)
    view = SelectedMailbox(StoredMailbox(1, "joe", "INBOX", 1, 9), read_only=False, modseqs=modseqs)
    view.open(cache)
    return view, cache


def test_expunge_is_sent_from_the_end_before_exists() -> None:
    view, cache = opened(2, 4, 6, 8)
    assert view.number(6) == 3
    cache.apply(CacheUpdate([summary(9, 9)], [4, 8, 9]), 1, 1)
    recent = frozenset({9})
    assert view.updates(cache, recent, numbers_stay=False) == [
        b"* 3 EXPUNGE",
        b"* 1 EXPUNGE",
        b"* 3 EXISTS",
        b"* 1 RECENT",
    ]
    assert view.uids == [4, 8, 9]
    assert view.updates(cache, NOBODY, numbers_stay=False) == []
    cache.apply(CacheUpdate([], []), 2, 2)
    assert view.updates(cache, NOBODY, numbers_stay=False) == [
        b"* 3 EXPUNGE",
        b"* 2 EXPUNGE",
        b"* 1 EXPUNGE",
        b"* 0 RECENT",
    ]


def test_with_numbers_stay_expunge_is_sent_later() -> None:
    view, cache = opened(2, 4)
    cache.apply(CacheUpdate([summary(4, 5, "\\Seen"), summary(7, 6)], [4, 7]), 1, 1)
    assert view.updates(cache, NOBODY, numbers_stay=True) == [b"* 2 FETCH (FLAGS (\\Seen))", b"* 3 EXISTS"]
    assert view.uids == [2, 4, 7]
    assert view.updates(cache, NOBODY, numbers_stay=False) == [b"* 1 EXPUNGE"]


def test_own_changes_are_not_sent_but_later_changes_of_others_are() -> None:
    view, cache = opened(2, 4)
    mine = summary(4, 5, "\\Seen")
    view.knows([mine])
    assert view.flag_updates(cache) == []
    cache.apply(CacheUpdate([mine]), 1, 0)
    assert view.flag_updates(cache) == []
    view.knows([summary(4, 6)])
    cache.apply(CacheUpdate([summary(4, 7, "\\Draft")]), 2, 0)
    assert view.flag_updates(cache) == [b"* 2 FETCH (FLAGS (\\Draft))"]


def test_new_keywords_are_sent_first_and_modseq_if_enabled() -> None:
    view, cache = opened(2, modseqs=True)
    cache.apply(CacheUpdate([summary(2, 5, "x", "\\Seen")]), 1, 0)
    assert view.flag_updates(cache) == [
        b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft x)",
        b"* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft x \\*)] flags that stay",
        b"* 1 FETCH (FLAGS (\\Seen x) MODSEQ (5))",
    ]
    assert view.spelling("X") == "x"


def test_a_message_claimed_before_its_exists_counts_as_recent_after_it() -> None:
    view, cache = opened(2)
    cache.apply(CacheUpdate([summary(3, 3)]), 1, 0)
    assert view.updates(cache, frozenset({3, 4}), numbers_stay=False) == [b"* 2 EXISTS", b"* 1 RECENT"]
    cache.apply(CacheUpdate([summary(4, 4)]), 2, 0)
    assert view.updates(cache, NOBODY, numbers_stay=False) == [b"* 3 EXISTS", b"* 2 RECENT"]


def test_a_new_cache_of_the_mailbox_gives_all_changes() -> None:
    view, _ = opened(2, 4)
    again = MailboxCache()
    again.apply(CacheUpdate([summary(2, 9, "\\Seen"), summary(4, 4), summary(5, 8)]), 3, 0)
    assert view.updates(again, NOBODY, numbers_stay=False) == [b"* 1 FETCH (FLAGS (\\Seen))", b"* 3 EXISTS"]


def test_no_change_is_missed_after_the_log_of_changes_is_cut() -> None:
    view, cache = opened(*range(1, 11))
    for modseq in range(11, 3000):
        cache.apply(CacheUpdate([summary(modseq % 10 + 1, modseq, "\\Seen")]), modseq, 0)
    assert cache.changed_since(10) == list(range(10))
    assert cache.changed_since(2998) == [2999 % 10]
    assert len(view.flag_updates(cache)) == 10
