"""Merges the traces of all nodes by time, whatever the runtime."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lemonade_testbed.evidence import whole_lines
from lemonade_testbed.runtime.world import ROLES, World


def merge_traces(world: World) -> None:
    """Write all events of all traces into `events.jsonl`, in the order of time, and note how many each trace has."""
    paths = {role: world.trace(role) for role in (*ROLES, "testbed", "relay")}
    traces = {role: read_trace(path) for role, path in paths.items() if path.exists()}
    world.lines = {role: len(events) for role, events in traces.items()}
    events = [event for trace in traces.values() for event in trace]
    events.sort(key=lambda event: event["t"])
    with (world.setup.folder / "events.jsonl").open("w", encoding="utf-8") as merged:
        merged.writelines(json.dumps(event, ensure_ascii=False) + "\n" for event in events)


def read_trace(path: Path) -> list[dict[str, Any]]:
    """Return a trace's events; a last line that a killed node left unfinished is left out."""
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
