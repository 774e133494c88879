"""The folder of runs: a new folder per run, `latest`, and the removal of old runs."""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path

from lemonade_testbed.runtime.processes import is_running

KEPT = 20
LATEST = "latest"
_RUN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}_[0-9]{2}-[0-9]{2}-[0-9]{2}(\.[0-9]{3})?")


def new_run(runs: Path, now: float | None = None) -> Path:
    """Make the folder of a new run, named by its local time; two runs of the same second get two folders."""
    began = time.time() if now is None else now
    base = time.strftime("%Y-%m-%d_%H-%M-%S", time.localtime(began))
    runs.mkdir(parents=True, exist_ok=True)
    for name in (base, *(f"{base}.{count:03}" for count in range(1, 1000))):
        try:
            (runs / name).mkdir()
        except FileExistsError:
            continue
        return (runs / name).resolve()
    raise FileExistsError(f"{runs / base}: a thousand runs in one second")


def point_latest(run: Path) -> None:
    """Let `latest` beside the run point to it, in one step: a reader sees the old one or the new one."""
    draft = run.parent / f".{LATEST}-{os.getpid()}-{run.name}"
    draft.unlink(missing_ok=True)
    draft.symlink_to(run.name)
    draft.replace(run.parent / LATEST)


def prune(runs: Path, keep: int = KEPT) -> list[Path]:
    """Remove all runs but the newest `keep`; those that run are neither counted nor removed. Returns the removed."""
    ended = [path for path in runs.iterdir() if _RUN.fullmatch(path.name) and path.is_dir() and not is_running(path)]
    old = sorted(ended, key=lambda path: path.name, reverse=True)[keep:]
    for path in old:
        shutil.rmtree(path, ignore_errors=True)
    return old
