"""Tones that the media server makes itself."""

from __future__ import annotations

from functools import cache

import numpy as np

from lemonade_media.decode import RATE, DecodedMedia, EncodedMedia, Law

BEEP_SECONDS = 0.4
_HERTZ = 1000
_LEVEL = 8000  # about a quarter of full scale: heard well, and nobody is startled
_RAMP_SECONDS = 0.01


@cache
def beep(law: Law) -> EncodedMedia:
    """Return the tone before a recording (RFC 5022 section 6.5.2), faded in and out so that it does not click."""
    times = np.arange(round(BEEP_SECONDS * RATE)) / RATE
    ramp = np.minimum(1, np.minimum(times, times[-1] - times) / _RAMP_SECONDS)
    samples = (_LEVEL * ramp * np.sin(2 * np.pi * _HERTZ * times)).astype(np.int16)
    return EncodedMedia(law, DecodedMedia(samples).encode(law), f"beep/{law}")
