"""Compares the received sound of a call with the mail's audio part: its start, its jumps, its end and its samples.

A jump is a fast forward or rewind by a key (MSCML, RFC 5022); the sound between two jumps is a stretch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lemonade_testbed.audio.compare import RATE, compare
from lemonade_testbed.audio.heard import PCMA, PCMU, Heard
from lemonade_testbed.audio.part import MediaPart
from lemonade_testbed.audio.stretches import Stretch, find_stretches, splice

TOLERANCE = RATE // 10
"""Samples by which the start or the end of a stretch may be off."""
PACKET = RATE // 50
"""Samples of one RTP packet, 20 ms."""
MISSING_SHARE = 0.01
"""The share of the packets that may be missing."""
RAW = {PCMU: "mulaw", PCMA: "alaw"}
"""FFmpeg's names of the formats of the static payload types (RFC 3551, table 4)."""


@dataclass(frozen=True)
class Jump:
    """A key that moves the position in the content by `by` seconds, negative for a rewind.

    The jump happens between the times `sent` (of the key) and `answered`, in seconds since 1970.
    """

    sent: float
    answered: float
    by: float


@dataclass(frozen=True)
class ExpectedSound:
    """The sound that the signalling of the call asks for: the part from `offset` seconds on, with these jumps.

    `cut_short` is True if the playing was ended before the end of the part. `gain_tolerance` is by how many dB the
    sound may be louder or softer than the part. `lossy` is True if packets may be lost in the network.
    """

    offset: float = 0.0
    jumps: tuple[Jump, ...] = ()
    cut_short: bool = False
    gain_tolerance: float = 1.0
    lossy: bool = False


@dataclass(frozen=True)
class Played:
    """The result of the comparison: the stretches that were heard, a sentence for each problem, and the gain in dB."""

    stretches: tuple[Stretch, ...]
    problems: tuple[str, ...]
    gain_db: float = 0.0

    def __str__(self) -> str:
        stretches = ", then ".join(
            f"{stretch.content / RATE:.2f} s to {stretch.content_end / RATE:.2f} s" for stretch in self.stretches
        )
        return f"{stretches} with a gain of {self.gain_db:.1f} dB" if abs(self.gain_db) >= 1 else stretches


def listen(part: MediaPart, heard: Heard, call: ExpectedSound) -> Played:
    """Compare the received sound with the part, stretch by stretch.

    If part and stream have the same G.711 format and the gain is bounded, they are compared octet by octet, else by
    correlation. Neither is done if packets are lost.
    """
    reference, sound = part.samples, heard.samples
    cuts = [(heard.position_at(jump.sent), heard.position_at(jump.answered)) for jump in call.jumps]
    stretches = find_stretches(reference, sound, [cut for cut in cuts if 0 < cut[0] < len(sound)])
    problems: list[str] = []
    if heard.lost > MISSING_SHARE * heard.sent and not call.lossy:
        problems.append(f"{heard.lost} of {heard.sent} packets are missing ({100 * heard.lost / heard.sent:.1f} %)")
    problems += _jumps(stretches, call, len(reference))
    if not call.cut_short and stretches and len(reference) - stretches[-1].content_end > TOLERANCE:
        problems.append(
            f"the playing ends at {stretches[-1].content_end / RATE:.2f} s of {len(reference) / RATE:.2f} s"
        )
    expected = reference if _is_whole(call) else splice(reference, stretches)
    compared = compare(expected, sound)
    is_raw = part.raw_format is not None and part.raw_format == RAW.get(heard.payload_type) and not heard.is_mixed
    if is_raw and math.isfinite(call.gain_tolerance):
        problems += [] if heard.lost else _octets(part, heard, stretches)
    elif not heard.lost:
        problems += compared.problems
    if abs(compared.gain_db) > call.gain_tolerance:
        problems.append(f"a gain of {compared.gain_db:.1f} dB")
    return Played(tuple(stretches), tuple(problems), compared.gain_db)


def _is_whole(call: ExpectedSound) -> bool:
    return not call.jumps and not call.cut_short and not call.offset


def _jumps(stretches: Sequence[Stretch], call: ExpectedSound, end: int) -> list[str]:
    """Return a sentence for each stretch that does not begin where the signalling asks for it; `end` in samples."""
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
    """Compare octet by octet and return a sentence on a difference; padding of the last packet is ignored."""
    expected = splice(np.frombuffer(part.octets, dtype=np.uint8), stretches)
    padding = len(heard.octets) - len(expected)
    if not 0 <= padding < PACKET:
        return [f"{len(heard.octets)} octets were heard of {len(expected)}"]
    differing = np.flatnonzero(heard.octets[: len(expected)] != expected)
    if not len(differing):
        return []
    first = int(differing[0])
    return [f"{len(differing)} of {len(expected)} octets differ, the first at {first} ({first / RATE:.3f} s)"]
