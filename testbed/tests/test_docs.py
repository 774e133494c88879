"""The pages of `docs/` and README.md: cells of a readable length, links that lead somewhere, modules that exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LONGEST_CELL = 200
"""Characters of a table's cell."""
_CELL = re.compile(r"(?<!\\)\|")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`]+)`")
_DOTTED = re.compile(r"lemonade_(?:wire|imap|media|client|testbed)(?:\.\w+)+")
_FILE = re.compile(r"[\w./-]+\.py")


def text_lines(page: Path) -> Iterator[tuple[int, str]]:
    """Yield each line outside code blocks with its number; the old names of a table of renamed names are left out."""
    fenced, old = False, -1
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced:
            cells = cells_of(line)
            if "Old" in cells:
                old = cells.index("Old")
            yield number, "|".join(("", *cells[:old], *cells[old + 1 :], "")) if cells and old >= 0 else line


def cells_of(line: str) -> list[str]:
    """Return the cells of a table's row; none where a line is no row."""
    return [cell.strip() for cell in _CELL.split(line.strip())[1:-1]] if line.startswith("|") else []


def anchor_of(heading: str) -> str:
    """Return the fragment by which a code host links a heading: lower case, without punctuation, blanks as minuses."""
    return re.sub(r"[^\w\- ]", "", heading.strip("# ").lower()).replace(" ", "-")


def is_module_or_name(dotted: str) -> bool:
    """Tell whether a dotted name is a module of the repository, or a class, function or value at the top of one."""
    first, *rest = dotted.split(".")
    folder = next(ROOT.glob(f"*/{first}"))
    if folder.joinpath(*rest).is_dir() or folder.joinpath(*rest).with_suffix(".py").is_file():
        return True
    module = folder.joinpath(*rest[:-1]).with_suffix(".py")
    if not module.is_file():
        module = folder.joinpath(*rest[:-1], "__init__.py")
    return module.is_file() and rest[-1] in names_of(module)


def names_of(module: Path) -> set[str]:
    """Return the names that a module binds at its top."""
    found: set[str] = set()
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found.add(name)
            case ast.Assign(targets=targets):
                found |= {target.id for target in targets if isinstance(target, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                found.add(name)
    return found


def long_cells(page: Path) -> list[str]:
    return [
        f"{page.name}:{number}: {len(cell)} characters: {cell[:60]}"
        for number, line in text_lines(page)
        for cell in cells_of(line)
        if len(cell) > LONGEST_CELL
    ]


def broken_links(page: Path) -> list[str]:
    found = []
    for number, line in text_lines(page):
        for link in _LINK.findall(line):
            name, _, fragment = link.partition("#")
            target = (page.parent / name).resolve() if name else page
            if re.match(r"\w+:", link):
                continue
            anchors = {anchor_of(text) for _, text in text_lines(target) if text.startswith("#")} if fragment else {""}
            if not target.exists() or fragment not in anchors:
                found.append(f"{page.name}:{number}: {link}")
    return found


def missing_modules(page: Path) -> list[str]:
    """Return the modules, names of modules and Python files (by their path from the root) that do not exist."""
    found = []
    for number, line in text_lines(page):
        for code in _CODE.findall(line):
            missing = [name for name in _DOTTED.findall(code) if not is_module_or_name(name)]
            if _FILE.fullmatch(code) and not (ROOT / code).is_file():
                missing.append(code)
            found += [f"{page.name}:{number}: {name}" for name in missing]
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_short_cells_and_names_what_exists(page: Path) -> None:
    assert [*long_cells(page), *broken_links(page), *missing_modules(page)] == []


def test_the_readme_lists_every_page_of_docs() -> None:
    listed = _LINK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert sorted(f"docs/{page.name}" for page in PAGES[1:] if f"docs/{page.name}" not in listed) == []


def test_a_long_cell_a_dead_link_and_a_module_that_is_gone_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One heading\n\n[one](#one-heading) [two](#another) [three](gone.md)\n\n"
        f"| a | b |\n|---|---|\n| {'x' * 201} | `lemonade_wire.gone` |\n"
        "| `testbed/gone.py` | `lemonade_wire.trace.Trace` |\n",
        encoding="utf-8",
    )
    assert len(long_cells(page)) == 1
    assert broken_links(page) == ["page.md:3: #another", "page.md:3: gone.md"]
    assert missing_modules(page) == ["page.md:7: lemonade_wire.gone", "page.md:8: testbed/gone.py"]


def test_the_old_column_of_renamed_names_is_left_out(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("| Old | New |\n|---|---|\n| `lemonade_wire.gone` | `lemonade_wire.lost` |\n", encoding="utf-8")
    assert missing_modules(page) == ["page.md:3: lemonade_wire.lost"]
