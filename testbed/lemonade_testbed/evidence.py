"""Evidence of a run: the world it ran in, the merged events of all nodes, the logs.

`load_evidence` reads a run's folder; everything after it is a pure function of what it returns.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL
from typing import Any

NODES = ("imap", "media", "client", "testbed", "relay")


class EvidenceError(ValueError):
    """A run's folder cannot be read as evidence; the message names the file (and line)."""


@dataclass(frozen=True)
class Role:
    """Where a role lives: its address tells whose a message is, whatever the port.

    `aliases` mean the role too: a relay's front for it, say.
    """

    address: str
    port: int = 0
    name: str = ""
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class World:
    """What `world.json` says. `died` maps a node to what is known of its end; times are seconds since 1970;
    `timed_out`: the client had to be stopped; `capture`: the counts of the packet capture, None where there was none;
    `lines`: how many lines each node's trace had when it was collected, so that a missing last one shows too.
    """

    roles: Mapping[str, Role]
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
        """Return the role that owns `ip:port` (or a bare IP address), or None."""
        host = address.rpartition(":")[0] or address
        return next((name for name, role in self.roles.items() if host in {role.address, *role.aliases}), None)

    def was_killed(self, node: str) -> bool:
        """Tell whether a node died, or had to be killed: it may have stopped in the middle of a line."""
        return node in self.died or self.exits.get(node) in {-SIGKILL, 128 + SIGKILL}

    def own(self, address: str) -> str:
        """Return `ip:port` with an alias replaced by its role's own address, so that both ends tell it alike."""
        host, colon, port = address.rpartition(":")
        for role in self.roles.values():
            if host in role.aliases:
                return f"{role.address}{colon}{port}"
        return address


@dataclass(frozen=True)
class Event:
    """One line of a trace: time, node, the node's own count, what it is, and the other fields."""

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
class Finding:
    """A packet that the second reader calls malformed or an error: its number, sender, receiver, protocol, why."""

    packet: int
    source: str
    target: str
    protocol: str
    why: str

    def __str__(self) -> str:
        return f"packet {self.packet}, {self.protocol} {self.source}->{self.target}: {self.why}"


@dataclass(frozen=True)
class Evidence:
    """All that is known of a run.

    `events` are merged in the order of time; `problems` say what is wrong with the evidence itself (a missing trace
    line, say): with one of them no verdict can be trusted. `message` is the mail as provisioned; `heard` the path of
    the client's recording; `files` the raw texts (logs and traces) by name. `findings` are the second reader's, and
    `remarks` what capture and traces tell differently.
    """

    world: World
    events: tuple[Event, ...]
    problems: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    message: bytes | None = None
    heard: Path | None = None
    folder: Path | None = None
    findings: tuple[Finding, ...] = ()
    remarks: tuple[str, ...] = ()

    def of(self, kind: str, *nodes: str) -> tuple[Event, ...]:
        """Return the events of a kind, of the given nodes alone where any are given."""
        return tuple(event for event in self.events if event.kind == kind and (not nodes or event.node in nodes))


def load_evidence(run_dir: Path) -> Evidence:
    """Read a run's folder; raises EvidenceError where `world.json` or a trace cannot be read."""
    world = _world(run_dir / "world.json")
    problems: list[str] = []
    files: dict[str, str] = {}
    events: list[Event] = []
    for node in NODES:
        for name in (f"trace-{node}.jsonl", f"{node}.log"):
            path = run_dir / name
            if path.is_file():
                files[name] = path.read_text("utf-8", errors="replace")
        name, text = f"trace-{node}.jsonl", files.get(f"trace-{node}.jsonl", "")
        read = _events(name, text, world, problems)
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


def _world(path: Path) -> World:
    try:
        data = json.loads(path.read_text("utf-8"))
        roles = {
            name: Role(
                str(role["address"]),
                int(role.get("port", 0)),
                str(role.get("name", "")),
                tuple(map(str, role.get("aliases", ()))),
            )
            for name, role in data["roles"].items()
        }
        return World(
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
    """Return the lines of a trace; one that a killed node left unfinished in the end is none.

    A line ends at LF alone: what else Unicode ends a line with may stand in an event's text.
    """
    return text.split("\n")[:-1]


def _events(name: str, text: str, world: World, problems: list[str]) -> list[Event]:
    events = []
    for number, line in enumerate(whole_lines(text), 1):
        try:
            fields = json.loads(line)
            head = {key: fields.pop(key) for key in ("t", "node", "n", "event")}
            fields |= {key: world.own(fields[key]) for key in ("local", "remote") if isinstance(fields.get(key), str)}
            events.append(Event(float(head["t"]), str(head["node"]), int(head["n"]), str(head["event"]), fields))
        except (ValueError, TypeError, KeyError, AttributeError):
            problems.append(f"{name}, line {number}: not an event of a trace")
    return events


def _gaps(node: str, events: list[Event], lines: int | None) -> list[str]:
    """Return what shows that lines of a trace are missing: by their own numbers, and by `lines`, where that is known.

    The numbers alone do not show the last ones, and a node that was killed could not have written that it ends.
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
