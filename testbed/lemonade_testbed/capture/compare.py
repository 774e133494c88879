"""Compares what crossed the wire with what the nodes' traces say of it.

SIP by Call-ID, CSeq, method or status, direction and order; IMAP by connection, direction, tag and command or result,
and order; RTP by the packets of each source that a node says it received; RTCP by the kinds and the peer of each
packet. A node without a trace says nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from lemonade_testbed.evidence import Event, Evidence
from lemonade_testbed.ladder.model import ROLES
from lemonade_testbed.ladder.observe import ends_of
from lemonade_testbed.ladder.siptext import read_sip

AT_MOST = 12
"""Remarks of one node on one protocol; the rest is counted."""
_IMAP_HEAD = re.compile(r"(\S+)(?: +([0-9]+))?(?: +([Uu][Ii][Dd]))?(?: +([A-Za-z]+))?")
_Told = list[tuple[str, float]]


def compare(wire: Sequence[Event], evidence: Evidence) -> tuple[str, ...]:
    """Return every disagreement of the capture's events with the traces' as a sentence."""
    remarks: list[str] = []
    for node in ROLES:
        if not any(event.node == node for event in evidence.events):
            continue
        for kind, tell in (("sip", _sip), ("imap", _imap)):
            captured, traced = (
                [event for event in events if event.kind == kind and event.node == node and _counts(event, evidence)]
                for events in (wire, evidence.events)
            )
            found = [
                remark
                for way in ("sent", "received")
                for remark in _differences(node, way, tell(captured, way), tell(traced, way))
            ]
            remarks += _shortened(found, f"{node}, {kind.upper()}")
        remarks += _shortened(list(_reports(node, wire, evidence)), f"{node}, RTCP")
        if node == "client":  # the one node that traces packets: those that it receives
            remarks += _streams(node, wire, evidence)
    return tuple(remarks)


def _counts(event: Event, evidence: Evidence) -> bool:
    """Tell whether a message is one between two roles: the testbed asks for answers before there is a node."""
    return {*ends_of(event, evidence.world)} <= {*ROLES}


def _sip(events: Sequence[Event], way: str) -> _Told:
    """Name each message by Call-ID, CSeq, and method or status."""
    told = []
    for event in events:
        if event.text("way") != way:
            continue
        keys = event.fields.get("keys")
        if not isinstance(keys, list) or len(keys) != 3:
            message = read_sip(event.text("text"))
            keys = [message.call_id, message.cseq, message.status or message.method]
        call, cseq, what = keys
        told.append((f"SIP {what} (Call-ID {call}, CSeq {cseq})", event.t))
    return told


def _imap(events: Sequence[Event], way: str) -> _Told:
    """Name each line by its connection, its tag, and its command or result."""
    told = []
    for event in events:
        text = event.text("text")
        if event.text("way") != way or text == "***":  # SASL data, which no trace holds
            continue
        match = _IMAP_HEAD.match(text)
        words = [word.upper() if place else word for place, word in enumerate(match.groups()) if word] if match else []
        connection = " ".join(sorted((event.text("local"), event.text("remote"))))
        told.append((f"IMAP {' '.join(words)} ({connection})", event.t))
    return told


def _differences(node: str, way: str, captured: _Told, traced: _Told) -> Iterator[str]:
    on_wire, in_trace = Counter(name for name, _ in captured), Counter(name for name, _ in traced)
    for name, t in _once(captured):
        if on_wire[name] > in_trace[name]:
            times = f" {on_wire[name]} times, {in_trace[name]} times in the trace" if in_trace[name] else ""
            yield f"{name} at {t:.6f}: {way} by {node} on the wire{times or ', not in its trace'}"
    for name, t in _once(traced):
        if in_trace[name] > on_wire[name]:
            times = f" {in_trace[name]} times, {on_wire[name]} times on the wire" if on_wire[name] else ""
            yield f"{name} at {t:.6f}: {way} by {node} in its trace{times or ', not on the wire'}"
    if on_wire == in_trace:
        for (seen, _), (told, t) in zip(captured, traced, strict=True):
            if seen != told:
                yield f"{told} at {t:.6f}: {way} by {node} in another order than on the wire, where {seen} comes first"
                return


def _once(told: _Told) -> Iterator[tuple[str, float]]:
    return reversed(dict(reversed(told)).items())


def _streams(node: str, wire: Sequence[Event], evidence: Evidence) -> Iterator[str]:
    captured, traced = (
        Counter(
            event.number("ssrc")
            for event in events
            if (event.kind, event.node, event.text("way")) == ("rtp", node, "received")
        )
        for events in (wire, evidence.events)
    )
    for ssrc in sorted(captured.keys() | traced.keys()):
        if captured[ssrc] != traced[ssrc]:
            yield (
                f"RTP of SSRC {ssrc:#010x} to {node}: {captured[ssrc]} packets on the wire, {traced[ssrc]} in its trace"
            )


def _reports(node: str, wire: Sequence[Event], evidence: Evidence) -> Iterator[str]:
    """Yield what differs of RTCP; what came to a node that has hung up may have found its port closed."""
    captured, traced = (
        [event for event in events if event.kind == "rtcp" and event.node == node] for events in (wire, evidence.events)
    )
    for way in ("sent", "received"):
        if (node, way) == ("media", "sent"):  # its sender is a process of its own, which writes no trace
            continue
        told = _rtcp(traced, way)
        left = Counter(name for name, _ in told)
        on_wire: _Told = []
        for name, t in _rtcp(captured, way):
            if left[name] or way == "sent" or not _hung_up(wire, t):
                on_wire.append((name, t))
                left[name] -= 1
        yield from _differences(node, way, on_wire, told)


def _rtcp(events: Sequence[Event], way: str) -> _Told:
    """Name each packet by its kinds and its peer."""
    return [
        (f"RTCP {', '.join(map(str, event.fields.get('kinds') or ()))} ({event.text('remote')})", event.t)
        for event in events
        if event.text("way") == way
    ]


def _hung_up(wire: Sequence[Event], t: float) -> bool:
    """Tell whether the last of INVITE and BYE before a moment is BYE."""
    calls = [event.text("text").partition(" ")[0] for event in wire if event.kind == "sip" and event.t <= t]
    return next((method == "BYE" for method in reversed(calls) if method in {"INVITE", "BYE"}), False)


def _shortened(remarks: list[str], what: str) -> list[str]:
    rest = len(remarks) - AT_MOST
    return remarks if rest <= 0 else [*remarks[:AT_MOST], f"{what}: {rest} more disagreements with the capture"]
