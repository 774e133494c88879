"""Finds the stretches of a recording of which a sound with jumps was made: what fast forward and rewind really did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lemonade_testbed.audio.compare import RATE, Samples, find

MARGIN = RATE // 4
Octets = TypeVar("Octets", np.int16, np.uint8)


@dataclass(frozen=True)
class Stretch:
    """Heard samples `start` to `end` are the recording's from `content` on; all in samples of 1/8000 s."""

    start: int
    end: int
    content: int

    @property
    def length(self) -> int:
        """Samples heard without a jump."""
        return self.end - self.start

    @property
    def content_end(self) -> int:
        """Where in the recording the stretch stops."""
        return self.content + self.length


def find_stretches(reference: Samples, heard: Samples, cuts: Sequence[tuple[int, int]]) -> list[Stretch]:
    """Align each stretch between the `cuts` with `reference`.

    A cut is known by the heard samples that it lies between, give or take a quarter of a second; it is then moved to
    where the two stretches beside it meet best. A stretch that is too short to align by itself (under a twentieth of
    a second between its margins) is left out, with its cut.
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
    """Return the heard sample at which one stretch is best left for the other: the least squared error wins."""
    first, last = within
    places = np.arange(first, last)
    here = heard[first:last].astype(np.float64)
    before, after = ((here - _content(reference, places - stretch.start + stretch.content)) ** 2 for stretch in beside)
    left = np.concatenate([[0.0], np.cumsum(before)])
    right = np.concatenate([np.cumsum(after[::-1])[::-1], [0.0]])
    return first + int(np.argmin(left + right))


def _content(reference: Samples, places: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the reference at `places`, silence outside it."""
    inside = (places >= 0) & (places < len(reference))
    return np.where(inside, reference[np.clip(places, 0, len(reference) - 1)], 0).astype(np.float64)


def splice(reference: NDArray[Octets], stretches: Sequence[Stretch]) -> NDArray[Octets]:
    """Return the sound that `stretches` of `reference` make, one after the other."""
    pieces = [reference[max(0, stretch.content) : max(0, stretch.content_end)] for stretch in stretches]
    return np.concatenate(pieces) if pieces else reference[:0]
