"""Reads a capture into the events of a trace, so that ladder, checks and judge take it as they take the nodes' words.

A message seen on the wire is told as both its ends would tell it: `sent` by the role that has the sender's address,
`received` by the other, both at the time of its first octet; an RTP packet as its receiver would. Where a relay stands
between the two, each tells of its own leg. Tickets become fingerprints by the salt of the run.
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

from lemonade_testbed.capture.imapsplit import ImapSplitter
from lemonade_testbed.capture.pcap import Pcap, PcapError, read_pcap
from lemonade_testbed.capture.pcapng import pcapng
from lemonade_testbed.capture.sipsplit import split_sip
from lemonade_testbed.capture.tshark import Chunk, Frame, Stream, Tshark, TsharkError
from lemonade_testbed.evidence import Event, Finding, World
from lemonade_wire.mscml.masking import DigitMask
from lemonade_wire.redact import Redactor
from lemonade_wire.trace import mask_digits

_CLIENT_HELLO = "1"
_Inside = dict[frozenset[str], list[Chunk] | None]
_RTCP_KINDS = {200: "SR", 201: "RR", 202: "SDES", 203: "BYE"}
_CSEQ = re.compile(rb"^cseq[ \t]*:[ \t]*(.*?)\r?$", re.IGNORECASE | re.MULTILINE)
_CALL_ID = re.compile(rb"^(?:call-id|i)[ \t]*:[ \t]*(.*?)\r?$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Reading:
    """What a capture says.

    `events` in the order of the wire; `findings` what a peer sent wrong; `problems` what is wrong with the capture
    itself (nobody's fault on the wire); `remarks` what was not read; `packets` how many it holds; `unreadable`: the
    reader did not come to an end, so that another may try.
    """

    events: tuple[Event, ...]
    findings: tuple[Finding, ...] = ()
    problems: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    packets: int = 0
    unreadable: bool = False


@dataclass
class _Making:
    """A reading as it grows."""

    world: World
    redactor: Redactor
    told: list[tuple[float, int, str, str, dict[str, Any]]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    remarks: Counter[str] = field(default_factory=Counter)
    sent: set[tuple[str, str, bytes]] = field(default_factory=set)

    def role(self, end: str) -> str:
        """Return who has an end's address; the bare address where no role has it."""
        return self.world.role_of(end) or end

    def fronted(self, end: str) -> bool:
        """Tell whether an end is a relay's, which stands for a role: the other leg tells what the role does."""
        host = end.rpartition(":")[0]
        return any(host in role.aliases for role in self.world.roles.values())

    def tell(self, at: _At, kind: str, fields: Mapping[str, Any], sides: Sequence[str] = ()) -> None:
        """Tell a message as both ends would; `sides` is which side of IMAP sends it, and which receives it."""
        for place, (way, local, remote) in enumerate(
            (("sent", at.source, at.target), ("received", at.target, at.source))
        ):
            if self.fronted(local):
                continue
            own = self.world.own
            head = {"way": way, "local": own(local), "remote": own(remote), "packet": at.packet}
            side = {"side": sides[place]} if sides else {}
            self.told.append((at.t, at.packet, self.role(local), kind, head | side | dict(fields)))


@dataclass(frozen=True)
class _At:
    """Where a message stands: its time, its packet, its sender and receiver as `ip:port`."""

    t: float
    packet: int
    source: str
    target: str


def read_capture(path: Path, world: World, tshark: Tshark, keys: bytes = b"") -> Reading:
    """Read a capture of a run; what cannot be read is a problem of the reading, never an exception.

    `keys` is the key log of its TLS sessions (`lemonade_wire/tls/keylog.py`).
    """
    making = _Making(world, Redactor(world.salt))
    try:
        capture = read_pcap(path)
        if not capture.whole:
            making.problems.append("the capture ends inside a packet, so it is not whole")
        sip = sorted({role.port for name, role in world.roles.items() if name != "imap" and role.port} - {5060})
        with _with_keys(path, capture, keys) as readable:
            frames = tshark.frames(readable, sip)
            talking = {frame.number_of("tcp.stream") for frame in frames if frame.number_of("tcp.len")}
            streams = tshark.streams(readable, sorted(talking))
            inside = _inside(readable, tshark, frames, keys)
        for frame in frames:
            _frame(making, frame)
        lengths = _lengths(frames)
        for stream in streams:
            _stream(making, stream, lengths, inside)
    except (PcapError, TsharkError, OSError) as problem:
        return Reading((), problems=(f"the capture cannot be read: {problem}",), unreadable=True)
    remarks = tuple(f"{text} ({count} packets)" if count > 1 else text for text, count in making.remarks.items())
    return Reading(
        tuple(_numbered(making)), tuple(making.findings), tuple(making.problems), remarks, len(capture.packets)
    )


@contextmanager
def _with_keys(path: Path, capture: Pcap, keys: bytes) -> Iterator[Path]:
    """Give a capture to read: as it is, or beside it for as long as this lasts, with the keys in it."""
    if not keys:
        yield path
        return
    with NamedTemporaryFile(dir=path.parent, prefix=path.stem, suffix=".pcapng") as file:
        file.writelines(pcapng(capture, {}, {}, keys))
        file.flush()
        yield Path(file.name)


def _inside(readable: Path, tshark: Tshark, frames: Sequence[Frame], keys: bytes) -> _Inside:
    """Return what was said inside TLS by the two ends of a connection; None where the key log lacks its keys."""
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
    """Yield the events in the order of the wire, each node's counted from 1 as in a trace."""
    counts: Counter[str] = Counter()
    mask = DigitMask()
    for t, _, node, kind, fields in sorted(making.told, key=lambda entry: entry[:2]):
        counts[node] += 1
        mask_digits(mask, kind, fields)
        yield Event(round(t, 6), node, counts[node], kind, redacted(fields, making.redactor))


def redacted(fields: Mapping[str, Any], redactor: Redactor) -> dict[str, Any]:
    """Return an event's fields with every ticket's token replaced by its fingerprint."""

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
        making.findings.append(Finding(frame.number, source, target, last, making.redactor.text(why)))
    if frame.transport != "udp":
        return
    if "sip" in frame.protocols:
        what = frame.fields.get("sip.Status-Code") or frame.fields.get("sip.Method", "")
        keys = (frame.fields.get("sip.Call-ID", ""), frame.fields.get("sip.CSeq", ""), what)
        _sip(making, at, "udp", frame.octets("udp.payload"), keys)
    elif "rtp" in frame.protocols:
        if not making.fronted(frame.target):
            making.told.append((frame.t, frame.number, target, "rtp", _rtp(frame, making.world)))
    elif "rtcp" in frame.protocols:
        making.tell(at, "rtcp", {"kinds": [_RTCP_KINDS.get(kind, str(kind)) for kind in frame.kinds]})
    elif source != "testbed" and frame.octets("udp.payload").strip():  # RFC 5626, 3.5.1: line ends keep a way open
        making.remarks[f"UDP {source}->{target} is no SIP, RTP or RTCP to the second reader"] += 1


def _rtp(frame: Frame, world: World) -> dict[str, Any]:
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


def _sip(making: _Making, at: _At, transport: str, data: bytes, keys: Sequence[str]) -> None:
    """Tell a SIP message; `keys` are Call-ID, CSeq, and method or status as the second reader read them."""
    call_id, cseq, what = keys
    told = [call_id, " ".join(cseq.split()), what]
    text = data.decode(errors="replace")
    # a retransmission is the same octets on the same leg (RFC 3261, 17.1.1.2)
    copy = (at.source, at.target, data)
    resend = transport == "udp" and copy in making.sent
    making.sent.add(copy)
    making.tell(at, "sip", {"transport": transport, "text": text, "resend": resend, "keys": told})


def _lengths(frames: Sequence[Frame]) -> dict[tuple[str, str], int]:
    """Return how many octets each direction of each connection has, by its sequence numbers (its first octet is 1)."""
    lengths: Counter[tuple[str, str]] = Counter()
    for frame in frames:
        if octets := frame.number_of("tcp.len"):
            ends = frame.source, frame.target
            lengths[ends] = max(lengths[ends], frame.number_of("tcp.seq") - 1 + octets)
    return lengths


def _stream(making: _Making, stream: Stream, lengths: Mapping[tuple[str, str], int], inside: _Inside) -> None:
    client, server = stream.peers
    source, target = map(making.role, stream.peers)
    got = Counter(dict.fromkeys((stream.peers, stream.peers[::-1]), 0))
    for chunk in stream.chunks:
        got[chunk.source, chunk.target] += len(chunk.data)
    if not stream.whole or any(lengths.get(ends, 0) > octets for ends, octets in got.items()):
        making.problems.append(f"octets of the connection {client} {server} are missing in the capture")
    if target == "imap":
        _imap_stream(making, stream, inside)
    elif target in {"media", "client"}:
        _sip_stream(making, stream)
    else:
        making.remarks[f"a TCP connection {source}->{target} ({server}) is neither IMAP nor SIP"] += 1


def _imap_stream(making: _Making, stream: Stream, inside: _Inside) -> None:
    """Tell what was said in the clear, and behind STARTTLS what was said inside TLS."""
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
            making.tell(_At(line.t, numbers[line.t], *ends), "imap", fields, sides)
    return splitter


def _sip_stream(making: _Making, stream: Stream) -> None:
    for source, target in (stream.peers, stream.peers[::-1]):
        chunks = ((chunk.t, chunk.number, chunk.data) for chunk in stream.chunks if chunk.source == source)
        for t, number, message in split_sip(chunks):
            start = message.split(b" ", 2)
            what = start[1] if start[0] == b"SIP/2.0" and len(start) > 1 else start[0]
            call_id, cseq = (match[1] if (match := one.search(message)) else b"" for one in (_CALL_ID, _CSEQ))
            keys = [part.decode(errors="replace") for part in (call_id, cseq, what)]
            _sip(making, _At(t, number, source, target), "tcp", message, keys)
