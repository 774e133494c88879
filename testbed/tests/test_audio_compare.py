"""Comparing sounds: equal speech has no problem, and each kind of damage is reported."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from lemonade_testbed.audio.compare import RATE, Samples, compare, correlation, find
from lemonade_testbed.audio.part import media_part

FIXTURES = Path(__file__).parents[2] / "scenarios" / "fixtures"
SPEECH = media_part(FIXTURES / "voicemail.eml").samples
TELEPHONE = media_part(FIXTURES / "voicemail-basic.eml").samples


def without_packets(sound: Samples, share: float, seed: int) -> Samples:
    """Silence a share of the 20 ms packets."""
    packets = len(sound) // 160
    changed = sound.copy()
    for packet in random.Random(seed).sample(range(packets), round(share * packets)):
        changed[packet * 160 : (packet + 1) * 160] = 0
    return changed


def test_speech_through_g711_equals_its_reference() -> None:
    comparison = compare(SPEECH, TELEPHONE)
    assert comparison.problems == []
    assert comparison.whole > 0.99


@pytest.mark.parametrize("late", [-700, -3, 0, 160, 1900])
def test_a_shift_up_to_a_quarter_second_is_measured_and_tolerated(late: int) -> None:
    shifted = np.concatenate([np.zeros(late, dtype=np.int16), SPEECH]) if late > 0 else SPEECH[-late:]
    comparison = compare(SPEECH, shifted[: len(SPEECH)])
    assert round(comparison.lag * RATE) == late
    assert comparison.whole > 0.99


WORD = slice(round(4.6 * RATE), round(4.9 * RATE))
WRONG = {
    "the wrong file": np.roll(SPEECH[::-1], 100),
    "silence": np.zeros_like(SPEECH),
    "nothing at all": SPEECH[:0],
    "one word silent": np.where(
        (np.arange(len(SPEECH)) >= WORD.start) & (np.arange(len(SPEECH)) < WORD.stop), 0, SPEECH
    ),
    "one word cut out": np.delete(SPEECH, np.arange(WORD.start, WORD.stop)),
    "the wrong rate": np.interp(np.arange(0, len(SPEECH), 11025 / 8000), np.arange(len(SPEECH)), SPEECH),
    "slightly too fast": np.interp(np.arange(0, len(SPEECH), 1.002), np.arange(len(SPEECH)), SPEECH),
    "the last half second missing": SPEECH[: -RATE // 2],
    "the other sign": -SPEECH,
    "noise": np.random.default_rng(1).integers(-3000, 3000, len(SPEECH)),
}


@pytest.mark.parametrize("name", WRONG)
def test_each_kind_of_damaged_sound_is_reported(name: str) -> None:
    assert compare(SPEECH, WRONG[name].astype(np.int16)).problems


@pytest.mark.parametrize("seed", range(8))
def test_five_percent_of_missing_packets_are_reported(seed: int) -> None:
    assert compare(SPEECH, without_packets(SPEECH, 0.05, seed)).problems


def test_a_missing_word_is_reported_with_its_time() -> None:
    problem = next(
        text for text in compare(SPEECH, WRONG["one word silent"].astype(np.int16)).problems if "half" in text
    )
    assert "at 4.5 s" in problem


def test_the_correlation_of_a_constant_is_zero() -> None:
    assert correlation(np.ones(10), np.arange(10.0)) == 0


def test_a_piece_is_found_in_the_whole() -> None:
    assert find(SPEECH[20000:24000], SPEECH) == 20000
    assert find(SPEECH[20000:24000], SPEECH, around=19900, reach=200) == 20000


def test_a_soft_stretch_is_found_where_it_is_and_not_where_the_sound_is_loudest() -> None:
    short = media_part(FIXTURES / "short.eml").samples
    soft, louder = short[11120:14240], short[:8000]
    assert np.abs(soft).mean() < np.abs(louder).mean() / 3
    assert find(soft, short) == 11120
    assert find((soft // 2).astype(np.int16), short) == 11120
