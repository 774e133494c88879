"""Loads the evidence of a run from its capture, from its traces, or from both.

The capture is in the run's folder `secret/`. Its events, without secrets, are kept beside the traces in
`capture.jsonl`, so that a run can be judged again without tshark and after `secret/` was deleted. The first line of
`capture.jsonl` is about the capture as a whole; each other line is an event in the format of a trace.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, get_args

from lemonade_testbed.capture.compare import compare, incomplete
from lemonade_testbed.capture.pcap import PcapError, names_of, pcapng, read_pcap, step_comments, write_secret
from lemonade_testbed.capture.reader import Reading, read_capture
from lemonade_testbed.capture.tshark import Tshark, installed_tshark
from lemonade_testbed.evidence import CaptureFinding, Event, Evidence, EvidenceError, load_evidence, whole_lines

View = Literal["capture", "traces", "both"]
VIEWS: tuple[View, ...] = get_args(View)
CAPTURE = Path("secret/capture.pcap")
CAPTURE_NG = Path("secret/capture.pcapng")
KEYS = Path("secret/tls-keys.log")
READ = "capture.jsonl"
WIRE = frozenset({"sip", "imap", "rtp", "rtcp"})
"""The kinds of events that a capture shows: with `both`, they are used from the capture and not from the traces."""
RELAY = "relay"
"""The relay's name. It is part of the testbed and no node under test, so its trace is used in every view."""

FindTshark = Callable[[], Tshark | None]


def load_run(folder: Path, view: View = "both", find: FindTshark = installed_tshark) -> Evidence:
    """Return the evidence of a run in one view; without a capture, `both` is the same as `traces`.

    `find` returns the tshark to use. Raises EvidenceError if the run cannot be read, or if the view is `capture` and
    there is none.
    """
    evidence = load_evidence(folder)
    if view == "traces":
        return evidence
    reading = _reading(folder, evidence, find)
    if reading is None:
        if view == "capture":
            raise EvidenceError(f"{folder}: there is no capture ({CAPTURE} or {READ})")
        lost = () if evidence.world.capture is None else ("the run was captured, and its capture is not here",)
        return replace(evidence, problems=(*evidence.problems, *lost))
    problems = (*reading.problems, *incomplete(evidence.world.capture, reading.packets))
    if view == "capture":
        logs = {name: text for name, text in evidence.files.items() if not name.endswith(".jsonl")}
        return replace(
            evidence,
            events=_merged(reading.events, evidence.of("relay", RELAY)),
            problems=problems,
            files=logs,
            findings=reading.findings,
            remarks=reading.remarks,
        )
    return replace(
        evidence,
        events=_merged(reading.events, (event for event in evidence.events if event.kind not in WIRE)),
        problems=(*evidence.problems, *problems),
        findings=reading.findings,
        remarks=(*reading.remarks, *compare(reading.events, evidence)),
    )


def _merged(wire: Iterable[Event], traced: Iterable[Event]) -> tuple[Event, ...]:
    return tuple(sorted([*wire, *traced], key=lambda event: event.t))


def _reading(folder: Path, evidence: Evidence, find: FindTshark) -> Reading | None:
    """Return the reading of a run's capture: from `capture.jsonl`, or by tshark if the capture is newer than that file.

    Returns None if there is neither.
    """
    capture, made = folder / CAPTURE, folder / READ
    if capture.is_file() and (not made.is_file() or made.stat().st_mtime_ns < capture.stat().st_mtime_ns):
        tshark = find()
        if tshark is None:
            return Reading((), problems=(f"{CAPTURE} cannot be read: no tshark here; apt-get install tshark",))
        reading = read_capture(capture, evidence.world, tshark, _keys(folder))
        if not reading.unreadable:
            made.write_text(written(reading), encoding="utf-8")
            keep_for_people(folder, evidence)
        return reading
    return read_made(made) if made.is_file() else None


def keep_for_people(folder: Path, evidence: Evidence) -> None:
    """Write `secret/capture.pcapng`: the capture with host names, TLS keys, and a comment for each step of the client.

    Raises EvidenceError if the capture cannot be read.
    """
    try:
        capture = read_pcap(folder / CAPTURE)
    except (OSError, PcapError) as problem:
        raise EvidenceError(str(problem)) from problem
    comments = step_comments(capture, evidence.of("step", "client"))
    write_secret(folder / CAPTURE_NG, pcapng(capture, names_of(evidence.world), comments, _keys(folder)))


def _keys(folder: Path) -> bytes:
    return (folder / KEYS).read_bytes() if (folder / KEYS).is_file() else b""


def written(reading: Reading) -> str:
    """Return a reading as the text of `capture.jsonl`."""
    head: dict[str, Any] = {
        "event": "capture",
        "packets": reading.packets,
        "findings": [asdict(finding) for finding in reading.findings],
        "problems": list(reading.problems),
        "remarks": list(reading.remarks),
    }
    lines = [head] + [
        {"t": event.t, "node": event.node, "n": event.n, "event": event.kind} | dict(event.fields)
        for event in reading.events
    ]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def read_made(path: Path) -> Reading:
    """Read `capture.jsonl`; raises EvidenceError, which names the line that cannot be read."""
    lines = whole_lines(path.read_text("utf-8"))
    number = 1
    try:
        head = json.loads(lines[0])
        events = []
        for line in lines[1:]:
            number += 1
            fields = json.loads(line)
            t, node, n, kind = (fields.pop(key) for key in ("t", "node", "n", "event"))
            events.append(Event(float(t), str(node), int(n), str(kind), fields))
        return Reading(
            tuple(events),
            tuple(CaptureFinding(**finding) for finding in head["findings"]),
            tuple(map(str, head["problems"])),
            tuple(map(str, head["remarks"])),
            int(head["packets"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as problem:
        raise EvidenceError(f"{path}, line {number}: not what was read from a capture") from problem
