"""A list of steps: each one key, the verb, with its arguments; `within` may stand among them or beside the verb."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lemonade_wire.script.duration import format_duration, parse_duration
from lemonade_wire.script.verbs import VERBS, Verb
from lemonade_wire.script.yamltext import ListNode, MapNode, Node, ScriptError, TextNode, bind, nearest

WITHIN = "within"
EXTENSION = "x-"
"""What the verbs of other makers begin with: they are no typing errors, whoever does not know them."""


class UnknownExtensionError(ScriptError):
    """A step's verb is an extension that this implementation does not have."""


@dataclass(frozen=True)
class Step:
    """One step: the verb's name, its arguments, its deadline in seconds (None: the default), and its line."""

    verb: str
    args: Verb
    within: float | None = None
    line: int = field(default=0, compare=False)


def parse_steps(node: Node) -> list[Step]:
    """Read the steps of a script or of a scenario's `client:`. Raises ScriptError."""
    if not isinstance(node, ListNode):
        raise node.place.error("a list of steps is expected, each `- verb: {arguments}`")
    return [_step(item) for item in node.items]


def _step(node: Node) -> Step:
    if isinstance(node, TextNode):  # `- hang-up`: a verb without arguments
        node = MapNode({node.text: TextNode("", node.place)}, {node.text: node.place}, node.place)
    if not isinstance(node, MapNode):
        raise node.place.error("a step is one verb with its arguments, `verb: {arguments}`")
    verbs = [key for key in node.entries if key != WITHIN]
    for verb in verbs:
        if verb not in VERBS and verb.startswith(EXTENSION):
            place = node.places[verb]
            raise UnknownExtensionError(place.file, place.line, f"no extension {verb!r} is known here")
        if verb not in VERBS:
            raise node.places[verb].error(f"unknown verb {verb!r}; {nearest(verb, VERBS)}")
    if len(verbs) != 1:
        raise node.place.error(f"a step has one verb, this one has {len(verbs)}")
    verb = verbs[0]
    arguments = node.entries[verb]
    model = VERBS[verb]
    beside = node.entries.get(WITHIN)
    inside = None
    if isinstance(arguments, TextNode) and arguments.text and model.scalar:
        places = {model.scalar: arguments.place}
        arguments = MapNode({model.scalar: arguments}, places, arguments.place)
    elif isinstance(arguments, MapNode):
        inside = arguments.entries.get(WITHIN)
        arguments = arguments.without(WITHIN)
    if beside is not None and inside is not None:
        raise inside.place.error(f"{WITHIN!r} is given twice")
    if isinstance(arguments, TextNode) and not arguments.text:
        arguments = MapNode({}, {}, node.places[verb])
    args = bind(arguments, model, also=(WITHIN,), what=verb)
    return Step(verb, args, _within(inside or beside), node.places[verb].line)


def _within(node: Node | None) -> float | None:
    if node is None:
        return None
    if not isinstance(node, TextNode):
        raise node.place.error(f"{WITHIN}: a duration is expected")
    try:
        seconds = parse_duration(node.text)
    except ValueError as problem:
        raise node.place.error(f"{WITHIN}: {problem}") from problem
    if seconds <= 0:
        raise node.place.error(f"{WITHIN}: more than 0 is expected")
    return seconds


def dump_steps(steps: list[Step]) -> list[dict[str, Any]]:
    """Return the steps as texts, lists and dicts that `parse_steps` reads back (written as JSON or YAML)."""
    dumped = []
    for step in steps:
        entry: dict[str, Any] = {step.verb: step.args.model_dump(mode="json", by_alias=True, exclude_unset=True)}
        if step.within is not None:
            entry[WITHIN] = format_duration(step.within)
        dumped.append(entry)
    return dumped
