"""Checks of RTP against the signalling: addresses, packet length, start, and reports.

The rules are those of RFC 3264, RFC 3550 and RFC 4961.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.facts import Signal, answer_to, is_relayed, signals
from lemonade_testbed.checks.rtp import sound_streams
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.observe import ends_of
from lemonade_testbed.ladder.sdptext import STATIC
from lemonade_testbed.ladder.siptext import SipText, sdp_of
from lemonade_testbed.ladder.streams import ObservedPacket, read_packets
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import Breach, CheckResult

_SAMPLES_PER_MS = 8
_REPORT_DUE = 4.0
"""Seconds of RTP by which the first report is due: half of 5 s, times 1.5 / 1.21828 (RFC 3550, section 6.3.1)."""

_DESTINATION = "RFC3264-5.1-2"
_PORT = "RFC4961-4"
_PTIME = "RFC3264-6.1-2"
_REPORT = "RFC3550-6.4-2"
_GOODBYE = "RFC3550-6.6"
_REPORT_FIRST = "RFC3550-6.1"
_ACK = "LS-2.5-5"
_DIRECTION = "RFC3264-5.1-3"
_SETTLED = 0.5
"""Seconds after a session description within which packets may arrive that were sent before it."""
_STRAY = 3
"""Up to so many packets are not a breach: a relay may hold some back."""


def audio_port(message: SipText) -> int:
    """Return the port of the first audio line of a session description; 0 without one."""
    found = re.search(r"^m=audio +([0-9]+)", message.body.replace("\r", ""), re.MULTILINE)
    return int(found[1]) if found else 0


def packet_time(message: SipText) -> int:
    """Return the milliseconds of `a=ptime` in a session description; 0 without one."""
    found = re.search(r"^a=ptime:([0-9]+)", message.body.replace("\r", ""), re.MULTILINE)
    return int(found[1]) if found else 0


def _check_ports(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = (
        "RTP goes from the sender's port to the receiver's, by their descriptions, in packets as long as asked for"
    )
    packets = read_packets(evidence)
    described = [one for one in signals(evidence) if audio_port(one.message)]
    ports = {
        node: {audio_port(one.message) for one in described if one.source == node} for node in evidence.world.roles
    }
    reached: list[str] = []
    breaches: list[Breach] = []
    first_places: dict[tuple[str, str], int] = {}
    for packet in packets:
        source, target, destination = packet.stream
        event = evidence.events[packet.place]
        origin = event.text("local" if event.text("way") == "sent" else "remote")
        for clause, owner, address in ((_DESTINATION, target, destination), (_PORT, source, origin)):
            port = int(address.rpartition(":")[2] or 0)
            if not ports.get(owner) or not port or (is_relayed(evidence) and evidence.world.roles[owner].aliases):
                continue
            reached.append(clause)
            if port not in ports[owner] and first_places.setdefault((source, clause), packet.place) == packet.place:
                wanted = f"port {', '.join(map(str, sorted(ports[owner])))} of the {owner} node"
                breaches.append(Breach(source, (clause,), wanted, f"port {port}", packet.t, alone=True))
    for clause, breach in _packet_lengths(evidence, described):
        reached.append(clause)
        breaches += [breach] if breach else []
    expected = "ports and packet times of the session descriptions"
    seen = "; ".join(breach.seen for breach in breaches) or f"{len(packets)} packets"
    return CheckResult(requirement, expected, seen, tuple(breaches), reached=tuple(dict.fromkeys(reached)))


def _packet_lengths(evidence: Evidence, described: Sequence[Signal]) -> Iterator[tuple[str, Breach | None]]:
    """Yield for each description with `a=ptime` a breach, or None if most packets to its sender have that length."""
    for one in described:
        wanted = packet_time(one.message) * _SAMPLES_PER_MS
        later = [other.t for other in described if other.source == one.source and other.t > one.t]
        sent = [
            packet
            for stream in sound_streams(evidence)
            for packet in stream
            if packet.stream[1] == one.source and one.t < packet.t < min(later, default=float("inf"))
        ]
        if not wanted or len(sent) < 2:
            continue
        other = [packet for packet in sent if len(packet.payload) != wanted]
        if 2 * len(other) <= len(sent):
            yield _PTIME, None
            continue
        seen = f"packets of {len(other[0].payload) / _SAMPLES_PER_MS:.0f} ms"
        expected = f"packets of {wanted // _SAMPLES_PER_MS} ms"
        yield _PTIME, Breach(other[0].stream[0], (_PTIME,), expected, seen, other[0].t, alone=True)


def _check_directions(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "a node that describes its stream as recvonly or inactive sends no RTP"
    expected = "no RTP against the direction in the sender's description"
    described = [
        one
        for one in signals(evidence)
        if audio_port(one.message) and (not one.message.is_response or one.message.status[:1] == "2")
    ]
    if not described:
        return CheckResult.without_material(requirement, expected, "no session description")
    packets = [one for stream in sound_streams(evidence) for one in stream if one.pt in STATIC]
    breaches: list[Breach] = []
    for one in described:
        until = min((two.t for two in described if two.source == one.source and two.t > one.t), default=float("inf"))
        description = sdp_of(one.message)
        lines = (
            [line for line in description.media if line.media == "audio" and not line.rejected] if description else []
        )
        silent = bool(lines) and all(line.direction in {"recvonly", "inactive"} for line in lines)
        sent = [packet for packet in packets if packet.stream[0] == one.source and one.t + _SETTLED < packet.t < until]
        if silent and len(sent) > _STRAY:
            seen = f"{len(sent)} packets after {one.message.start.partition(' SIP/')[0][:40]} that forbids them"
            breaches.append(Breach(one.source, (_DIRECTION,), expected, seen, sent[0].t, alone=True))
    seen = "; ".join(breach.seen for breach in breaches) or "none"
    return CheckResult(requirement, expected, seen, tuple(breaches))


def _check_start(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the RTP of an announcement begins after the ACK of its 200 has arrived"
    expected = "RTP after the ACK"
    all_signals = signals(evidence)
    packets = [one for stream in sound_streams(evidence) for one in stream]
    seen, breaches = [], []
    for invite in (
        one for one in all_signals if one.message.is_call_to("annc") and "tag=" not in one.message.header("to")
    ):
        answer = answer_to(invite, all_signals)
        until = min(
            (one.t for one in all_signals if one.message.is_call_to("annc") and one.t > invite.t), default=float("inf")
        )
        sent = [one for one in packets if one.stream[0] == invite.target and invite.t < one.t < until]
        if answer is None or not sent:
            continue
        first = min(sent, key=lambda packet: packet.t)
        arrived = min(
            (_arrival(one, evidence) for one in all_signals if _acknowledges(one, invite)), default=float("inf")
        )
        after = first.t - arrived
        seen.append("no ACK arrived" if after == -float("inf") else f"{after * 1000:.0f} ms after the ACK arrived")
        if after < 0:
            breaches.append(Breach(invite.target, (_ACK,), expected, seen[-1], first.t, alone=True))
    if not seen:
        return CheckResult.without_material(requirement, expected, "no announcement was played")
    return CheckResult(requirement, expected, "; ".join(seen), tuple(breaches))


def _acknowledges(signal: Signal, invite: Signal) -> bool:
    message = signal.message
    number = invite.message.cseq.partition(" ")[0]
    return (message.method, message.call_id, message.cseq) == ("ACK", invite.message.call_id, f"{number} ACK")


def _arrival(signal: Signal, evidence: Evidence) -> float:
    """Return the time at which a message arrived; infinite if its receiver has a trace without this message."""
    copies = [evidence.events[place] for place in signal.events]
    arrivals = [event.t for event in copies if event.text("way") == "received"]
    if arrivals:
        return min(arrivals)
    has_trace = any(event.text("way") == "received" for event in evidence.of("sip", signal.target))
    return float("inf") if has_trace else signal.t


def _check_reports(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "a node that sends RTP for some seconds sends sender reports, and a last report with BYE"
    expected = f"SR within {_REPORT_DUE:.0f} s of RTP, BYE in the last report of a call"
    reached: list[str] = []
    breaches: list[Breach] = []
    all_signals = signals(evidence)
    byes = [one for one in all_signals if one.message.method == "BYE" and not one.message.is_response]
    answered = all(answer_to(one, all_signals) is not None for one in byes) and not _has_unknown_receiver(
        "BYE", evidence
    )
    ended = [one.t for one in byes] if answered else []  # the call goes on until BYE is answered
    for node in evidence.world.roles:
        reports = reports_of(node, evidence)
        for packets in sound_streams(evidence):
            first, last = packets[0], packets[-1]
            short = _sound_time(packets) < _REPORT_DUE
            if first.stream[0] != node or short or is_relayed(evidence) or not evidence.of("rtcp"):
                continue  # without any RTCP in the evidence, nothing shows whether a node sends it
            reached.append(_REPORT)
            if not any("SR" in kinds and first.t < t < last.t + _REPORT_DUE for t, kinds, _ in reports):
                seen = f"no SR in {last.t - first.t:.1f} s of RTP"
                breaches.append(Breach(node, (_REPORT,), expected, seen, first.t + _REPORT_DUE, alone=True))
        own = [kinds for _, kinds, way in reports if way == "sent"]
        if own and ended:
            reached.append(_GOODBYE)
            if "BYE" not in own[-1]:
                seen = f"{' and '.join(own[-1])} last"
                breaches.append(Breach(node, (_GOODBYE,), expected, seen, max(ended), alone=True))
    seen = "; ".join(breach.seen for breach in breaches) or "correct reports"
    return CheckResult(requirement, expected, seen, tuple(breaches), reached=tuple(dict.fromkeys(reached)))


def _has_unknown_receiver(method: str, evidence: Evidence) -> bool:
    """Tell whether a node sent a request with this method to an address that belongs to no node."""
    return any(
        event.text("way") == "sent"
        and event.text("text").startswith(f"{method} ")
        and ends_of(event, evidence.world)[1] is None
        for event in evidence.of("sip")
    )


def _check_first_reports(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "each RTCP packet that is sent begins with a report"
    sent = [(node, t, kinds) for node in evidence.world.roles for t, kinds, _ in reports_of(node, evidence)]
    if not sent:
        return CheckResult.without_material(requirement, "SR or RR", "no RTCP")
    breaches = tuple(
        Breach(node, (_REPORT_FIRST,), "SR or RR", f"{' and '.join(kinds) or 'nothing'}", t, alone=True)
        for node, t, kinds in sent
        if kinds[:1] not in (["SR"], ["RR"])
    )
    return CheckResult(requirement, "SR or RR", f"{len(sent)} packets", breaches)


def _sound_time(packets: Sequence[ObservedPacket]) -> float:
    return sum(len(packet.payload) for packet in packets) / (1000 * _SAMPLES_PER_MS)


def reports_of(node: str, evidence: Evidence) -> list[tuple[float, list[str], str]]:
    """Return the RTCP packets of a node: time, packet types, and `sent` or `received` by the trace that has it."""
    found = []
    for event in evidence.of("rtcp"):
        kinds = event.fields.get("kinds")
        if ends_of(event, evidence.world)[0] == node and isinstance(kinds, list):
            found.append((event.t, [str(kind) for kind in kinds], event.text("way")))
    return found


CHECKS = (
    Check(
        "rtp goes by the descriptions",
        (_DESTINATION, _PORT, _PTIME),
        "RTP goes to and comes from the ports of the session descriptions, in packets as long as ptime says",
        _check_ports,
    ),
    Check(
        "rtp goes by the direction",
        (_DIRECTION,),
        "a node that describes its stream as recvonly or inactive sends no RTP",
        _check_directions,
    ),
    Check("rtp waits for the ack", (_ACK,), "an announcement begins after the ACK has arrived", _check_start),
    Check(
        "rtcp reports on the stream",
        (_REPORT, _GOODBYE),
        "a sender of RTP sends sender reports, and BYE at the end",
        _check_reports,
    ),
    Check("rtcp begins with a report", (_REPORT_FIRST,), "an RTCP packet begins with SR or RR", _check_first_reports),
)
