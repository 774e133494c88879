from __future__ import annotations

import pytest

from lemonade_imap.store.values import changed_flags


@pytest.mark.parametrize(
    ("before", "mode", "given", "after"),
    [
        ({"\\Seen"}, "+", {"x"}, {"\\Seen", "x"}),
        ({"\\Seen", "x"}, "-", {"x", "y"}, {"\\Seen"}),
        ({"\\Seen", "x"}, "", {"y"}, {"y"}),
        ({"x"}, "", set(), set()),
        # flags ignore letter case, and a message keeps the spelling that it has
        ({"Work"}, "+", {"WORK"}, {"Work"}),
        ({"Work"}, "-", {"work"}, set()),
        ({"Work"}, "", {"WORK", "x"}, {"Work", "x"}),
        (set(), "", {"x", "X"}, {"X"}),
        (set(), "+", {"x", "X"}, {"X"}),
    ],
)
def test_flags_are_added_removed_and_replaced(before: set[str], mode: str, given: set[str], after: set[str]) -> None:
    assert changed_flags(frozenset(before), mode, frozenset(given)) == after
