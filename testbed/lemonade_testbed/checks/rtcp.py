"""Checks of RTCP packets (RFC 3550, section 6): the SDES, the interval between reports, and nothing after BYE."""

from __future__ import annotations

from collections.abc import Iterator

from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.facts import is_relayed, signals
from lemonade_testbed.checks.rtp_session import reports_of
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.observe import ends_of
from lemonade_testbed.ladder.streams import read_packets
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import Breach, CheckResult

_NAMED, _INTERVAL, _GONE, _COUNTED = "RFC3550-6.1-2", "RFC3550-6.2", "RFC3550-6.6-2", "RFC3550-6.4.1"
_OFTEN, _WITHIN = 4, 2.0
"""So many reports of one call in so many seconds are too many: by RFC 3550, section 6.3.1, two are 2 s apart at least.
"""
_ON_ITS_WAY = 0.3
"""Seconds after an RTCP BYE within which packets may still arrive that were sent before it."""
_UNCOUNTED = 25
"""Packets by which a sender report may differ from what was received: those on their way, and half a second more."""


def _check_rtcp(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "RTCP packets have an SDES and come some seconds apart, count the RTP sent, and no RTP follows BYE"
    expected = f"SDES in each, less than {_OFTEN} in {_WITHIN:.0f} s, no RTP behind BYE"
    sent = {node: reports_of(node, evidence) for node in evidence.world.roles}
    if not any(sent.values()):
        return CheckResult.without_material(requirement, expected, "no RTCP")
    reduced = any("a=rtcp-rsize" in one.message.body for one in signals(evidence))
    breaches: list[Breach] = []
    for node, reports in sent.items():
        bare = [(t, kinds) for t, kinds, _ in reports if "SDES" not in kinds]
        if bare and not reduced:  # RFC 5506 allows less if both sides agree
            t, kinds = bare[0]
            breaches.append(Breach(node, (_NAMED,), "SDES", " and ".join(kinds) or "nothing", t, alone=True))
        breaches += [*_too_often(node, evidence), *_rtp_after_bye(node, evidence), *_wrong_report(node, evidence)]
    seen = "; ".join(breach.seen for breach in breaches) or f"{sum(map(len, sent.values()))} packets"
    return CheckResult(requirement, expected, seen, tuple(breaches))


def _too_often(node: str, evidence: Evidence) -> Iterator[Breach]:
    """Yield a breach if a node sends too many reports in a short time within one call."""
    invites = [one.t for one in signals(evidence) if one.message.method == "INVITE" and not one.message.is_response]
    for way in ("sent", "received"):
        times = [t for t, kinds, seen_way in reports_of(node, evidence) if seen_way == way and "BYE" not in kinds]
        for place in range(len(times) - _OFTEN + 1):
            first, last = times[place], times[place + _OFTEN - 1]
            if last - first < _WITHIN and not any(first < t < last for t in invites):
                seen = f"{_OFTEN} in {last - first:.1f} s"
                yield Breach(node, (_INTERVAL,), f"less than {_OFTEN} in {_WITHIN:.0f} s", seen, last)
                return


def _wrong_report(node: str, evidence: Evidence) -> Iterator[Breach]:
    """Yield a breach if a sender report is of a source that sends no RTP, or counts other packets than were sent.

    Only the client's trace has the values of received reports; nothing may be lost on the way.
    """
    if is_relayed(evidence):
        return
    packets = [one for one in read_packets(evidence) if one.stream[0] == node]
    for event in evidence.of("rtcp"):
        if "packets" not in event.fields or ends_of(event, evidence.world)[0] != node or not packets:
            continue
        source, counted = event.number("ssrc"), event.number("packets")
        before = [one for one in packets if one.t <= event.t]
        sent = sum(one.ssrc == source for one in before)
        begun = min((one.t for one in before if one.ssrc == source), default=event.t)
        mixed = any(one.ssrc != source and one.t > begun for one in before)  # another check judges a changed SSRC
        if not any(one.ssrc == source for one in packets):
            yield Breach(node, (_COUNTED,), "the SSRC of its RTP", f"SSRC {source:08x}", event.t, alone=True)
            return
        if abs(sent - counted) > _UNCOUNTED and not mixed:
            yield Breach(node, (_COUNTED,), f"about {sent} packets", f"{counted} packets", event.t, alone=True)
            return


def _rtp_after_bye(node: str, evidence: Evidence) -> Iterator[Breach]:
    """Yield a breach if a source sends RTP after its RTCP BYE; a node sends by one source alone between two INVITEs."""
    if is_relayed(evidence):
        return
    invites = [one.t for one in signals(evidence) if one.message.method == "INVITE" and not one.message.is_response]
    packets = [one for one in read_packets(evidence) if one.stream[0] == node]
    for t, kinds, _ in reports_of(node, evidence):
        until = min((one for one in invites if one > t), default=evidence.world.ended)
        before = {one.ssrc for one in packets if one.t < t}
        behind = [one for one in packets if t + _ON_ITS_WAY < one.t < until and one.ssrc in before]
        if "BYE" in kinds and behind:
            seen = f"{len(behind)} packets behind BYE"
            yield Breach(node, (_GONE,), "no RTP behind BYE", seen, behind[0].t, alone=True)
            return


CHECKS = (
    Check(
        "rtcp packets are whole",
        (_NAMED, _INTERVAL, _GONE, _COUNTED),
        "RTCP packets have an SDES and do not come too often, and no RTP follows BYE",
        _check_rtcp,
    ),
)
