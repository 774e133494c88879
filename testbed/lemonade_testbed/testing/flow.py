"""Runs that are written by hand, message by message, and read as the traces of any run."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lemonade_testbed.audio.part import media_part
from lemonade_testbed.clauses import SCENARIOS
from lemonade_testbed.evidence import Evidence, load_evidence

FIXTURES = SCENARIOS / "fixtures"
MAIL = FIXTURES / "voicemail-basic.eml"
OCTETS = media_part(MAIL).octets
ADDRESSES = {"imap": "127.9.8.1", "media": "127.9.8.2", "client": "127.9.8.3", "testbed": "127.9.8.4"}
PORTS = {"imap": 1143, "media": 5060, "client": 5060, "testbed": 5060}
BEGAN = 1795341000.0
"""The time at which a run begins: 2026-11-22T09:50:00Z, ten minutes before its tickets expire."""
RUMP = (
    "imap://joe@imap.example.com/INBOX;UIDVALIDITY=385759045/;UID=20/;SECTION=2"
    ";EXPIRE=2026-11-22T10:00:00Z;URLAUTH=anonymous"
)
TICKET = f"{RUMP}:INTERNAL:fp-0123456789abcdef"
PLAY = TICKET.replace("@", "%40").replace(";", "%3B").replace("=", "%3D")
OFFER = (
    "v=0\r\no=- 1 1 IN IP4 127.9.8.3\r\ns=-\r\nc=IN IP4 127.9.8.3\r\nt=0 0\r\nm=audio 20000 RTP/AVP 0\r\n"
    "a=rtpmap:0 PCMU/8000\r\na=recvonly\r\n"
)
ANSWER = (
    "v=0\r\no=- 2 1 IN IP4 127.9.8.2\r\ns=-\r\nc=IN IP4 127.9.8.2\r\nt=0 0\r\nm=audio 16384 RTP/AVP 0\r\n"
    "a=rtpmap:0 PCMU/8000\r\na=sendonly\r\n"
)
STRUCTURE = (
    '(("TEXT" "PLAIN" ("CHARSET" "us-ascii") NIL NIL "7BIT" 78 4)'
    '("AUDIO" "BASIC" NIL NIL NIL "BASE64" 133856 NIL ("ATTACHMENT" ("FILENAME" "voicemail.ul")) NIL NIL) "MIXED")'
)
SDP = "application/sdp"
KEY = "Signal=6\r\nDuration=160\r\n"
MSCML = "application/mediaservercontrol+xml"


@dataclass
class Message:
    """One message as both ends trace it; `seconds` is the length of the media if it is RTP."""

    name: str
    kind: str
    source: str
    target: str
    text: str = ""
    literals: list[dict[str, Any]] = field(default_factory=list)
    connection: int = 40001
    copies: int = 1
    seconds: float = 0.0
    content: int = 0
    base: int = 0
    ssrc: int = 77
    payload_type: int = 0
    gap: float = 0.02


class Flow:
    """The messages of a run in order; `evidence` writes them as traces and loads these like those of any run.

    `change_packet` gets the number and the traced fields of each RTP packet, and may change them. `reports` are RTCP
    packets at the end of the run as (way, kinds), in the trace of the client, with the fields of `report`. `waited` is
    the number of seconds that the run goes on after all messages.
    """

    def __init__(self, folder: Path, messages: list[Message]) -> None:
        self.folder = folder
        self.messages = messages
        self.files: dict[str, str] = {}
        self.world: dict[str, Any] = {}
        self.steps: list[dict[str, Any]] = []
        self.change_packet: Callable[[int, dict[str, Any]], None] = lambda _place, _packet: None
        self.packet_octets = 160
        self.waited = 0.0
        self.reports: list[tuple[str, list[str]]] = []
        self.report: dict[str, Any] = {}
        self.octets = OCTETS
        self.mail = MAIL.read_bytes()

    def __getitem__(self, name: str) -> Message:
        return next(message for message in self.messages if message.name == name)

    def drop(self, name: str) -> None:
        """Leave out the message of this name."""
        self.messages.remove(self[name])

    def swap(self, one: str, other: str) -> None:
        """Exchange two messages in time."""
        first, second = self.messages.index(self[one]), self.messages.index(self[other])
        self.messages[first], self.messages[second] = self.messages[second], self.messages[first]

    def change(self, name: str, old: str, new: str) -> None:
        """Replace text of a message; a Content-Length is corrected."""
        assert old in self[name].text
        head, _, body = self[name].text.replace(old, new).partition("\r\n\r\n")
        if (SDP in head or MSCML in head) and "fp-" not in body and "Content-Length" not in old:
            head = re.sub("Content-Length: [0-9]+", f"Content-Length: {len(body)}", head)
        self[name].text = f"{head}\r\n\r\n{body}" if self[name].kind == "sip" else self[name].text.replace(old, new)

    def evidence(self) -> Evidence:
        """Write the traces of the run, and load them as those of any run."""
        traces: dict[str, list[dict[str, Any]]] = {"imap": [], "media": [], "client": [], "testbed": []}
        now, seq, ts = BEGAN, 500, 90000
        for message in self.messages:
            now += 0.01
            if message.kind != "rtp":
                self._both(traces, message, now)
                continue
            size = self.packet_octets
            for start in range(message.content, message.content + round(message.seconds * 8000), size):
                now += message.gap * size / 160
                payload = self.octets[start : start + size]
                remote = f"{ADDRESSES['media']}:16384"
                packet: dict[str, Any] = {
                    "way": "received",
                    "local": f"{ADDRESSES[message.target]}:20000",
                    "remote": remote,
                }
                packet |= {
                    "ssrc": message.ssrc,
                    "seq": seq % 65536,
                    "ts": ts + message.base,
                    "pt": message.payload_type,
                }
                packet |= {"pt": message.payload_type, "marker": False}
                packet |= {"payload": base64.b64encode(payload).decode()}
                self.change_packet(seq - 500, packet)
                traces[message.target].append({"t": now, "event": "rtp", **packet})
                seq, ts = seq + 1, ts + size
        for way, kinds in self.reports:
            ends = {"local": f"{ADDRESSES['client']}:20001", "remote": f"{ADDRESSES['media']}:16385"}
            traces["client"].append({"t": now, "event": "rtcp", "way": way, "kinds": kinds, **ends, **self.report})
        for step in self.steps:
            traces["client"].append({"t": now, "event": "step", **step})
        return self._load(traces, now + self.waited)

    def _both(self, traces: dict[str, list[dict[str, Any]]], message: Message, now: float) -> None:
        ends = {}
        for role, other in ((message.source, message.target), (message.target, message.source)):
            port = PORTS[role] if message.kind == "sip" or role == "imap" else message.connection
            ends[role] = f"{ADDRESSES[role]}:{port}", other
        for copy in range(message.copies):
            for role, way in ((message.source, "sent"), (message.target, "received")):
                local, other = ends[role]
                event: dict[str, Any] = {"way": way, "local": local, "remote": ends[other][0], "text": message.text}
                if message.kind == "imap":
                    event |= {"side": "server" if role == "imap" else "client", "literals": message.literals}
                else:
                    event |= {"transport": "udp", "resend": copy > 0}
                at = now + 0.001 * copy + (0.0005 if way == "received" else 0)
                traces[role].append({"t": at, "event": message.kind, **event})

    def _load(self, traces: dict[str, list[dict[str, Any]]], now: float) -> Evidence:
        roles = {role: {"address": address, "port": PORTS[role], "name": role} for role, address in ADDRESSES.items()}
        world = {"roles": roles, "salt": "s", "started": BEGAN - 1, "ended": now, "media_length": len(OCTETS) / 8000}
        world |= {"exits": {"imap": 0, "media": 0, "client": 0}, "lines": {node: len(traces[node]) for node in traces}}
        world |= self.world
        (self.folder / "world.json").write_text(json.dumps(world))
        (self.folder / "message.eml").write_bytes(self.mail)
        for node, events in traces.items():
            lines = [json.dumps({"node": node, "n": number, **event}) for number, event in enumerate(events, 1)]
            (self.folder / f"trace-{node}.jsonl").write_text("".join(line + "\n" for line in lines))
        for name, text in self.files.items():
            (self.folder / name).write_text(text)
        return load_evidence(self.folder)


def imap(name: str, text: str, *, client: str = "client", literal: bytes | None = None) -> Message:
    """Return an IMAP command of `client`, or a response to it, with an optional literal."""
    answer = text.startswith("*") or " OK" in text[:8] or " NO" in text[:8]
    ends = ("imap", client) if answer else (client, "imap")
    literals = [] if literal is None else [{"size": len(literal), "sha256": hashlib.sha256(literal).hexdigest()}]
    return Message(name, "imap", *ends, text, literals)


def request(name: str, start: str, cseq: str, source: str, *, body: str = "", kind: str = "") -> Message:
    """Return a SIP request with this start line and CSeq number."""
    target = "media" if source == "client" else "client"
    method = start.partition(" ")[0]
    contact = f"Contact: <sip:{ADDRESSES[source]}:5060>\r\n" if method == "INVITE" else ""
    head = f"{start} SIP/2.0\r\n{_head(cseq, method, source)}Max-Forwards: 70\r\n{contact}"
    text = head.replace(";tag=b\r\nCall-ID", "\r\nCall-ID") if method == "INVITE" else head
    return Message(name, "sip", source, target, text + _body(body, kind))


def answer(name: str, status: str, cseq: str, method: str, source: str, *, body: str = "") -> Message:
    """Return an answer to a request that `source` sent."""
    target = "media" if source == "client" else "client"
    contact = "Contact: <sip:annc@127.9.8.2:5060>\r\n" if status.startswith("2") and method == "INVITE" else ""
    head = _head(cseq, method, source).replace(";rport", f";received={ADDRESSES[source]};rport=5060")
    head = head.replace(";tag=b\r\nCall-ID", "\r\nCall-ID") if status.startswith("100") else head
    text = f"SIP/2.0 {status}\r\n{head}{contact}" + _body(body, SDP if body else "")
    return Message(name, "sip", target, source, text)


def _head(cseq: str, method: str, source: str) -> str:
    ends = ["<sip:joe@example.com>;tag=a", "<sip:media.example.net>;tag=b"]
    caller, callee = ends if source == "client" else reversed(ends)
    return (
        f"Via: SIP/2.0/UDP {ADDRESSES[source]}:5060;branch=z9hG4bK{source}{cseq}{method};rport\r\n"
        f"From: {caller}\r\nTo: {callee}\r\nCall-ID: call1\r\nCSeq: {cseq} {method}\r\n"
    )


def _body(body: str, kind: str) -> str:
    length = len(body) + (46 if "fp-" in body else 0)  # the length counts also what a trace leaves out
    return (f"Content-Type: {kind}\r\n" if body else "") + f"Content-Length: {length}\r\n\r\n{body}"


def _mail_steps(rump: str, ticket: str) -> list[Message]:
    return [
        imap("login", "a1 LOGIN joe ***"),
        imap("login-ok", "a1 OK [CAPABILITY IMAP4rev1 URLAUTH URLAUTH=BINARY] in"),
        imap("fetch", "a2 UID FETCH 20 (UID BODYSTRUCTURE)"),
        imap("fetch-data", f"* 1 FETCH (UID 20 BODYSTRUCTURE {STRUCTURE})"),
        imap("fetch-ok", "a2 OK done"),
        imap("genurlauth", f'a3 GENURLAUTH "{rump}" INTERNAL'),
        imap("genurlauth-data", f'* GENURLAUTH "{ticket}"'),
        imap("genurlauth-ok", "a3 OK done"),
    ]


def _fetch_steps(ticket: str, way: str) -> list[Message]:
    structure = f'(BODYPARTSTRUCTURE ("AUDIO" "BASIC" NIL NIL NIL "BINARY" {len(OCTETS)}))'
    data = f'* URLFETCH "{ticket}" {structure} (BINARY ~{{{len(OCTETS)}}})'
    return [
        imap("greeting", "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=ANONYMOUS] ready", client="media"),
        imap("authenticate", f"b1 AUTHENTICATE {way} ***", client="media"),
        imap("authenticate-ok", "b1 OK [CAPABILITY IMAP4rev1 URLAUTH URLAUTH=BINARY] in", client="media"),
        imap("urlfetch", f'b2 URLFETCH ("{ticket}" BODYPARTSTRUCTURE BINARY)', client="media"),
        imap("urlfetch-data", data, client="media", literal=OCTETS),
        imap("urlfetch-ok", "b2 OK done", client="media"),
        imap("logout", "b3 LOGOUT", client="media"),
    ]


def announcement() -> list[Message]:
    """Return the messages of the announcement diagram, all of them correct."""
    length = len(OCTETS) / 8000
    return [
        *_mail_steps(RUMP, TICKET),
        request("invite", f"INVITE sip:annc@media.example.net;play={PLAY}", "1", "client", body=OFFER, kind=SDP),
        answer("trying", "100 Trying", "1", "INVITE", "client"),
        *_fetch_steps(TICKET, "ANONYMOUS"),
        answer("invite-ok", "200 OK", "1", "INVITE", "client", body=ANSWER),
        request("ack", "ACK sip:annc@127.9.8.2:5060", "1", "client"),
        Message("rtp", "rtp", "media", "client", seconds=length),
        request("bye", "BYE sip:127.9.8.3:5060", "1", "media"),
        answer("bye-ok", "200 OK", "1", "BYE", "media"),
    ]


def interactive() -> list[Message]:
    """Return the messages of the IVR diagram, all of them correct."""
    rump, ticket = (text.replace("anonymous", "submit+joe") for text in (RUMP, TICKET))
    collect = (
        '<MediaServerControl version="1.0"><request><playcollect id="1" skipinterval="4s" ffkey="6" rwkey="4"'
        ' firstdigittimer="0ms" interdigittimer="0ms" extradigittimer="0ms"'
        f' cleardigits="yes"><prompt stoponerror="yes"><audio url="{ticket}"/></prompt></playcollect></request>'
        "</MediaServerControl>"
    )
    length = len(OCTETS) / 8000
    done = (
        '<MediaServerControl version="1.0"><response id="1" request="playcollect" code="200" text="OK"'
        f' reason="timeout" playduration="{length - 4:.3f}s" playoffset="{length:.3f}s" digits=""/>'
        "</MediaServerControl>"
    )
    return [
        *_mail_steps(rump, ticket),
        request("invite", "INVITE sip:ivr@media.example.net", "1", "client", body=OFFER, kind=SDP),
        answer("invite-ok", "200 OK", "1", "INVITE", "client", body=ANSWER),
        request("ack", "ACK sip:annc@127.9.8.2:5060", "1", "client"),
        request("info", "INFO sip:annc@127.9.8.2:5060", "2", "client", body=collect, kind=MSCML),
        answer("info-ok", "200 OK", "2", "INFO", "client"),
        *_fetch_steps(ticket, "PLAIN"),
        Message("rtp", "rtp", "media", "client", seconds=3.0),
        request("key", "INFO sip:annc@127.9.8.2:5060", "3", "client", body=KEY, kind="application/dtmf-relay"),
        answer("key-ok", "200 OK", "3", "INFO", "client"),
        Message("rtp-again", "rtp", "media", "client", seconds=length - 7, content=7 * 8000),
        request("response", "INFO sip:127.9.8.3:5060", "1", "media", body=done, kind=MSCML),
        answer("response-ok", "200 OK", "1", "INFO", "media"),
        request("bye", "BYE sip:annc@127.9.8.2:5060", "4", "client"),
        answer("bye-ok", "200 OK", "4", "BYE", "client"),
    ]


def drop_messages(*names: str) -> Callable[[Flow], None]:
    """Return a change of a flow that leaves out the messages of these names."""

    def change(flow: Flow) -> None:
        for name in names:
            flow.drop(name)

    return change


def change_message(name: str, old: str, new: str) -> Callable[[Flow], None]:
    """Return a change of a flow that replaces a text in a message."""
    return lambda flow: flow.change(name, old, new)
