"""Finding the stretches between the jumps of a sound, and their positions in the recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lemonade_testbed.audio.compare import RATE
from lemonade_testbed.audio.part import media_part
from lemonade_testbed.audio.stretches import Stretch, find_stretches, splice

FIXTURES = Path(__file__).parents[2] / "scenarios" / "fixtures"
SPEECH = media_part(FIXTURES / "voicemail-basic.eml").samples


def played(*pieces: tuple[float, float]) -> tuple[np.ndarray, list[int]]:
    """Cut pieces (from, to, in seconds) out of the speech; also return where the cuts are."""
    parts = [SPEECH[round(start * RATE) : round(end * RATE)] for start, end in pieces]
    cuts = np.cumsum([len(part) for part in parts])[:-1]
    return np.concatenate(parts), [int(cut) for cut in cuts]


@pytest.mark.parametrize("off", [-1500, -160, 0, 333, 1500])
@pytest.mark.parametrize(
    "pieces",
    [
        ((0, 3.02), (7.02, 12.2)),
        ((0, 5.0), (1.0, 4.0)),
        ((0, 2.5), (0, 3.0)),
        ((0, 3.0), (5.0, 8.0), (6.0, 12.0)),
    ],
    ids=["forward", "back", "back to the start", "forward and back"],
)
def test_the_cut_is_found_though_it_is_known_only_roughly(pieces: tuple[tuple[float, float], ...], off: int) -> None:
    heard, cuts = played(*pieces)
    found = find_stretches(SPEECH, heard, [(cut + off, cut + off) for cut in cuts])
    assert [stretch.content / RATE for stretch in found] == pytest.approx([start for start, _ in pieces], abs=0.02)
    assert [stretch.start / RATE for stretch in found[1:]] == pytest.approx([cut / RATE for cut in cuts], abs=0.02)
    assert found[-1].end == len(heard)
    assert len(splice(SPEECH, found)) == len(heard)


def test_a_cut_within_a_span_of_samples_is_found() -> None:
    heard, cuts = played((0, 3.7), (7.7, 12.2))
    found = find_stretches(SPEECH, heard, [(cuts[0] - 6000, cuts[0] + 3000)])
    assert (found[1].start, found[1].content) == pytest.approx((cuts[0], 7.7 * RATE), abs=160)


def test_without_a_cut_there_is_one_stretch() -> None:
    assert find_stretches(SPEECH, SPEECH, []) == [Stretch(0, len(SPEECH), 0)]


def test_a_stretch_too_short_to_align_is_left_out() -> None:
    assert len(find_stretches(SPEECH, SPEECH[:24000], [(23900, 23900)])) == 1
