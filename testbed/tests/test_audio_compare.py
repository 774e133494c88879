"""The ear of the testbed: it knows the speech again, and notices everything that can go wrong with it."""

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


def test_the_same_speech_over_the_telephone_is_the_same() -> None:
    comparison = compare(SPEECH, TELEPHONE)
    assert comparison.problems == []
    assert comparison.whole > 0.99


@pytest.mark.parametrize("late", [-700, -3, 0, 160, 1900])
def test_a_shift_is_found_and_forgiven_within_a_quarter_second(late: int) -> None:
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
def test_what_is_wrong_is_noticed(name: str) -> None:
    assert compare(SPEECH, WRONG[name].astype(np.int16)).problems


@pytest.mark.parametrize("seed", range(8))
def test_five_percent_of_the_packets_missing_is_noticed(seed: int) -> None:
    assert compare(SPEECH, without_packets(SPEECH, 0.05, seed)).problems


def test_a_missing_word_is_found_where_it_is() -> None:
    problem = next(
        text for text in compare(SPEECH, WRONG["one word silent"].astype(np.int16)).problems if "half" in text
    )
    assert "at 4.5 s" in problem


def test_correlation_of_a_constant_is_nothing() -> None:
    assert correlation(np.ones(10), np.arange(10.0)) == 0


def test_a_piece_is_found_in_the_whole() -> None:
    assert find(SPEECH[20000:24000], SPEECH) == 20000
    assert find(SPEECH[20000:24000], SPEECH, around=19900, reach=200) == 20000
