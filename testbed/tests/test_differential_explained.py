from __future__ import annotations

from pathlib import Path

import pytest

from differential import explained
from differential.explained import (
    ANYWHERE,
    ExplainedDifference,
    Explanation,
    as_table,
    compared,
    differences,
    page,
    read_explanations,
)
from lemonade_wire.script import ScriptError

TABLE = """
- why: it's so
  rule: RFC 3501, 7.2.6
  verdict: allowed
  where:
    cyrus:
      'a | 1: NOOP':
        - '- it''s ours'
        - '+ theirs'
"""


def test_differences_are_the_facts_of_one_side_alone() -> None:
    assert differences("cyrus", "a", ["x", "x", "y"], ["x", "z"]) == [
        ExplainedDifference("cyrus", "a", "- x"),
        ExplainedDifference("cyrus", "a", "- y"),
        ExplainedDifference("cyrus", "a", "+ z"),
    ]
    assert differences("cyrus", "a", ["x", "y"], ["y", "x"]) == []


def test_only_differences_in_the_table_are_explained(tmp_path: Path) -> None:
    path = tmp_path / "explained.yaml"
    path.write_text(TABLE)
    table = read_explanations(path)
    known = [
        ExplainedDifference("cyrus", "a | 1: NOOP", "- it's ours"),
        ExplainedDifference("cyrus", "a | 1: NOOP", "+ theirs"),
    ]
    assert compared(known, table) == ([], [])
    assert compared(known[:1], table) == ([], known[1:])
    new = ExplainedDifference("dovecot", "a | 1: NOOP", "+ theirs")
    assert compared([*known, new], table) == ([new], [])
    assert compared([*known, known[0]], table) == ([known[0]], [])


def test_differences_are_written_as_the_table_has_them(tmp_path: Path) -> None:
    path = tmp_path / "explained.yaml"
    path.write_text(TABLE)
    found = compared([], read_explanations(path))[1]
    head = TABLE.partition("  where:\n")[0]
    path.write_text(f"{head}  where:\n{as_table(found)}\n")
    assert compared(found, read_explanations(path)) == ([], [])


def test_an_always_fact_is_explained_at_any_step_and_must_occur(tmp_path: Path) -> None:
    path = tmp_path / "explained.yaml"
    path.write_text(TABLE.replace("  where:", "  always:\n    dovecot:\n      - '+ extra'\n  where:"))
    table = read_explanations(path)
    known = [
        ExplainedDifference("cyrus", "a | 1: NOOP", "- it's ours"),
        ExplainedDifference("cyrus", "a | 1: NOOP", "+ theirs"),
    ]
    extra = [ExplainedDifference("dovecot", "b", "+ extra"), ExplainedDifference("dovecot", "c", "+ extra")]
    assert compared([*known, *extra], table) == ([], [])
    assert compared(known, table) == ([], [ExplainedDifference("dovecot", ANYWHERE, "+ extra")])
    other = ExplainedDifference("cyrus", "b", "+ extra")
    assert compared([*known, *extra, other], table) == ([other], [])


@pytest.mark.parametrize(
    ("old", "new"), [("where:", "nowhere:"), ("it's so", "''"), ("allowed", "fine"), ("rule:", "rules:")]
)
def test_an_incomplete_explanation_is_refused(tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "explained.yaml"
    path.write_text(TABLE.replace(old, new))
    with pytest.raises(ScriptError):
        read_explanations(path)


def test_the_page_in_docs_is_up_to_date() -> None:
    written = (Path(__file__).parents[2] / "docs/differences.md").read_text(encoding="utf-8")
    assert written == page(read_explanations(explained.TABLE)), (
        "write it again: PYTHONPATH=testbed/tools .venv/bin/python -m differential.explained >docs/differences.md"
    )


def test_a_row_counts_steps_by_server() -> None:
    one = Explanation(
        why="a | b", rule="RFC 3501, 5.1", verdict="allowed", where={"dovecot": {"x": ("- a", "+ b"), "y": ("- a",)}}
    )
    assert "| a \\| b | RFC 3501, 5.1 | Dovecot 2 |\n" in page([one])
    assert "## Both are as the text has it" in page([one])
    assert "lacks" not in page([one])
