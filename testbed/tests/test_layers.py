"""The modules of the testbed import in one direction, as the packages do, and public classes have unique names."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from lemonade_testbed.clauses import SCENARIOS

ROOT = SCENARIOS.parent
FOLDERS = {
    "lemonade_wire": "wire",
    "lemonade_imap": "imap-server",
    "lemonade_media": "media-server",
    "lemonade_client": "client",
    "lemonade_testbed": "testbed",
}
LAYERS = (
    ("errors", "procfs", "signals", "evidence", "audio", "relay", "authority"),
    ("ladder", "verdict", "scenario", "mailparts", "clauses"),
    ("containers", "capture"),
    ("checks",),
    ("scenario_loader", "reasons", "coverage", "judge", "mutate"),
    ("report",),
    ("runtime", "places", "vendors", "ownmail"),
    ("run", "prove", "output", "progress", "repeat"),
    ("vendor_check", "playground", "faults", "certs", "listing", "cli"),
)
"""The modules and packages of `lemonade_testbed`, the lowest layer first; each may import its own layer and lower."""
MEDIA_LAYERS = (
    ("faults", "decoding"),
    ("model",),
    ("fetch", "rtp"),
    ("recording", "config"),
    ("services",),
    ("calls",),
    ("app",),
    ("cli",),
)
"""The packages and modules of `lemonade_media`, as `LAYERS` has them of the testbed."""


def imports(package: str) -> Mapping[str, set[str]]:
    """Return, for each module or package directly inside a package, the others that it imports."""
    root = ROOT / FOLDERS[package] / package
    graph: dict[str, set[str]] = {}
    for path in root.rglob("*.py"):
        name = path.relative_to(root).with_suffix("").parts[0]
        if name not in {"__init__", "testing"}:
            graph.setdefault(name, set()).update(set(_imported(path, package)) - {name})
    return graph


def _imported(path: Path, package: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            first, *inside = node.module.split(".")
            if first == package:
                yield from inside[:1] or [alias.name for alias in node.names]


@pytest.mark.parametrize(("package", "layers"), [("lemonade_testbed", LAYERS), ("lemonade_media", MEDIA_LAYERS)])
def test_every_module_has_its_layer(package: str, layers: tuple[tuple[str, ...], ...]) -> None:
    assert {name for layer in layers for name in layer} == set(imports(package))


@pytest.mark.parametrize(("package", "layers"), [("lemonade_testbed", LAYERS), ("lemonade_media", MEDIA_LAYERS)])
def test_no_layer_imports_a_higher_one(package: str, layers: tuple[tuple[str, ...], ...]) -> None:
    height = {name: number for number, layer in enumerate(layers) for name in layer}
    graph = imports(package)
    upwards = [(name, other) for name in graph for other in graph[name] if height[other] > height[name]]
    assert upwards == []


@pytest.mark.parametrize("package", ["lemonade_testbed", "lemonade_wire", "lemonade_client", "lemonade_media"])
def test_no_two_parts_of_a_package_import_each_other(package: str) -> None:
    try:
        TopologicalSorter(imports(package)).prepare()
    except CycleError as problem:
        pytest.fail(f"{package}: {' -> '.join(problem.args[1])}")


@pytest.mark.parametrize(
    ("package", "allowed"),
    [
        ("lemonade_wire", set()),
        ("lemonade_imap", {"lemonade_wire"}),
        ("lemonade_media", {"lemonade_wire"}),
        ("lemonade_client", {"lemonade_wire"}),
        ("lemonade_testbed", {"lemonade_wire"}),
    ],
)
def test_a_package_imports_only_the_packages_below_it(package: str, allowed: set[str]) -> None:
    found = {
        node.module.split(".")[0]
        for path in (ROOT / FOLDERS[package] / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module
    }
    assert found & set(FOLDERS) - {package} <= allowed


def test_the_name_of_a_public_class_is_unique() -> None:
    places: dict[str, list[str]] = {}
    for package, folder in FOLDERS.items():
        for path in (ROOT / folder / package).rglob("*.py"):
            if "testing" not in {*path.parts, path.stem}:
                for node in ast.parse(path.read_text("utf-8")).body:
                    if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                        places.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_an_import_upwards_and_a_cycle_are_found(tmp_path: Path) -> None:
    source = tmp_path / "one.py"
    source.write_text("def f():\n    from lemonade_testbed.run import Job\nfrom lemonade_testbed import cli\n")
    assert set(_imported(source, "lemonade_testbed")) == {"run", "cli"}
