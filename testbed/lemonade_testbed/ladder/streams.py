"""Divides RTP packets into the arrows of a ladder, by the signalling around them; keys (RFC 4733) are arrows too.

An arrow ends at the next request between client and media server. Packets between that request and its final
response, and up to 100 ms after a stop, an escape key, another request, an INVITE to ivr, a hold or a BYE, still belong
to the arrow just ended; where none was open they make one of their own. A press of a key in RTP is one arrow, at its
first packet; it divides nothing.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lemonade_testbed.evidence import Evidence, World
from lemonade_testbed.ladder.model import RtpSeen, Seen
from lemonade_wire.rtp.packet import RtpPacket
from lemonade_wire.rtp.telephone_event import KeyPressed, KeyReceiver
from lemonade_wire.sdp.codec import STATIC, TELEPHONE_EVENT, Codec

AFTER_STOP = 0.1
"""Seconds after what stops a playing in which packets belong to the arrow just ended."""
# An INVITE to ivr plays nothing; one to annc may begin a playing itself.
_STOPPING = {("stop",), ("playcollect",), ("play",), ("ivr",)}
_UNANSWERED = 0.5
_REORDER = 100
_JUMP = 3000
_SLACK = 2.0
_OCTET_PER_SAMPLE = frozenset({"PCMU", "PCMA"})
_DEFAULT_FRAME = 0.02


@dataclass(frozen=True)
class Request:
    """A request between client and media server as it divides RTP: from `t`, with a tail up to `tail`."""

    t: float
    tail: float


@dataclass(frozen=True)
class Packet:
    """One packet: its event's place, arrival in seconds since 1970, what its header says, and its payload."""

    place: int
    t: float
    stream: tuple[str, str, str]
    ssrc: int
    seq: int
    ts: int
    pt: int
    marker: bool
    payload: bytes


@dataclass
class _Arrow:
    packets: list[Packet] = field(default_factory=list)
    body: int = 0
    """How many of the packets came before the request that ended the arrow."""


def read_packets(evidence: Evidence) -> list[Packet]:
    """Return the packets that reached a role from another, in order of arrival.

    Where a role does not tell what it received, what was sent to it counts.
    """
    packets = []
    told = {event.node for event in evidence.of("rtp") if event.text("way") == "received"}
    for place, event in enumerate(evidence.events):
        if event.kind != "rtp":
            continue
        sent = event.text("way") == "sent"
        ends = (event.text("local"), event.text("remote")) if sent else (event.text("remote"), event.text("local"))
        source, target = map(evidence.world.role_of, ends)
        if source is None or target is None or "testbed" in {source, target} or (sent and target in told):
            continue
        packets.append(
            Packet(
                place,
                event.t,
                (source, target, ends[1]),
                event.number("ssrc"),
                event.number("seq"),
                event.number("ts"),
                event.number("pt"),
                event.fields.get("marker") is True,
                _payload(event.text("payload")),
            )
        )
    return packets


