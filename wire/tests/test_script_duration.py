"""Durations of scripts, parsed and written."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_wire.script.duration import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("3 s", 3.0), ("3s", 3.0), ("500 ms", 0.5), ("10 min", 600.0), ("2.5 s", 2.5), ("0", 0.0), ("0 s", 0.0)],
)
def test_reads_what_a_person_writes(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "3", "s", "3 sec", "3 h", "-3 s", "3 s ", "1e3 s", "٣ s", "none", "3 S", "inf s"])
def test_refuses_and_says_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match="500 ms, 3 s or 10 min"):
        parse_duration(text)


def test_a_minus_only_where_the_past_makes_sense() -> None:
    assert parse_duration("-10 min", negative=True) == -600.0


@given(st.integers(min_value=0, max_value=10**9))
@settings(max_examples=100)
def test_every_millisecond_survives_a_round_trip(milliseconds: int) -> None:
    assert round(parse_duration(format_duration(milliseconds / 1000)) * 1000) == milliseconds


@given(st.text(max_size=12))
@settings(max_examples=100)
def test_any_text_gives_a_number_or_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse_duration(text) >= 0
