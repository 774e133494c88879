"""The table of explained differences as a page for readers: `python -m lemonade_testbed.differential` prints it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lemonade_testbed.differential.explained import Explanation, Verdict

FOLDER = Path(__file__).resolve().parents[2] / "tests/differential"
TABLE = FOLDER / "explained.yaml"
"""The table itself, beside the scripts that it is about."""
_HEADINGS: dict[Verdict, str] = {
    "wrong": "The peer is not as the text has it",
    "allowed": "Both are as the text has it",
    "lacking": "The peer lacks it",
    "ours": "The reference server lacks it",
}
_HEAD = """# What Dovecot and Cyrus answer otherwise

The same IMAP sessions are said to the reference server, to Dovecot 2.4 and to Cyrus, and what they answer is compared:
each session is a section of a file in `testbed/tests/differential/`, and every answer is cut into short facts, without
what differs by nature (texts for people, UIDVALIDITY, mod-sequences, order that is free). Whatever one of the peers
tells otherwise stands in `explained.yaml` there, fact by fact, with the reason. `make test ARGS="testbed -k
differential"` says all of it again: it fails where a difference has no explanation, and where an explanation has no
difference any more. It prints what is missing in the form that the file has.

This page is made of that file: `.venv/bin/python -m lemonade_testbed.differential >docs/differences.md`. The numbers
say at how many steps the answers differ for this reason.
"""


def page(explanations: Sequence[Explanation]) -> str:
    """Return the page, as Markdown."""
    text = _HEAD
    for verdict, heading in _HEADINGS.items():
        rows = [_row(one) for one in explanations if one.verdict == verdict]
        if rows:
            text += f"\n## {heading}\n\n| what is different | rule | where |\n|---|---|---|\n{''.join(rows)}"
    return text


def _row(one: Explanation) -> str:
    where = ", ".join(
        f"{server.capitalize()} {'everywhere' if server in one.always else len(one.where[server])}"
        for server in sorted({*one.where, *one.always})
    )
    cells = (cell.replace("|", "\\|") for cell in (one.why, one.rule, where))
    return f"| {' | '.join(cells)} |\n"
