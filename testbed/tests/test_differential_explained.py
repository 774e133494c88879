from __future__ import annotations

from pathlib import Path

import pytest

from lemonade_testbed.differential.explained import (
    ANYWHERE,
    Difference,
    as_table,
    compared,
    differences,
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


def test_each_side_has_what_it_alone_tells() -> None:
    assert differences("cyrus", "a", ["x", "x", "y"], ["x", "z"]) == [
        Difference("cyrus", "a", "- x"),
        Difference("cyrus", "a", "- y"),
        Difference("cyrus", "a", "+ z"),
    ]
    assert differences("cyrus", "a", ["x", "y"], ["y", "x"]) == []


def test_the_table_explains_what_stands_there_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "explained.yaml"
    path.write_text(TABLE)
    table = read_explanations(path)
    known = [Difference("cyrus", "a | 1: NOOP", "- it's ours"), Difference("cyrus", "a | 1: NOOP", "+ theirs")]
    assert compared(known, table) == ([], [])
    assert compared(known[:1], table) == ([], known[1:])
    new = Difference("dovecot", "a | 1: NOOP", "+ theirs")
    assert compared([*known, new], table) == ([new], [])
    assert compared([*known, known[0]], table) == ([known[0]], [])


def test_differences_are_written_as_the_table_has_them(tmp_path: Path) -> None:
    path = tmp_path / "explained.yaml"
    path.write_text(TABLE)
    found = compared([], read_explanations(path))[1]
    head = TABLE.partition("  where:\n")[0]
    path.write_text(f"{head}  where:\n{as_table(found)}\n")
    assert compared(found, read_explanations(path)) == ([], [])


def test_what_a_server_always_tells_is_explained_at_any_step_and_must_be_there(tmp_path: Path) -> None:
    path = tmp_path / "explained.yaml"
    path.write_text(TABLE.replace("  where:", "  always:\n    dovecot:\n      - '+ extra'\n  where:"))
    table = read_explanations(path)
    known = [Difference("cyrus", "a | 1: NOOP", "- it's ours"), Difference("cyrus", "a | 1: NOOP", "+ theirs")]
    extra = [Difference("dovecot", "b", "+ extra"), Difference("dovecot", "c", "+ extra")]
    assert compared([*known, *extra], table) == ([], [])
    assert compared(known, table) == ([], [Difference("dovecot", ANYWHERE, "+ extra")])
    other = Difference("cyrus", "b", "+ extra")
    assert compared([*known, *extra, other], table) == ([other], [])


@pytest.mark.parametrize(
    ("old", "new"), [("where:", "nowhere:"), ("it's so", "''"), ("allowed", "fine"), ("rule:", "rules:")]
)
def test_an_explanation_says_why(tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "explained.yaml"
    path.write_text(TABLE.replace(old, new))
    with pytest.raises(ScriptError):
        read_explanations(path)
