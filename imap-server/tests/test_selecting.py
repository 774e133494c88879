from __future__ import annotations

import pytest

from lemonade_imap.grammar.sequence import SequenceSet
from lemonade_imap.selected_mailbox import SelectedMailbox
from lemonade_imap.serving.backend import Refused
from lemonade_imap.serving.selecting import chosen
from lemonade_imap.store.base import StoredMailbox


def view(*uids: int) -> SelectedMailbox:
    return SelectedMailbox(StoredMailbox(1, "joe", "INBOX", 1, 99), uids, read_only=False)


@pytest.mark.parametrize(
    ("text", "by_uid", "uids"),
    [
        ("1,3", False, [5, 9]),
        ("3:2,2", False, [7, 9]),
        ("*", False, [9]),
        ("2:*", False, [7, 9]),
        ("5:7,9", True, [5, 7, 9]),
        ("6,8", True, []),
        # RFC 3501, 6.4.8: `*` is the last message, even if the range begins above it
        ("99:*", True, [9]),
        ("4294967295", True, []),
    ],
)
def test_sets_name_these_messages(text: str, by_uid: bool, uids: list[int]) -> None:
    assert chosen(view(5, 7, 9), SequenceSet.parse(text), by_uid=by_uid) == uids


@pytest.mark.parametrize(("text", "count"), [("4", 3), ("1:4", 3), ("*", 0), ("1", 0)])
def test_a_number_that_no_message_has_is_bad(text: str, count: int) -> None:
    with pytest.raises(Refused) as caught:
        chosen(view(*range(1, count + 1)), SequenceSet.parse(text), by_uid=False)
    assert caught.value.result == "BAD"


def test_in_an_empty_mailbox_a_set_of_uids_names_no_message() -> None:
    assert chosen(view(), SequenceSet.parse("1:*"), by_uid=True) == []
