"""Writes the table of environment variables in docs/vendor-contract.md anew, from the settings of the testbed.

Run it as `python testbed/tools/write_contract_table.py` from the root of a clone.
"""

from __future__ import annotations

import re
from pathlib import Path

from lemonade_testbed.runtime.settings import contract_table

PAGE = Path(__file__).parents[2] / "docs" / "vendor-contract.md"
TABLE = re.compile(r"^\| variable \| roles .*?(?=\n\n)", re.MULTILINE | re.DOTALL)


def write_table(page: Path) -> None:
    """Replace the table of environment variables in a page."""
    page.write_text(TABLE.sub(lambda _old: contract_table(), page.read_text("utf-8"), count=1), "utf-8")


if __name__ == "__main__":
    write_table(PAGE)
