from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_imap.grammar.sequence import SequenceSet, write_set
from lemonade_wire.imap.errors import ImapParseError


@pytest.mark.parametrize(
    ("text", "numbers", "picked"),
    [
        ("2,4:7,9,12:*", range(1, 16), [2, 4, 5, 6, 7, 9, 12, 13, 14, 15]),
        ("*:4,5:7", range(1, 11), [4, 5, 6, 7, 8, 9, 10]),
        ("*", [3, 8, 20], [20]),
        ("30:*", [3, 8, 20], [20]),
        ("5:3", range(1, 9), [3, 4, 5]),
        ("1:*", [], []),
        ("4", [3, 8], []),
        ("4:5,1:2,2:3,3", range(1, 9), [1, 2, 3, 4, 5]),
    ],
)
def test_a_set_picks_these_numbers(text: str, numbers: list[int], picked: list[int]) -> None:
    assert SequenceSet.parse(text).pick(numbers) == picked


@pytest.mark.parametrize("text", ["", "0", "1,", "1:", "a", "1:2:3", "-1", "**", "01", "99999999999", "4294967296"])
def test_invalid_sets(text: str) -> None:
    with pytest.raises(ImapParseError):
        SequenceSet.parse(text)


@pytest.mark.parametrize(
    ("text", "count", "beyond"),
    [("1:3", 3, False), ("1:4", 3, True), ("*", 3, False), ("4:*", 3, True), ("*", 0, True), ("1:*", 0, True)],
)
def test_numbers_above_the_last_message(text: str, count: int, beyond: bool) -> None:
    assert SequenceSet.parse(text).exceeds(count) is beyond


@pytest.mark.parametrize(
    ("numbers", "text"), [([], ""), ([2], "2"), ([2, 10, 11], "2,10:11"), ([1, 2, 3, 5, 7, 8], "1:3,5,7:8")]
)
def test_numbers_are_written_as_a_set(numbers: list[int], text: str) -> None:
    assert write_set(numbers) == text


@given(st.sets(st.integers(1, 40)), st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=6))
def test_a_set_contains_the_numbers_of_its_ranges(numbers: set[int], ranges: list[tuple[int, int]]) -> None:
    chosen = SequenceSet(tuple(ranges))
    held = [number for number in sorted(numbers) if any(min(pair) <= number <= max(pair) for pair in ranges)]
    assert chosen.pick(sorted(numbers)) == held
    if held:
        assert SequenceSet.parse(write_set(held)).pick(range(1, 41)) == held
