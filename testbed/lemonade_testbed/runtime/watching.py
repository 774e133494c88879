"""Waits for the end of the client in any runtime, and merges the traces of all nodes by time."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lemonade_testbed.errors import RunStopped
from lemonade_testbed.evidence import whole_lines
from lemonade_testbed.runtime.readiness import Node
from lemonade_testbed.scenario.world import World


def merge_traces(world: World) -> None:
    """Write the events of all traces into `events.jsonl` in the order of time, and note in the world how many each has.

    The field `node` is a node's role in its own trace, and its name in `events.jsonl`.
    """
    paths = {node: world.trace(node) for node in (*world.roles, "relay")}
    traces = {node: read_trace(path) for node, path in paths.items() if path.exists()}
    world.lines = {node: len(events) for node, events in traces.items()}
    events = [event | {"node": node} for node, trace in traces.items() for event in trace]
    events.sort(key=lambda event: event["t"])
    with (world.setup.folder / "events.jsonl").open("w", encoding="utf-8") as merged:
        merged.writelines(json.dumps(event, ensure_ascii=False) + "\n" for event in events)


def read_trace(path: Path) -> list[dict[str, Any]]:
    """Return a trace's events; an unfinished last line and lines that are no events are left out."""
    if not path.exists():
        return []
    events = []
    for line in whole_lines(path.read_text(encoding="utf-8", errors="replace")):
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and "t" in event:
            events.append(event)
    return events


AFTER_DEATH = 5.0
"""Seconds that the client may run on after a server has died."""
_LOOK = 0.05


def watch(world: World, nodes: Mapping[str, Node], seconds: float, stopping: threading.Event) -> None:
    """Return when the client has ended, when `seconds` are over, or AFTER_DEATH seconds after a server's death.

    Deaths, and a client that is not done in time, are noted in `World.died`. Raises RunStopped if the run is being
    stopped.
    """
    deadline = time.monotonic() + seconds
    while nodes["client"].ended(_LOOK) is None and not stopping.is_set():
        if _note_deaths(world, nodes):
            deadline = min(deadline, time.monotonic() + AFTER_DEATH)
        if time.monotonic() > deadline:
            if not world.died:
                _note_end(world, nodes["client"], f"not done within {seconds:.0f} s")
            break
    if stopping.is_set():
        raise RunStopped
    _note_deaths(world, nodes)


def _note_deaths(world: World, nodes: Mapping[str, Node]) -> bool:
    """Note the servers that have ended by themselves; returns whether there is one that was not noted before."""
    before = len(world.died)
    for server in world.setup.servers:
        node = nodes.get(server.name)
        code = node.ended() if node else None
        if node is not None and code is not None and server.name not in world.died:
            _note_end(world, node, f"ended with exit code {code}")
    return len(world.died) > before


def _note_end(world: World, node: Node, why: str) -> None:
    world.died[node.role] = {"t": time.time(), "exit": node.ended(), "why": why, "log": world.log_tail(node.role)}
