"""Imports that are not allowed.

The code that judges the nodes does not use their parsers: an error in a parser would then be in both. No package uses a
program of `testbed/tools`, which is not installed with it, or a `testing` module.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import lemonade_testbed

PACKAGE = Path(lemonade_testbed.__file__).parent
ROOT = PACKAGE.parents[1]
TOOLS = {path.stem for path in (ROOT / "testbed/tools").iterdir()}
JUDGING = ("ladder", "checks", "audio", "capture")
PARSERS = ("lemonade_wire.mscml", "lemonade_wire.sdp", "lemonade_wire.rtp.telephone_event", "lemonade_wire.sip")


def imported(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def of_parsers(source: str) -> list[str]:
    return [name for name in imported(source) if any(f"{name}.".startswith(f"{one}.") for one in PARSERS)]


def test_nothing_that_judges_imports_a_parser_of_the_nodes() -> None:
    found = {
        f"{path.relative_to(PACKAGE)}: {name}"
        for folder in JUDGING
        for path in (PACKAGE / folder).rglob("*.py")
        for name in of_parsers(path.read_text("utf-8"))
    }
    assert found == set()


def test_an_import_in_any_form_is_found() -> None:
    for source in (
        "import lemonade_wire.sdp.codec as sdp",
        "from lemonade_wire.mscml import document",
        "def f():\n    from lemonade_wire.rtp import telephone_event",
        "from lemonade_wire import sip",
    ):
        assert of_parsers(source)
    assert not of_parsers("from lemonade_wire.rtp.g711 import decode_alaw\nimport lemonade_wire.redaction")


def imported_by_packages() -> set[tuple[str, str]]:
    """Return each module of the packages with each name that it imports; `testing` modules are left out."""
    paths = [path for path in ROOT.glob("*/lemonade_*/**/*.py") if "testing" not in {*path.parts, path.stem}]
    assert len(paths) > 300
    return {(str(path.relative_to(ROOT)), name) for path in paths for name in imported(path.read_text("utf-8"))}


def test_no_package_imports_a_tool_or_a_helper_of_tests() -> None:
    assert {"differential", "speed"} <= TOOLS
    found = [
        (path, name)
        for path, name in imported_by_packages()
        if name.split(".")[0] in TOOLS or "testing" in name.split(".")
    ]
    assert found == []
