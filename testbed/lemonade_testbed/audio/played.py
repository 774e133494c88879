"""What a call played, heard against its recording: which stretches, with which jumps, and to the end or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lemonade_testbed.audio.compare import RATE, compare
from lemonade_testbed.audio.heard import PCMA, PCMU, Heard
from lemonade_testbed.audio.part import MediaPart
from lemonade_testbed.audio.stretches import Stretch, find_stretches, splice

TOLERANCE = RATE // 10
PACKET = RATE // 50
MISSING_SHARE = 0.01
RAW = {PCMU: "mulaw", PCMA: "alaw"}


@dataclass(frozen=True)
class Jump:
    """A key that moved the content between two times (its sending and its answer), by so many seconds.

    Times are seconds since 1970.
    """

    sent: float
    answered: float
    by: float


@dataclass(frozen=True)
class Call:
    """What the signalling says that should be heard: from `offset` seconds on, with these jumps.

    `cut_short`: somebody ended the playing before the end of the part.
    """

    offset: float = 0.0
    jumps: tuple[Jump, ...] = ()
    cut_short: bool = False


@dataclass(frozen=True)
class Played:
    """The result of listening: the stretches that were heard, and what is wrong with them, in English."""

    stretches: tuple[Stretch, ...]
    problems: tuple[str, ...]

    def __str__(self) -> str:
        return ", then ".join(
            f"{stretch.content / RATE:.2f} s to {stretch.content_end / RATE:.2f} s" for stretch in self.stretches
        )


def listen(part: MediaPart, heard: Heard, call: Call) -> Played:
    """Compare what was heard with the part, stretch by stretch."""
    reference, sound = part.samples, heard.samples
    cuts = [(heard.position_at(jump.sent), heard.position_at(jump.answered)) for jump in call.jumps]
    stretches = find_stretches(reference, sound, [cut for cut in cuts if 0 < cut[0] < len(sound)])
    problems: list[str] = []
    if heard.lost > MISSING_SHARE * heard.sent:
        problems.append(f"{heard.lost} of {heard.sent} packets are missing ({100 * heard.lost / heard.sent:.1f} %)")
    problems += _jumps(stretches, call, len(reference))
    if not call.cut_short and stretches and len(reference) - stretches[-1].content_end > TOLERANCE:
        problems.append(
            f"the playing ends at {stretches[-1].content_end / RATE:.2f} s of {len(reference) / RATE:.2f} s"
        )
    if part.raw_format is not None and part.raw_format == RAW.get(heard.payload_type):
        problems += _octets(part, heard, stretches)
    else:
        expected = reference if _is_whole(call) else splice(reference, stretches)
        problems += compare(expected, sound).problems
    return Played(tuple(stretches), tuple(problems))


def _is_whole(call: Call) -> bool:
    return not call.jumps and not call.cut_short and not call.offset


def _jumps(stretches: Sequence[Stretch], call: Call, end: int) -> list[str]:
    """Say where a stretch does not begin where the signalling wants it."""
    problems = []
    wanted = round(call.offset * RATE)
    for number, stretch in enumerate(stretches):
        if abs(stretch.content - wanted) > TOLERANCE:
            where = f"after key {number}" if number else "at its start"
            problems.append(
                f"{where} the playing goes on at {stretch.content / RATE:.2f} s of the part "
                f"instead of {wanted / RATE:.2f} s"
            )
        if number < len(call.jumps):
            wanted = min(max(0, stretch.content_end + round(call.jumps[number].by * RATE)), end)
    return problems


def _octets(part: MediaPart, heard: Heard, stretches: Sequence[Stretch]) -> list[str]:
    """Compare octet by octet; what fills the last packet up is not heard."""
    expected = splice(np.frombuffer(part.octets, dtype=np.uint8), stretches)
    padding = len(heard.octets) - len(expected)
    if not 0 <= padding < PACKET:
        return [f"{len(heard.octets)} octets were heard of {len(expected)}"]
    differing = np.flatnonzero(heard.octets[: len(expected)] != expected)
    if not len(differing):
        return []
    first = int(differing[0])
    return [f"{len(differing)} of {len(expected)} octets differ, the first at {first} ({first / RATE:.3f} s)"]
