"""Digit patterns and timers (RFC 5022 section 6.4 and appendix A, whose table gives the examples)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_media.digits import Collector, dregex
from lemonade_wire.mscml.request import PlayCollect, Regex


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("1", ["1"], ["2", "11"]),
        ("[179]", ["1", "7", "9"], ["8"]),
        ("[02-46-9A-D]", ["0", "3", "9", "D", "d"], ["1", "5"]),
        ("x", ["0", "9"], ["A", "*"]),
        (".", ["0", "D", "#", "*"], [""]),
        ("*6[179#]", ["*61", "*6#"], ["61", "*62"]),
        ("x{10}", ["0123456789"], ["012345678"]),
        ("011x{7,15}", ["0111234567"], ["011123456"]),
        ("x{,2}", ["", "1", "12"], ["123"]),
    ],
)
def test_patterns_of_the_appendix(pattern: str, matching: list[str], others: list[str]) -> None:
    compiled = dregex(pattern)
    assert compiled is not None
    assert all(compiled.fullmatch(text) for text in matching)
    assert not any(compiled.fullmatch(text) for text in others)


@pytest.mark.parametrize("pattern", ["", "L*", "(1)", "x{2", "{2}", "1" + "x{1,9}" * 5, "[9-0]", "x{9,1}"])
def test_what_is_no_pattern_never_matches(pattern: str) -> None:
    assert dregex(pattern) is None


@given(st.text(alphabet="0123456789ABCDx.*#[]{},-L^\\|()", max_size=30))
def test_any_text_is_a_pattern_or_none(text: str) -> None:
    assert isinstance(dregex(text), re.Pattern | None)


def test_match_is_told_after_the_critical_time_with_the_name_of_its_pattern() -> None:
    patterns = (Regex("1", "one"), Regex("12", "twelve"))
    collector = Collector(PlayCollect(patterns=patterns, interdigit_critical_ms=500))
    collector.begin(0)
    assert collector.deadline == 5
    assert collector.digit("1", 1) is None
    assert (collector.deadline, collector.on_deadline(), collector.pattern_name) == (1.5, "match", "one")
    assert collector.digit("2", 1.2) is None
    assert (collector.on_deadline(), collector.pattern_name) == ("match", "twelve")
    assert collector.digit("3", 1.4) is None
    assert (collector.deadline, collector.on_deadline(), collector.pattern_name) == (3.4, "timeout", None)


def test_full_count_ends_with_the_next_digit() -> None:
    collector = Collector(PlayCollect(max_digits=1, return_key=""))
    collector.begin(0)
    assert collector.digit("1", 1) is None
    assert collector.deadline == 1
    assert collector.digit("2", 1) == "match"
    assert collector.digits == "1"
