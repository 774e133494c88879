from __future__ import annotations

from pathlib import Path

from lemonade_testbed.differential.explained import Explanation, read_explanations
from lemonade_testbed.differential.page import TABLE, page


def test_the_page_in_the_docs_is_of_the_table_as_it_is() -> None:
    written = (Path(__file__).parents[2] / "docs/differences.md").read_text(encoding="utf-8")
    assert written == page(read_explanations(TABLE)), (
        "write it again: .venv/bin/python -m lemonade_testbed.differential >docs/differences.md"
    )


def test_a_row_counts_steps_by_server() -> None:
    one = Explanation(
        why="a | b", rule="RFC 3501, 5.1", verdict="allowed", where={"dovecot": {"x": ("- a", "+ b"), "y": ("- a",)}}
    )
    assert "| a \\| b | RFC 3501, 5.1 | Dovecot 2 |\n" in page([one])
    assert "## Both are as the text has it" in page([one])
    assert "lacks" not in page([one])
