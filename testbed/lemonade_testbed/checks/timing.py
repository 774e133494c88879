"""Measures RTP streams against their own schedule, and checks that they are paced."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from statistics import median

from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.facts import is_relayed
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.observe import offered_codecs
from lemonade_testbed.ladder.streams import ObservedPacket, codec_of, goes_on, read_packets
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import Breach, CheckResult, RtpMeasure

EARLY_MS = 40.0
"""Milliseconds, two packets: on a machine with all cores in use the neighbours of a packet are late by about one
packet.
"""
BURST_S = 0.005
RATE_SHARE = 0.005
_RATE_NEEDS = 5.0
_RUN_NEEDS = 0.4
"""Seconds that a run must last so that its rate is used together with that of others."""
_DRIFT = 0.012
"""Seconds by which several runs together may seem fast or slow on a busy machine."""
_THIRDS = 3
_LITTLE = (0.014, 0.06)
_CLOCK = 8000
_RELAY_CROWDS = 50
_PAUSE = 0.5
_NEAR = 50
_PACED = ("LS-2.1-6",)


def _runs(packets: Sequence[ObservedPacket], clock: int) -> Iterator[list[ObservedPacket]]:
    """Yield runs of packets: their timeline goes on, and they have no pause of half a second."""
    run: list[ObservedPacket] = []
    for packet in packets:
        if run:
            on = goes_on(run[-1], packet, clock)
            if on is None:
                continue
            if not on or packet.t - run[-1].t > _PAUSE:
                yield run
                run = []
        run.append(packet)
    if run:
        yield run


def measure(evidence: Evidence) -> tuple[RtpMeasure, ...]:
    """Measure every run of RTP that reached a client: earliness, lateness, rate, jitter, and loss."""
    return tuple(measured for _, measured in _measured(evidence))


@lru_cache(maxsize=32)
def _measured(evidence: Evidence) -> tuple[tuple[list[ObservedPacket], RtpMeasure], ...]:
    """Return the packets of every run with their measures."""
    codecs = offered_codecs(evidence)
    streams: dict[tuple[object, ...], list[ObservedPacket]] = {}
    for packet in read_packets(evidence):
        if evidence.world.kind_of(packet.stream[1]) == "client":
            streams.setdefault((packet.stream, packet.pt), []).append(packet)
    measured: list[tuple[list[ObservedPacket], RtpMeasure]] = []
    for stream in streams.values():
        codec = codec_of(stream[0], codecs)
        arrived = {(packet.ssrc, packet.seq) for packet in stream}
        measured += [(run, _measure(run, codec.name, codec.clock, arrived)) for run in _runs(stream, codec.clock)]
    return tuple(measured)


def _measure(run: Sequence[ObservedPacket], codec: str, clock: int, arrived: Collection[tuple[int, int]]) -> RtpMeasure:
    first = run[0]
    numbers = range(first.seq, first.seq + ((run[-1].seq - first.seq) % 65536) + 1)
    offsets, media = _offsets(run, clock)
    middle = median(offsets)
    jitter = 0.0
    for before, after in pairwise(offsets):  # RFC 3550 section 6.4.1
        jitter += (abs(after - before) - jitter) / 16
    crowded = sum(1 for one, third in zip(run, run[2:], strict=False) if third.t - one.t < BURST_S)
    return RtpMeasure(
        codec,
        len(run),
        sum((first.ssrc, number % 65536) not in arrived for number in numbers),  # a late packet is not lost
        round(media[-1], 3),
        round(1000 * _earliness(offsets), 2),
        round(1000 * max(0.0, max(offsets) - middle), 2),
        round(1000 * jitter, 3),
        round(_rate(offsets, media), 5),
        crowded,
    )


def _offsets(run: Sequence[ObservedPacket], clock: int) -> tuple[list[float], list[float]]:
    """Return for each packet how late it is compared with the first one, and its media time, both in seconds."""
    media = [((packet.ts - run[0].ts) % (1 << 32)) / clock for packet in run]
    return [packet.t - run[0].t - due for packet, due in zip(run, media, strict=True)], media


def _earliness(offsets: Sequence[float]) -> float:
    """Return the greatest number of seconds by which a packet came before its due time.

    Both the packets before it and those after it show when a packet is due. A stream that falls behind for good, or
    that catches up later, thus has no early packets before that moment. The earliest tenth of those packets is used: a
    busy machine may delay most packets of a second, but makes none early.
    """
    early = 0.0
    for place, offset in enumerate(offsets):
        around = (offsets[max(0, place - _NEAR) : place], offsets[place + 1 : place + 1 + _NEAR])
        due = [sorted(side)[len(side) // 10] for side in around if side]
        if due:
            early = max(early, min(due) - offset)
    return early


def _rate(offsets: Sequence[float], media: Sequence[float]) -> float:
    """Return media time divided by time; 1 if the run is too short to tell.

    It is measured from the least late packet of the first tenth to that of the last tenth. The least late packets are
    used because a stall of a busy machine is not drift: the sender makes up for it.
    """
    end = max(len(offsets) // 10, min(_NEAR // 2, len(offsets) // 2))
    if end < 1:
        return 1.0
    first = min(range(end), key=offsets.__getitem__)
    last = min(range(len(offsets) - end, len(offsets)), key=offsets.__getitem__)
    between, drift = media[last] - media[first], offsets[last] - offsets[first]
    return between / (between + drift) if between > 0 and between + drift > 0 else 1.0


def _check_pace(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "RTP is paced: no packet over 40 ms early, no more than two within 5 ms, mean rate within 0.5 %"
    expected, measured = "a steady stream", list(_measured(evidence))
    if not measured:
        return CheckResult.without_material(requirement, expected, "no RTP arrived")
    relayed = is_relayed(evidence)
    breaches = [
        Breach(run[0].stream[0], _PACED, expected, wrong, run[0].t)
        for run, one in measured
        if (wrong := "; ".join(_problems_of(one, relayed=relayed)))
    ]
    if not breaches and not relayed:
        breaches = list(_wrong_rates(measured, expected))
    worst = max((one for _, one in measured), key=lambda one: one.early_ms)
    seen = f"at most {worst.early_ms:.1f} ms early, rate {100 * worst.rate:.2f} %"
    return CheckResult(requirement, expected, seen, tuple(breaches))


def _problems_of(one: RtpMeasure, *, relayed: bool) -> Iterator[str]:
    if one.early_ms > EARLY_MS:
        yield f"a packet {one.early_ms:.1f} ms early"
    if one.crowded > (one.packets // _RELAY_CROWDS if relayed else 0):  # a late relay sends all it holds
        yield f"{one.crowded} times three packets within 5 ms"
    if one.seconds >= _RATE_NEEDS and abs(one.rate - 1) > RATE_SHARE:
        yield f"a rate of {100 * one.rate:.2f} %"


def _wrong_rates(measured: Sequence[tuple[list[ObservedPacket], RtpMeasure]], expected: str) -> Iterator[Breach]:
    """Yield the senders whose runs together show a wrong rate, although each of them is too short to tell."""
    runs: dict[str, list[tuple[list[ObservedPacket], RtpMeasure]]] = {}
    for run, one in measured:
        if one.seconds >= _RUN_NEEDS and _is_even(run):
            runs.setdefault(run[0].stream[0], []).append((run, one))
    for source, found in runs.items():
        seconds = sum(one.seconds for _, one in found)
        drift = sum(one.seconds * (1 / one.rate - 1) for _, one in found)
        if abs(drift) > max(RATE_SHARE * seconds, _DRIFT):
            seen = f"a rate of {100 * seconds / (seconds + drift):.2f} %"
            yield Breach(source, _PACED, expected, seen, found[0][0][0].t)


def _is_even(run: Sequence[ObservedPacket]) -> bool:
    """Tell whether each third of a run is slightly too fast, or each slightly too slow.

    A stall of a busy machine makes only one third slow, and catching up makes only one third fast.
    """
    size = len(run) // _THIRDS
    thirds = [run[place * size : (place + 1) * size] for place in range(_THIRDS)]
    rates = [_rate(*_offsets(third, _CLOCK)) - 1 for third in thirds if third]
    return any(all(_LITTLE[0] < sign * rate < _LITTLE[1] for rate in rates) for sign in (1, -1))


CHECKS = (Check("rtp is paced", _PACED, "packets come when they are due, neither in bursts nor early", _check_pace),)
