"""Tells whether a mail that replaces a scenario's (`--message`) can be played, and is long enough for the scenario."""

from __future__ import annotations

from pathlib import Path

from lemonade_testbed.audio.part import UnheardPartError, media_part
from lemonade_testbed.scenario.model import Scenario


def why_unheard(message: Path) -> str | None:
    """Return the reason why no scenario can play the mail, or None if it has an audio part that can be decoded."""
    try:
        return None if media_part(message).length else "the part holds no sound"
    except UnheardPartError as problem:
        return str(problem)


def shortest(scenario: Scenario) -> float:
    """Return the shortest media length, in seconds, with which the scenario's RTP arrows can match."""
    seconds = 0.0
    for arrow in scenario.ladder.arrows:
        if arrow.rtp is not None:
            low = arrow.rtp.low
            # `media-7.2..` has no positive lower bound with media below 7.2 s. A time that does not depend on the
            # media's length is played in full, so the media must be at least as long.
            seconds = max(seconds, -low.base if low.media else low.base)
    return seconds


def why_too_short(scenario: Scenario, length: float | None) -> str | None:
    """Return the reason why media of `length` seconds are too short for a scenario, or None if they are long enough.

    A `length` of None (the length is unknown) counts as long enough.
    """
    needed = shortest(scenario)
    if length is None or length > needed:
        return None
    return f"the mail's media play {length:.1f} s; the scenario needs more than {needed:.1f} s"
