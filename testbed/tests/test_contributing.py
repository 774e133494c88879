"""CONTRIBUTING.md against the repository: the files, the make targets and the names in code that its recipes use."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"^## (Recipe: .*)\n((?:(?!## ).*\n)*)", PAGE, re.MULTILINE))


def test_every_path_of_the_page_is_there() -> None:
    paths = re.findall(r"`([\w.-]+/[\w./-]*\w|[\w-]+\.(?:py|in|lock|md))`", PAGE)
    assert len(paths) > 30
    folders = {path.parent for path in ROOT.glob("*/lemonade_*/**/*.py")} | {ROOT}
    assert [one for one in paths if not any((folder / one).exists() for folder in folders)] == []


def test_every_make_target_of_the_page_is_there() -> None:
    targets = set(re.findall(r"make ([a-z][a-z0-9-]+)", PAGE))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    known = {name for names in re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE) for name in names.split()}
    assert targets - known == set()


def test_each_recipe_names_lists_that_its_files_have() -> None:
    """A recipe says "add it to `VERBS`": one of the files that this step names has such a constant."""
    assert len(RECIPES) == 4
    named = 0
    for recipe in RECIPES.values():
        for step in re.split(r"^[0-9]+\. ", recipe, flags=re.MULTILINE)[1:]:
            files = [ROOT / path for path in re.findall(r"`([\w./-]+\.py)`", step)]
            texts = [path.read_text(encoding="utf-8") for path in files if path.exists()]
            for name in re.findall(r"`([A-Z]+_?[A-Z]+)`", step) if texts else []:
                named += 1
                assert any(re.search(rf"^{name}\b", text, re.MULTILINE) for text in texts), f"{name}: {step}"
    assert named >= 10