def _payload(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def key_arrows(packets: Sequence[Packet], codecs: Mapping[int, Codec]) -> Iterator[Seen]:
    """Yield an arrow for each press of a key, whatever became of some of its packets."""
    receivers: dict[tuple[str, str, str], KeyReceiver] = {}
    presses: dict[tuple[str, str, str], list[Seen]] = {}
    for packet in packets:
        if not codec_of(packet, codecs).is_telephone_event:
            continue
        receiver = receivers.setdefault(packet.stream, KeyReceiver())
        stream = presses.setdefault(packet.stream, [])
        rtp = RtpPacket(packet.pt, packet.seq, packet.ts, packet.ssrc, packet.payload, packet.marker)
        source, target, _ = packet.stream
        pressed = [event for event in receiver.receive(rtp, packet.t) if isinstance(event, KeyPressed)]
        stream += [Seen(packet.t, source, target, False, ("RTP", TELEPHONE_EVENT.name, one.key)) for one in pressed]
        if stream:
            stream[-1] = replace(stream[-1], events=(*stream[-1].events, packet.place))
    for stream in presses.values():
        yield from stream


def goes_on(before: Packet, after: Packet, clock: int) -> bool | None:
    """Tell whether `after` continues the timeline of `before`; None for a packet late or there twice."""
    if before.ssrc != after.ssrc:
        return False
    steps = (after.seq - before.seq) % 65536
    if steps == 0 or steps > 65536 - _REORDER:
        return None
    ticks = (after.ts - before.ts) % (1 << 32)
    return steps < _JUMP and 0 < ticks < clock * (max(0.0, after.t - before.t) + _SLACK)


def rtp_arrows(packets: Sequence[Packet], requests: Sequence[Request], codecs: Mapping[int, Codec]) -> Iterator[Seen]:
    """Yield the RTP arrows of every stream."""
    streams: dict[tuple[str, str, str], list[Packet]] = {}
    for packet in packets:
        if not codec_of(packet, codecs).is_telephone_event:
            streams.setdefault(packet.stream, []).append(packet)
    for (source, target, _), stream in streams.items():
        previous: _Arrow | None = None
        for arrow in _divide(stream, requests):
            rtp = _measure(arrow, previous, codecs)
            words: tuple[str, ...] = ("RTP", rtp.codec, f"{rtp.seconds:.2f}", "s")
            words += (("continued",) if rtp.continued else ()) + (("broken",) if rtp.broken else ())
            yield Seen(arrow.packets[0].t, source, target, False, words, rtp, 1, rtp.packets)
            previous = arrow


def _divide(packets: Sequence[Packet], requests: Sequence[Request]) -> list[_Arrow]:
    arrows: list[_Arrow] = []
    opened: _Arrow | None = None
    ended: _Arrow | None = None
    tail = -math.inf
    moments: list[tuple[float, int, Packet | Request]] = [(request.t, 0, request) for request in requests]
    moments += [(packet.t, 1, packet) for packet in packets]
    for t, _, moment in sorted(moments, key=lambda entry: entry[:2]):
        if isinstance(moment, Request):
            if opened is not None:
                opened.body = len(opened.packets)
                ended, opened = opened, None
                tail = moment.tail
            elif t > tail:
                ended = None
            else:
                tail = max(tail, moment.tail)
        elif ended is not None and t <= tail:
            ended.packets.append(moment)
        else:
            if opened is None:
                opened = _Arrow()
                arrows.append(opened)
            opened.packets.append(moment)
    for arrow in arrows:
        arrow.body = arrow.body or len(arrow.packets)
    return arrows


def _measure(arrow: _Arrow, previous: _Arrow | None, codecs: Mapping[int, Codec]) -> RtpSeen:
    names = list(dict.fromkeys(codec_of(packet, codecs).name for packet in arrow.packets))
    first = arrow.packets[0]
    total, _ = _timeline(arrow.packets, codecs)
    in_body = _timeline(arrow.packets[: arrow.body], codecs)[1]
    continued = False
    if previous is not None:
        continued = bool(goes_on(_latest(previous.packets), first, codec_of(first, codecs).clock))
        tail = previous.packets[max(0, previous.body - 1) :]
        continued = continued and not _timeline(tail, codecs)[1]
    return RtpSeen(
        "+".join(names),
        round(total, 4),
        first.ssrc,
        continued,
        broken=in_body > 0,
        packets=tuple(packet.place for packet in arrow.packets),
    )


def _latest(packets: Sequence[Packet]) -> Packet:
    latest = packets[0]
    for packet in packets[1:]:
        if packet.ssrc != latest.ssrc or 0 < (packet.seq - latest.seq) % 65536 < 65536 - _REORDER:
            latest = packet
    return latest


def _timeline(packets: Sequence[Packet], codecs: Mapping[int, Codec]) -> tuple[float, int]:
    """Return the media time in seconds, and how often the timeline breaks."""
    if not packets:
        return 0.0, 0
    seconds = _duration(packets[0], codecs)
    breaks = 0
    latest = packets[0]
    for packet in packets[1:]:
        clock = codec_of(packet, codecs).clock
        on = goes_on(latest, packet, clock)
        if on is None:
            continue
        if on:
            step = ((packet.ts - latest.ts) % (1 << 32)) / clock
            seconds += step + _duration(packet, codecs) - _duration(latest, codecs)
        else:
            breaks += 1
            seconds += _duration(packet, codecs)
        latest = packet
    return seconds, breaks


def _duration(packet: Packet, codecs: Mapping[int, Codec]) -> float:
    codec = codec_of(packet, codecs)
    return len(packet.payload) / codec.clock if codec.name.upper() in _OCTET_PER_SAMPLE else _DEFAULT_FRAME


def codec_of(packet: Packet, codecs: Mapping[int, Codec]) -> Codec:
    """Return the codec of a packet's payload type: of the run's descriptions, else of RFC 3551, else a made-up one."""
    return codecs.get(packet.pt) or STATIC.get(packet.pt) or Codec(f"PT{packet.pt}", 8000)


def dividing_requests(messages: Sequence[Seen], world: World, stops: Collection[float]) -> list[Request]:
    """Return the requests among SIP messages that divide RTP, with their tails.

    `stops` are the times of those whose bodies end a playing: an escape key, a hold.
    """
    requests = []
    for place, seen in enumerate(messages):
        if seen.response or {seen.source, seen.target} != {"client", "media"}:
            continue
        method = seen.words[1]
        tail = seen.t
        if method != "ACK":
            tail = next(
                (
                    later.t
                    for later in messages[place + 1 :]
                    if later.response and later.answers == seen.answers and str(later.words[1])[0] != "1"
                ),
                min(seen.t + _UNANSWERED, world.ended or math.inf),
            )
        if method == "BYE" or seen.words[2:3] in _STOPPING or seen.t in stops:
            tail = max(tail, seen.t + AFTER_STOP)
        requests.append(Request(seen.t, tail))
    return requests
