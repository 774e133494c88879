"""What every runtime offers, so that callers never ask which one they have; and what may go wrong around it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from lemonade_testbed.runtime.world import Setup, World
from lemonade_wire.trace import Trace


class EnvironmentBroken(Exception):  # noqa: N818  reads as what happened
    """The machine lacks something; the message says what, and what to do (exit 3)."""


class ContractBroken(Exception):  # noqa: N818  reads as what happened
    """A node does not do what the testbed's contract with nodes asks: never ready, say (exit 4).

    `role`: which node. `log`: its last log lines.
    """

    def __init__(self, role: str, why: str, log: Sequence[str] = ()) -> None:
        super().__init__(f"{role}: {why}")
        self.role = role
        self.why = why
        self.log = tuple(log)


class Stopped(Exception):  # noqa: N818  reads as what happened
    """The whole run is being stopped (Ctrl-C, SIGTERM): whoever sees this gives up at once."""


class Runtime(Protocol):
    """Runs the nodes of one scenario; one object per scenario.

    The calls come in this order: `prepare`, `start`, `exec_client`, `stop`, `collect`. `stop` may come at any time,
    more than once, from any thread, and leaves no process behind.
    """

    @property
    def trace(self) -> Trace:
        """The testbed's own trace (`trace-testbed.jsonl`), from `prepare` to `collect`."""

    def prepare(self, setup: Setup) -> World:
        """Take a network for the world and say who has which address; raises EnvironmentBroken."""

    def start(self, roles: Sequence[str]) -> None:
        """Start the servers `roles` and return when each is ready by its protocol.

        Raises EnvironmentBroken where a program is missing, ContractBroken where a node is not ready in time.
        """

    def exec_client(self, script: Path, seconds: float) -> None:
        """Run the client's script, for `seconds` at most; its exit code and deaths go into the world."""

    def stop(self) -> None:
        """Stop every node and give the network back."""

    def collect(self) -> None:
        """Bring the evidence into the world's folder, merge the traces, write `world.json`."""
