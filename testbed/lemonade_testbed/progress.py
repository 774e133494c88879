"""Shows the progress of a command: a line per scenario that is updated in place, or plain lines without a terminal."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lemonade_testbed.run import DEFAULT_JOBS, DOCKER_JOBS, RUNTIMES, Running, ScenarioRunner
from lemonade_testbed.runtime.choice import DOCKER

_STYLES = {"pass": "green", "nonstrict": "yellow", "fail": "bold red", "error": "bold red", "unsupported": "cyan"}


class Board:
    """Shows the state of each scenario; several threads may use it.

    On a terminal the lines are updated in place; elsewhere a line is written when a scenario ends.
    """

    def __init__(self, names: Sequence[str], console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._states = dict.fromkeys(names, "waiting")
        self._began: dict[str, float] = {}
        self._ended: dict[str, float] = {}
        self._live = Live(console=console, get_renderable=self._table, refresh_per_second=8, transient=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._console.is_terminal:
            self._live.stop()
            self._console.print(self._table())

    def say(self, name: str, state: str) -> None:
        """Set the state that is shown for the scenario `name`."""
        with self._lock:
            self._began.setdefault(name, time.monotonic())
            self._states[name] = state

    def end(self, name: str, outcome: str) -> None:
        """Show the outcome of the scenario `name` and stop its clock."""
        self.say(name, outcome)
        with self._lock:
            self._ended[name] = time.monotonic()
            if not self._console.is_terminal:
                seconds = self._ended[name] - self._began[name]
                self._console.print(f"{name}  {outcome}  {seconds:.1f} s", highlight=False, soft_wrap=True)

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        with self._lock:
            for name, state in self._states.items():
                now = self._ended.get(name, time.monotonic())
                seconds = now - self._began.get(name, now)
                table.add_row(name, Text(state, _STYLES.get(state, "")), f"{seconds:.1f} s" if seconds else "")
        return table


def tell(text: str) -> None:
    """Print a line to standard error, before a progress board is shown."""
    print(text, file=sys.stderr)  # noqa: T201  a command line tool prints


@contextmanager
def watched(
    runs: Path, names: Sequence[str], runtime: str, console: Console, *, jobs: int | None = None, strict: bool = False
) -> Iterator[Running]:
    """Open a run of jobs with these names, and show a line for each on the console.

    `jobs` is the number of jobs at a time. With None it depends on the runtime: a job in containers needs more of the
    machine than a job of processes.
    """
    with Board(names, console) as board:
        runner = ScenarioRunner(
            runs,
            jobs=jobs or (DOCKER_JOBS if runtime == DOCKER else DEFAULT_JOBS),
            strict=strict,
            make_runtime=RUNTIMES[runtime],
            say=board.say,
            done=lambda ended: board.end(ended.job.name, ended.verdict.outcome.value),
        )
        with runner.open() as running:
            yield running
