"""Compares a capture with the traces of the nodes, and finds signs that the capture lacks packets.

`world.json` has these counts under `capture`: `packets` (written to the file), `received` (handed to the capture by the
kernel), `dropped` (by the kernel because its buffer was full), `interface_dropped` (by the interface), and `interface`
(counted by the interface while the capture ran). Missing packets are a problem of the testbed, never of a node.

SIP messages are compared by Call-ID, CSeq, method or status, direction and order; IMAP lines by connection, direction,
tag, command or result, and order; RTP by the number of packets of each SSRC that the client received; RTCP packets by
their packet types and their peer. A node without a trace is not compared.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lemonade_testbed.evidence import Event, Evidence
from lemonade_testbed.ladder.model import ROLES
from lemonade_testbed.ladder.observe import ends_of
from lemonade_testbed.ladder.siptext import read_sip

_DROPPED = {"dropped": "the kernel", "interface_dropped": "the interface"}
_CROSSED = {"packets": "were captured", "interface": "crossed the interface"}
AT_MOST = 12
"""The remarks that are listed for one node and protocol; further ones are only counted."""
_IMAP_HEAD = re.compile(r"(\S+)(?: +([0-9]+))?(?: +([Uu][Ii][Dd]))?(?: +([A-Za-z]+))?")
_Named = list[tuple[str, float]]


def incomplete(counts: Mapping[str, Any] | None, packets: int) -> Iterator[str]:
    """Yield a sentence for each sign that a capture with `packets` packets is not complete.

    `counts` are those of `world.json`, or None if it has none.
    """
    if counts is None:
        yield "the capture is not known to be whole: world.json has no counts of it"
        return
    missing = [name for name in (*_DROPPED, *_CROSSED) if _count(counts, name) is None]
    if missing:
        yield f"the capture is not known to be whole: world.json lacks its counts of {', '.join(missing)}"
    for name, by in _DROPPED.items():
        if dropped := _count(counts, name):
            yield f"{by} dropped {dropped} packets of the capture"
    for name, what in _CROSSED.items():
        if (crossed := _count(counts, name) or 0) > packets:
            yield f"the capture holds {packets} packets of {crossed} that {what}"


def _count(counts: Mapping[str, Any], name: str) -> int | None:
    value = counts.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def compare(wire: Sequence[Event], evidence: Evidence) -> tuple[str, ...]:
    """Return a sentence for each difference between the capture's events (`wire`) and those of the traces."""
    remarks: list[str] = []
    for node in (name for name in evidence.world.roles if evidence.world.kind_of(name) in ROLES):
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
        if node == "client":  # only the client traces RTP packets, those that it receives
            remarks += _streams(node, wire, evidence)
    return tuple(remarks)


def _counts(event: Event, evidence: Evidence) -> bool:
    """Tell whether both ends of a message are nodes: the testbed sends requests too, to find out if a node is ready."""
    return {*map(evidence.world.kind_of, ends_of(event, evidence.world))} <= {*ROLES}


def _sip(events: Sequence[Event], way: str) -> _Named:
    """Return each message's name, made of its Call-ID, CSeq, and method or status, with its time."""
    names = []
    for event in events:
        if event.text("way") != way:
            continue
        keys = event.fields.get("keys")
        if not isinstance(keys, list) or len(keys) != 3:
            message = read_sip(event.text("text"))
            keys = [message.call_id, message.cseq, message.status or message.method]
        call, cseq, what = keys
        names.append((f"SIP {what} (Call-ID {call}, CSeq {cseq})", event.t))
    return names


def _imap(events: Sequence[Event], way: str) -> _Named:
    """Return each line's name, made of its connection, its tag, and its command or result, with its time."""
    names = []
    for event in events:
        text = event.text("text")
        if event.text("way") != way or text == "***":  # SASL data, which no trace holds
            continue
        match = _IMAP_HEAD.match(text)
        words = [word.upper() if place else word for place, word in enumerate(match.groups()) if word] if match else []
        connection = " ".join(sorted((event.text("local"), event.text("remote"))))
        names.append((f"IMAP {' '.join(words)} ({connection})", event.t))
    return names


def _differences(node: str, way: str, captured: _Named, traced: _Named) -> Iterator[str]:
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
        for (seen, _), (name, t) in zip(captured, traced, strict=True):
            if seen != name:
                yield f"{name} at {t:.6f}: {way} by {node} in another order than on the wire, where {seen} comes first"
                return


def _once(names: _Named) -> Iterator[tuple[str, float]]:
    return reversed(dict(reversed(names)).items())


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
    """Yield the differences in RTCP.

    A packet to a node that is not in its trace is ignored after the BYE: the node may have closed its port.
    """
    captured, traced = (
        [event for event in events if event.kind == "rtcp" and event.node == node] for events in (wire, evidence.events)
    )
    for way in ("sent", "received"):
        in_trace = _rtcp(traced, way)
        left = Counter(name for name, _ in in_trace)
        on_wire: _Named = []
        for name, t in _rtcp(captured, way):
            if left[name] or way == "sent" or not _hung_up(wire, t):
                on_wire.append((name, t))
                left[name] -= 1
        yield from _differences(node, way, on_wire, in_trace)


def _rtcp(events: Sequence[Event], way: str) -> _Named:
    """Return each packet's name, made of its RTCP packet types and its peer, with its time."""
    return [
        (f"RTCP {', '.join(map(str, event.fields.get('kinds') or ()))} ({event.text('remote')})", event.t)
        for event in events
        if event.text("way") == way
    ]


def _hung_up(wire: Sequence[Event], t: float) -> bool:
    """Tell whether the last INVITE or BYE request until the time `t` is a BYE."""
    calls = [event.text("text").partition(" ")[0] for event in wire if event.kind == "sip" and event.t <= t]
    return next((method == "BYE" for method in reversed(calls) if method in {"INVITE", "BYE"}), False)


def _shortened(remarks: list[str], what: str) -> list[str]:
    rest = len(remarks) - AT_MOST
    return remarks if rest <= 0 else [*remarks[:AT_MOST], f"{what}: {rest} more disagreements with the capture"]
