"""Captures of the hand-written runs of both diagrams: packets made octet by octet, which tshark reads."""

from __future__ import annotations

import base64
import json
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from socket import inet_aton
from typing import Any, Protocol

import pytest

from lemonade_testbed.capture.store import CAPTURE, View, load_run
from lemonade_testbed.clauses import load_clauses
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.judge import judge
from lemonade_testbed.scenario_loader import load_scenario
from lemonade_testbed.verdict import Verdict
from lemonade_wire.redaction import Redactor

SCENARIOS = Path(__file__).parents[4] / "scenarios"
PASSWORD, TOKEN = "xyzzy-17", "01" + "c3" * 32
FINGERPRINT = Redactor("s").fingerprint(TOKEN)
RAW_IP = 101


class Run(Protocol):
    """The methods of the hand-written runs in `tests/judge/conftest.py`."""

    folder: Path
    octets: bytes
    world: dict[str, Any]
    files: dict[str, str]
    steps: list[dict[str, Any]]

    def evidence(self) -> Evidence: ...

    def __getitem__(self, name: str) -> Any: ...  # noqa: ANN401  a message of theirs

    def drop(self, name: str) -> None: ...

    def change(self, name: str, old: str, new: str) -> None: ...


@dataclass
class Wire:
    """Packets on a wire: IPv4 with UDP or TCP, and the state of every TCP connection."""

    packets: list[tuple[float, bytes]] = field(default_factory=list)
    sent: dict[tuple[str, str], int] = field(default_factory=dict)

    def ip(self, t: float, source: str, target: str, protocol: int, payload: bytes) -> None:
        ends = b"".join(inet_aton(end.partition(":")[0]) for end in (source, target))
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0)
        self.packets.append((t, head + ends + payload))

    def udp(self, t: float, source: str, target: str, data: bytes) -> None:
        ports = [int(end.partition(":")[2]) for end in (source, target)]
        self.ip(t, source, target, 17, struct.pack(">HHHH", *ports, 8 + len(data), 0) + data)

    def tcp(self, t: float, source: str, target: str, data: bytes) -> None:
        if (source, target) not in self.sent:
            self._segment(t, source, target, 0x02)
            self._segment(t, target, source, 0x12)
            self._segment(t, source, target, 0x10)
        for start in range(0, len(data), 1400):
            self._segment(t, source, target, 0x18, data[start : start + 1400])
        self._segment(t + 0.0002, target, source, 0x10)

    def _segment(self, t: float, source: str, target: str, flags: int, data: bytes = b"") -> None:
        seq = self.sent.setdefault((source, target), 0)
        ack = self.sent.get((target, source), 0) if flags & 0x10 else 0
        ports = [int(end.partition(":")[2]) for end in (source, target)]
        self.ip(t, source, target, 6, struct.pack(">HHIIBBHHH", *ports, seq, ack, 0x50, flags, 65535, 0, 0) + data)
        self.sent[source, target] = seq + len(data) + (flags & 0x02) // 2

    def pcap(self) -> bytes:
        head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, RAW_IP)
        return head + b"".join(
            struct.pack("<IIII", *divmod(round(t * 1_000_000), 1_000_000), len(data), len(data)) + data
            for t, data in sorted(self.packets, key=lambda packet: packet[0])
        )


class Captured:
    """A run with traces and a capture: `write` writes both, and `judged` judges the run in one view."""

    password, token, fingerprint = PASSWORD, TOKEN, FINGERPRINT

    def __init__(self, flow: Run, name: str) -> None:
        self.scenario = load_scenario(SCENARIOS / f"{name}.yaml")
        self.folder: Path = flow.folder
        self.flow = flow
        self.wire = Wire()
        self.octets: bytes = flow.octets

    def write(self, leave_out: Callable[[dict[str, Any]], bool] = lambda _event: False) -> None:
        self.flow.world.setdefault("capture", {})
        self.flow.evidence()
        for trace in self.folder.glob("trace-*.jsonl"):
            trace.write_text(trace.read_text().replace("fp-0123456789abcdef", FINGERPRINT))
        events = [line for node in ("imap", "media", "client") for line in self.lines(node)]
        for event in sorted(events, key=lambda event: event["t"]):
            if event["event"] in {"sip", "imap", "rtp"} and not leave_out(event):
                self._cross(event)
        self.count()
        self.put()

    def put(self) -> None:
        (self.folder / "secret").mkdir(exist_ok=True)
        (self.folder / CAPTURE).write_bytes(self.wire.pcap())

    def count(self, **changed: int | None) -> None:
        world = json.loads((self.folder / "world.json").read_text())
        number = len(self.wire.packets)
        counts = {"packets": number, "interface": number, "dropped": 0, "interface_dropped": 0} | changed
        world["capture"] = {name: count for name, count in counts.items() if count is not None}
        (self.folder / "world.json").write_text(json.dumps(world))

    def _cross(self, event: dict[str, Any]) -> None:
        text = event.get("text", "").replace(FINGERPRINT, TOKEN).replace("***", PASSWORD)
        if event["event"] == "rtp":
            header = struct.pack(">BBHII", 0x80, event["pt"], event["seq"], event["ts"], event["ssrc"])
            self.wire.udp(event["t"], event["remote"], event["local"], header + base64.b64decode(event["payload"]))
        elif event["way"] == "sent" and event["event"] == "sip":
            head, _, body = text.partition("\r\n\r\n")
            head = re.sub("(?m)^Content-Length: .*$", f"Content-Length: {len(body)}", head)
            head = head.replace("\r\nVia", "\r\nMax-Forwards: 70\r\nVia") + "\r\n\r\n"
            self.wire.udp(event["t"], event["local"], event["remote"], (head + body).encode())
        elif event["way"] == "sent":
            octets = re.sub(r"(~\{[0-9]+\})", "\\1\r\n\0", text).encode().replace(b"\0", self.octets) + b"\r\n"
            source, target = event["local"], event["remote"]
            if event["side"] == "server" and (source, target) not in self.wire.sent:
                self.wire.tcp(event["t"], target, source, b"")
            self.wire.tcp(event["t"], source, target, octets)

    def lines(self, node: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / f"trace-{node}.jsonl").read_text().splitlines()]

    def tell(self, node: str, events: list[dict[str, Any]], *, counted: bool = True) -> None:
        lines = [event | {"n": n} if counted else event for n, event in enumerate(events, 1)]
        (self.folder / f"trace-{node}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        if counted:
            world = json.loads((self.folder / "world.json").read_text())
            world["lines"][node] = len(lines)
            (self.folder / "world.json").write_text(json.dumps(world))

    def evidence(self, view: View = "both") -> Evidence:
        return load_run(self.folder, view)

    def judged(self, view: View = "both") -> Verdict:
        return judge(self.scenario, self.evidence(view), load_clauses())


@pytest.fixture
def announcement(annc: Run) -> Captured:
    return Captured(annc, "announcement-service")


@pytest.fixture
def interactive(ivr: Run) -> Captured:
    return Captured(ivr, "ivr-service")
