"""Checks of RTCP packets (RFC 3550, section 6): the SDES, the interval between reports, and nothing after BYE."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.facts import is_relayed, signals
from lemonade_testbed.checks.rtp import sound_streams
from lemonade_testbed.checks.rtp_session import reports_of
from lemonade_testbed.evidence import Event, Evidence
from lemonade_testbed.ladder.observe import ends_of
from lemonade_testbed.ladder.streams import read_packets
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import Breach, CheckResult

_NAMED, _INTERVAL, _GONE, _COUNTED = "RFC3550-6.1-2", "RFC3550-6.2", "RFC3550-6.6-2", "RFC3550-6.4.1"
_CLOCK, _CONSTANT, _LEAVING, _HEARD = "RFC3550-6.4.1-2", "RFC3550-6.5.1", "RFC3550-6.6-3", "RFC3550-6.4.2"
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
        breaches += _wrong_values(node, evidence)
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


_EPOCH = 2208988800
"""Seconds from 1900 to 1970."""
_DAY = 86400.0
"""Seconds by which the clock of a host may be wrong."""
_RATE = 8000
_DRIFT = 1.0
"""Seconds by which NTP time and RTP timestamp of a report may disagree: a report may be on its way for some time."""
_SHARE = 0.03
"""The share by which the octets that a report counts may differ from those that came."""


def _wrong_values(node: str, evidence: Evidence) -> Iterator[Breach]:
    """Yield what is wrong with the values of a node's reports; the receiver's trace has them."""
    names: dict[str, str] = {}
    for event in evidence.of("rtcp"):
        if ends_of(event, evidence.world)[0] != node or "reporter" not in event.fields:
            continue
        if "ntp" in event.fields and not is_relayed(evidence):
            yield from _wrong_times(node, event, evidence)
        cnames = event.fields.get("cnames")
        for source, name in cnames.items() if isinstance(cnames, Mapping) else ():
            if names.setdefault(str(source), str(name)) != name:
                yield Breach(node, (_CONSTANT,), f"CNAME {names[source]}", f"CNAME {name}", event.t, alone=True)
        gone, reporter = event.fields.get("gone"), event.number("reporter")
        if isinstance(gone, list) and set(gone) - {reporter}:
            seen = f"BYE of {', '.join(f'{one:08x}' for one in gone)}"
            yield Breach(node, (_LEAVING,), f"BYE of {reporter:08x}", seen, event.t, alone=True)
        reported = event.fields.get("reported")
        sources = {one.ssrc for one in read_packets(evidence) if one.stream[1] == node}
        unknown = sorted(set(reported) - sources) if isinstance(reported, list) and sources else []
        if unknown:
            seen = f"a report on {unknown[0]:08x}"
            yield Breach(node, (_HEARD,), "reports on sources of RTP", seen, event.t, alone=True)


def _wrong_times(node: str, event: Event, evidence: Evidence) -> Iterator[Breach]:
    """Yield a breach if a sender report's NTP time is not that of its sending, or its RTP timestamp is of another time.

    A sender without a clock gives the time since it began (RFC 3550, section 6.4.1).
    """
    seconds = (event.number("ntp") >> 32) % (1 << 32)
    away = abs((seconds - int(event.t + _EPOCH) + (1 << 31)) % (1 << 32) - (1 << 31))
    if away > _DAY and seconds > _DAY:
        seen = f"NTP seconds {seconds}"
        yield Breach(node, (_CLOCK,), f"about {int(event.t + _EPOCH)}", seen, event.t, alone=True)
    sound = [one for stream in sound_streams(evidence) for one in stream if one.ssrc == event.number("ssrc")]
    sound = [one for one in sound if one.stream[0] == node and one.t <= event.t]
    last = max(sound, key=lambda one: one.t, default=None)
    if last is None or event.t - last.t > _DRIFT:
        return
    due = last.ts + (event.t - last.t) * _RATE
    ahead = (event.number("timestamp") - round(due) + (1 << 31)) % (1 << 32) - (1 << 31)
    if abs(ahead) > _DRIFT * _RATE:
        seen = f"an RTP timestamp {ahead / _RATE:.1f} s from that of the sound"
        yield Breach(node, (_CLOCK,), "the RTP timestamp of the moment of the report", seen, event.t, alone=True)
    octets = sum(len(one.payload) for one in sound) / len(sound) * event.number("packets")
    counted = event.number("octets")
    if abs(counted - octets) > _SHARE * octets:
        seen = f"{counted} octets in {event.number('packets')} packets"
        yield Breach(node, (_COUNTED,), f"about {octets:.0f} octets", seen, event.t, alone=True)


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
        (_NAMED, _INTERVAL, _GONE, _COUNTED, _CLOCK, _CONSTANT, _LEAVING, _HEARD),
        "RTCP packets have an SDES and right values, do not come too often, and no RTP follows BYE",
        _check_rtcp,
    ),
)
