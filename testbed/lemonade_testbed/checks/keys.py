"""Checks of keys: the packets of a press in RTP (RFC 4733), and notifications of keys (RFC 5022, section 7.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.exchanges import MscmlElement, mscml_notifications, mscml_requests
from lemonade_testbed.checks.facts import is_relayed
from lemonade_testbed.checks.playing import pressed_keys
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.observe import offered_codecs
from lemonade_testbed.ladder.streams import ObservedPacket, codec_of, read_packets
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import Breach, CheckResult

_FORM = 4
_LONGEST = 0xFFFF
_FINALS = 3

_TIMESTAMP = "RFC4733-2.5.1.2"
_DURATION = "RFC4733-2.5.1.2-2"
_ENDS = "RFC4733-2.5.1.2-3"
_AGAIN = "RFC4733-2.5.1.4"
_RESERVED, _UNITS = "RFC4733-2.3.3", "RFC4733-2.3.5"
_CLAUSES = (_TIMESTAMP, _DURATION, _ENDS, _AGAIN, _RESERVED, _UNITS)
_CLOCK = 8000
_SLOW, _STEPS = 3, 2
"""A duration grows too slowly if it grows by a third of the time that passes, in each of so many steps at least."""
_WHOLE, _ELAPSED, _ASKED = "RFC5022-7.1", "RFC5022-7.1-2", "RFC5022-7.1-3"
_VALUES = {
    "digit": frozenset("0123456789ABCDabcd#*"),
    "length": frozenset({"standard", "long"}),
    "method": frozenset({"standard", "long", "double"}),
}
_SUBSCRIBED = re.compile(r"<(?:\w+:)?keypress\b[^>]*\breport\s*=\s*[\"'](\w+)")
_PATIENCE = 2.0
"""Seconds within which the notification of a key must be sent."""
_TOLERANCE = 0.5
"""Seconds by which the time in a notification may differ from the time between the messages."""


@dataclass(frozen=True)
class KeyPacket:
    """One packet of a key press: the code of the event, whether it reports the end, and its duration so far (ticks)."""

    packet: ObservedPacket
    event: int
    end: bool
    duration: int


def read_presses(evidence: Evidence) -> Iterator[list[KeyPacket]]:
    """Yield the packets of each key press in RTP.

    A press begins at a packet with the marker bit and another timestamp, or after the end of the press before it.
    Nothing is yielded if a relay may have lost packets.
    """
    codecs = offered_codecs(evidence)
    open_: dict[tuple[str, str, str], list[KeyPacket]] = {}
    for packet in read_packets(evidence):
        event = evidence.events[packet.place]
        if not codec_of(packet, codecs).is_telephone_event or len(packet.payload) < _FORM:
            continue
        if is_relayed(evidence) and event.text("way") != "sent":
            continue
        end, duration = packet.payload[1] >= 0x80, int.from_bytes(packet.payload[2:4], "big")
        one = KeyPacket(packet, packet.payload[0], end, duration)
        press = open_.setdefault(packet.stream, [])
        if press and _begins(one, press):
            yield press
            open_[packet.stream] = press = []
        press.append(one)
    yield from (press for press in open_.values() if press)


def _begins(one: KeyPacket, press: Sequence[KeyPacket]) -> bool:
    before = press[-1]
    if one.packet.ts == before.packet.ts:
        return False
    return one.packet.marker or one.event != before.event


def _check_key_events(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the packets of a key press have one timestamp and rising durations, and report the end three times"
    expected = "one timestamp, rising durations, the marker bit at the first packet, three reports of the end"
    presses = list(read_presses(evidence))
    if not presses:
        return CheckResult.without_material(requirement, expected, "no key was pressed in RTP")
    breaches = [breach for number, press in enumerate(presses, 1) for breach in _problems(press, number)]
    seen = "; ".join(breach.seen for breach in breaches) or f"{len(presses)} presses"
    return CheckResult(requirement, expected, seen, tuple(breaches))


def _problems(press: Sequence[KeyPacket], number: int) -> Iterator[Breach]:
    """Yield what is wrong with the press number `number` of the run; the key is not named, because it may be secret."""
    first, last = press[0].packet, press[-1].packet
    name, source = f"press {number}", first.stream[0]

    def breach(clause: str, expected: str, seen: str, t: float) -> Breach:
        return Breach(source, (clause,), expected, f"{name}: {seen}", t, alone=True)

    strange = next((one.packet for one in press if (one.packet.ts - first.ts) % _LONGEST), None)
    if strange is not None:
        stamps = len({one.packet.ts for one in press})
        yield breach(_TIMESTAMP, "one timestamp", f"{stamps} timestamps", strange.t)
    pairs = [(one, other) for one, other in pairwise(press) if one.packet.ts == other.packet.ts]
    falling = next((other for one, other in pairs if other.duration < one.duration), None)
    still = len(press) > _FINALS and len({(one.packet.ts, one.duration) for one in press}) == 1
    if falling is not None or still:
        at = falling.packet.t if falling is not None else last.t
        yield breach(_DURATION, "rising durations", "a duration that falls" if falling else "one duration", at)
    marked = [one.packet for one in press[1:] if one.packet.marker]
    if not first.marker or marked:
        seen = "the marker bit at a later packet" if marked else "no marker bit at the first packet"
        yield breach(_ENDS, "the marker bit at the first packet alone", seen, (marked or [first])[0].t)
    reserved = next((one for one in press if one.packet.payload[1] & 0x40), None)
    if reserved is not None:
        yield breach(_RESERVED, "the reserved bit unset", "the reserved bit set", reserved.packet.t)
    steps = [(one, other) for one, other in pairs if other.duration > one.duration]
    slow = [(one, other) for one, other in steps if other.duration - one.duration < _passed(one, other) / _SLOW]
    if len(steps) >= _STEPS and len(slow) == len(steps):  # a stall of a busy machine makes one step slow, and not all
        one, other = slow[-1]
        seen = f"{other.duration - one.duration} in {_passed(one, other) / _CLOCK * 1000:.0f} ms"
        yield breach(_UNITS, "durations in units of the timestamp", seen, other.packet.t)
    ends = sum(one.end for one in press)
    if not ends:
        yield breach(_ENDS, "a packet that reports the end", "none", last.t)
    elif ends < _FINALS:
        yield breach(_AGAIN, f"{_FINALS} reports of the end", f"{ends}", last.t)


def _passed(one: KeyPacket, other: KeyPacket) -> float:
    """Return the time between two packets in timestamp units."""
    return (other.packet.t - one.packet.t) * _CLOCK


def _check_notifications(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "a notification has the key, its length and method, and the time since the previous event"
    expected = "digit, length, method and interdigittime"
    notifications = mscml_notifications(evidence)
    if not notifications:
        return CheckResult.without_material(requirement, expected, "no notification of a key")
    breaches: list[Breach] = []
    reached = [_WHOLE]
    for place, one in enumerate(notifications):
        wrong = [name for name, allowed in _VALUES.items() if one.attributes.get(name) not in allowed]
        if not wrong and {one.attributes["length"], one.attributes["method"]} == {"standard", "long"}:
            wrong = ["length"]  # the RFC does not say to which class a double press belongs
        elapsed = one.seconds("interdigittime")
        if wrong or elapsed is None:
            seen = f"without {', '.join((*wrong, *(['interdigittime'] if elapsed is None else [])))} as it must be"
            breaches.append(_breach(one, _WHOLE, expected, seen))
        if elapsed is None:
            continue
        call = one.signal.message.call_id
        gaps = [
            one.signal.t - earlier.signal.t
            for earlier in notifications[:place]
            if earlier.signal.message.call_id == call
        ]
        # the time before the first notification is not known, and one press may be two events at once
        reached += [_ELAPSED] if gaps else []
        if gaps and min(abs(elapsed - gap) for gap in gaps) > _TOLERANCE:
            breaches.append(_breach(one, _ELAPSED, f"{gaps[-1]:.1f} s", f"{elapsed:.1f} s"))
    seen = "; ".join(breach.seen for breach in breaches) or f"{len(notifications)} notifications"
    return CheckResult(requirement, expected, seen, tuple(breaches), reached=tuple(dict.fromkeys(reached)))


def _check_subscriptions(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "a leg that subscribes gets a notification of each key, and no other leg gets one"
    expected = "a notification of each key"
    notifications, pressed = mscml_notifications(evidence), pressed_keys(evidence)
    subscriptions = [
        (one.signal, found[1])
        for one in mscml_requests(evidence)
        if (found := _SUBSCRIBED.search(one.body)) and one.name == "configure_leg"
    ]
    if not notifications and not subscriptions:
        return CheckResult.without_material(requirement, expected, "no subscription, and no notification")
    breaches: list[Breach] = []
    for one in notifications:
        before = [report for signal, report in subscriptions if signal.t < one.signal.t]
        key = one.attributes.get("digit", "").upper()
        if not before or before[-1] == "none":
            breaches.append(_breach(one, _ASKED, "no notification without a subscription", "a notification"))
        elif key in _VALUES["digit"] and not any(t < one.signal.t and name in {key, "-"} for t, name in pressed):
            breaches.append(_breach(one, _ASKED, "a key that was pressed", "another key"))
    for t, key in pressed:
        earlier = [(signal, report) for signal, report in subscriptions if signal.t < t]
        if not earlier or earlier[-1][1] not in {"standard", "both"} or evidence.world.ended < t + _PATIENCE:
            continue
        behind = [
            one for one in notifications if one.signal.t >= t and {one.attributes.get("digit", "").upper(), "-"} & {key}
        ]
        leg = earlier[-1][0]
        if not behind and evidence.of("sip", leg.target) and not any(one.signal.t >= t for one in notifications):
            breaches.append(Breach(leg.target, (_ASKED,), expected, "no notification of a key", t + _PATIENCE))
    seen = "; ".join(breach.seen for breach in breaches) or f"{len(notifications)} notifications of {len(pressed)} keys"
    return CheckResult(requirement, expected, seen, tuple(breaches))


def _breach(one: MscmlElement, clause: str, expected: str, seen: str) -> Breach:
    return Breach(one.signal.source, (clause,), expected, seen, one.signal.t, alone=True)


CHECKS = (
    Check(
        "key events are whole",
        _CLAUSES,
        "the packets of a key press in RTP agree on its start, its duration (in timestamp units) and its end",
        _check_key_events,
    ),
    Check(
        "key notifications are whole",
        (_WHOLE, _ELAPSED),
        "a notification of a key has digit, length and method, and the time since the previous event",
        _check_notifications,
    ),
    Check(
        "keys are told as subscribed",
        (_ASKED,),
        "a leg that subscribes gets a notification of each key that is pressed, and no other leg gets one",
        _check_subscriptions,
    ),
)
