"""The table of differences that are explained, and what is left when it is laid over those that were found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lemonade_wire.script import bind, load_yaml_file
from lemonade_wire.script.yamltext import ListNode

ANYWHERE = "at any step"
Verdict = Literal["allowed", "wrong", "lacking", "ours"]
"""Both ways are within the text; the peer is wrong by it; the peer lacks something; the reference server does."""


class Explanation(BaseModel):
    """Why servers differ, and everywhere they do for this reason.

    `rule`: the clause that decides it. `where`: server, step, and the facts that one side alone tells: `-` begins one
    of the reference server's, `+` one of the peer's. `always`: such facts of a server at whatever step.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    why: str = Field(min_length=1)
    rule: str = Field(min_length=1)
    verdict: Verdict
    where: dict[str, dict[str, tuple[str, ...]]] = Field(default_factory=dict)
    always: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_somewhere(self) -> Self:
        if not self.where and not self.always:
            raise ValueError("`where` or `always` is missing")
        return self


@dataclass(frozen=True, order=True)
class Difference:
    """A fact that one side alone tells: `fact` begins with `-` for the reference server, `+` for the peer."""

    server: str
    at: str
    fact: str


def read_explanations(path: Path) -> list[Explanation]:
    """Read the table; raises ScriptError with the line that is wrong."""
    root = load_yaml_file(path)
    if not isinstance(root, ListNode):
        raise root.place.error("a list of explanations is expected")
    return [bind(item, Explanation) for item in root.items]


def differences(server: str, at: str, ours: Sequence[str], theirs: Sequence[str]) -> list[Difference]:
    """Return what one of two servers alone tells at a step."""
    own, other = Counter(ours), Counter(theirs)
    told = [f"- {fact}" for fact in (own - other).elements()] + [f"+ {fact}" for fact in (other - own).elements()]
    return [Difference(server, at, fact) for fact in told]


def listed(explanations: Iterable[Explanation]) -> Counter[Difference]:
    """Return every difference that the table has at a step, as often as it has it."""
    return Counter(
        Difference(server, at, fact)
        for one in explanations
        for server, steps in one.where.items()
        for at, told in steps.items()
        for fact in told
    )


def compared(
    found: Iterable[Difference], explanations: Sequence[Explanation]
) -> tuple[list[Difference], list[Difference]]:
    """Return the differences that the table does not explain, and those that it explains but that are there no more."""
    there, known = Counter(found), listed(explanations)
    left = there - known
    always = {(server, fact) for one in explanations for server, told in one.always.items() for fact in told}
    met = {(one.server, one.fact) for one in left}
    unexplained = [one for one in left.elements() if (one.server, one.fact) not in always]
    unmet = [Difference(server, ANYWHERE, fact) for server, fact in always - met]
    return sorted(unexplained), sorted([*(known - there).elements(), *unmet])


def as_table(found: Iterable[Difference]) -> str:
    """Write differences as the table has them below `where`."""
    servers: dict[str, dict[str, list[str]]] = {}
    for one in found:
        servers.setdefault(one.server, {}).setdefault(one.at, []).append(one.fact)
    return "\n".join(_lines(servers))


def _lines(servers: Mapping[str, Mapping[str, Sequence[str]]]) -> Iterable[str]:
    for server, steps in servers.items():
        yield f"    {server}:"
        for at, told in steps.items():
            yield f"      {_single(at)}:"
            yield from (f"        - {_single(fact)}" for fact in told)


def _single(text: str) -> str:
    """Write a scalar in single quotes, where nothing but the quote itself means something."""
    return "'" + text.replace("'", "''") + "'"
