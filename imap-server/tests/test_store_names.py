from __future__ import annotations

import pytest

from lemonade_imap.store.base import MailboxExists, MailboxMissing, StoreError
from lemonade_imap.store.names import is_inferior, renamed, sorted_names

PRESENT = ["INBOX", "INBOX/x", "a", "a/b", "a/b/c", "ab", "d/e"]


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ("ab", "x", {"ab": "x"}),
        # RFC 3501, 6.3.5: inferiors follow, whatever begins the same way does not
        ("a", "x/y", {"a": "x/y", "a/b": "x/y/b", "a/b/c": "x/y/b/c"}),
        ("a/b", "b", {"a/b": "b", "a/b/c": "b/c"}),
        # a name that lives in its inferiors alone
        ("d", "x", {"d/e": "x/e"}),
        ("ab", "d", {"ab": "d"}),
        # INBOX gives its messages away and keeps its inferiors
        ("INBOX", "x", {"INBOX": "x"}),
    ],
)
def test_what_becomes_of_names(old: str, new: str, changes: dict[str, str]) -> None:
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
        # where an inferior would take a name that is there
        ("d", "a", MailboxExists),
    ],
)
def test_what_cannot_be(old: str, new: str, problem: type[StoreError]) -> None:
    with pytest.raises(problem):
        renamed(PRESENT, old, new)


def test_an_inferior_is_one_by_the_separator() -> None:
    assert is_inferior("a/b", "a")
    assert not is_inferior("ab", "a")
    assert not is_inferior("a", "a")
    assert sorted_names(["b", "A", "INBOX", "a"]) == ["INBOX", "A", "a", "b"]
