"""Reads YAML (and so JSON) with each scalar as text and each value with its line, and binds it to pydantic models.

Scalars such as `"*"`, `0123`, `yes` and `3 s` stay texts. Repeated keys, anchors, aliases and tags are refused. The
usage, for a script and for a scenario:

    root = load_yaml_file(path)                       # TextNode, ListNode or MapNode, each with its YamlPosition
    head = bind(root.without("steps"), Head, also=("steps",))
    steps = parse_steps(root.require("steps"))

Every error is a `ScriptError` that names the file, the line and what is allowed there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, Union, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

M = TypeVar("M", bound=BaseModel)
_PLAIN_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map")}


_SHAPES = {
    "tuple_type": "a list is expected, [one, two]",
    "list_type": "a list is expected, [one, two]",
    "dict_type": "a mapping is expected, {name: value}",
    "model_type": "a mapping is expected, {name: value}",
    "string_type": "one text is expected",
    "too_short": "must not be empty",
}


class ScriptError(Exception):
    """A script or scenario is not valid; `str()` returns `file:line: message`, with lines from 1."""

    def __init__(self, file: str, line: int, message: str) -> None:
        super().__init__(f"{file}:{line}: {message}")
        self.file = file
        self.line = line
        self.message = message


@dataclass(frozen=True)
class YamlPosition:
    """The position of a value: the name of the file, and the line from 1."""

    file: str
    line: int

    def error(self, message: str) -> ScriptError:
        """Return a ScriptError for this position."""
        return ScriptError(self.file, self.line, message)


@dataclass(frozen=True)
class TextNode:
    """A scalar, which is always text; an empty value is the empty text."""

    text: str
    place: YamlPosition


@dataclass(frozen=True)
class ListNode:
    """A sequence."""

    items: tuple[Node, ...]
    place: YamlPosition


@dataclass(frozen=True)
class MapNode:
    """A mapping: the value and the position of each key. `places` has those of the keys, `place` is the mapping's."""

    entries: Mapping[str, Node]
    places: Mapping[str, YamlPosition]
    place: YamlPosition

    def without(self, *keys: str) -> MapNode:
        """Return the mapping without some keys, which the caller reads itself."""
        return MapNode({key: node for key, node in self.entries.items() if key not in keys}, self.places, self.place)

    def require(self, key: str) -> Node:
        """Return the value of `key`; raises ScriptError if it is missing."""
        if key not in self.entries:
            raise self.place.error(f"{key!r} is missing")
        return self.entries[key]


Node = Union[TextNode, ListNode, MapNode]  # noqa: UP007  the classes above name it before it exists


def nearest(word: str, allowed: Iterable[str]) -> str:
    """Return the end of an error message about an unknown word: the nearest allowed word, and all allowed words."""
    names = sorted(allowed)
    near = get_close_matches(word, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}allowed: {', '.join(names)}" if names else "nothing is allowed here"


