"""One live line per scenario while a run goes on; plain lines where the output is no terminal."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

_STYLES = {"pass": "green", "nonstrict": "yellow", "fail": "bold red", "error": "bold red", "unsupported": "cyan"}


class Board:
    """Shows what each scenario is doing; safe to use from several threads.

    On a terminal the lines change in place, elsewhere a line is written when a scenario ends.
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
        """Show what `name` is doing now."""
        with self._lock:
            self._began.setdefault(name, time.monotonic())
            self._states[name] = state

    def end(self, name: str, outcome: str) -> None:
        """Show how `name` ended."""
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
