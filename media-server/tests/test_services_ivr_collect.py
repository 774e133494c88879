"""The collection of digits: count, timers, patterns (RFC 5022 section 6.4)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from lemonade_media.services.ivr.collect import MAX_DIGITS, Collector
from lemonade_media.services.ivr.leg import KeyPress
from lemonade_wire.mscml.digitmap import MegacoDigitMap, MgcpDigitMap
from lemonade_wire.mscml.dregex import DRegex
from lemonade_wire.mscml.grammar import Grammar
from lemonade_wire.mscml.messages import PlayCollectRequest


def collector(*patterns: tuple[str, str | None], **more: Any) -> Collector:  # noqa: ANN401  the fields of PlayCollect
    found = tuple(Grammar(DRegex.parse(text), name) for text, name in patterns)
    made = Collector(PlayCollectRequest(patterns=found, **more))
    made.begin(0)
    return made


def keys(made: Collector, text: str, now: float = 1) -> str | None:
    """Press keys; returns the reason, which only the last one may give."""
    reason = None
    for key in text:
        assert reason is None
        reason = made.press(KeyPress(key), now)
    return reason


def mapped(value: MgcpDigitMap | MegacoDigitMap) -> Collector:
    timers = PlayCollectRequest(first_digit_ms=5000, interdigit_ms=2500, interdigit_critical_ms=500)
    made = Collector(replace(timers, patterns=(Grammar(value, "map"),)))
    made.begin(0)
    return made


OFFICE = MgcpDigitMap.parse("(0T|00T|[1-7]xxx|11|9011x.T)")
TRUNK = MegacoDigitMap.parse("(0|00|[1-7]xxx|11|9011x.)")


@pytest.mark.parametrize("value", [OFFICE, TRUNK])
def test_the_timers_of_a_digit_map(value: MgcpDigitMap | MegacoDigitMap) -> None:
    made = mapped(value)
    assert (made.deadline, made.on_deadline(), made.pattern_name) == (5, "timeout", None)
    made = mapped(value)
    assert keys(made, "0", 1) is None
    assert made.deadline == 1.5  # no digit is missing: the critical timer runs
    assert (made.on_deadline(), made.digits, made.pattern_name) == ("match", "0", "map")
    made = mapped(value)
    assert keys(made, "23", 1) is None
    assert made.deadline == 3.5  # digits are missing
    assert (made.on_deadline(), made.digits, made.pattern_name) == ("timeout", "23", None)


def test_the_shortest_match_of_mgcp_and_the_longest_of_h248() -> None:
    assert keys(mapped(OFFICE), "11") == "match"
    made = mapped(TRUNK)
    assert keys(made, "11") is None  # 11xx may come
    assert keys(made, "23") == "match"
    assert (made.digits, made.left_over) == ("1123", [])


def test_a_key_that_fits_nothing_behind_a_match_is_left_over() -> None:
    made = mapped(TRUNK)
    assert keys(made, "09") == "match"
    assert (made.digits, made.left_over) == ("0", [KeyPress("9")])


def test_a_key_that_turns_out_to_be_held_fills_a_place_of_a_digit_map() -> None:
    made = mapped(MegacoDigitMap.parse("Z12"))
    assert keys(made, "1") is None
    assert made.lengthen(KeyPress("1", long=True), 2) is None
    assert keys(made, "2", 2) == "match"


def test_the_timers_of_a_count() -> None:
    made = collector(max_digits=2, interdigit_ms=2500, extra_digit_ms=1500)
    assert made.deadline == 5
    assert keys(made, "1", 1) is None
    assert (made.deadline, made.on_deadline()) == (3.5, "timeout")
    assert keys(made, "2", 2) is None
    assert (made.deadline, made.on_deadline()) == (3.5, "match")


def test_a_key_after_a_full_count_belongs_to_the_next_request() -> None:
    made = collector(max_digits=1)
    assert keys(made, "12") == "match"
    assert (made.digits, made.left_over) == ("1", [KeyPress("2")])


def test_the_return_key_after_a_full_count_ends_the_collection() -> None:
    made = collector(max_digits=3)
    assert keys(made, "123#") == "returnkey"
    assert (made.digits, made.left_over) == ("123", [])


def test_a_match_that_cannot_grow_ends_at_once() -> None:
    made = collector(("x{4}", "pin"))
    assert keys(made, "1234") == "match"
    assert (made.digits, made.pattern_name) == ("1234", "pin")


def test_a_match_that_can_grow_waits_for_the_critical_time() -> None:
    made = collector(("1", "one"), ("12", "twelve"), interdigit_critical_ms=500)
    assert keys(made, "1", 1) is None
    assert (made.deadline, made.on_deadline(), made.pattern_name) == (1.5, "match", "one")
    assert keys(made, "2", 1.2) == "match"
    assert made.pattern_name == "twelve"


def test_without_a_critical_time_it_is_that_between_digits() -> None:
    made = collector(("x{1,2}", None), interdigit_ms=700)
    assert keys(made, "1", 1) is None
    assert made.deadline == 1.7


def test_an_immediate_critical_timer_takes_the_shortest_match() -> None:
    made = collector(("x{1,9}", None), interdigit_critical_ms=0)
    assert keys(made, "5", 1) is None
    assert (made.deadline, made.on_deadline(), made.digits) == (1, "match", "5")


def test_the_longest_match_counts_and_the_rest_is_left_over() -> None:
    made = collector(("1", "one"), ("1234", "all"))
    assert keys(made, "12", 1) is None
    assert made.on_deadline() == "match"
    assert (made.digits, made.pattern_name, made.left_over) == ("1", "one", [KeyPress("2")])
    made = collector(("1", "one"), ("1234", "all"))
    assert keys(made, "125") == "match"
    assert (made.digits, made.left_over) == ("1", [KeyPress("2"), KeyPress("5")])


def test_digits_that_match_no_pattern_end_by_the_timer() -> None:
    made = collector(("1234", None), interdigit_ms=700)
    assert keys(made, "99", 1) is None
    assert (made.deadline, made.on_deadline(), made.digits) == (1.7, "timeout", "99")
    assert keys(made, "#") == "returnkey"


def test_the_first_pattern_that_matches_gives_the_name() -> None:
    made = collector((".", "any"), ("5", "five"))
    assert keys(made, "5") == "match"
    assert made.pattern_name == "any"


def test_long_digits() -> None:
    made = collector(("L5", "long"))
    assert made.press(KeyPress("5", long=True), 1) == "match"
    made = collector(("L5", "long"))
    assert keys(made, "5") is None
    assert made.press(KeyPress("5", double=True), 2) == "match"
    assert made.digits == "55"
    made = collector(("L5", "long"))
    assert keys(made, "5") is None
    assert made.lengthen(KeyPress("5", long=True), 2.5) == "match"
    made = collector(max_digits=1)
    assert keys(made, "5", 1) is None
    assert made.lengthen(KeyPress("5", long=True), 1.9) is None
    assert made.deadline == 2


def test_special_keys_go_before_patterns() -> None:
    assert keys(collector((".", None)), "*") == "escapekey"
    assert keys(collector((".", None)), "#") == "returnkey"
    assert keys(collector(("*", None), escape_key="9"), "*") == "match"


def test_the_number_of_digits_is_limited() -> None:
    made = collector(interdigit_ms=math.inf)
    assert keys(made, "1" * MAX_DIGITS) is None
    assert made.deadline == math.inf
    assert keys(made, "2") == "timeout"
    assert (len(made.digits), made.left_over) == (MAX_DIGITS, [KeyPress("2")])
