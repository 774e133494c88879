"""Finds which stretches of a recording a sound consists of, and so by how much fast forward and rewind moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lemonade_testbed.audio.compare import RATE, Samples, find

MARGIN = RATE // 4
"""Samples around a cut that are not used to align the stretches beside it."""
Octets = TypeVar("Octets", np.int16, np.uint8)


@dataclass(frozen=True)
class Stretch:
    """The heard samples `start` to `end` equal the recording from its sample `content` on; a sample is 1/8000 s."""

    start: int
    end: int
    content: int

    @property
    def length(self) -> int:
        """The number of samples in the stretch."""
        return self.end - self.start

    @property
    def content_end(self) -> int:
        """The sample of the recording behind the stretch."""
        return self.content + self.length


def find_stretches(reference: Samples, heard: Samples, cuts: Sequence[tuple[int, int]]) -> list[Stretch]:
    """Find for each stretch of `heard` between two cuts where in `reference` it comes from.

    Each of the `cuts` is a pair of heard samples between which the sound jumps, with an error of up to a quarter of a
    second. Its exact sample is where the two stretches beside it, put together, differ least from what was heard. A
    stretch that is too short to be found (under a twentieth of a second between its margins) is left out with its cut.
    """
    starts = [(0, 0), *((first - MARGIN, last + MARGIN) for first, last in sorted(cuts))]
    ends = [*(first for first, _ in starts[1:]), len(heard)]
    found: list[Stretch] = []
    for (earliest, start), end in zip(starts, ends, strict=True):
        if end - start < RATE // 20:
            continue
        here = Stretch(start, end, find(heard[start:end], reference))
        if found:
            cut = _best_cut(reference, heard, (max(found[-1].start, earliest), start), (found[-1], here))
            found[-1] = Stretch(found[-1].start, cut, found[-1].content)
            here = Stretch(cut, end, here.content + cut - here.start)
        found.append(here)
    if found:
        found[-1] = Stretch(found[-1].start, len(heard), found[-1].content)
    return found


def _best_cut(reference: Samples, heard: Samples, within: tuple[int, int], beside: tuple[Stretch, Stretch]) -> int:
    """Return the heard sample at which the sound changes from one stretch to the other with the least squared error."""
    first, last = within
    places = np.arange(first, last)
    here = heard[first:last].astype(np.float64)
    before, after = ((here - _content(reference, places - stretch.start + stretch.content)) ** 2 for stretch in beside)
    left = np.concatenate([[0.0], np.cumsum(before)])
    right = np.concatenate([np.cumsum(after[::-1])[::-1], [0.0]])
    return first + int(np.argmin(left + right))


def _content(reference: Samples, places: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the samples of the reference at `places`, and 0 for each place outside of it."""
    inside = (places >= 0) & (places < len(reference))
    return np.where(inside, reference[np.clip(places, 0, len(reference) - 1)], 0).astype(np.float64)


def splice(reference: NDArray[Octets], stretches: Sequence[Stretch]) -> NDArray[Octets]:
    """Return the stretches of `reference`, one after the other."""
    pieces = [reference[max(0, stretch.content) : max(0, stretch.content_end)] for stretch in stretches]
    return np.concatenate(pieces) if pieces else reference[:0]
