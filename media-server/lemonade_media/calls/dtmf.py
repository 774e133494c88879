"""Key presses and tones: finds the two reports (INFO and RTP) of one press, and makes the tone before a recording."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

import numpy as np

from lemonade_media.decoding.decode import RATE, DecodedMedia, EncodedMedia, Law

BEEP_SECONDS = 0.4
_HERTZ = 1000
_LEVEL = 8000  # amplitude of 16-bit samples: about a quarter of full scale, which is clear and not too loud
_RAMP_SECONDS = 0.01
WINDOW_SECONDS = 0.6
"""The longest time between the INFO and the RTP event of one press: T1 (0.5 s), after which a lost INFO is sent again
(RFC 3261 section 17.1.2.2), and 0.1 s for the transmission."""
Way = Literal["info", "rtp"]


@cache
def beep(law: Law) -> EncodedMedia:
    """Return the tone before a recording (RFC 5022 section 6.5.2); it is faded in and out to avoid clicks."""
    times = np.arange(round(BEEP_SECONDS * RATE)) / RATE
    ramp = np.minimum(1, np.minimum(times, times[-1] - times) / _RAMP_SECONDS)
    samples = (_LEVEL * ramp * np.sin(2 * np.pi * _HERTZ * times)).astype(np.int16)
    return EncodedMedia(law, DecodedMedia(samples).encode(law), f"beep/{law}")


@dataclass
class _Press:
    """A press that came by one way so far; `until` is the time when the key was released, infinite while it is down.

    For a press that came by INFO it is the time of the INFO.
    """

    key: str = field(repr=False)
    way: Way
    until: float


class KeyPresses:
    """Tells new presses from those that came by the other way before. `now` is in seconds, monotonic.

    A caller that sends its keys by INFO and by RFC 4733 sends each of them both ways and in the same order, but not at
    the same time: the INFO may be sent when the key is pressed or when it is released. Two reports are of the same
    press if they are of the same key, came by different ways, and the key was released at most `WINDOW_SECONDS` before
    the second report. A report is matched with the oldest one that has no match yet. If a caller uses one way only, all
    its reports are new presses, however fast a key is pressed again.
    """

    def __init__(self) -> None:
        self._single: list[_Press] = []

    def pressed(self, key: str, way: Way, now: float) -> bool:
        """Handle the report of a press that came by `way`; return whether it is a new press."""
        self._single = [press for press in self._single if now - press.until <= WINDOW_SECONDS]
        twin = next((press for press in self._single if press.key == key and press.way != way), None)
        if twin is not None:
            self._single.remove(twin)
            return False
        self._single.append(_Press(key, way, math.inf if way == "rtp" else now))
        return True

    def released(self, key: str, now: float) -> None:
        """Handle the release of a key whose press came by RTP."""
        for press in self._single:
            if (press.key, press.way, press.until) == (key, "rtp", math.inf):
                press.until = now
