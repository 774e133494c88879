from __future__ import annotations

from datetime import UTC, datetime

from lemonade_imap.serving.mirror import Look, Mirror
from lemonade_imap.store.base import Mailbox, Summary
from lemonade_imap.view import View

NOBODY: frozenset[int] = frozenset()


def summary(uid: int, modseq: int, *flags: str) -> Summary:
    return Summary(uid, frozenset(flags), modseq, datetime(2026, 11, 22, tzinfo=UTC), 1)


def opened(*uids: int, modseqs: bool = False) -> tuple[View, Mirror]:
    mirror = Mirror()
    mirror.take(Look([summary(uid, uid) for uid in uids]), 0, 0)
    view = View(Mailbox(1, "joe", "INBOX", 1, 9), read_only=False, modseqs=modseqs)
    view.open(mirror)
    return view, mirror


def test_expunges_are_told_from_the_end_then_what_is_new() -> None:
    view, mirror = opened(2, 4, 6, 8)
    assert view.number(6) == 3
    mirror.take(Look([summary(9, 9)], [4, 8, 9]), 1, 1)
    recent = frozenset({9})
    assert view.news(mirror, recent, numbers_stay=False) == [
        b"* 3 EXPUNGE",
        b"* 1 EXPUNGE",
        b"* 3 EXISTS",
        b"* 1 RECENT",
    ]
    assert view.uids == [4, 8, 9]
    assert view.news(mirror, NOBODY, numbers_stay=False) == []
    mirror.take(Look([], []), 2, 2)
    assert view.news(mirror, NOBODY, numbers_stay=False) == [
        b"* 3 EXPUNGE",
        b"* 2 EXPUNGE",
        b"* 1 EXPUNGE",
        b"* 0 RECENT",
    ]


def test_numbers_stay_while_they_must_and_those_who_are_gone_are_told_later() -> None:
    view, mirror = opened(2, 4)
    mirror.take(Look([summary(4, 5, "\\Seen"), summary(7, 6)], [4, 7]), 1, 1)
    assert view.news(mirror, NOBODY, numbers_stay=True) == [b"* 2 FETCH (FLAGS (\\Seen))", b"* 3 EXISTS"]
    assert view.uids == [2, 4, 7]
    assert view.news(mirror, NOBODY, numbers_stay=False) == [b"* 1 EXPUNGE"]


def test_what_the_client_did_itself_is_no_news_and_what_followed_is() -> None:
    view, mirror = opened(2, 4)
    mine = summary(4, 5, "\\Seen")
    view.knows([mine])
    assert view.flag_news(mirror) == []
    mirror.take(Look([mine]), 1, 0)
    assert view.flag_news(mirror) == []
    view.knows([summary(4, 6)])
    mirror.take(Look([summary(4, 7, "\\Draft")]), 2, 0)
    assert view.flag_news(mirror) == [b"* 2 FETCH (FLAGS (\\Draft))"]


def test_new_keywords_are_told_first_and_mod_sequences_to_who_knows_them() -> None:
    view, mirror = opened(2, modseqs=True)
    mirror.take(Look([summary(2, 5, "x", "\\Seen")]), 1, 0)
    assert view.flag_news(mirror) == [
        b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft x)",
        b"* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft x \\*)] flags that stay",
        b"* 1 FETCH (FLAGS (\\Seen x) MODSEQ (5))",
    ]
    assert view.spelling("X") == "x"


def test_a_claim_ahead_of_its_message_is_counted_when_that_is_told() -> None:
    view, mirror = opened(2)
    mirror.take(Look([summary(3, 3)]), 1, 0)
    assert view.news(mirror, frozenset({3, 4}), numbers_stay=False) == [b"* 2 EXISTS", b"* 1 RECENT"]
    mirror.take(Look([summary(4, 4)]), 2, 0)
    assert view.news(mirror, NOBODY, numbers_stay=False) == [b"* 3 EXISTS", b"* 2 RECENT"]


def test_a_mirror_that_was_forgotten_says_all_that_changed() -> None:
    view, _ = opened(2, 4)
    again = Mirror()
    again.take(Look([summary(2, 9, "\\Seen"), summary(4, 4), summary(5, 8)]), 3, 0)
    assert view.news(again, NOBODY, numbers_stay=False) == [b"* 1 FETCH (FLAGS (\\Seen))", b"* 3 EXISTS"]


def test_the_log_of_changes_is_cut_and_still_nothing_is_missed() -> None:
    view, mirror = opened(*range(1, 11))
    for modseq in range(11, 3000):
        mirror.take(Look([summary(modseq % 10 + 1, modseq, "\\Seen")]), modseq, 0)
    assert mirror.changed_since(10) == list(range(10))
    assert mirror.changed_since(2998) == [2999 % 10]
    assert len(view.flag_news(mirror)) == 10
