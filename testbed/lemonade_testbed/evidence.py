"""The evidence of a run: the recorded setup (`world.json`), the merged trace events of all nodes, and the logs.

`load_evidence` reads a run's folder. The judge reads no other file of the run: its verdict is a function of the
evidence alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL
from typing import Any


class EvidenceError(ValueError):
    """A run's folder cannot be read as evidence; the message names the file."""


@dataclass(frozen=True)
class NodeAddress:
    """The network address of a node: a message is attributed to the node by the IP address, whatever the port.

    `name` is its host name. `aliases` are further IP addresses that stand for the node, such as the relay's front for
    it. `kind` is its role (`client`, `imap`, `media`) if the run has several nodes of one role; it is empty if the node
    is named by its role.
    """

    address: str
    port: int = 0
    name: str = ""
    aliases: tuple[str, ...] = ()
    kind: str = ""


@dataclass(frozen=True)
class RecordedWorld:
    """The content of `world.json`: the nodes of a run, how they were set up, and how they ended.

    `roles` maps each node to its address; a node is named by its role, or by a name of its own if the run has several
    nodes of one role. `faults` maps a node to the fault that it was started with, `exits` to its exit code, `died` to
    what is known of its death. `started` and `ended` are in seconds since 1970, `media_length` is in seconds.
    `timed_out` is True if the client had to be stopped. `capture` has the counts of the packet capture, and is None
    without one. `lines` maps a node to the number of events that its trace had when it was collected, so that a missing
    last line is detected too.
    """

    roles: Mapping[str, NodeAddress]
    profile: str = "draft-07"
    salt: str = ""
    seed: int = 0
    faults: Mapping[str, str] = field(default_factory=dict)
    exits: Mapping[str, int] = field(default_factory=dict)
    died: Mapping[str, Any] = field(default_factory=dict)
    started: float = 0.0
    ended: float = 0.0
    media_length: float = 0.0
    timed_out: bool = False
    capture: Mapping[str, Any] | None = None
    lines: Mapping[str, int] = field(default_factory=dict)

    def role_of(self, address: str) -> str | None:
        """Return the name of the node that has the address `ip:port` or `ip`, or None."""
        host = address.rpartition(":")[0] or address
        return next((name for name, role in self.roles.items() if host in {role.address, *role.aliases}), None)

    def kind_of(self, node: str | None) -> str:
        """Return the role of a node (`client`, `imap`, `media`) by the node's name; empty for None."""
        role = self.roles.get(node or "")
        return (role.kind if role else "") or (node or "")

    def was_killed(self, node: str) -> bool:
        """Tell whether a node died or was killed; its trace may then end in the middle of a line."""
        return node in self.died or self.exits.get(node) in {-SIGKILL, 128 + SIGKILL}

    def own(self, address: str) -> str:
        """Return `ip:port` with an alias replaced by the node's own address.

        Behind a relay each end knows its peer by an alias; with this both ends' events name the same two addresses.
        """
        host, colon, port = address.rpartition(":")
        for role in self.roles.values():
            if host in role.aliases:
                return f"{role.address}{colon}{port}"
        return address


@dataclass(frozen=True)
class Event:
    """One line of a node's trace.

    `t` is its time in seconds since 1970, `node` the node's name, `n` the line's number in that node's trace, from 1;
    `kind` is the field `event`, and `fields` are all other fields.
    """

    t: float
    node: str
    n: int
    kind: str
    fields: Mapping[str, Any]

    def text(self, name: str) -> str:
        """Return a field as text; empty where it is missing or not text."""
        value = self.fields.get(name)
        return value if isinstance(value, str) else ""

    def number(self, name: str) -> int:
        """Return a field as a whole number; 0 where it is missing or not a number."""
        value = self.fields.get(name)
        return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0


@dataclass(frozen=True)
class CaptureFinding:
    """A packet that the reader of the capture reports as malformed or as an error.

    `packet` is its number in the capture, `source` and `target` are its sender and receiver.
    """

    packet: int
    source: str
    target: str
    protocol: str
    why: str

    def __str__(self) -> str:
        return f"packet {self.packet}, {self.protocol} {self.source}->{self.target}: {self.why}"


@dataclass(frozen=True, eq=False)  # compared and hashed by identity, so that what is read from it can be cached
class Evidence:
    """Everything that is known of a run.

    `events` are those of all nodes, in the order of time. `problems` are sentences on defects of the evidence itself,
    such as a missing line of a trace; with one of them no verdict can be trusted. `files` are the texts of the logs and
    traces by file name. `message` is the mail as it was stored in the mailbox, `heard` the path of the client's
    recording, `folder` the run's folder. `findings` are packets that the reader of the capture reports, and `remarks`
    are differences between the capture and the traces.
    """

    world: RecordedWorld
    events: tuple[Event, ...]
    problems: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    message: bytes | None = None
    heard: Path | None = None
    folder: Path | None = None
    findings: tuple[CaptureFinding, ...] = ()
    remarks: tuple[str, ...] = ()

    def of(self, kind: str, *nodes: str) -> tuple[Event, ...]:
        """Return the events of a kind, of all nodes or of the given ones; a role's name stands for all its nodes."""
        wanted = {*nodes, *(name for name in self.world.roles if self.world.kind_of(name) in nodes)}
        return tuple(event for event in self.events if event.kind == kind and (not nodes or event.node in wanted))


