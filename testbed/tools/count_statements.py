"""Counts what the source holds: modules, statements, median length of a file, share of imports, hard words.

Run it as `python testbed/tools/count_statements.py [FOLDER]` from the root of a clone; FOLDER is another clone. A
statement is one of Python's (an `if` and what is in it count each), a docstring is none. `testing` modules and tests
are left out. Hard words are those that CONTRIBUTING.md asks to avoid; the count is of lines that hold one.
"""

from __future__ import annotations

import ast
import re
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

PLACES = (
    *("wire/lemonade_wire", "imap-server/lemonade_imap", "media-server/lemonade_media", "client/lemonade_client"),
    *("testbed/lemonade_testbed", "testbed/tools"),
)
HARD_WORDS = re.compile(
    r"\b(nobody|somebody|everybody|whoever|whatever it is|who (?:is|has|may|was|asks|comes|speaks|traces)|"
    r"how-many\w*|tellings?|no word|needs no|matter of|has no say|is gone|at will|one's own)\b",
    re.IGNORECASE,
)


def modules(root: Path) -> Iterator[Path]:
    """Yield the files of the packages and of the tools, without `testing` modules."""
    for place in PLACES:
        for path in sorted((root / place).rglob("*.py")):
            if "testing" not in {*path.parts, path.stem}:
                yield path


def count_statements(tree: ast.Module) -> tuple[int, int]:
    """Return the statements of a module, and how many of them are imports; docstrings are none."""
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.stmt) and not _is_text(node)]
    return len(statements), sum(isinstance(node, ast.Import | ast.ImportFrom) for node in statements)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def import_lines(tree: ast.Module) -> int:
    """Return the lines that imports fill."""
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom))
    return sum((node.end_lineno or node.lineno) - node.lineno + 1 for node in nodes)


def main() -> None:
    """Print one line per figure."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    texts = [path.read_text(encoding="utf-8") for path in modules(root)]
    trees = [ast.parse(text) for text in texts]
    lengths = [text.count("\n") for text in texts]
    statements, _ = (sum(column) for column in zip(*map(count_statements, trees), strict=True))
    share = sum(map(import_lines, trees)) / sum(lengths)
    hard = sum(bool(HARD_WORDS.search(line)) for text in texts for line in text.splitlines())
    print(f"modules          {len(texts)}")
    print(f"statements       {statements}")
    print(f"median file      {statistics.median(lengths):.0f} lines")
    print(f"import lines     {share:.1%}")
    print(f"hard words       {hard} lines")


if __name__ == "__main__":
    main()