def load_yaml_file(path: Path) -> Node:
    """Read a YAML file; raises ScriptError, also if the file cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise ScriptError(str(path), 1, f"cannot be read: {problem}") from problem
    return load_yaml(text, str(path))


def load_yaml(text: str, file: str) -> Node:
    """Parse one YAML document; `file` is the file name in errors. Raises ScriptError."""
    try:
        root = _Loader(text).get_single_node()
        if root is None:
            raise ScriptError(file, 1, "is empty")
        return _convert(root, file)
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        line = mark.line + 1 if mark else 1
        raise ScriptError(file, line, problem.problem or "is not YAML") from problem
    except yaml.reader.ReaderError as problem:
        line = text.count("\n", 0, problem.position) + 1
        raise ScriptError(file, line, f"has a character that YAML does not allow: {problem.reason}") from problem
    except (ValueError, OverflowError, RecursionError) as problem:  # for example "\UFFFFFFFF", or a thousand brackets
        raise ScriptError(file, 1, f"is not YAML that can be read: {problem}") from problem


class _Loader(yaml.BaseLoader):
    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:  # noqa: ANN401  as in PyYAML
        event = self.peek_event()  # type: ignore[no-untyped-call]  # PyYAML's stub leaves it untyped
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise yaml.MarkedYAMLError(problem="anchors and aliases are not allowed", problem_mark=event.start_mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        return node


def _convert(node: yaml.Node, file: str) -> Node:
    place = YamlPosition(file, node.start_mark.line + 1)
    if node.tag not in _PLAIN_TAGS:
        raise place.error(f"the tag {node.tag!r} is not allowed")
    if isinstance(node, yaml.ScalarNode):
        if any("\ud800" <= char <= "\udfff" for char in node.value):
            raise place.error("half a surrogate pair is not a character")
        return TextNode(node.value, place)
    if isinstance(node, yaml.SequenceNode):
        return ListNode(tuple(_convert(item, file) for item in node.value), place)
    entries: dict[str, Node] = {}
    places: dict[str, YamlPosition] = {}
    for key, value in node.value:
        key_place = YamlPosition(file, key.start_mark.line + 1)
        if not isinstance(key, yaml.ScalarNode):
            raise key_place.error("a key is one word")
        if key.value in entries:
            raise key_place.error(f"{key.value!r} is given twice (first in line {places[key.value].line})")
        places[key.value] = key_place
        entries[key.value] = _convert(value, file)
    return MapNode(entries, places, place)


def plain(node: Node) -> str | list[Any] | dict[str, Any]:
    """Return a node as texts, lists and dicts, the input of pydantic."""
    if isinstance(node, TextNode):
        return node.text
    if isinstance(node, ListNode):
        return [plain(item) for item in node.items]
    return {key: plain(value) for key, value in node.entries.items()}


def bind(node: Node, model: type[M], *, also: Iterable[str] = (), what: str = "") -> M:
    """Make a `model` from a mapping; raises ScriptError with the line of the invalid value.

    An empty value counts as an empty mapping. `also` names keys that the caller reads itself, which error messages list
    too. `what` is the beginning of an error message: `announce: unknown ...`.
    """
    if isinstance(node, TextNode) and not node.text:
        node = MapNode({}, {}, node.place)
    opening = f"{what}: " if what else ""
    if not isinstance(node, MapNode):
        raise node.place.error(f"{opening}a mapping is expected, {nearest('', _keys(model))}")
    try:
        return model.model_validate(plain(node))
    except ValidationError as problem:
        # A misspelt key is reported first, because it may be the reason why another key is missing.
        detail = min(problem.errors(include_url=False), key=lambda one: one["type"] != "extra_forbidden")
        message = _message(detail, model, also)
        raise _place(node, detail["loc"]).error(opening + message) from problem


def _keys(model: type[BaseModel]) -> list[str]:
    return [info.alias or name for name, info in model.model_fields.items()]


def _message(detail: ErrorDetails, model: type[BaseModel], also: Iterable[str]) -> str:
    path = [str(part) for part in detail["loc"]]
    where = ".".join(path)
    if detail["type"] == "extra_forbidden":
        owner = _model_at(model, path[:-1])
        allowed = [*_keys(owner), *(also if len(path) == 1 else ())]
        return f"unknown key {path[-1]!r}; {nearest(path[-1], allowed)}"
    if detail["type"] == "missing":
        return f"{where!r} is missing"
    if detail["type"] in _SHAPES:
        return f"{where}: {_SHAPES[detail['type']]}"
    text = detail["msg"].removeprefix("Value error, ")
    return f"{where}: {text}" if where else text


def _model_at(model: type[BaseModel], path: list[str]) -> type[BaseModel]:
    for part in path:
        for name, info in model.model_fields.items():
            if part in {name, info.alias}:
                model = _inner_model(info.annotation) or model
    return model


def _inner_model(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401  any type form may stand in a field
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_inner_model(argument) for argument in get_args(annotation))
    return next((model for model in found if model), None)


def _place(node: Node, path: tuple[int | str, ...]) -> YamlPosition:
    place = node.place
    for part in path:
        if isinstance(node, MapNode) and part in node.entries:
            place, node = node.places[str(part)], node.entries[str(part)]
        elif isinstance(node, MapNode) and part in node.places:
            return node.places[str(part)]
        elif isinstance(node, ListNode) and isinstance(part, int) and part < len(node.items):
            node = node.items[part]
            place = node.place
        else:
            break
    return place
