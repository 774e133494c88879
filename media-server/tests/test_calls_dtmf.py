"""The beep before a recording."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_media.calls.dtmf import BEEP_SECONDS, WINDOW_SECONDS, KeyPresses, Way, beep
from lemonade_media.decoding.decode import RATE, Law
from lemonade_wire.rtp import g711


@pytest.mark.parametrize("law", ["PCMU", "PCMA"])
def test_the_beep_is_one_kilohertz_and_fades_in_and_out(law: Law) -> None:
    tone = beep(law)
    assert (tone.law, tone.seconds) == (law, BEEP_SECONDS)
    samples = (g711.decode_ulaw if law == "PCMU" else g711.decode_alaw)(tone.octets).astype(float)
    spectrum = np.abs(np.fft.rfft(samples))
    assert abs(np.argmax(spectrum) * RATE / len(samples) - 1000) < 5
    assert max(abs(samples[:8])) < 1000 > max(abs(samples[-8:]))
    assert 7000 < max(samples) < 9000
    assert beep(law) is tone


Told = tuple[float, str, str]


def counted(*told: Told) -> str:
    """Report presses: `5` by RTP, `5^` for its release, `5!` by INFO; return those that count."""
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
        # the INFO comes at the release of the key, after any time, and is retransmitted after T1
        ([(0.0, "5", "down"), (3.0, "5", "up"), (3.01, "5", "info")], "5"),
        ([(0.0, "5", "down"), (0.16, "5", "up"), (0.7, "5", "info")], "5"),
        ([(0.0, "5", "down"), (3.0, "5", "info")], "5"),
        # the INFO comes too late to be of the same press
        ([(0.0, "5", "down"), (0.16, "5", "up"), (0.8, "5", "info")], "55"),
        ([(0.0, "5", "info"), (0.7, "5", "down")], "55"),
        # another key, or the same one again by the same way, is another press
        ([(0.0, "5", "down"), (0.01, "6", "info")], "56"),
        ([(0.0, "5", "info"), (0.1, "5", "info"), (0.2, "5", "info")], "555"),
        ([(0.0, "5", "down"), (0.1, "5", "up"), (0.15, "5", "down"), (0.2, "5", "up")], "55"),
        # a report is matched only once
        ([(0.0, "5", "down"), (0.05, "5", "up"), (0.1, "5", "info"), (0.2, "5", "info")], "55"),
        # fast typing reported both ways: each report is matched with one of the other way, in order
        ([(0.0, "5", "down"), (0.1, "5", "up"), (0.15, "5", "down"), (0.2, "5", "info"), (0.3, "5", "info")], "55"),
        ([(0.0, "1", "down"), (0.1, "2", "down"), (0.2, "1", "info"), (0.3, "2", "info")], "12"),
    ],
)
def test_a_press_reported_by_info_and_rtp_counts_once(told: list[Told], keys: str) -> None:
    assert counted(*told) == keys


@given(st.lists(st.tuples(st.sampled_from("12"), st.integers(0, 300), st.integers(0, 500), st.booleans()), max_size=8))
def test_all_keys_reported_by_info_and_rtp_count_once_each(presses: list[tuple[str, int, int, bool]]) -> None:
    """Keys 300 ms apart, each held for less; their INFOs come in order, up to 500 ms after the press or release."""
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
def test_with_one_way_of_reports_every_press_counts(presses: list[tuple[str, int]], way: Way) -> None:
    keys = KeyPresses()
    now = 0.0
    for key, pause in presses:
        now += pause / 1000
        assert keys.pressed(key, way, now)


def test_the_repr_of_presses_shows_no_key() -> None:
    presses = KeyPresses()
    presses.pressed("7", "rtp", 0.0)
    assert "7" not in repr(vars(presses)).replace(str(WINDOW_SECONDS), "")
