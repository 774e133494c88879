"""Finds the folders of scenarios and of runs, makes a folder for each run, and removes old runs."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from lemonade_testbed.runtime.processes import is_running
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.scenario_loader import ScenarioError, find_scenarios, load_scenario

KEPT = 20
LATEST = "latest"
TOOLS = Path(__file__).resolve().parents[2] / "testbed/tools"
_RUN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}_[0-9]{2}-[0-9]{2}-[0-9]{2}(\.[0-9]{3})?")


def new_run(runs: Path, now: float | None = None) -> Path:
    """Make the folder of a new run and return it; it is named by the local time, with a count within one second.

    `now` is in seconds since 1970. Raises FileExistsError after 1,000 runs in one second.
    """
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
    """Let the link `latest` point to a run; it is replaced in one step, so that it exists at every moment."""
    draft = run.parent / f".{LATEST}-{os.getpid()}-{run.name}"
    draft.unlink(missing_ok=True)
    draft.symlink_to(run.name)
    draft.replace(run.parent / LATEST)


def prune(runs: Path, keep: int = KEPT) -> list[Path]:
    """Remove all ended runs but the newest `keep`, and return the removed ones; runs in progress are not counted."""
    ended = [path for path in runs.iterdir() if _RUN.fullmatch(path.name) and path.is_dir() and not is_running(path)]
    old = sorted(ended, key=lambda path: path.name, reverse=True)[keep:]
    for path in old:
        shutil.rmtree(path, ignore_errors=True)
    return old


class UsageError(Exception):
    """The command line asks for something that does not exist or does not fit; the message says what (exit code 2)."""


@dataclass(frozen=True)
class Places:
    """The folder or files of scenarios, and the folder of runs."""

    scenarios: tuple[Path, ...]
    runs: Path

    @classmethod
    def find(cls, scenarios: Iterable[Path] = (), runs: Path | None = None) -> Places:
        """Return the given paths, or `scenarios` and `runs` of the current folder or of this package's repository.

        Raises UsageError if a path of `scenarios` does not exist.
        """
        home = home_folder()
        given = tuple(scenarios) or (home / "scenarios",)
        for path in given:
            if not path.exists():
                raise UsageError(f"{path} is not there: --scenarios takes folders and files")
        return cls(given, (runs or home / "runs").absolute())

    def load(
        self, names: Iterable[str] = (), known_faults: Mapping[str, Collection[str]] | None = None
    ) -> list[Scenario]:
        """Return the scenarios of these names or file paths, or all scenarios if no name is given.

        Raises UsageError for an unknown name, and ScenarioError for a file that is not valid. If names are given, a
        file that is not valid is ignored unless its name is among them.
        """
        wanted = list(names)
        files = [path for path in wanted if path.endswith((".yaml", ".yml"))]
        for file in files:
            if not Path(file).is_file():
                raise UsageError(f"{file}: no such file")
        found: dict[str, Scenario] = {}
        wrong: dict[str, ScenarioError] = {}
        named = [name for name in wanted if name not in files]
        for path in self._paths() if named or not wanted else []:
            try:
                scenario = load_scenario(path, known_faults=known_faults)
            except ScenarioError as problem:
                if not wanted:
                    raise
                wrong[path.stem] = problem
                continue
            if scenario.name in found:
                other = found[scenario.name].path
                raise ScenarioError(str(path), 1, f"the scenario {scenario.name!r} is in {other} too")
            found[scenario.name] = scenario
        if not wanted:
            return list(found.values())
        loaded = {file: load_scenario(Path(file), known_faults=known_faults) for file in files}
        return [loaded[name] if name in loaded else _pick(name, found, wrong) for name in dict.fromkeys(wanted)]

    def _paths(self) -> list[Path]:
        return [path for given in self.scenarios for path in ([given] if given.is_file() else find_scenarios(given))]


def _pick(name: str, found: Mapping[str, Scenario], wrong: Mapping[str, ScenarioError]) -> Scenario:
    if name in found:
        return found[name]
    if name in wrong:
        raise wrong[name]
    near = get_close_matches(name, [*found, *wrong], n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(found)) or 'none'}"
    raise UsageError(f"no scenario {name!r}; {hint}")


def home_folder() -> Path:
    """Return the folder that holds `scenarios`: the current folder if it does, else this package's repository."""
    repository = Path(__file__).resolve().parents[2]
    here = Path.cwd()
    return here if (here / "scenarios").is_dir() or not (repository / "scenarios").is_dir() else repository


def tools_folder() -> Path:
    """Return `testbed/tools`, the maintainers' programs, which no package installs.

    Raises UsageError if this package is not installed from a clone of the repository (as `make setup` does it).
    """
    if not TOOLS.is_dir():
        raise UsageError("this command needs a clone of the repository: its program is in testbed/tools there")
    return TOOLS
