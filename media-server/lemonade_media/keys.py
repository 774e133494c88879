"""Key presses of one call, however they come: a key told by INFO and by RTP is pressed once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

WINDOW_SECONDS = 0.6
"""How far apart the two tellings of one press may be: T1, after which a lost INFO is sent again, and its way."""

Way = Literal["info", "rtp"]


@dataclass
class _Press:
    """A press that one way has told of; `until`: when the key went up, infinite while it is down."""

    key: str = field(repr=False)
    way: Way
    until: float


class KeyPresses:
    """Tells new presses from those that were told by the other way before. `now` is in seconds, monotonic.

    A caller that tells its keys by INFO and by RFC 4733 tells each of them both ways, in the same order, and not at
    the same time: the INFO may be sent when the key goes down or when it goes up. So a press is the twin of the oldest
    one of the same key that the other way told, has no twin yet, and is not over for longer than `WINDOW_SECONDS`. A
    press is nobody's twin where one way alone is used, however fast a key is pressed again.
    """

    def __init__(self) -> None:
        self._single: list[_Press] = []

    def pressed(self, key: str, way: Way, now: float) -> bool:
        """Take a press that one way tells; return whether it is a new one."""
        self._single = [press for press in self._single if now - press.until <= WINDOW_SECONDS]
        twin = next((press for press in self._single if press.key == key and press.way != way), None)
        if twin is not None:
            self._single.remove(twin)
            return False
        self._single.append(_Press(key, way, math.inf if way == "rtp" else now))
        return True

    def released(self, key: str, now: float) -> None:
        """Take the end of a press that RTP told."""
        for press in self._single:
            if (press.key, press.way, press.until) == (key, "rtp", math.inf):
                press.until = now
