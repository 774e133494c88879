"""Digit patterns, with the examples in the table of RFC 5022 appendix A."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_wire.mscml.dregex import MAX_LENGTH, DRegex, RegexWalk


def walked(pattern: str, keys: str) -> RegexWalk:
    walk = DRegex.parse(pattern).walk()
    for key in keys:
        walk.press(key)
    return walk


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("1", ["1"], ["2", "11", ""]),
        ("[179]", ["1", "7", "9"], ["8"]),
        ("[2-9]", ["2", "9"], ["1", "*"]),
        ("[02-46-9A-D]", ["0", "3", "9", "D"], ["1", "5"]),
        ("[a-c]", ["A", "C"], ["D"]),
        ("x", ["0", "9"], ["A", "*"]),
        (".", ["0", "D", "#", "*"], [""]),
        ("*6[179#]", ["*61", "*6#"], ["61", "*62"]),
        ("x{10}", ["0123456789"], ["012345678"]),
        ("011x{7,15}", ["0111234567", "011" + "1" * 15], ["011123456", "011" + "1" * 16]),
        ("x{,2}", ["", "1", "12"], ["123"]),
        ("1x{2,}", ["111", "1" * 40], ["11"]),
        ("x{,3}#", ["#", "12#", "123#"], ["1234#", "1"]),
        ("x{1,9}x{1,9}x{1,9}x{1,9}x{1,9}", ["1" * 5, "1" * 45], ["1" * 4, "1" * 46]),
    ],
)
def test_patterns_of_the_appendix(pattern: str, matching: list[str], others: list[str]) -> None:
    assert all(walked(pattern, keys).matches for keys in matching)
    assert not any(walked(pattern, keys).matches for keys in others)
    assert str(DRegex.parse(pattern)) == pattern


NONE = ["", "L", "(1)", "x{2", "{2}", "[9-0]", "[]", "[1", "[1-]", "[D-#]", "x{9,1}", "x{0}", "x{,}", "1L", "1 2", "E"]


@pytest.mark.parametrize("pattern", [*NONE, "1" * (MAX_LENGTH + 1)])
def test_malformed_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        DRegex.parse(pattern)


def test_it_knows_if_a_longer_match_can_come() -> None:
    assert walked("x{2,3}", "1").can_go_on
    assert walked("x{2,3}", "12").can_go_on
    assert not walked("x{2,3}", "123").can_go_on
    assert not walked("12", "2").can_go_on
    assert walked("x{1,}", "1" * 50).can_go_on


@pytest.mark.parametrize(
    ("presses", "matches"),
    [
        ([{"long": True}], True),
        ([{}], False),
        ([{}, {"double": True}], True),
        ([{}, {}], False),
        ([{}, {"double": True}, {}], False),
    ],
)
def test_a_long_star_is_held_or_pressed_twice(presses: list[dict[str, bool]], matches: bool) -> None:
    walk = DRegex.parse("L*").walk()
    for press in presses:
        walk.press("*", **press)
    assert walk.matches is matches


def test_a_press_that_becomes_a_long_one() -> None:
    walk = walked("1L2", "12")
    assert not walk.matches
    walk.lengthen("2")
    assert walk.matches


def test_a_long_press_is_a_press_too() -> None:
    walk = DRegex.parse("*").walk()
    walk.press("*", long=True)
    assert walk.matches


@given(st.text(alphabet="0123456789ABCDx.*#[]{},-L", max_size=30), st.text("0123456789ABCD*#", max_size=20))
def test_any_text_is_a_pattern_or_a_value_error(text: str, keys: str) -> None:
    with contextlib.suppress(ValueError):
        assert DRegex.parse(text).text == text
        walked(text, keys)


ITEMS = st.sampled_from(["1", "x", "[13A-C]", "."])
COUNTS = st.sampled_from(["", "{2}", "{1,2}", "{,2}", "{1,}"])


@given(st.lists(st.tuples(ITEMS, COUNTS), min_size=1, max_size=4), st.text("123A#", max_size=8))
def test_it_agrees_with_the_regular_expressions_of_python(items: list[tuple[str, str]], keys: str) -> None:
    pattern = "".join(item + count for item, count in items)
    written = "".join({"x": "[0-9]", ".": "[0-9A-D#*]"}.get(item, item) + count for item, count in items)
    assert walked(pattern, keys).matches is bool(re.fullmatch(written, keys))
