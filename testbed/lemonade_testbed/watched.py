"""What a person sees of a command at work: a line to standard error, and a run with its board."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from lemonade_testbed.live import Board
from lemonade_testbed.run import DEFAULT_JOBS, DOCKER_JOBS, RUNTIMES, Runner, Running
from lemonade_testbed.runtime.choice import DOCKER


def tell(text: str) -> None:
    """Say a line where there is no board yet."""
    print(text, file=sys.stderr)  # noqa: T201  a command line tool speaks


@contextmanager
def watched(
    runs: Path, names: Sequence[str], runtime: str, console: Console, *, jobs: int | None = None, strict: bool = False
) -> Iterator[Running]:
    """Open a run of the jobs of these names, each with a live line on the console.

    `jobs`: how many at a time; None for as many as fit the runtime, since four containers each are more work than
    three processes.
    """
    with Board(names, console) as board:
        runner = Runner(
            runs,
            jobs=jobs or (DOCKER_JOBS if runtime == DOCKER else DEFAULT_JOBS),
            strict=strict,
            make_runtime=RUNTIMES[runtime],
            say=board.say,
            done=lambda ended: board.end(ended.job.name, ended.verdict.outcome.value),
        )
        with runner.open() as running:
            yield running
