"""Parses a client's script: its settings, and its list of steps.

- verb: {argument: value, within: DURATION}     # or
- verb: {argument: value}
  within: DURATION                              # or, for a verb without arguments,
- verb
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from lemonade_wire.script.duration import format_duration, parse_duration
from lemonade_wire.script.verbs import VERBS, Verb
from lemonade_wire.script.yamltext import ListNode, MapNode, Node, ScriptError, TextNode, bind, load_yaml_file, nearest
from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.message.uri import SipUri

WITHIN = "within"
EXTENSION = "x-"
"""The prefix of extension verbs of other implementations; an unknown one is not reported as a typing error."""


class UnknownExtensionError(ScriptError):
    """The verb of a step is an extension (`x-...`) that this implementation does not support."""


@dataclass(frozen=True)
class ScriptStep:
    """One step: the verb's name, its arguments, its deadline in seconds (None: the default), and its line number."""

    verb: str
    args: Verb
    within: float | None = None
    line: int = field(default=0, compare=False)


def parse_steps(node: Node) -> list[ScriptStep]:
    """Parse the steps of a script, or of `client:` in a scenario; raises ScriptError."""
    if not isinstance(node, ListNode):
        raise node.place.error("a list of steps is expected, each `- verb: {arguments}`")
    return [_step(item) for item in node.items]


def _step(node: Node) -> ScriptStep:
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
    return ScriptStep(verb, args, _within(inside or beside), node.places[verb].line)


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


def dump_steps(steps: list[ScriptStep]) -> list[dict[str, Any]]:
    """Return steps as texts, lists and dicts; written as JSON or YAML, `parse_steps` reads the same steps from them."""
    dumped = []
    for step in steps:
        entry: dict[str, Any] = {step.verb: step.args.model_dump(mode="json", by_alias=True, exclude_unset=True)}
        if step.within is not None:
            entry[WITHIN] = format_duration(step.within)
        dumped.append(entry)
    return dumped


STEP_GRACE = 5.0
UNKNOWN_MEDIA = 60.0


def _media_uri(text: str) -> str:
    try:
        SipUri.parse(text)
    except SipParseError as problem:
        raise ValueError(f"{text!r} is not a SIP URI: sip:HOST or sip:HOST:PORT is expected ({problem})") from problem
    return text


class Account(BaseModel):
    """The IMAP account. `host` and `port` are those in URLs; `--resolve` maps them to an address."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    host: str = Field(min_length=1, description="the server's name, as it stands in URLs")
    port: int = Field(default=143, ge=1, le=65535, description="its port, as it stands in URLs")
    user: str = Field(min_length=1, description="userid of the mailbox's owner")
    password: str = Field(description="password of that user", repr=False)


class _Head(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    account: Account
    media: Annotated[str, AfterValidator(_media_uri)] | None = None
    media_length: float | None = Field(default=None, alias="media-length", gt=0, allow_inf_nan=False)


@dataclass(frozen=True)
class Script:
    """A parsed script.

    `media`: URI of the configured media server, used unless discovery finds others (LS-2.2-5).
    `media_length`: length of the media in seconds, None if unknown; it determines the default deadline of a step.
    `folder`: the directory of the script and of the files that it names.
    """

    account: Account
    media: str | None
    media_length: float | None
    steps: tuple[ScriptStep, ...]
    folder: Path = field(default=Path(), compare=False)

    @property
    def step_deadline(self) -> float:
        """The default deadline of a step in seconds, if it has no `within`."""
        return (self.media_length or UNKNOWN_MEDIA) + STEP_GRACE


def load_script(path: Path) -> Script:
    """Read a script file in YAML or JSON; raises ScriptError with file and line."""
    return replace(parse_script(load_yaml_file(path)), folder=path.parent)


def parse_script(node: Node) -> Script:
    """Make a script from the root node of a loaded file; raises ScriptError."""
    if not isinstance(node, MapNode):
        raise node.place.error("a mapping with account, media, media-length and steps is expected")
    head = bind(node.without("steps"), _Head, also=("steps",))
    steps = parse_steps(node.require("steps"))
    return Script(head.account, head.media, head.media_length, tuple(steps))


def dump_script(script: Script) -> str:
    """Return a script as the text of a JSON file, from which `load_script` reads the same script."""
    document: dict[str, Any] = {"account": script.account.model_dump(mode="json")}
    if script.media is not None:
        document["media"] = script.media
    if script.media_length is not None:
        document["media-length"] = script.media_length
    document["steps"] = dump_steps(list(script.steps))
    return json.dumps(document, indent=1) + "\n"
