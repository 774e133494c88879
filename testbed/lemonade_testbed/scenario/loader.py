"""Reads scenario files: every scalar as text, every unknown word an error with file, line and the nearest valid one."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from lemonade_testbed.checks.registry import CheckError, find_check
from lemonade_testbed.clauses import SCENARIOS, Clause, load_clauses
from lemonade_testbed.ladder.model import Ladder
from lemonade_testbed.ladder.parser import LadderError, parse_ladder
from lemonade_testbed.relay.rules import Plan, Rule, RuleError, parse_rule, parse_seed
from lemonade_testbed.runtime.tls import Policy, Shown, Tls
from lemonade_testbed.runtime.world import Smime
from lemonade_testbed.scenario.model import Given, NamedFault, Scenario, find_file
from lemonade_testbed.verdict import Place
from lemonade_wire.script import ScriptError, Step, bind, dump_steps, load_yaml_file, parse_steps
from lemonade_wire.script.duration import parse_duration
from lemonade_wire.script.verbs import Say
from lemonade_wire.script.yamltext import ListNode, MapNode, Node, TextNode, nearest

ScenarioError = ScriptError
"""What is raised for a wrong scenario; its text is `FILE:LINE: what, and what is allowed`."""

_ROLES = ("client", "imap", "media", "relay")
_APART = ("client", "ladder", "check", "faults", "relay")
_ARROW = re.compile(r"\s*(-->>|->>)\s*")


def _one_name(text: str) -> str:
    if re.fullmatch(r"[a-z0-9][a-z0-9.-]*", text) is None:
        raise ValueError(f"{text!r} is not a name: lower-case letters, digits, dots and hyphens are expected")
    return text


def _account(text: str) -> str:
    if text != "none" and not all(text.partition(":")):
        raise ValueError(f"{text!r} is not an account: NAME:PASSWORD or none is expected")
    return text


def _password(text: str) -> str:
    # nodes in containers are told lists of accounts, separated by white space
    if len(text.split()) != 1:
        raise ValueError("a password is one word, without white space")
    return text


def _name(text: str) -> str:
    if len(text.split()) != 1 or set(":=,") & set(text):
        raise ValueError(f"{text!r} is not a name: one word is expected, without colon, comma or equals sign")
    return text


def _whole_seconds(text: str | None) -> int | None:
    return None if text is None else int(parse_duration(text))


def _seconds(text: str | None) -> float | None:
    return None if text is None else parse_duration(text)


def _octets(text: str | None) -> int | None:
    if text is not None and re.fullmatch(r"[1-9][0-9]{0,11}", text) is None:
        raise ValueError(f"{text!r} is no number of octets: 1 or more is expected")
    return None if text is None else int(text)


_Password = Annotated[str, AfterValidator(_password)]
_Name = Annotated[str, AfterValidator(_name)]


class _Tls(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    media: Policy = "never"
    client: Policy = "never"
    certificate: Shown = "own"


class _Given(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    message: str = Field(min_length=1)
    users: dict[_Name, _Password] = Field(min_length=1)
    mailbox: str = Field("INBOX", min_length=1)
    identity: Annotated[str, AfterValidator(_account)] = "none"
    submit_users: tuple[_Name, ...] = Field((), alias="submit-users")
    applications: dict[_Name, tuple[_Name, ...]] = Field(default_factory=dict)
    media_servers: str = Field("", alias="media-servers")
    fetch_users: tuple[_Name, ...] = Field((), alias="fetch-users")
    anonymous_life: Annotated[int | None, BeforeValidator(_whole_seconds)] = Field(None, alias="anonymous-life")
    imap_idle: Annotated[int | None, BeforeValidator(_whole_seconds)] = Field(None, alias="imap-idle")
    imap_contact: str = Field("", alias="imap-contact", pattern=r"^\S+@\S+$|^$")
    imap_fetch_time: Annotated[float | None, BeforeValidator(_seconds)] = Field(
        None, alias="imap-fetch-time", ge=0.1, le=3600
    )
    imap_max_part: Annotated[int | None, BeforeValidator(_octets)] = Field(None, alias="imap-max-part")
    services: tuple[Literal["annc", "ivr"], ...] = ()
    wrong: dict[Literal["client", "imap", "media"], str] = Field(default_factory=dict)
    smime: Smime = "no"
    trusted_caller: Literal["yes", "no"] = Field("yes", alias="trusted-caller")
    tls: _Tls | None = None


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
    needs: _Needs = _Needs()
    given: _Given


def load_scenario(
    path: Path,
    *,
    known_faults: Mapping[str, Collection[str]] | None = None,
    clauses: Mapping[str, Clause] | None = None,
) -> Scenario:
    """Read one scenario file; `known_faults` maps a role to the faults its node lists, `clauses` are by default the
    project's.

    Raises ScenarioError.
    """
    root = load_yaml_file(path)
    if not isinstance(root, MapNode):
        raise root.place.error("a scenario is a mapping: scenario, title, from, clauses, given, client, ladder, ...")
    head = bind(root.without(*_APART), _Head, also=_APART)
    folders = (path.parent, path.parent / "fixtures", path.parent.parent / "fixtures", SCENARIOS / "fixtures")
    steps = parse_steps(root.require("client"))
    _find_spoken(path, steps, folders)
    ladder = _ladder(root)
    checks = tuple(_check(node) for node in _list(root, "check"))
    _check_clauses(root, head.clauses, ladder, checks, load_clauses() if clauses is None else clauses)
    given = _given(root, head.given, folders)
    for role, name in given.wrong.items():
        if known_faults is not None and name not in known_faults.get(role, ()):
            near = nearest(name, known_faults.get(role, ()))
            raise root.places["given"].error(f"wrong: the {role} node has no fault {name!r}; {near}")
    needs = {role: names for role, names in head.needs.model_dump().items() if names}
    relay, places = _relay(root), _Places(ladder, checks, steps, needs)
    faults = tuple(_fault(node, places, known_faults, relayed=relay is not None) for node in _list(root, "faults"))
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
    )


def find_scenarios(folder: Path) -> list[Path]:
    """Return the files below `folder` that hold a scenario (`.yaml` with a `scenario:` key), in order of name."""
    return sorted(
        path
        for path in folder.rglob("*.yaml")
        if any(line.startswith("scenario:") for line in path.read_text("utf-8", errors="replace").splitlines())
    )


def _find_spoken(path: Path, steps: Iterable[Step], folders: Iterable[Path]) -> None:
    for step in steps:
        if isinstance(step.args, Say):
            try:
                find_file(step.args.file, folders)
            except FileNotFoundError as problem:
                raise ScriptError(str(path), step.line, f"say: {problem}") from problem


def _given(root: MapNode, given: _Given, folders: Iterable[Path]) -> Given:
    node = root.entries["given"]
    try:
        find_file(given.message, folders)
    except FileNotFoundError as problem:
        where = node.places["message"] if isinstance(node, MapNode) else node.place
        raise where.error(f"message: {problem}") from problem
    name, _, password = given.identity.partition(":")
    return Given(
        given.message,
        given.users,
        given.mailbox,
        None if given.identity == "none" else (name, password),
        given.submit_users,
        given.applications,
        given.media_servers,
        given.fetch_users,
        given.anonymous_life,
        given.services,
        {str(role): fault for role, fault in given.wrong.items()},
        trusted_caller=given.trusted_caller == "yes",
        imap_idle=given.imap_idle,
        imap_contact=given.imap_contact,
        tls=None if given.tls is None else Tls(**given.tls.model_dump()),
        smime=given.smime,
        imap_fetch_time=given.imap_fetch_time,
        imap_max_part=given.imap_max_part,
    )


def _list(root: MapNode, key: str) -> tuple[Node, ...]:
    node = root.entries.get(key)
    if node is None:
        return ()
    if not isinstance(node, ListNode):
        raise root.places[key].error(f"{key}: a list is expected")
    return node.items


def _relay(root: MapNode) -> Plan | None:
    """Read what the relay does between the nodes; None where the scenario wants none."""
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


def _ladder(root: MapNode) -> Ladder:
    node = root.require("ladder")
    if not isinstance(node, TextNode):
        raise root.places["ladder"].error("ladder: one text is expected, after `ladder: |`")
    first = node.place.line + 1  # the text of `ladder: |` begins one line below
    try:
        return parse_ladder(node.text, first_line=first)
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
    """See that every clause exists, and that what the scenario names is observed by an arrow or a check."""
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
    observed |= {name for words in checks for name in find_check(words)[0].clauses}
    for name in named:
        if name not in observed:
            raise places[name].error(f"no arrow (`%% {name}` behind it) and no check observes the clause {name}")


def _near(word: str, known: Iterable[str]) -> str:
    """Return the nearest clause; all of them would fill the screen."""
    near = get_close_matches(word, known, n=1)
    return (f"did you mean {near[0]!r}? " if near else "") + "(`lemonade clauses` lists them)"


class _Places:
    """What a fault may turn red in a scenario."""

    def __init__(
        self, ladder: Ladder, checks: Collection[str], steps: Collection[Step], needs: Mapping[str, Collection[str]]
    ) -> None:
        self._allowed = {
            "arrow": [*dict.fromkeys(map(str, ladder.arrows)), "end"],
            "check": list(checks),
            "step": [step.verb for step in steps],
            "needs": [f"{role} {name}" for role, names in needs.items() for name in names],
        }

    def read(self, node: Node) -> Place:
        if not isinstance(node, TextNode):
            raise node.place.error("a place is one text, such as `check audio heard is the part`")
        kind, _, where = node.text.strip().partition(" ")
        if kind not in self._allowed:
            raise node.place.error(f"unknown place {kind!r}; {nearest(kind, self._allowed)}")
        where = " ".join(where.split())
        if kind == "arrow":
            where = re.sub(r"\s*:\s*", ": ", _ARROW.sub(r"\1", where), count=1)
        if where not in self._allowed[kind]:
            raise node.place.error(f"the scenario has no {kind} {where!r}; {nearest(where, self._allowed[kind])}")
        return Place(kind, where)  # type: ignore[arg-type]  # a key of the table above


def _fault(node: Node, places: _Places, known: Mapping[str, Collection[str]] | None, *, relayed: bool) -> NamedFault:
    if not isinstance(node, MapNode) or len(node.entries) != 1:
        raise node.place.error('a fault is ROLE NAME: "PLACE", such as media no-bye: "step listen"')
    ((head, value),) = node.entries.items()
    place = node.places[head]
    role, _, name = head.partition(" ")
    if role not in _ROLES:
        raise place.error(f"unknown role {role!r}; {nearest(role, _ROLES)}")
    if role == "relay" and not relayed:
        raise place.error("the scenario has no relay, so that nothing can be wrong with it")
    if known is not None and name not in known.get(role, ()):
        raise place.error(f"the {role} node has no fault {name!r}; {nearest(name, known.get(role, ()))}")
    red = value.items if isinstance(value, ListNode) else (value,)
    return NamedFault(role, name, tuple(places.read(item) for item in red), place.line)
