"""Measures RTP streams against their own schedule, and checks that they are paced."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise
from statistics import median

from lemonade_testbed.checks.base import Check
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.observe import offered_codecs
from lemonade_testbed.ladder.streams import Packet, codec_of, goes_on, read_packets
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import CheckResult, RtpMeasure

EARLY_MS = 20.0
BURST_S = 0.005
RATE_SHARE = 0.005
_RATE_NEEDS = 5.0
_PAUSE = 0.5
_NEAR = 50


def _runs(packets: Sequence[Packet], clock: int) -> Iterator[list[Packet]]:
    """Yield the packets in runs whose timeline goes on and that no pause of half a second divides."""
    run: list[Packet] = []
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
    """Measure every run of RTP that reached the client: lateness against its own schedule, rate, jitter, loss."""
    codecs = offered_codecs(evidence)
    streams: dict[tuple[object, ...], list[Packet]] = {}
    for packet in read_packets(evidence):
        if packet.stream[1] == "client":
            streams.setdefault((packet.stream, packet.pt), []).append(packet)
    return tuple(
        _measure(run, codec.name, codec.clock, arrived)
        for stream in streams.values()
        for codec in [codec_of(stream[0], codecs)]
        for arrived in [{(packet.ssrc, packet.seq) for packet in stream}]
        for run in _runs(stream, codec.clock)
    )


def _measure(run: Sequence[Packet], codec: str, clock: int, arrived: Collection[tuple[int, int]]) -> RtpMeasure:
    first = run[0]
    numbers = range(first.seq, first.seq + ((run[-1].seq - first.seq) % 65536) + 1)
    media = [((packet.ts - first.ts) % (1 << 32)) / clock for packet in run]
    offsets = [packet.t - first.t - due for packet, due in zip(run, media, strict=True)]
    middle = median(offsets)
    jitter = 0.0
    for before, after in pairwise(offsets):  # RFC 3550 section 6.4.1
        jitter += (abs(after - before) - jitter) / 16
    crowded = sum(1 for one, third in zip(run, run[2:], strict=False) if third.t - one.t < BURST_S)
    return RtpMeasure(
        codec,
        len(run),
        sum((first.ssrc, number % 65536) not in arrived for number in numbers),  # who comes late is not lost
        round(media[-1], 3),
        round(1000 * _earliness(offsets), 2),
        round(1000 * max(0.0, max(offsets) - middle), 2),
        round(1000 * jitter, 3),
        round(_rate(offsets, media), 5),
        crowded,
    )


def _earliness(offsets: Sequence[float]) -> float:
    """Return by how many seconds a packet came before its time, at most.

    Its time is what the packets before it and what the packets behind it say: a stream that falls behind for good has
    no early packets before that, nor one that catches up afterwards. They say it by the earliest tenth of them, since
    a busy machine may delay most packets of a second, and none comes early for that.
    """
    early = 0.0
    for place, offset in enumerate(offsets):
        around = (offsets[max(0, place - _NEAR) : place], offsets[place + 1 : place + 1 + _NEAR])
        due = [sorted(side)[len(side) // 10] for side in around if side]
        if due:
            early = max(early, min(due) - offset)
    return early


def _rate(offsets: Sequence[float], media: Sequence[float]) -> float:
    """Return media time per time, from the least late packet of the first tenth to that of the last; 1 where there
    is too little to tell.

    The least late ones, because a stall of a busy machine is no drift: it comes, and is made up for.
    """
    end = max(len(offsets) // 10, min(_NEAR // 2, len(offsets) // 2))
    if end < 1:
        return 1.0
    first = min(range(end), key=offsets.__getitem__)
    last = min(range(len(offsets) - end, len(offsets)), key=offsets.__getitem__)
    between, drift = media[last] - media[first], offsets[last] - offsets[first]
    return between / (between + drift) if between > 0 and between + drift > 0 else 1.0


def _paced(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "RTP is paced: no packet over 20 ms early, no more than two within 5 ms, mean rate within 0.5 %"
    measures = measure(evidence)
    if not measures:
        return CheckResult(False, requirement, "RTP", "none arrived")
    wrong = []
    for one in measures:
        if one.early_ms > EARLY_MS:
            wrong.append(f"a packet {one.early_ms:.1f} ms early")
        if one.crowded:
            wrong.append(f"{one.crowded} times three packets within 5 ms")
        if one.seconds >= _RATE_NEEDS and abs(one.rate - 1) > RATE_SHARE:
            wrong.append(f"a rate of {100 * one.rate:.2f} %")
    worst = max(measures, key=lambda one: one.early_ms)
    fine = f"at most {worst.early_ms:.1f} ms early, rate {100 * worst.rate:.2f} %"
    return CheckResult(not wrong, requirement, "a steady stream", "; ".join(wrong) or fine)


CHECKS = (Check("rtp is paced", ("LS-2.1-6",), "packets come when they are due, neither in bursts nor early", _paced),)
