from __future__ import annotations

import pytest

from lemonade_imap.store.base import MailboxExists, MailboxMissing, StoreError, is_inferior, renamed, sorted_names

PRESENT = ["INBOX", "INBOX/x", "a", "a/b", "a/b/c", "ab", "d/e"]


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ("ab", "x", {"ab": "x"}),
        # RFC 3501, 6.3.5: mailboxes below are renamed, other names with the same beginning are not
        ("a", "x/y", {"a": "x/y", "a/b": "x/y/b", "a/b/c": "x/y/b/c"}),
        ("a/b", "b", {"a/b": "b", "a/b/c": "b/c"}),
        # a name that exists only as a part of names below it
        ("d", "x", {"d/e": "x/e"}),
        ("ab", "d", {"ab": "d"}),
        # the messages of INBOX move, the mailboxes below it keep their names
        ("INBOX", "x", {"INBOX": "x"}),
    ],
)
def test_new_names_after_rename(old: str, new: str, changes: dict[str, str]) -> None:
    assert renamed(PRESENT, old, new) == changes


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("x", "y", MailboxMissing),
        ("a", "ab", MailboxExists),
        ("a", "a", MailboxExists),
        ("a", "INBOX", MailboxExists),
        ("INBOX", "INBOX", MailboxExists),
        ("a", "a/x", StoreError),
        # a mailbox below would get a name that exists already
        ("d", "a", MailboxExists),
    ],
)
def test_impossible_renames_raise(old: str, new: str, problem: type[StoreError]) -> None:
    with pytest.raises(problem):
        renamed(PRESENT, old, new)


def test_a_name_is_below_another_only_with_the_separator() -> None:
    assert is_inferior("a/b", "a")
    assert not is_inferior("ab", "a")
    assert not is_inferior("a", "a")
    assert sorted_names(["b", "A", "INBOX", "a"]) == ["INBOX", "A", "a", "b"]
