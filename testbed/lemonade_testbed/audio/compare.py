"""Compares two sounds, sample by sample: is one the other, whole and at the right speed?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE = 8000
LENGTH_TOLERANCE = 0.040
WHOLE_CORRELATION = 0.98
VOICED_CORRELATION = 0.90
WINDOW = RATE // 2
VOICED_LEVEL = 0.1
MAX_LAG = RATE // 4

Samples = NDArray[np.int16]


@dataclass(frozen=True)
class Comparison:
    """How a heard sound compares with its reference; times in seconds, correlations from -1 to 1.

    `lag` is how much later the heard sound runs; `worst` the lowest correlation of a voiced half second,
    which starts at `worst_at`.
    """

    reference_length: float
    heard_length: float
    lag: float
    whole: float
    worst: float
    worst_at: float

    @property
    def problems(self) -> list[str]:
        """What is wrong, in English; nothing where the sounds are the same."""
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
    """Return the correlation coefficient of two stretches of equal length; 0 where one of them is constant."""
    one, other = one - one.mean(), other - other.mean()
    scale = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / scale if scale > 0 else 0.0


def find(needle: Samples, hay: Samples, around: int | None = None, reach: int | None = None) -> int:
    """Return where `needle` fits best into `hay`: the index of its first sample, which may be negative.

    With `around` and `reach` only that neighbourhood is searched.
    """
    size = 1 << (len(needle) + len(hay) - 1).bit_length()
    product = np.fft.rfft(hay.astype(np.float64), size) * np.conj(np.fft.rfft(needle.astype(np.float64), size))
    scores = np.fft.irfft(product, size)
    first, last = -len(needle) + 1, len(hay) - 1
    if around is not None and reach is not None:
        first, last = max(first, around - reach), min(last, around + reach)
    places = np.arange(first, last + 1)
    return int(places[np.argmax(scores[places % size])])


def compare(reference: Samples, heard: Samples) -> Comparison:
    """Align `heard` with `reference` by at most a quarter of a second, and measure how well they agree."""
    lag = -find(heard, reference, around=0, reach=MAX_LAG) if len(heard) and len(reference) else 0
    ours, theirs = _overlap(reference, heard, lag)
    if not len(ours):
        return Comparison(len(reference) / RATE, len(heard) / RATE, 0.0, 0.0, 0.0, 0.0)
    worst, worst_at = _worst_window(ours, theirs)
    return Comparison(
        len(reference) / RATE, len(heard) / RATE, lag / RATE, correlation(ours, theirs), worst, worst_at / RATE
    )


def _overlap(reference: Samples, heard: Samples, lag: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    ours = reference[max(0, -lag) :].astype(np.float64)
    theirs = heard[max(0, lag) :].astype(np.float64)
    shared = min(len(ours), len(theirs))
    return ours[:shared], theirs[:shared]


def _worst_window(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> tuple[float, int]:
    """Return the lowest correlation of a half second in which the reference speaks, and where it starts."""
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
