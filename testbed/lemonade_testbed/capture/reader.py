"""Reads a capture into events like those of the nodes' traces, so that the judge can use either of them.

A captured message becomes two events, both at the time of its first octet: `sent` of the node that has the sender's
address, and `received` of the node that has the receiver's. An RTP packet becomes one event, of its receiver. If a
relay is between two nodes, each node's event comes from the leg between it and the relay. The tokens of URLs are
replaced by fingerprints, made with the run's salt.
"""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from lemonade_testbed.capture.bodies import Fields, body_differences, key_differences
from lemonade_testbed.capture.pcap import Pcap, PcapError, pcapng, read_pcap
from lemonade_testbed.capture.split import ImapSplitter, split_sip
from lemonade_testbed.capture.tshark import Chunk, Frame, TcpStream, Tshark, TsharkError
from lemonade_testbed.evidence import CaptureFinding, Event, RecordedWorld
from lemonade_testbed.ladder.sdptext import CodecText
from lemonade_testbed.ladder.siptext import read_sip, sdp_of
from lemonade_wire.redaction import DigitMask, Redactor
from lemonade_wire.trace import conceal_digits

_CLIENT_HELLO = "1"  # the handshake type of RFC 8446, section 4
_Inside = dict[frozenset[str], list[Chunk] | None]
_RTCP_KINDS = {200: "SR", 201: "RR", 202: "SDES", 203: "BYE"}  # packet types of RFC 3550, section 12.1
_CSEQ = re.compile(rb"^cseq[ \t]*:[ \t]*(.*?)\r?$", re.IGNORECASE | re.MULTILINE)
_CALL_ID = re.compile(rb"^(?:call-id|i)[ \t]*:[ \t]*(.*?)\r?$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Reading:
    """The result of reading a capture.

    `events` are in the order of the packets. `findings` are packets that tshark reports as malformed or as an error.
    `problems` are sentences on defects of the capture itself, for which no node is charged. `remarks` are sentences on
    packets that were not read and on differences between two readers. `packets` is the number of packets in the
    capture. `unreadable` is True if the capture could not be read at all; the result is then not kept, so that a later
    attempt can succeed.
    """

    events: tuple[Event, ...]
    findings: tuple[CaptureFinding, ...] = ()
    problems: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    packets: int = 0
    unreadable: bool = False


@dataclass
class _Making:
    """A reading in progress.

    `events` has the events so far: time, packet, node, kind, fields. `sent` has the SIP messages so far, by sender,
    receiver and octets.
    """

    world: RecordedWorld
    redactor: Redactor
    events: list[tuple[float, int, str, str, dict[str, Any]]] = field(default_factory=list)
    findings: list[CaptureFinding] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    remarks: Counter[str] = field(default_factory=Counter)
    sent: set[tuple[str, str, bytes]] = field(default_factory=set)

    def role(self, end: str) -> str:
        """Return the name of the node that has the address `ip:port`, or the address itself if no node has it."""
        return self.world.role_of(end) or end

    def fronted(self, end: str) -> bool:
        """Tell whether an address is a front of the relay; the node's own message is then on the relay's other leg."""
        host = end.rpartition(":")[0]
        return any(host in role.aliases for role in self.world.roles.values())

    def add(self, at: _At, kind: str, fields: Mapping[str, Any], sides: Sequence[str] = ()) -> None:
        """Add the events of a message's sender and receiver.

        `sides` has the IMAP side (`client`, `server`) of the sender and of the receiver.
        """
        for place, (way, local, remote) in enumerate(
            (("sent", at.source, at.target), ("received", at.target, at.source))
        ):
            if self.fronted(local):
                continue
            own = self.world.own
            head = {"way": way, "local": own(local), "remote": own(remote), "packet": at.packet}
            side = {"side": sides[place]} if sides else {}
            self.events.append((at.t, at.packet, self.role(local), kind, head | side | dict(fields)))


@dataclass(frozen=True)
class _At:
    """The origin of a message: its time, the number of its packet, its sender and receiver as `ip:port`."""

    t: float
    packet: int
    source: str
    target: str


def read_capture(path: Path, world: RecordedWorld, tshark: Tshark, keys: bytes = b"") -> Reading:
    """Read the capture of a run with tshark; an error becomes an entry of `problems`, never an exception.

    `keys` is the key log of its TLS sessions (`lemonade_wire/tls/keylog.py`).
    """
    making = _Making(world, Redactor(world.salt))
    try:
        capture = read_pcap(path)
        if not capture.whole:
            making.problems.append("the capture ends inside a packet, so it is not whole")
        sip = sorted(
            {role.port for name, role in world.roles.items() if world.kind_of(name) != "imap" and role.port} - {5060}
        )
        with _with_keys(path, capture, keys) as readable:
            frames = tshark.frames(readable, sip)
            talking = {frame.number_of("tcp.stream") for frame in frames if frame.number_of("tcp.len")}
            streams = tshark.streams(readable, sorted(talking))
            inside = _inside(readable, tshark, frames, keys)
        for frame in frames:
            _frame(making, frame)
        lengths = _lengths(frames)
        bodies = _bodies_over_tcp(frames)
        for stream in streams:
            _stream(making, stream, lengths, inside, bodies)
        _compare_payload_types(making, frames)
    except (PcapError, TsharkError, OSError) as problem:
        return Reading((), problems=(f"the capture cannot be read: {problem}",), unreadable=True)
    remarks = tuple(f"{text} ({count} packets)" if count > 1 else text for text, count in making.remarks.items())
    return Reading(
        tuple(_numbered(making)), tuple(making.findings), tuple(making.problems), remarks, len(capture.packets)
    )


@contextmanager
def _with_keys(path: Path, capture: Pcap, keys: bytes) -> Iterator[Path]:
    """Yield the path of a capture that holds the TLS keys: a temporary file beside `path`, or `path` without keys."""
    if not keys:
        yield path
        return
    with NamedTemporaryFile(dir=path.parent, prefix=path.stem, suffix=".pcapng") as file:
        file.writelines(pcapng(capture, {}, {}, keys))
        file.flush()
        yield Path(file.name)


def _inside(readable: Path, tshark: Tshark, frames: Sequence[Frame], keys: bytes) -> _Inside:
    """Return the decrypted octets of each TLS connection, by its two ends; None if the key log lacks its keys."""
    found: _Inside = {}
    numbers: set[int] = set()
    for frame in frames:
        if frame.fields.get("tls.handshake.type") == _CLIENT_HELLO:
            known = frame.fields.get("tls.handshake.random", "").replace(":", "").encode() in keys.lower()
            found[frozenset((frame.source, frame.target))] = [] if known else None
            if known:
                numbers.add(frame.number_of("tcp.stream"))
    for chunk in tshark.decrypted(readable, {frame.number: frame for frame in frames}, sorted(numbers)):
        said = found.get(frozenset((chunk.source, chunk.target)))
        if said is not None:
            said.append(chunk)
    return found


def _numbered(making: _Making) -> Iterator[Event]:
    """Yield the events in the order of the packets; those of each node are numbered from 1, as in a trace."""
    counts: Counter[str] = Counter()
    mask = DigitMask()
    for t, _, node, kind, fields in sorted(making.events, key=lambda entry: entry[:2]):
        counts[node] += 1
        conceal_digits(mask, kind, fields)
        yield Event(round(t, 6), node, counts[node], kind, redacted(fields, making.redactor))


def redacted(fields: Mapping[str, Any], redactor: Redactor) -> dict[str, Any]:
    """Return an event's fields with the token of every URL replaced by its fingerprint."""

    def clean(value: Any) -> Any:  # noqa: ANN401  JSON nests
        if isinstance(value, str):
            return redactor.text(value)
        if isinstance(value, list):
            return [clean(item) for item in value]
        return redacted(value, redactor) if isinstance(value, Mapping) else value

    return {name: value if name == "payload" else clean(value) for name, value in fields.items()}


def _frame(making: _Making, frame: Frame) -> None:
    at = _At(frame.t, frame.number, frame.source, frame.target)
    source, target = making.role(frame.source), making.role(frame.target)
    for why in frame.errors:
        last = frame.protocols[-1].upper()
        making.findings.append(CaptureFinding(frame.number, source, target, last, making.redactor.text(why)))
    if frame.transport != "udp":
        return
    if "sip" in frame.protocols:
        what = frame.fields.get("sip.Status-Code") or frame.fields.get("sip.Method", "")
        keys = (frame.fields.get("sip.Call-ID", ""), frame.fields.get("sip.CSeq", ""), what)
        _sip(making, at, frame.octets("udp.payload"), transport="udp", keys=keys, bodies=frame.bodies)
    elif "rtp" in frame.protocols:
        for difference in key_differences(frame.octets("rtp.payload"), frame.bodies):
            making.remarks[f"RTP {source}->{target}: {difference}"] += 1
        if not making.fronted(frame.target):
            making.events.append((frame.t, frame.number, target, "rtp", _rtp(frame, making.world)))
    elif "rtcp" in frame.protocols:
        making.add(at, "rtcp", {"kinds": [_RTCP_KINDS.get(kind, str(kind)) for kind in frame.kinds]})
    elif source != "testbed" and frame.octets("udp.payload").strip():  # RFC 5626, 3.5.1: CRLFs are keep-alives
        making.remarks[f"UDP {source}->{target} is no SIP, RTP or RTCP to the second reader"] += 1


def _rtp(frame: Frame, world: RecordedWorld) -> dict[str, Any]:
    return {
        "way": "received",
        "local": world.own(frame.target),
        "remote": world.own(frame.source),
        "packet": frame.number,
        "ssrc": frame.number_of("rtp.ssrc"),
        "seq": frame.number_of("rtp.seq"),
        "ts": frame.number_of("rtp.timestamp"),
        "pt": frame.number_of("rtp.p_type"),
        "marker": bool(frame.number_of("rtp.marker")),
        "payload": base64.b64encode(frame.octets("rtp.payload")).decode(),
    }


def _sip(making: _Making, at: _At, data: bytes, *, transport: str, keys: Sequence[str], bodies: Fields | None) -> None:
    """Add the events of a SIP message, and a remark for each difference between two readings of its body.

    `keys` are Call-ID, CSeq, and method or status as the second reader read them. `bodies` are its fields of the body,
    or None if the packet ends several messages, whose fields cannot be separated.
    """
    message_keys = _message_keys(*keys)
    text = data.decode(errors="replace")
    if bodies is not None:
        source, target = making.role(at.source), making.role(at.target)
        for difference in body_differences(read_sip(text), bodies):
            making.remarks[making.redactor.text(f"SIP {message_keys[2]} {source}->{target}: {difference}")] += 1
    # a retransmission has the same octets and the same two ends (RFC 3261, 17.1.1.2)
    copy = (at.source, at.target, data)
    resend = transport == "udp" and copy in making.sent
    making.sent.add(copy)
    making.add(at, "sip", {"transport": transport, "text": text, "resend": resend, "keys": message_keys})


def _message_keys(call_id: str, cseq: str, what: str) -> list[str]:
    return [call_id, " ".join(cseq.split()), what]


def _bodies_over_tcp(frames: Sequence[Frame]) -> dict[tuple[str, ...], Fields]:
    """Return tshark's fields of SIP bodies over TCP, by Call-ID, CSeq, and method or status.

    If a packet ends several messages, tshark lists the fields of all of them together, and they are not used.
    """
    found: dict[tuple[str, ...], Fields] = {}
    for frame in frames:
        if frame.transport == "tcp" and frame.messages == 1:
            what = frame.fields.get("sip.Status-Code") or frame.fields.get("sip.Method", "")
            keys = _message_keys(frame.fields.get("sip.Call-ID", ""), frame.fields.get("sip.CSeq", ""), what)
            found[tuple(keys)] = frame.bodies
    return found


def _compare_payload_types(making: _Making, frames: Sequence[Frame]) -> None:
    """Add a remark for each payload type that only one of the two readers takes for a telephone-event."""
    codecs: dict[int, CodecText] = {}
    for *_, kind, fields in making.events:
        description = sdp_of(read_sip(fields["text"])) if kind == "sip" else None
        for line in description.media if description else ():
            codecs |= line.codecs()
    packets = [frame for frame in frames if "rtp" in frame.protocols]
    theirs = {frame.number_of("rtp.p_type") for frame in packets if "rtpevent.event_id" in frame.bodies}
    sent = {frame.number_of("rtp.p_type") for frame in packets}
    ours = {number for number in sent if (codec := codecs.get(number)) and codec.is_telephone_event}
    for number in sorted(theirs ^ ours):
        only, not_to = ("the second reader", "the ladder") if number in theirs else ("the ladder", "the second reader")
        making.remarks[f"RTP of payload type {number} is telephone-event to {only}, and not to {not_to}"] += 1


def _lengths(frames: Sequence[Frame]) -> dict[tuple[str, str], int]:
    """Return the octets in each direction of each TCP connection, by its relative sequence numbers (the first is 1)."""
    lengths: Counter[tuple[str, str]] = Counter()
    for frame in frames:
        if octets := frame.number_of("tcp.len"):
            ends = frame.source, frame.target
            lengths[ends] = max(lengths[ends], frame.number_of("tcp.seq") - 1 + octets)
    return lengths


def _stream(
    making: _Making,
    stream: TcpStream,
    lengths: Mapping[tuple[str, str], int],
    inside: _Inside,
    bodies: Mapping[tuple[str, ...], Fields],
) -> None:
    client, server = stream.peers
    source, target = map(making.role, stream.peers)
    got = Counter(dict.fromkeys((stream.peers, stream.peers[::-1]), 0))
    for chunk in stream.chunks:
        got[chunk.source, chunk.target] += len(chunk.data)
    if not stream.whole or any(lengths.get(ends, 0) > octets for ends, octets in got.items()):
        making.problems.append(f"octets of the connection {client} {server} are missing in the capture")
    kind = making.world.kind_of(target)
    if kind == "imap":
        _imap_stream(making, stream, inside)
    elif kind in {"media", "client"}:
        _sip_stream(making, stream, bodies)
    else:
        making.remarks[f"a TCP connection {source}->{target} ({server}) is neither IMAP nor SIP"] += 1


def _imap_stream(making: _Making, stream: TcpStream, inside: _Inside) -> None:
    """Add the events of an IMAP connection: of its clear text, and of the decrypted octets after STARTTLS."""
    client, server = stream.peers
    if not _imap_lines(making, stream.peers, stream.chunks).encrypted:
        return
    said = inside.get(frozenset(stream.peers), [])
    if said is None:
        making.problems.append(f"IMAP {client} {server} goes on encrypted, and no node has written down its keys")
    else:
        _imap_lines(making, stream.peers, said)


def _imap_lines(making: _Making, peers: tuple[str, str], chunks: Iterable[Chunk]) -> ImapSplitter:
    splitter = ImapSplitter()
    numbers: dict[float, int] = {}
    client, server = peers
    for chunk in chunks:
        numbers.setdefault(chunk.t, chunk.number)
        for line in splitter.feed(chunk.t, chunk.source == client, chunk.data):
            literals = [
                {"size": one.size, "sha256": one.sha256} | ({} if one.text is None else {"text": one.text})
                for one in line.literals
            ]
            ends, sides = ((client, server), ("client", "server"))
            if not line.from_client:
                ends, sides = (server, client), ("server", "client")
            fields = {"text": line.text, "literals": literals}
            making.add(_At(line.t, numbers[line.t], *ends), "imap", fields, sides)
    return splitter


def _sip_stream(making: _Making, stream: TcpStream, bodies: Mapping[tuple[str, ...], Fields]) -> None:
    for source, target in (stream.peers, stream.peers[::-1]):
        chunks = ((chunk.t, chunk.number, chunk.data) for chunk in stream.chunks if chunk.source == source)
        for t, number, message in split_sip(chunks):
            start = message.split(b" ", 2)
            what = start[1] if start[0] == b"SIP/2.0" and len(start) > 1 else start[0]
            call_id, cseq = (match[1] if (match := one.search(message)) else b"" for one in (_CALL_ID, _CSEQ))
            keys = [part.decode(errors="replace") for part in (call_id, cseq, what)]
            own = bodies.get(tuple(_message_keys(*keys)))
            _sip(making, _At(t, number, source, target), message, transport="tcp", keys=keys, bodies=own)
