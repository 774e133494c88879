"""The processes and the set-up of a test that runs nodes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lemonade_testbed.runtime.processes import ProcessTable, marked
from lemonade_testbed.scenario.world import Setup


@contextmanager
def process_table(folder: Path) -> Iterator[ProcessTable]:
    """Make the table of a run in `folder`; no process of the run may be left when the block ends."""
    run = folder / "run"
    run.mkdir()
    table = ProcessTable(run)
    try:
        yield table
    finally:
        table.stop()
    assert marked(run) == []


def make_setup(table: ProcessTable, name: str = "scenario", **more: object) -> Setup:
    """Return the set-up of a scenario with one account, in a new folder of the run."""
    folder = table.run / name
    folder.mkdir()
    return Setup(folder=folder, users={"joe": "secret"}, salt="00", **more)  # type: ignore[arg-type]  # the fields of Setup
