"""Keys that come by INFO, by RTP, or both: each press counts once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_media.keys import WINDOW_SECONDS, KeyPresses, Way

Told = tuple[float, str, str]


def counted(*told: Told) -> str:
    """Tell presses: `5` by RTP, `5^` its end, `5!` by INFO; return those that count."""
    presses, found = KeyPresses(), ""
    for now, key, how in told:
        if how == "up":
            presses.released(key, now)
        elif presses.pressed(key, "rtp" if how == "down" else "info", now):
            found += key
    return found


@pytest.mark.parametrize(
    ("told", "keys"),
    [
        ([(0.0, "5", "down"), (0.01, "5", "info"), (0.16, "5", "up")], "5"),
        ([(0.0, "5", "info"), (0.05, "5", "down"), (0.2, "5", "up")], "5"),
        # the INFO at the key's end, however long it was held, and sent again after T1
        ([(0.0, "5", "down"), (3.0, "5", "up"), (3.01, "5", "info")], "5"),
        ([(0.0, "5", "down"), (0.16, "5", "up"), (0.7, "5", "info")], "5"),
        ([(0.0, "5", "down"), (3.0, "5", "info")], "5"),
        # too late to be the same
        ([(0.0, "5", "down"), (0.16, "5", "up"), (0.8, "5", "info")], "55"),
        ([(0.0, "5", "info"), (0.7, "5", "down")], "55"),
        # another key, or the same one again by the same way, is a press of its own
        ([(0.0, "5", "down"), (0.01, "6", "info")], "56"),
        ([(0.0, "5", "info"), (0.1, "5", "info"), (0.2, "5", "info")], "555"),
        ([(0.0, "5", "down"), (0.1, "5", "up"), (0.15, "5", "down"), (0.2, "5", "up")], "55"),
        # who has its twin has no second one
        ([(0.0, "5", "down"), (0.05, "5", "up"), (0.1, "5", "info"), (0.2, "5", "info")], "55"),
        # fast typing told both ways: in the order of each way, each has one twin
        ([(0.0, "5", "down"), (0.1, "5", "up"), (0.15, "5", "down"), (0.2, "5", "info"), (0.3, "5", "info")], "55"),
        ([(0.0, "1", "down"), (0.1, "2", "down"), (0.2, "1", "info"), (0.3, "2", "info")], "12"),
    ],
)
def test_a_press_that_is_told_both_ways_counts_once(told: list[Told], keys: str) -> None:
    assert counted(*told) == keys


@given(st.lists(st.tuples(st.sampled_from("12"), st.integers(0, 300), st.integers(0, 500), st.booleans()), max_size=8))
def test_all_keys_told_both_ways_count_once_each(presses: list[tuple[str, int, int, bool]]) -> None:
    """Keys 300 ms apart, each held for less, its INFO up to 500 ms behind its going down or up, never overtaking."""
    told: list[Told] = []
    last = 0.0
    for number, (key, held, late, at_end) in enumerate(presses):
        down = number * 0.3
        up = down + min(held, 290) / 1000
        last = max(last, (up if at_end else down) + late / 1000)
        told += [(down, key, "down"), (up, key, "up"), (last, key, "info")]
    told.sort(key=lambda one: one[0])
    assert counted(*told) == "".join(key for key, _, _, _ in presses)


@given(st.lists(st.tuples(st.sampled_from("12"), st.integers(0, 900)), max_size=10), st.sampled_from(["rtp", "info"]))
def test_where_one_way_is_used_every_press_counts(presses: list[tuple[str, int]], way: Way) -> None:
    keys = KeyPresses()
    now = 0.0
    for key, pause in presses:
        now += pause / 1000
        assert keys.pressed(key, way, now)


def test_keys_stand_in_no_representation() -> None:
    presses = KeyPresses()
    presses.pressed("7", "rtp", 0.0)
    assert "7" not in repr(vars(presses)).replace(str(WINDOW_SECONDS), "")
