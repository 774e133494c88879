"""The check `recorded is FILE`, and others of recordings: compares the recorded file with what the client sent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lemonade_testbed.audio.compare import Samples, compare
from lemonade_testbed.audio.part import RATE, MediaPart, UnheardPartError, decode
from lemonade_testbed.audio.played import RAW
from lemonade_testbed.checks.base import Check, conclude
from lemonade_testbed.checks.exchanges import exchanges
from lemonade_testbed.checks.facts import is_relayed, signals
from lemonade_testbed.checks.rtp import sound_streams
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.mscmltext import ResponseText
from lemonade_testbed.ladder.siptext import mscml_of
from lemonade_testbed.ladder.streams import read_packets
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import Breach, CheckResult

RECORDED = "recorded.wav"
"""The name of the file in which scenarios have the media server record: `recurl="file:///recorded.wav"`."""
REQUIREMENT = "the recording has what the client sent, complete and in order; silence before and after it is not judged"
_HEADER = 256
"""Octets by which a file may be larger than its sound."""
_SILENCE = frozenset({0x55, 0x7F, 0xD5, 0xFF})
"""The octets of digital silence in G.711."""
_OCTETS, _SILENT = ("RFC5022-10.6-3",), ("RFC5022-6.5.2-2",)
_ENDSILENCE = 4.0
"""Seconds: the value of endsilence if a request leaves it out."""
_LATE = 1.5
"""Seconds by which a busy machine may be late."""
_RECORDS, _DURATION = ("RFC5022-6.5.2",), ("RFC5022-10.6-2",)
_ENCODING = ("RFC3551-6",)
_TOLERANCE = 0.5
"""Seconds that a message may have been on its way."""


def _compare_recording(scenario: Scenario, evidence: Evidence, file: str) -> CheckResult:
    said = _without_silence(MediaPart("audio/wav", scenario.file(file).read_bytes()))
    expected = f"{len(said) / RATE:.2f} s"
    path = evidence.folder / RECORDED if evidence.folder else None
    there = path is not None and path.is_file()
    response = next(
        (one for one in reversed(signals(evidence)) if isinstance(mscml_of(one.message), ResponseText)), None
    )
    if response is None:
        return CheckResult.without_material(REQUIREMENT, expected, "no response to <playrecord>")
    sent = _sound_sent(evidence, response.t)
    if sent is not None and (wrong := compare(said, sent.samples).problems):
        breach = Breach(sent.node, _ENCODING, expected, "; ".join(wrong), sent.t, alone=True)
        return CheckResult(REQUIREMENT, expected, breach.seen, (breach,))
    try:
        recorded = _without_silence(MediaPart("audio/wav", path.read_bytes())) if path and there else said[:0]
        lacking = f"there is no voice in {RECORDED}" if there else f"there is no {RECORDED}"
        problems = compare(said, recorded).problems if len(recorded) else [lacking]
    except UnheardPartError as problem:
        problems, recorded = [str(problem)], said[:0]
    seen = "; ".join(problems) or f"{len(recorded) / RATE:.2f} s"
    return conclude(not problems, REQUIREMENT, expected, seen, node=response.source, clauses=_RECORDS, t=response.t)


@dataclass(frozen=True)
class _SentSound:
    """The sound in a node's RTP, and the time of its first packet."""

    node: str
    t: float
    samples: Samples


def _sound_sent(evidence: Evidence, until: float) -> _SentSound | None:
    """Return what the client sent until a time, laid out by timestamps and decoded as its payload types say.

    None if a relay may have lost some of it, or if it cannot be laid out.
    """
    packets = [
        one
        for one in read_packets(evidence)
        if one.pt in RAW and one.t < until and evidence.world.kind_of(one.stream[0]) == "client"
    ]
    if not packets or is_relayed(evidence) or len({one.ssrc for one in packets}) > 1:
        return None
    places = [(one.ts - packets[0].ts) % (1 << 32) for one in packets]
    if max(places) > (until - packets[0].t + 1) * RATE:
        return None  # another check judges the timestamps
    samples = np.zeros(max(places) + max(len(one.payload) for one in packets), np.int16)
    for place, one in zip(places, packets, strict=True):
        samples[place : place + len(one.payload)] = decode(one.payload, RAW[one.pt])
    loud = np.flatnonzero(samples)
    return _SentSound(packets[0].stream[0], packets[0].t, samples[loud[0] : loud[-1] + 1]) if len(loud) else None


