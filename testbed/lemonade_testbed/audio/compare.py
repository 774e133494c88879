"""Compares two sounds of 8,000 samples a second by their length and their correlation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE = 8000
"""Samples a second."""
LENGTH_TOLERANCE = 0.040
"""Seconds by which the lengths of two equal sounds may differ."""
WHOLE_CORRELATION = 0.98
"""The least correlation of two equal sounds as a whole."""
VOICED_CORRELATION = 0.90
"""The least correlation of any half second in which the reference is not silent."""
WINDOW = RATE // 2
"""Samples of that half second."""
VOICED_LEVEL = 0.1
"""A window is silent if its level (root mean square) is below this share of the whole reference's level."""
MAX_LAG = RATE // 4
"""Samples by which one sound may start later than the other."""

Samples = NDArray[np.int16]


@dataclass(frozen=True)
class Comparison:
    """The result of comparing a heard sound with its reference; times in seconds, correlations from -1 to 1.

    `lag` is by how much the heard sound starts later than the reference. `whole` is the correlation of the two sounds,
    `worst` is the lowest correlation of a half second in which the reference is not silent, and `worst_at` is the start
    of that half second. `gain_db` is by how many dB the heard sound is louder.
    """

    reference_length: float
    heard_length: float
    lag: float
    whole: float
    worst: float
    worst_at: float
    gain_db: float = 0.0

    @property
    def problems(self) -> list[str]:
        """A sentence for each difference that is above its tolerance; empty if the sounds are the same."""
        found = []
        if abs(self.heard_length - self.reference_length) > LENGTH_TOLERANCE:
            found.append(
                f"{self.heard_length:.3f} s were heard of {self.reference_length:.3f} s "
                f"(allowed: {LENGTH_TOLERANCE * 1000:.0f} ms apart)"
            )
        if not self.whole >= WHOLE_CORRELATION:
            found.append(f"the whole correlates by {self.whole:.3f} (at least {WHOLE_CORRELATION})")
        if not self.worst >= VOICED_CORRELATION:
            found.append(
                f"the half second at {self.worst_at:.1f} s correlates by {self.worst:.3f} "
                f"(at least {VOICED_CORRELATION})"
            )
        return found


def correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return the correlation coefficient of two stretches of equal length; 0 if one of them is constant."""
    one, other = one - one.mean(), other - other.mean()
    scale = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / scale if scale > 0 else 0.0


def find(needle: Samples, hay: Samples, around: int | None = None, reach: int | None = None) -> int:
    """Return the index in `hay` at which `needle` fits best; it may be negative.

    The correlation at each index is divided by the level of `hay` there, so that a soft `needle` is not found where
    `hay` is loudest. With `around` and `reach`, only the indices `around - reach` to `around + reach` are searched.
    """
    size = 1 << (len(needle) + len(hay) - 1).bit_length()
    product = np.fft.rfft(hay.astype(np.float64), size) * np.conj(np.fft.rfft(needle.astype(np.float64), size))
    scores = np.fft.irfft(product, size)
    first, last = -len(needle) + 1, len(hay) - 1
    if around is not None and reach is not None:
        first, last = max(first, around - reach), min(last, around + reach)
    places = np.arange(first, last + 1)
    energy = np.concatenate([[0.0], np.cumsum(hay.astype(np.float64) ** 2)])
    under = energy[np.clip(places + len(needle), 0, len(hay))] - energy[np.clip(places, 0, len(hay))]
    return int(places[np.argmax(scores[places % size] / np.sqrt(under + 1.0))])


def compare(reference: Samples, heard: Samples) -> Comparison:
    """Shift `heard` by up to a quarter of a second to where it fits `reference` best, and compare the two there."""
    lag = -find(heard, reference, around=0, reach=MAX_LAG) if len(heard) and len(reference) else 0
    ours, theirs = _overlap(reference, heard, lag)
    if not len(ours):
        return Comparison(len(reference) / RATE, len(heard) / RATE, 0.0, 0.0, 0.0, 0.0)
    worst, worst_at = _worst_window(ours, theirs)
    return Comparison(
        len(reference) / RATE,
        len(heard) / RATE,
        lag / RATE,
        correlation(ours, theirs),
        worst,
        worst_at / RATE,
        _gain(ours, theirs),
    )


def _gain(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    """Return by how many dB the heard sound is louder, by a least squares fit; 0 if the sounds do not correlate."""
    alike, level = float(ours @ theirs), float(ours @ ours)
    return 20 * math.log10(alike / level) if alike > 0 and level > 0 else 0.0


def _overlap(reference: Samples, heard: Samples, lag: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    ours = reference[max(0, -lag) :].astype(np.float64)
    theirs = heard[max(0, lag) :].astype(np.float64)
    shared = min(len(ours), len(theirs))
    return ours[:shared], theirs[:shared]


def _worst_window(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> tuple[float, int]:
    """Return the lowest correlation of a half second in which the reference is not silent, and its first sample."""
    loudness = float(np.sqrt(np.mean(ours**2)))
    worst, worst_at = 1.0, 0
    for start in sorted({*range(0, len(ours) - WINDOW + 1, WINDOW), max(0, len(ours) - WINDOW)}):
        window = slice(start, start + WINDOW)
        if float(np.sqrt(np.mean(ours[window] ** 2))) < VOICED_LEVEL * loudness:
            continue
        here = correlation(ours[window], theirs[window])
        if here < worst:
            worst, worst_at = here, start
    return worst, worst_at
