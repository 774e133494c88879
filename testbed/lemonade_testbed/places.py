"""Where scenarios and runs are: the repository that this package lies in, or the current folder."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from lemonade_testbed.scenario.loader import ScenarioError, find_scenarios, load_scenario
from lemonade_testbed.scenario.model import Scenario


class UsageError(Exception):
    """The command line asks for something that is not there; the message says what is (exit 2)."""


@dataclass(frozen=True)
class Places:
    """The folder or files of scenarios, and the folder of runs."""

    scenarios: tuple[Path, ...]
    runs: Path

    @classmethod
    def find(cls, scenarios: Iterable[Path] = (), runs: Path | None = None) -> Places:
        """Take what is given; else `scenarios` and `runs` of the current folder, or of this package's repository."""
        home = home_folder()
        given = tuple(scenarios) or (home / "scenarios",)
        for path in given:
            if not path.exists():
                raise UsageError(f"{path} is not there: --scenarios takes folders and files")
        return cls(given, (runs or home / "runs").absolute())

    def load(
        self, names: Iterable[str] = (), known_faults: Mapping[str, Collection[str]] | None = None
    ) -> list[Scenario]:
        """Return the scenarios called `names` (or the files of that path), all of them where no name is given.

        Raises UsageError for an unknown name, ScenarioError for a file that is wrong: one that nobody asked for is
        passed over.
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
    """Return the folder that holds `scenarios`: the current one, else this package's repository."""
    repository = Path(__file__).resolve().parents[2]
    here = Path.cwd()
    return here if (here / "scenarios").is_dir() or not (repository / "scenarios").is_dir() else repository
