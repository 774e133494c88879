"""The clauses of both drafts, as `scenarios/clauses.yaml` lists them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from lemonade_wire.script.yamltext import ListNode, MapNode, Node, TextNode, load_yaml_file

SHOULDS = frozenset({"SHOULD", "SHOULD NOT", "RECOMMENDED"})
SCENARIOS = Path(__file__).parents[2] / "scenarios"
"""The folder of the project's own scenarios, beside the testbed."""


@dataclass(frozen=True)
class Clause:
    """One requirement: its section, the roles it binds, its level as the draft writes it, what it says in our words,
    and how it is observed.
    """

    id: str
    section: str
    roles: tuple[str, ...]
    level: str
    says: str
    observed: str

    @property
    def is_should(self) -> bool:
        """Whether breaking it is `nonstrict` and not `fail`."""
        return self.level in SHOULDS


def load_clauses(path: Path | None = None) -> Mapping[str, Clause]:
    """Read a file of clauses, by default the project's; raises ScriptError."""
    return _load(path or SCENARIOS / "clauses.yaml")


@lru_cache(maxsize=4)
def _load(path: Path) -> Mapping[str, Clause]:
    root = load_yaml_file(path)
    if not isinstance(root, MapNode):
        raise root.place.error("a mapping of clauses is expected")
    return {name: _clause(name, node) for name, node in root.entries.items()}


def _clause(name: str, node: Node) -> Clause:
    if not isinstance(node, MapNode):
        raise node.place.error(f"{name}: section, roles, level, says and observed are expected")
    roles = node.require("roles")
    if not isinstance(roles, ListNode):
        raise node.places["roles"].error(f"{name}: a list of roles is expected")
    texts = {key: _text(node, key) for key in ("section", "level", "says", "observed")}
    return Clause(name, roles=tuple(role.text for role in roles.items if isinstance(role, TextNode)), **texts)


def _text(node: MapNode, key: str) -> str:
    value = node.require(key)
    if not isinstance(value, TextNode):
        raise node.places[key].error(f"{key}: a text is expected")
    return value.text
