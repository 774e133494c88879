"""Targets for files that the testbed reads: traces, captures, scenarios, ladders, and the script of a client."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fuzz.target import FuzzTarget, in_pieces, require
from lemonade_testbed.capture.pcap import PcapError, pcapng, read_pcap
from lemonade_testbed.capture.split import ImapSplitter, split_sip
from lemonade_testbed.clauses import SCENARIOS
from lemonade_testbed.evidence import EvidenceError, load_evidence
from lemonade_testbed.ladder.imaptext import read_command, read_genurlauth, read_tagged, read_urlfetch, tokens
from lemonade_testbed.ladder.keytext import read_reports
from lemonade_testbed.ladder.mscmltext import read_mscml
from lemonade_testbed.ladder.observe import observe
from lemonade_testbed.ladder.parser import LadderError, parse_ladder
from lemonade_testbed.ladder.sdptext import read_sdp
from lemonade_testbed.ladder.siptext import label_words, mscml_of, prompt_url, read_sip, sdp_of
from lemonade_testbed.relay.reading import SipFramer, read_datagram
from lemonade_testbed.scenario_loader import load_scenario
from lemonade_wire.redaction import DigitMask, Redactor, decode_bodies
from lemonade_wire.script import ScriptError, dump_script, load_script

_INVITE = (
    b"INVITE sip:annc@ms;play=imap://h/%3bUID=1 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 127.0.0.3;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n"
    b"To: <sip:annc@ms>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nContent-Type: application/sdp\r\nContent-Length: 71\r\n\r\n"
    b"v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nc=IN IP4 1.2.3.4\r\nm=audio 4 RTP/AVP 0\r\n"
)
_WORLD = {
    "roles": {"client": {"address": "127.0.0.3"}, "media": {"address": "127.0.0.2"}, "imap": {"address": "127.0.0.1"}}
}
_ENDS = {"local": "127.0.0.2:5060", "remote": "127.0.0.3:5060"}


@contextmanager
def _file(octets: bytes, name: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        path = Path(folder) / name
        path.write_bytes(octets)
        yield path


def _pcap(octets: bytes) -> None:
    with _file(octets, "capture.pcap") as path:
        capture = read_pcap(path)
    require(
        sum(len(packet.data) for packet in capture.packets) <= len(octets), "packets have more octets than the file"
    )
    b"".join(pcapng(capture, {}, {}))


def _trace(octets: bytes) -> None:
    with _file(octets, "trace-media.jsonl") as path:
        (path.parent / "world.json").write_text(json.dumps(_WORLD), encoding="utf-8")
        observe(load_evidence(path.parent))


def _world(octets: bytes) -> None:
    with _file(octets, "world.json") as path:
        load_evidence(path.parent)


def _scenario(octets: bytes) -> None:
    with _file(octets, "fuzz.yaml") as path:
        load_scenario(path)


def _script(octets: bytes) -> None:
    with _file(octets, "script.yaml") as path:
        script = load_script(path)
        path.write_text(dump_script(script), encoding="utf-8")
        again = load_script(path)
    require(
        [step.verb for step in again.steps] == [step.verb for step in script.steps], "a script changes when written"
    )


def _ladder(octets: bytes) -> None:
    parse_ladder(octets.decode("utf-8", "replace"))


def _captured_imap(octets: bytes) -> None:
    splitter = ImapSplitter()
    for number, piece in enumerate(in_pieces(octets)):
        for line in splitter.feed(number / 10, bool(number % 2), piece):
            literals = [{"size": one.size, "sha256": one.sha256, "text": one.text} for one in line.literals]
            read_command(line.text)
            read_tagged(line.text)
            tokens(line.text, literals)
            read_urlfetch(line.text, literals)
            read_genurlauth(line.text, literals)


def _captured_sip(octets: bytes) -> None:
    for _, _, message in split_sip((0.1, number, piece) for number, piece in enumerate(in_pieces(octets))):
        _sip_text(message)


def _sip_text(octets: bytes) -> None:
    text = octets.decode("utf-8", "surrogateescape")
    message = read_sip(text)
    _ = (
        message.method,
        message.uri,
        message.cseq,
        message.branch,
        message.service,
        message.played_url,
        message.contact_uri,
    )
    prompt_url(mscml_of(message))
    sdp_of(message)
    label_words(message)
    Redactor("salt").text(decode_bodies(text))
    DigitMask().text(text)


def _relayed(octets: bytes) -> None:
    framer = SipFramer()
    passed = b""
    for piece in in_pieces(octets):
        passed += b"".join(data for _, data in framer.receive(piece))
    require(passed + framer.rest() == b"".join(in_pieces(octets)), "the relay changes a stream")
    read_datagram(octets)


def _judged_bodies(octets: bytes) -> None:
    text = octets.decode("utf-8", "replace")
    read_mscml(text)
    read_sdp(text)
    read_reports(octets)


def _event(kind: str, number: int, **fields: object) -> bytes:
    event = {"t": number / 10, "node": "media", "n": number, "event": kind} | _ENDS | fields
    return json.dumps(event).encode() + b"\n"


def _examples(name: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted(SCENARIOS.glob(name))]


TARGETS = (
    FuzzTarget(
        "capture-pcap",
        _pcap,
        [bytes.fromhex("d4c3b2a10200040000000000000000000000040001000000e8030000070000000300000005000000616263")],
        (PcapError,),
    ),
    FuzzTarget(
        "trace",
        _trace,
        [
            _event("sip", 1, way="received", transport="udp", text=_INVITE.decode("ascii"), resend=False)
            + _event("rtp", 2, way="sent", seq=1, ssrc=7, ts=160, pt=0, payload="AAAA", marker=True)
            + _event("imap", 3, way="sent", side="server", text='* URLFETCH "imap://h/x" NIL', literals=[])
            + _event("rtcp", 4, way="sent", kinds=["SR", "SDES"])
            + _event("log", 5, level="info", text="x")
        ],
    ),
    FuzzTarget(
        "trace-world", _world, [json.dumps(_WORLD | {"exits": {"imap": 0}, "seed": 1}).encode()], (EvidenceError,)
    ),
    FuzzTarget(
        "scenario", _scenario, _examples("announcement-[ps]*.yaml") + _examples("stop.yaml"), (ScriptError,), most=8192
    ),
    FuzzTarget(
        "client-script",
        _script,
        [
            b"account:\n  user: joe\n  password: x\n  host: h\nmedia: sip:annc@ms\nsteps:\n- "
            b"find-part:\n- announce:\n- listen: {until: bye}\n- hang-up:\n"
        ],
        (ScriptError,),
    ),
    FuzzTarget(
        "ladder",
        _ladder,
        [
            b"client ->> imap: IMAP LOGIN\nimap -->> client: IMAP OK\nloop\n  client ->> media: SIP "
            b"INVITE annc\nend\nalt\n"
            b"media ->> client: RTP PCMU 1 s\nelse\nclient ->> media: SIP BYE\nend\n"
        ],
        (LadderError,),
    ),
    FuzzTarget(
        "capture-imap",
        _captured_imap,
        [b"\x10a LOGIN {3}\r\njoe x\r\n+ go\r\n", b'\x20* URLFETCH "u" {2}\r\nab\r\na OK x\r\n'],
    ),
    FuzzTarget("capture-sip", _captured_sip, [b"\x40" + _INVITE]),
    FuzzTarget("trace-sip", _sip_text, [_INVITE]),
    FuzzTarget("relay-stream", _relayed, [b"\x40" + _INVITE + b"\r\n\r\n" + _INVITE]),
    FuzzTarget(
        "judge-body",
        _judged_bodies,
        [
            b'<MediaServerControl version="1.0"><request><play><prompt><audio '
            b'url="x"/></prompt></play></request></MediaServerControl>',
            _INVITE,
        ],
    ),
)
