"""Checks of RTP packets by RFC 3550 and RFC 3551: sequence numbers, timestamps, source and marker bit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.facts import is_relayed, signals
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.observe import offered_codecs
from lemonade_testbed.ladder.streams import ObservedPacket, codec_of, read_packets
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import Breach, CheckResult

_CLOCK = 8000
_HALF = 1 << 15
_WRAP = 1 << 32
_ELAPSED_TOLERANCE = 0.5
"""Seconds by which a timestamp after a gap may differ from the time that passed: a relay delays packets."""
_RACES = 1.25
"""The factor by which timestamps must run faster than time before a stall of a busy machine does not explain it."""
_DISORDERED = 20
"""One packet in so many may be duplicated or out of order."""
_PACKETS_BEHIND = 50
"""The number of packets after a gap that show whether the sender catches up."""
_STARTS_WITHIN = 0.5
"""Seconds after a request within which a playing may begin, with the marker bit although there was no gap before it."""

_SEQUENCE = "RFC3550-5.1-2"
_TIMESTAMP = "RFC3550-5.1-3"
_SOURCE = "RFC3550-8"
_MARKER = "RFC3551-4.1"
_MARKER_AFTER_GAP = "RFC3551-4.1-2"


def _check_numbers(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "sequence numbers rise by one, timestamps by the samples sent, and a stream has one source"
    expected = "steps of 1, timestamps that follow the sound, one SSRC in each call"
    streams, again = sound_streams(evidence), [*_repeated_numbers(evidence), *_wrong_order(evidence)]
    if not streams and not again:
        return CheckResult.without_material(requirement, expected, "no RTP with sound arrived")
    breaches = [
        *_first_of_each([*again, *_of_streams(streams, evidence)], _SEQUENCE, _TIMESTAMP),
        *_second_sources(evidence),
    ]
    problems = "; ".join(breach.seen for breach in breaches)
    return CheckResult(requirement, expected, problems or f"{len(streams)} streams that do", tuple(breaches))


def _of_streams(streams: Iterable[Sequence[ObservedPacket]], evidence: Evidence) -> Iterator[Breach]:
    """Yield what is wrong with the sequence numbers and timestamps of each stream."""
    for packets in streams:
        yield from _wrong_steps(packets)
        yield from _late_timestamps(packets)
        yield from _fast_timestamps(packets, evidence)
        yield from _fast_pace(packets)


@lru_cache(maxsize=32)
def sound_streams(evidence: Evidence) -> tuple[tuple[ObservedPacket, ...], ...]:
    """Return the G.711 packets that arrived, by sender, receiver and SSRC.

    Each packet counts once, and a stream is in the order of its sequence numbers. Packets of telephone-events are
    included, because they share the sequence numbers (RFC 4733, section 2.5.1.2).
    """
    codecs = offered_codecs(evidence)
    streams: dict[tuple[str, str, int], dict[int, ObservedPacket]] = {}
    latest: dict[tuple[str, str, int], int] = {}
    for packet in read_packets(evidence):
        codec = codec_of(packet, codecs)
        if codec.name.upper() not in {"PCMU", "PCMA"} and not codec.is_telephone_event:
            continue
        key = (*packet.stream[:2], packet.ssrc)
        before = latest.get(key, packet.seq)
        place = before + (packet.seq - before + _HALF) % (2 * _HALF) - _HALF
        latest[key] = max(before, place)
        streams.setdefault(key, {}).setdefault(place, packet)
    ordered = (tuple(stream[place] for place in sorted(stream)) for stream in streams.values())
    return tuple(stream for stream in ordered if any(_is_sound(packet) for packet in stream))


def _is_sound(packet: ObservedPacket) -> bool:
    return packet.pt in {0, 8}


def _wrong_steps(packets: Sequence[ObservedPacket]) -> Iterator[Breach]:
    """Yield what is wrong between two consecutive packets with sound."""
    for before, after in pairwise(packets):
        if not (_is_sound(before) and _is_sound(after)):
            continue
        numbers = (after.seq - before.seq) % (2 * _HALF)
        ticks = (after.ts - before.ts + _WRAP // 2) % _WRAP - _WRAP // 2
        samples = len(before.payload)
        source = after.stream[0]
        if numbers > 1 and ticks == samples:
            seen = f"sequence number {after.seq} after {before.seq}, though no sound is missing between them"
            yield Breach(source, (_SEQUENCE,), "steps of 1", seen, after.t, alone=True)
        elif ticks < samples:
            seen = f"a timestamp {ticks} ticks after that of a packet with {samples} samples"
            yield Breach(source, (_TIMESTAMP,), f"a step of {samples}", seen, after.t, alone=True)
        elif numbers == 1 and ticks > samples and abs(ticks / _CLOCK - (after.t - before.t)) > _ELAPSED_TOLERANCE:
            seen = f"a timestamp {ticks / _CLOCK:.2f} s on, of a packet that came {after.t - before.t:.2f} s later"
            yield Breach(source, (_TIMESTAMP,), "as much as the time that passed", seen, after.t, alone=True)


def _late_timestamps(packets: Sequence[ObservedPacket]) -> Iterator[Breach]:
    """Yield a breach if a timestamp does not grow by the time of a silence.

    After the silence the sender goes on late and stays late. A sender that was only held up sends at once what is due,
    which the packets after the gap show.
    """
    for place, (before, after) in enumerate(pairwise(packets), 1):
        late = after.t - before.t - len(before.payload) / _CLOCK
        ticks = (after.ts - before.ts) % _WRAP
        if late < _ELAPSED_TOLERANCE or ticks != len(before.payload):
            continue
        behind = packets[place + 1 : place + 1 + _PACKETS_BEHIND]
        caught_up = [(one.ts - after.ts) % _WRAP / _CLOCK - (one.t - after.t) for one in behind]
        if caught_up and max(caught_up) < late / 2:
            seen = f"a timestamp {ticks / _CLOCK:.2f} s on, of a packet that came {late + ticks / _CLOCK:.2f} s later"
            yield Breach(after.stream[0], (_TIMESTAMP,), "as much as the time that passed", seen, after.t, alone=True)


def _repeated_numbers(evidence: Evidence) -> Iterator[Breach]:
    """Yield a breach for each packet that has the sequence number of another packet shortly before it."""
    latest: dict[tuple[tuple[str, str, str], int], list[ObservedPacket]] = {}
    for packet in read_packets(evidence):
        before = latest.setdefault((packet.stream, packet.ssrc), [])
        same = next((one for one in before if one.seq == packet.seq), None)
        if same is not None and (same.ts, same.pt, same.payload) != (packet.ts, packet.pt, packet.payload):
            seen = f"sequence number {packet.seq} again, of another packet"
            yield Breach(packet.stream[0], (_SEQUENCE,), "steps of 1", seen, packet.t, alone=True)
        before.append(packet)
        del before[:-_PACKETS_BEHIND]


def _fast_timestamps(packets: Sequence[ObservedPacket], evidence: Evidence) -> Iterator[Breach]:
    """Yield a breach if the timestamps of a client grow faster than time passes.

    The check `rtp is paced` judges the pace of media servers.
    """
    sound = [packet for packet in packets if _is_sound(packet)]
    if evidence.world.kind_of(sound[0].stream[0]) != "client":
        return
    passed, played = sound[-1].t - sound[0].t, (sound[-1].ts - sound[0].ts) % _WRAP / _CLOCK
    if played < _WRAP / _CLOCK / 2 and played - passed > _ELAPSED_TOLERANCE:
        seen = f"timestamps {played:.2f} s on within {passed:.2f} s"
        yield Breach(
            sound[0].stream[0], (_TIMESTAMP,), "as much as the time that passed", seen, sound[-1].t, alone=True
        )


def _wrong_order(evidence: Evidence) -> Iterator[Breach]:
    """Yield for each stream the first packet whose sequence number is not above that of the packet before it.

    A network may duplicate or reorder a few packets, and a relay does so by its rules. A stream is charged only if many
    of its packets are affected.
    """
    if is_relayed(evidence):
        return
    streams: dict[tuple[str, str, str, int], list[ObservedPacket]] = {}
    for packet in read_packets(evidence):
        streams.setdefault((*packet.stream, packet.ssrc), []).append(packet)
    for packets in streams.values():
        behind = [(one, two) for one, two in pairwise(packets) if (one.seq - two.seq) % (2 * _HALF) <= _HALF]
        if _DISORDERED * len(behind) > len(packets):
            before, packet = behind[0]
            seen = f"sequence number {packet.seq} behind {before.seq}, {len(behind)} times in {len(packets)} packets"
            yield Breach(packet.stream[0], (_SEQUENCE,), "steps of 1", seen, packet.t, alone=True)


def _fast_pace(packets: Sequence[ObservedPacket]) -> Iterator[Breach]:
    """Yield a breach if the timestamps of many packets grow too fast, although no single packet shows it."""
    pairs = [(one, two) for one, two in pairwise(packets) if _is_sound(one) and _is_sound(two)]
    pairs = [(one, two) for one, two in pairs if (two.seq - one.seq) % (2 * _HALF) == 1]
    far = [(one, two) for one, two in pairs if len(one.payload) < (two.ts - one.ts) % _WRAP < _WRAP // 2]
    if len(far) <= len(pairs) // 2:
        return
    ticks = sum((two.ts - one.ts) % _WRAP for one, two in far) / _CLOCK
    passed = sum(two.t - one.t for one, two in far)
    if ticks > _RACES * passed and ticks - passed > _ELAPSED_TOLERANCE:
        seen = f"timestamps of {ticks:.1f} s in {passed:.1f} s"
        yield Breach(
            far[0][1].stream[0], (_TIMESTAMP,), "as much as the time that passed", seen, far[0][1].t, alone=True
        )


def _second_sources(evidence: Evidence) -> Iterator[Breach]:
    """Yield the first packet of another SSRC in one call: no INVITE made or changed a call between the two packets."""
    invites = [one.t for one in signals(evidence) if one.message.method == "INVITE" and not one.message.is_response]
    streams: dict[tuple[str, str, str], list[ObservedPacket]] = {}
    for packet in read_packets(evidence):
        streams.setdefault(packet.stream, []).append(packet)
    for (source, *_), packets in streams.items():
        for before, after in pairwise(packets):
            if before.ssrc != after.ssrc and not any(before.t <= t <= after.t for t in invites):
                seen = f"SSRC {after.ssrc:08x} after {before.ssrc:08x} in one call"
                yield Breach(source, (_SOURCE,), "one SSRC in each call", seen, after.t, alone=True)
                break


def _check_markers(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the marker bit is set where sound begins after silence, and nowhere else"
    expected = "the marker bit at the first packet of a playing and after a gap"
    begins = [one.t for one in signals(evidence) if not one.message.is_response]
    pairs = [pair for packets in sound_streams(evidence) for pair in pairwise(packets) if all(map(_is_sound, pair))]
    if not pairs:
        return CheckResult.without_material(requirement, expected, "no RTP with sound arrived")
    reached, found = {_MARKER}, []
    for before, after in pairs:
        ticks = (after.ts - before.ts) % _WRAP
        lost = (after.seq - before.seq) % (2 * _HALF) != 1
        gap = ticks > len(before.payload) and not lost and before.pt == after.pt
        if gap:
            reached.add(_MARKER_AFTER_GAP)
        if gap and not after.marker and ticks < _WRAP // 2:
            seen = f"no marker bit after {(ticks - len(before.payload)) / _CLOCK:.2f} s of silence"
            found.append(Breach(after.stream[0], (_MARKER_AFTER_GAP,), expected, seen, after.t, alone=True))
        starts = any(after.t - _STARTS_WITHIN <= t <= after.t for t in begins)
        if after.marker and ticks == len(before.payload) and not starts:
            seen = f"the marker bit at packet {after.seq}, which follows the one before without a gap"
            found.append(Breach(after.stream[0], (_MARKER,), expected, seen, after.t, alone=True))
    breaches = tuple(_first_of_each(found, _MARKER, _MARKER_AFTER_GAP))
    problems = "; ".join(breach.seen for breach in breaches) or f"{sum(after.marker for _, after in pairs)} after gaps"
    return CheckResult(requirement, expected, problems, breaches, reached=tuple(sorted(reached)))


def _first_of_each(breaches: Iterable[Breach], *clauses: str) -> Iterator[Breach]:
    """Yield only the earliest breach for each node and clause: a wrong sender repeats it in every packet."""
    reported: set[tuple[str, str]] = set()
    for breach in sorted(breaches, key=lambda breach: breach.t):
        key = (breach.node, breach.clauses[0])
        if breach.clauses[0] in clauses and key not in reported:
            reported.add(key)
            yield breach


CHECKS = (
    Check(
        "rtp numbers and timestamps advance",
        (_SEQUENCE, _TIMESTAMP, _SOURCE),
        "RTP sequence numbers rise by one, timestamps by the samples, and each call has one SSRC",
        _check_numbers,
    ),
    Check(
        "rtp marker is at starts",
        (_MARKER, _MARKER_AFTER_GAP),
        "the RTP marker bit is set where sound begins after silence, and nowhere else",
        _check_markers,
    ),
)
