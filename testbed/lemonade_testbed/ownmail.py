"""A mail of one's own in a scenario's place: can it be played, and is it long enough for what the scenario does?"""

from __future__ import annotations

from pathlib import Path

from lemonade_testbed.audio.part import UnheardPartError, media_part
from lemonade_testbed.scenario.model import Scenario


def why_unheard(message: Path) -> str | None:
    """Return why no scenario could play the mail, or None where its part can be heard."""
    try:
        return None if media_part(message).length else "the part holds no sound"
    except UnheardPartError as problem:
        return str(problem)


def shortest(scenario: Scenario) -> float:
    """Return how many seconds of media the scenario's RTP arrows ask for at least."""
    seconds = 0.0
    for arrow in scenario.ladder.arrows:
        if arrow.rtp is not None:
            low = arrow.rtp.low
            # `media-7.2..` leaves nothing below 7.2 s; a time that does not depend on the media is played in full.
            seconds = max(seconds, -low.base if low.media else low.base)
    return seconds


def why_too_short(scenario: Scenario, length: float | None) -> str | None:
    """Return why a mail whose media play `length` seconds is too short for a scenario, or None where it will do."""
    needed = shortest(scenario)
    if length is None or length > needed:
        return None
    return f"the mail's media play {length:.1f} s; the scenario needs more than {needed:.1f} s"