def load_evidence(run_dir: Path) -> Evidence:
    """Read the traces and logs in a run's folder; raises EvidenceError if `world.json` cannot be read.

    A defect of a trace is no error: it is a sentence in `Evidence.problems`.
    """
    world = _world(run_dir / "world.json")
    problems: list[str] = []
    files: dict[str, str] = {}
    events: list[Event] = []
    for node in (*world.roles, "relay"):
        for name in (f"trace-{node}.jsonl", f"{node}.log"):
            path = run_dir / name
            if path.is_file():
                files[name] = path.read_text("utf-8", errors="replace")
        name, text = f"trace-{node}.jsonl", files.get(f"trace-{node}.jsonl", "")
        read = _events(node, text, world, problems)
        if text and not text.endswith("\n") and not world.was_killed(node):
            problems.append(f"{name}: its last line is not whole")
        problems += _gaps(node, read, world.lines.get(node))
        events += read
    events.sort(key=lambda event: event.t)
    message, heard = run_dir / "message.eml", run_dir / "heard.wav"
    return Evidence(
        world,
        tuple(events),
        tuple(problems),
        files,
        message.read_bytes() if message.is_file() else None,
        heard if heard.is_file() else None,
        run_dir,
    )


def _world(path: Path) -> RecordedWorld:
    try:
        data = json.loads(path.read_text("utf-8"))
        roles = {
            name: NodeAddress(
                str(role["address"]),
                int(role.get("port", 0)),
                str(role.get("name", "")),
                tuple(map(str, role.get("aliases", ()))),
                str(role.get("kind", "")),
            )
            for name, role in data["roles"].items()
        }
        return RecordedWorld(
            roles,
            profile=str(data.get("profile", "draft-07")),
            salt=str(data.get("salt", "")),
            seed=int(data.get("seed", 0)),
            faults=dict(data.get("faults") or {}),
            exits={name: int(code) for name, code in (data.get("exits") or {}).items() if code is not None},
            died=dict(data.get("died") or {}),
            started=float(data.get("started") or 0.0),
            ended=float(data.get("ended") or 0.0),
            media_length=float(data.get("media_length") or 0.0),
            timed_out=data.get("timed_out") is True,
            capture=None if data.get("capture") is None else dict(data["capture"]),
            lines={node: int(count) for node, count in (data.get("lines") or {}).items()},
        )
    except OSError as problem:
        raise EvidenceError(f"{path}: {problem.strerror}") from problem
    except (ValueError, TypeError, KeyError, AttributeError) as problem:
        raise EvidenceError(f"{path}: not the world of a run ({type(problem).__name__}: {problem})") from problem


def whole_lines(text: str) -> list[str]:
    """Return the lines of a trace that end in LF: a node that is killed may leave its last line unfinished.

    `str.splitlines` would not do: an event's text may hold other line separators of Unicode.
    """
    return text.split("\n")[:-1]


def _events(node: str, text: str, world: RecordedWorld, problems: list[str]) -> list[Event]:
    """Read a node's trace, and append a sentence to `problems` for each line that is no event.

    The events get the node's name in the run, `node`: the field `node` in the trace is its role.
    """
    events = []
    for number, line in enumerate(whole_lines(text), 1):
        try:
            fields = json.loads(line)
            head = {key: fields.pop(key) for key in ("t", "node", "n", "event")}
            fields |= {key: world.own(fields[key]) for key in ("local", "remote") if isinstance(fields.get(key), str)}
            events.append(Event(float(head["t"]), node, int(head["n"]), str(head["event"]), fields))
        except (ValueError, TypeError, KeyError, AttributeError):
            problems.append(f"trace-{node}.jsonl, line {number}: not an event of a trace")
    return events


def _gaps(node: str, events: list[Event], lines: int | None) -> list[str]:
    """Return a sentence if lines of a trace are missing or there twice, else an empty list.

    The events are numbered from 1, which shows a gap. Missing last lines leave no gap, and a node that was killed
    writes no last event; they show by `lines`, the number of events when the trace was collected, if that is known.
    """
    numbers = sorted(event.n for event in events)
    first = next((want for want, have in enumerate(numbers, 1) if want != have), 0)
    if first:
        return [f"trace-{node}.jsonl: event {first} is missing or there twice, so the evidence is not whole"]
    if lines is not None and lines != len(events):
        return [
            f"trace-{node}.jsonl: {len(events)} events of {lines} that were collected, so the evidence is not whole"
        ]
    return []