def _check_length(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "recduration and reclength are those of the recording"
    breaches: list[Breach] = []
    seen: list[str] = []
    for one in exchanges(evidence):
        duration, signal = one.response.seconds("recduration"), one.response.signal
        if one.request is None or duration is None:
            continue
        most = signal.t - one.request.signal.t
        seen.append(f"{duration:.1f} s in {most:.1f} s")
        least = 0.0 if "<prompt" in one.request.body else _length_of_sound(evidence, one.request.signal.t, signal.t)
        if not least - _TOLERANCE <= duration <= most + _TOLERANCE:
            expected = f"{least:.1f} s to {most:.1f} s"
            breaches.append(Breach(signal.source, _DURATION, expected, f"{duration:.1f} s", signal.t, alone=True))
        length = one.response.attributes.get("reclength", "")
        size = _size(one.request.attributes.get("recurl", ""), evidence)
        fits = length.isdecimal() and (size is None or size - _HEADER <= int(length) <= size)
        if length and "append" not in one.request.attributes.get("mode", "") and not fits:
            expected = "octets" if size is None else f"{size} octets"
            breaches.append(Breach(signal.source, _OCTETS, expected, length, signal.t, alone=True))
    if not seen:
        return CheckResult.without_material(requirement, "a time", "no response to <playrecord>")
    return CheckResult(requirement, "at most the time that passed", "; ".join(seen), tuple(breaches))


def _check_end(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "a recording that ends with silence ends endsilence after the last sound"
    seen, breaches = [], []
    for one in exchanges(evidence) if not is_relayed(evidence) else ():
        signal = one.response.signal
        if one.request is None or one.response.attributes.get("reason") != "end_silence":
            continue
        given = one.request.attributes.get("endsilence")
        wanted = _ENDSILENCE if given is None else one.request.seconds("endsilence")
        sounds = _times_of_sound(evidence, one.request.signal.t, signal.t)
        if wanted is None or not sounds:
            continue
        waited = signal.t - max(sounds)
        seen.append(f"{waited:.1f} s of {wanted:.1f} s")
        if not wanted - _TOLERANCE <= waited <= wanted + _LATE:
            breaches.append(Breach(signal.source, _SILENT, f"{wanted:.1f} s", seen[-1], signal.t))
    if not seen:
        return CheckResult.without_material(requirement, "endsilence", "no recording that silence ended")
    return CheckResult(requirement, "endsilence", "; ".join(seen), tuple(breaches))


def _times_of_sound(evidence: Evidence, since: float, until: float) -> list[float]:
    """Return the times at which clients sent packets other than digital silence, between `since` and `until`."""
    return [
        packet.t
        for stream in sound_streams(evidence)
        for packet in stream
        if evidence.world.kind_of(packet.stream[0]) == "client"
        and since < packet.t < until
        and not set(packet.payload) <= _SILENCE
    ]


def _length_of_sound(evidence: Evidence, since: float, until: float) -> float:
    """Return the seconds from the first to the last sound that clients sent between two times."""
    loud = _times_of_sound(evidence, since, until)
    return max(loud) - min(loud) if loud else 0.0


def _size(url: str, evidence: Evidence) -> int | None:
    """Return the size of a recording in octets; None if its file is not part of the evidence."""
    path = evidence.folder / url.rpartition("/")[2] if evidence.folder and url.startswith("file:") else None
    return path.stat().st_size if path is not None and path.is_file() else None


def _without_silence(part: MediaPart) -> Samples:
    """Return the sound without the silence before and after it."""
    loud = np.flatnonzero(part.samples)
    return part.samples[loud[0] : loud[-1] + 1] if len(loud) else part.samples[:0]


CHECKS = (
    Check(
        "recorded is FILE",
        (*_RECORDS, *_ENCODING),
        f"the client's RTP has the sound of FILE in the encoding of its payload type, and so has {RECORDED}",
        _compare_recording,
        general=False,
    ),
    Check(
        "recording lasts as told",
        (*_DURATION, *_OCTETS),
        "recduration is between the length of the sound and the time that passed, reclength is the file's size",
        _check_length,
    ),
    Check(
        "recording ends with silence",
        _SILENT,
        "a recording that ends with silence does so when endsilence has passed",
        _check_end,
    ),
)
