"""The interface of every runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from lemonade_testbed.scenario.world import Setup, World
from lemonade_wire.trace import Trace


class Runtime(Protocol):
    """Runs the nodes of one scenario; there is one object for each scenario.

    The methods are called in this order: `prepare`, `start`, `exec_client`, `stop`, `collect`. `stop` may be called at
    any time, more than once and from any thread; after it no process of the nodes runs.
    """

    @property
    def trace(self) -> Trace:
        """The trace of the testbed's own requests (`trace-testbed.jsonl`), open from `prepare` to `collect`."""

    def prepare(self, setup: Setup) -> World:
        """Claim a network and give each node an address on it; raises EnvironmentBroken."""

    def start(self, names: Sequence[str]) -> None:
        """Start the servers of these names, and return when each of them answers in its protocol.

        Raises EnvironmentBroken if a program is missing, and ContractBroken if a node is not ready in time.
        """

    def exec_client(self, script: Path, seconds: float) -> None:
        """Run the client's script for at most `seconds`; the world gets the deaths of nodes during that time."""

    def stop(self) -> None:
        """Stop every node, and release the network."""

    def collect(self) -> None:
        """Merge the traces in the world's folder, and write `world.json`."""
