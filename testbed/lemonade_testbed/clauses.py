"""Reads the clauses: numbered requirements of the specifications, which arrows, checks and faults refer to.

`scenarios/clauses.yaml` has those of the two drafts, `scenarios/rfc-clauses.yaml` those of the RFCs that they build on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from lemonade_wire.script.yamltext import ListNode, MapNode, Node, TextNode, load_yaml_file

SHOULDS = frozenset({"SHOULD", "SHOULD NOT", "RECOMMENDED"})
SCENARIOS = Path(__file__).parents[2] / "scenarios"
"""The folder of the project's own scenarios."""
DIAGRAMS = ("LS-2.9-1", "LS-2.9-2")
"""The clauses on the order of messages: of the announcement service and of the IVR service.

An arrow that names no clause observes one of these, and a message that no arrow expects breaks one of them.
"""


@dataclass(frozen=True)
class Clause:
    """One requirement of a specification.

    `section` is where the document states it, and `roles` are the roles that it binds. `level` is its keyword as the
    document writes it (`MUST`, `should`), or `text`, `example` or `diagram` for a description without a keyword. `says`
    is the requirement in the project's own words, and `observed` says how a run shows whether it is met. `unobservable`
    is the reason why no run can show that, and `planned` is what the testbed still lacks to judge it; both are empty
    for a clause that is judged.
    """

    id: str
    section: str
    roles: tuple[str, ...]
    level: str
    says: str
    observed: str
    unobservable: str = ""
    planned: str = ""

    @property
    def is_should(self) -> bool:
        """Whether the level is a SHOULD or RECOMMENDED: a breach is then `nonstrict` instead of `fail`."""
        return self.level in SHOULDS


def load_clauses(path: Path | None = None) -> Mapping[str, Clause]:
    """Read a file of clauses, or the project's two files if `path` is None; returns clauses by id.

    Raises ScriptError if a file is not valid.
    """
    if path is not None:
        return _load(path)
    return {**_load(SCENARIOS / "clauses.yaml"), **_load(SCENARIOS / "rfc-clauses.yaml")}


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
    texts |= {key: _text(node, key) for key in ("unobservable", "planned") if key in node.entries}
    return Clause(name, roles=tuple(role.text for role in roles.items if isinstance(role, TextNode)), **texts)


def _text(node: MapNode, key: str) -> str:
    value = node.require(key)
    if not isinstance(value, TextNode):
        raise node.places[key].error(f"{key}: a text is expected")
    return value.text
