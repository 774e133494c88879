"""Divides RTP packets into the arrows of a ladder, by the signalling around them; keys (RFC 4733) are arrows too.

An arrow ends at the next request between client and media server. Some packets after that request still belong to the
arrow that it ended: those until the final response to it, and those up to 100 ms after a stop, an escape key, another
request, a BYE, or the ACK of an INVITE to ivr or of a hold. If no arrow was open, such packets make one of their own. A
key press in RTP is one arrow, at its first packet; it divides nothing.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from lemonade_testbed.evidence import Evidence, RecordedWorld
from lemonade_testbed.ladder.keytext import PressReader
from lemonade_testbed.ladder.model import ObservedMessage, RtpSeen
from lemonade_testbed.ladder.sdptext import STATIC, TELEPHONE_EVENT, CodecText

AFTER_STOP = 0.1
"""Seconds after the end of a playing in which packets still belong to the arrow that ended."""
# An INVITE to ivr plays nothing; an INVITE to annc may begin a playing itself.
_STOPPING = {("stop",), ("playcollect",), ("play",), ("ivr",)}
_UNANSWERED = 0.5
_REORDER = 100
_JUMP = 3000
_SLACK = 2.0
_OCTET_PER_SAMPLE = frozenset({"PCMU", "PCMA"})
_DEFAULT_FRAME = 0.02


@dataclass(frozen=True)
class DividingRequest:
    """A request that divides RTP at the time `t`; packets up to the time `tail` belong to the arrow that it ends."""

    t: float
    tail: float


@dataclass(frozen=True)
class ObservedPacket:
    """One packet: position of its event, arrival (seconds since 1970), fields of its header, and payload."""

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
    packets: list[ObservedPacket] = field(default_factory=list)
    body: int = 0
    """The number of packets that came before the request that ended the arrow."""


@lru_cache(maxsize=32)
def read_packets(evidence: Evidence) -> tuple[ObservedPacket, ...]:
    """Return the packets between nodes, in order of arrival.

    If the trace of the receiver has no packets, those in the trace of the sender are used.
    """
    packets = []
    receivers = {event.node for event in evidence.of("rtp") if event.text("way") == "received"}
    for place, event in enumerate(evidence.events):
        if event.kind != "rtp":
            continue
        sent = event.text("way") == "sent"
        ends = (event.text("local"), event.text("remote")) if sent else (event.text("remote"), event.text("local"))
        source, target = map(evidence.world.role_of, ends)
        if source is None or target is None or "testbed" in {source, target} or (sent and target in receivers):
            continue
        packets.append(
            ObservedPacket(
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
    return tuple(packets)


def _payload(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def key_arrows(packets: Sequence[ObservedPacket], codecs: Mapping[int, CodecText]) -> Iterator[ObservedMessage]:
    """Yield an arrow for each key press; some of its packets may be lost."""
    readers: dict[tuple[str, str, str], PressReader] = {}
    presses: dict[tuple[str, str, str], list[ObservedMessage]] = {}
    for packet in packets:
        if not codec_of(packet, codecs).is_telephone_event:
            continue
        reader = readers.setdefault(packet.stream, PressReader())
        stream = presses.setdefault(packet.stream, [])
        source, target, _ = packet.stream
        keys = reader.read(packet.ssrc, packet.seq, packet.ts, packet.payload, marker=packet.marker)
        stream += [ObservedMessage(packet.t, source, target, False, ("RTP", TELEPHONE_EVENT, key)) for key in keys]
        if stream:
            stream[-1] = replace(stream[-1], events=(*stream[-1].events, packet.place))
    for stream in presses.values():
        yield from stream


def goes_on(before: ObservedPacket, after: ObservedPacket, clock: int) -> bool | None:
    """Tell whether `after` continues the timeline of `before`; None if it is late or a duplicate."""
    if before.ssrc != after.ssrc:
        return False
    steps = (after.seq - before.seq) % 65536
    if steps == 0 or steps > 65536 - _REORDER:
        return None
    ticks = (after.ts - before.ts) % (1 << 32)
    return steps < _JUMP and 0 < ticks < clock * (max(0.0, after.t - before.t) + _SLACK)


def rtp_arrows(
    packets: Sequence[ObservedPacket], requests: Sequence[DividingRequest], codecs: Mapping[int, CodecText]
) -> Iterator[ObservedMessage]:
    """Yield the RTP arrows of every stream."""
    streams: dict[tuple[str, str, str], list[ObservedPacket]] = {}
    for packet in packets:
        if not codec_of(packet, codecs).is_telephone_event:
            streams.setdefault(packet.stream, []).append(packet)
    for (source, target, _), stream in streams.items():
        previous: _Arrow | None = None
        for arrow in _divide(stream, requests):
            rtp = _measure(arrow, previous, codecs)
            words: tuple[str, ...] = ("RTP", rtp.codec, f"{rtp.seconds:.2f}", "s")
            words += (("continued",) if rtp.continued else ()) + (("broken",) if rtp.broken else ())
            yield ObservedMessage(arrow.packets[0].t, source, target, False, words, rtp, 1, rtp.packets)
            previous = arrow


def _divide(packets: Sequence[ObservedPacket], requests: Sequence[DividingRequest]) -> list[_Arrow]:
    arrows: list[_Arrow] = []
    opened: _Arrow | None = None
    ended: _Arrow | None = None
    tail = -math.inf
    moments: list[tuple[float, int, ObservedPacket | DividingRequest]] = [
        (request.t, 0, request) for request in requests
    ]
    moments += [(packet.t, 1, packet) for packet in packets]
    for t, _, moment in sorted(moments, key=lambda entry: entry[:2]):
        if isinstance(moment, DividingRequest):
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


def _measure(arrow: _Arrow, previous: _Arrow | None, codecs: Mapping[int, CodecText]) -> RtpSeen:
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


def _latest(packets: Sequence[ObservedPacket]) -> ObservedPacket:
    latest = packets[0]
    for packet in packets[1:]:
        if packet.ssrc != latest.ssrc or 0 < (packet.seq - latest.seq) % 65536 < 65536 - _REORDER:
            latest = packet
    return latest


def _timeline(packets: Sequence[ObservedPacket], codecs: Mapping[int, CodecText]) -> tuple[float, int]:
    """Return the media time in seconds, and the number of breaks in the timeline."""
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


def _duration(packet: ObservedPacket, codecs: Mapping[int, CodecText]) -> float:
    codec = codec_of(packet, codecs)
    return len(packet.payload) / codec.clock if codec.name.upper() in _OCTET_PER_SAMPLE else _DEFAULT_FRAME


def codec_of(packet: ObservedPacket, codecs: Mapping[int, CodecText]) -> CodecText:
    """Return the codec of a payload type: by the descriptions of the run, else by RFC 3551, else one named `PT` and
    number.
    """
    return codecs.get(packet.pt) or STATIC.get(packet.pt) or CodecText(f"PT{packet.pt}", 8000)


def _carried_out(request: ObservedMessage, later: Sequence[ObservedMessage]) -> float:
    """Return the time until which a playing that a request stops may go on: that of the ACK of an INVITE, else its own.

    Times are in seconds since 1970.
    """
    if request.words[1] != "INVITE":
        return request.t
    acks = (one.t for one in later if one.words[1] == "ACK" and one.source == request.source)
    return next(acks, request.t)


def dividing_requests(
    messages: Sequence[ObservedMessage], world: RecordedWorld, stops: Collection[float]
) -> list[DividingRequest]:
    """Return the SIP requests that divide RTP, with their tails.

    `stops` are the times of the requests whose bodies end a playing: an escape key, a hold.
    """
    requests = []
    for place, seen in enumerate(messages):
        if seen.response or {world.kind_of(seen.source), world.kind_of(seen.target)} != {"client", "media"}:
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
            tail = max(tail, _carried_out(seen, messages[place + 1 :]) + AFTER_STOP)
        requests.append(DividingRequest(seen.t, tail))
    return requests
