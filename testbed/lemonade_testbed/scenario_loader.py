"""Reads scenario files (YAML).

Each scalar is read as text. An unknown word is an error, whose message has the file, the line, and the most similar
valid word.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from lemonade_testbed.checks.registry import CHECKS, CheckError, find_check
from lemonade_testbed.clauses import DIAGRAMS, SCENARIOS, Clause, load_clauses
from lemonade_testbed.ladder.model import Ladder
from lemonade_testbed.ladder.parser import LadderError, parse_ladder
from lemonade_testbed.relay.rules import Plan, Rule, RuleError, parse_rule, parse_seed
from lemonade_testbed.scenario.given import GivenText, read_given
from lemonade_testbed.scenario.model import Given, NamedFault, Scenario, find_file
from lemonade_testbed.scenario.world import SERVERS
from lemonade_testbed.verdict import Place
from lemonade_wire.script import ScriptError, ScriptStep, bind, dump_steps, load_yaml_file, parse_steps
from lemonade_wire.script.verbs import SayVerb
from lemonade_wire.script.yamltext import ListNode, MapNode, Node, TextNode, nearest

ScenarioError = ScriptError
"""A scenario is not valid; the message is `FILE:LINE: ` with the error and what is allowed."""

_APART = ("client", "ladder", "check", "faults", "relay")
_ARROW = re.compile(r"\s*(-->>|->>)\s*")


def _one_name(text: str) -> str:
    if re.fullmatch(r"[a-z0-9][a-z0-9.-]*", text) is None:
        raise ValueError(f"{text!r} is not a name: lower-case letters, digits, dots and hyphens are expected")
    return text


class _Needs(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    imap: tuple[str, ...] = ()
    media: tuple[str, ...] = ()
    client: tuple[str, ...] = ()


class _Head(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    scenario: Annotated[str, AfterValidator(_one_name)]
    title: str = Field(min_length=1)
    origin: str = Field(min_length=1, alias="from")
    clauses: tuple[str, ...] = Field(min_length=1)
    profile: Literal["draft-07", "rfc5616"] | None = None
    needs: _Needs = _Needs()
    given: GivenText


def load_scenario(
    path: Path,
    *,
    known_faults: Mapping[str, Collection[str]] | None = None,
    clauses: Mapping[str, Clause] | None = None,
) -> Scenario:
    """Read and check one scenario file.

    `known_faults` maps a role to the faults that its node lists; with None the names of faults are not checked.
    `clauses` are the known clauses, by default the project's own. Raises ScenarioError.
    """
    root = load_yaml_file(path)
    if not isinstance(root, MapNode):
        raise root.place.error("a scenario is a mapping: scenario, title, from, clauses, given, client, ladder, ...")
    head = bind(root.without(*_APART), _Head, also=_APART)
    folders = (path.parent, path.parent / "fixtures", path.parent.parent / "fixtures", SCENARIOS / "fixtures")
    steps = parse_steps(root.require("client"))
    _find_spoken(path, steps, folders)
    given = read_given(root.entries["given"], head.given, folders, known_faults)
    ladder = _ladder(root, given.kinds)
    checks = tuple(_check(node) for node in _list(root, "check"))
    _check_clauses(root, head.clauses, ladder, checks, load_clauses() if clauses is None else clauses)
    needs = {role: names for role, names in head.needs.model_dump().items() if names}
    relay, places = _relay(root), _Places(ladder, checks, steps, needs)
    if relay is not None and {server.name for server in given.servers} != set(SERVERS):
        raise root.places["relay"].error("relay: it stands between one node of each role, not between those of `nodes`")
    known = {kind: (known_faults or {}).get(kind, ()) for kind in ("client", *SERVERS, "relay")}
    faults = tuple(
        _fault(node, places, given, known if known_faults is not None else None, relayed=relay is not None)
        for node in _list(root, "faults")
    )
    return Scenario(
        name=head.scenario,
        title=head.title,
        origin=head.origin,
        clauses=head.clauses,
        needs=needs,
        given=given,
        client=tuple(dump_steps(steps)),
        ladder=ladder,
        checks=checks,
        faults=faults,
        path=path,
        folders=folders,
        relay=relay,
        profile=head.profile,
    )


def find_scenarios(folder: Path) -> list[Path]:
    """Return the files below `folder` that hold a scenario (`.yaml` with a key `scenario:`), sorted by path."""
    return sorted(
        path
        for path in folder.rglob("*.yaml")
        if any(line.startswith("scenario:") for line in path.read_text("utf-8", errors="replace").splitlines())
    )


def _find_spoken(path: Path, steps: Iterable[ScriptStep], folders: Iterable[Path]) -> None:
    for step in steps:
        if isinstance(step.args, SayVerb):
            try:
                find_file(step.args.file, folders)
            except FileNotFoundError as problem:
                raise ScriptError(str(path), step.line, f"say: {problem}") from problem


def _list(root: MapNode, key: str) -> tuple[Node, ...]:
    node = root.entries.get(key)
    if node is None:
        return ()
    if not isinstance(node, ListNode):
        raise root.places[key].error(f"{key}: a list is expected")
    return node.items


def _relay(root: MapNode) -> Plan | None:
    """Read the section `relay`; returns None if the scenario has none."""
    node = root.entries.get("relay")
    if node is None:
        return None
    if not isinstance(node, MapNode):
        raise root.places["relay"].error("relay: a mapping is expected, {seed: 7, rules: [...]}")
    for key in node.entries:
        if key not in {"seed", "rules"}:
            raise node.places[key].error(f"relay: unknown key {key!r}; {nearest(key, ('seed', 'rules'))}")
    seed = node.require("seed")
    try:
        number = parse_seed(seed.text if isinstance(seed, TextNode) else "")
    except RuleError as problem:
        raise node.places["seed"].error(f"relay: {problem}") from problem
    node.require("rules")
    rules = tuple(_rule(item, place) for place, item in enumerate(_list(node, "rules"), 1))
    if not rules:
        raise node.places["rules"].error("relay: without a rule it does nothing; leave `relay` out")
    return Plan(number, rules)


def _rule(node: Node, number: int) -> Rule:
    if not isinstance(node, MapNode):
        raise node.place.error("a rule is a mapping such as {leg: client-media, lose: SIP INVITE, times: 1}")
    words = {key: value.text for key, value in node.entries.items() if isinstance(value, TextNode)}
    for key in node.entries:
        if key not in words:
            raise node.places[key].error(f"{key}: one text is expected")
    try:
        return parse_rule(words, number)
    except RuleError as problem:
        raise node.places.get(problem.key, node.place).error(str(problem)) from problem


def _ladder(root: MapNode, nodes: Collection[str]) -> Ladder:
    node = root.require("ladder")
    if not isinstance(node, TextNode):
        raise root.places["ladder"].error("ladder: one text is expected, after `ladder: |`")
    first = node.place.line + 1  # the text of `ladder: |` begins one line below
    try:
        return parse_ladder(node.text, first_line=first, nodes=nodes)
    except LadderError as problem:
        raise ScriptError(node.place.file, first + problem.line - 1, problem.problem) from problem


def _check(node: Node) -> str:
    if not isinstance(node, TextNode):
        raise node.place.error("a check is one line of words; `lemonade checks` lists them")
    try:
        find_check(node.text)
    except CheckError as problem:
        raise node.place.error(str(problem)) from problem
    return node.text


def _check_clauses(
    root: MapNode, named: Collection[str], ladder: Ladder, checks: Collection[str], known: Mapping[str, Clause]
) -> None:
    """Check that every clause exists, and that an arrow or a check observes each clause that the scenario names."""
    node = root.entries["clauses"]
    places = (
        {item.text: item.place for item in node.items if isinstance(item, TextNode)}
        if isinstance(node, ListNode)
        else {}
    )
    for name in named:
        if name not in known:
            raise places[name].error(f"unknown clause {name!r}; {_near(name, known)}")
    file = node.place.file
    for arrow in ladder.arrows:
        for name in arrow.clauses:
            if name not in known:
                raise ScriptError(file, arrow.line, f"unknown clause {name!r}; {_near(name, known)}")
            if name not in named:
                raise ScriptError(file, arrow.line, f"the arrow observes {name}, which `clauses` does not name")
    observed = {name for arrow in ladder.arrows for name in arrow.clauses}
    judging = [*(find_check(words)[0] for words in checks), *(check for check in CHECKS.values() if check.general)]
    observed |= {name for check in judging for name in check.clauses}
    for name in named:
        if name not in observed:
            raise places[name].error(f"no arrow (`%% {name}` behind it) and no check observes the clause {name}")


def _near(word: str, known: Iterable[str]) -> str:
    """Return a hint with the most similar clause; the list of all clauses is too long for a message."""
    near = get_close_matches(word, known, n=1)
    return (f"did you mean {near[0]!r}? " if near else "") + "(`lemonade clauses` lists them)"


class _Places:
    """The places of a scenario that a fault can make fail (arrows, checks, steps, needs), with their clauses."""

    def __init__(
        self,
        ladder: Ladder,
        checks: Collection[str],
        steps: Collection[ScriptStep],
        needs: Mapping[str, Collection[str]],
    ) -> None:
        general = {words: check for words, check in CHECKS.items() if check.general}
        listed = {" ".join(words.split()): find_check(words)[0] for words in checks}
        arrows: dict[str, list[tuple[str, ...]]] = {"end": [()]}
        for arrow in ladder.arrows:
            arrows.setdefault(str(arrow), []).append(arrow.clauses)
        self._always = {
            label: tuple(name for name in every[0] if all(name in one for one in every))
            for label, every in arrows.items()
        }
        self._allowed: dict[str, dict[str, tuple[str, ...]]] = {
            "arrow": {label: tuple(dict.fromkeys(chain(*every))) for label, every in arrows.items()},
            "check": {words: check.clauses for words, check in (general | listed).items()},
            "step": {step.verb: () for step in steps},
            "needs": {f"{role} {name}": () for role, names in needs.items() for name in names},
        }

    def read(self, node: Node) -> tuple[Place, tuple[str, ...]]:
        """Read a place such as `check audio heard is the part [CLAUSE]`; returns it with the clauses broken there.

        Those are the clauses in brackets, or else all that the place observes. If several arrows have the same label,
        these are the clauses that each of them observes.
        """
        if not isinstance(node, TextNode):
            raise node.place.error("a place is one text, such as `check audio heard is the part`")
        match = re.fullmatch(r"(\w+)\s+(.*?)\s*(?:\[([^\]]*)\])?", " ".join(node.text.split()))
        kind, where, named = match.groups() if match else (node.text, "", None)
        if kind not in self._allowed:
            raise node.place.error(f"unknown place {kind!r}; {nearest(kind, self._allowed)}")
        if kind == "arrow":
            where = re.sub(r"\s*:\s*", ": ", _ARROW.sub(r"\1", where), count=1)
        if where not in self._allowed[kind]:
            raise node.place.error(f"the scenario has no {kind} {where!r}; {nearest(where, self._allowed[kind])}")
        observed = self._allowed[kind][where]
        every = self._always.get(where, observed) if kind == "arrow" else observed
        clauses = every if named is None else tuple(named.split())
        legal = (
            (*observed, *DIAGRAMS) if kind == "arrow" else observed
        )  # a message that no arrow expects breaks a clause on the order
        for name in clauses:
            if name not in legal:
                raise node.place.error(f"{kind} {where} does not observe {name!r}; {nearest(name, legal)}")
        return Place(kind, where), clauses  # type: ignore[arg-type]  # a key of the table above


def _fault(
    node: Node, places: _Places, given: Given, known: Mapping[str, Collection[str]] | None, *, relayed: bool
) -> NamedFault:
    if not isinstance(node, MapNode) or len(node.entries) != 1:
        raise node.place.error('a fault is ROLE NAME: "PLACE", such as media no-bye: "step listen"')
    ((head, value),) = node.entries.items()
    place = node.places[head]
    role, _, name = head.partition(" ")
    if not given.named(role):
        raise place.error(f"unknown node {role!r}; {nearest(role, [*given.kinds, 'relay'])}")
    if role == "relay" and not relayed:
        raise place.error("the scenario has no relay, so that nothing can be wrong with it")
    kind = given.kinds.get(role, role)
    if known is not None and name not in known[kind]:
        raise place.error(f"the {role} node has no fault {name!r}; {nearest(name, known[kind])}")
    red = value.items if isinstance(value, ListNode) else (value,)
    clauses = dict(places.read(item) for item in red)
    return NamedFault(role, name, tuple(clauses), place.line, clauses, kind)
