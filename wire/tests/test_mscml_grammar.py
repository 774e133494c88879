"""Time values of MSCML."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_wire.mscml.grammar import parse_time, write_time


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("5000", 5000),
        ("5000ms", 5000),
        ("6s", 6000),
        ("1.5s", 1500),
        (".5s", 500),
        ("0", 0),
        ("0ms", 0),
        ("0s", 0),
        ("immediate", 0),
    ],
)
def test_time_values_are_read_as_milliseconds(text: str, ms: float) -> None:
    assert parse_time(text) == ms


@pytest.mark.parametrize("text", ["", "-1", "5 s", "5m", "5S", "s", "1.", "1e3", "infinite", "Infinite", "٣", "9" * 20])
def test_malformed_time_values_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no time value"):
        parse_time(text)


def test_infinite_only_where_it_may_stand() -> None:
    assert parse_time("infinite", infinite=True) == math.inf
    assert write_time(math.inf) == "infinite"


def test_written_with_a_unit() -> None:
    assert [write_time(ms) for ms in (0, 2620, 33999.6)] == ["0ms", "2620ms", "34000ms"]


@given(st.text(max_size=12))
def test_anything_raises_only_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse_time(text, infinite=True) >= 0
