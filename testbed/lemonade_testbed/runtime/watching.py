"""Watches a client at its work, whatever the nodes run in: until it is done, out of time, or a server has died."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from lemonade_testbed.runtime.base import Stopped
from lemonade_testbed.runtime.readiness import Node
from lemonade_testbed.runtime.world import SERVERS, World

AFTER_DEATH = 5.0
"""Seconds that the client has to notice that a server died."""
_LOOK = 0.05


def watch(world: World, nodes: Mapping[str, Node], seconds: float, stopping: threading.Event) -> None:
    """Return once the client has ended, `seconds` are over, or AFTER_DEATH seconds after a server's death.

    Deaths, and a client that is not done in time, go into the world. Raises Stopped while the run is being stopped.
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
        raise Stopped
    _note_deaths(world, nodes)


def _note_deaths(world: World, nodes: Mapping[str, Node]) -> bool:
    """Note the servers that ended by themselves; return whether there is a new one."""
    before = len(world.died)
    for role in SERVERS:
        node = nodes.get(role)
        code = node.ended() if node else None
        if node is not None and code is not None and role not in world.died:
            _note_end(world, node, f"ended with exit code {code}")
    return len(world.died) > before


def _note_end(world: World, node: Node, why: str) -> None:
    world.died[node.role] = {"t": time.time(), "exit": node.ended(), "why": why, "log": world.log_tail(node.role)}
