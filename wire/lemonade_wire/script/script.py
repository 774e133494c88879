"""The client's script file: the account, the media server, and the steps."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from lemonade_wire.script.steps import Step, dump_steps, parse_steps
from lemonade_wire.script.yamltext import MapNode, Node, bind, load_yaml_file
from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.uri import SipUri

STEP_GRACE = 5.0
UNKNOWN_MEDIA = 60.0


def _media_uri(text: str) -> str:
    try:
        SipUri.parse(text)
    except SipParseError as problem:
        raise ValueError(f"{text!r} is not a SIP URI: sip:HOST or sip:HOST:PORT is expected ({problem})") from problem
    return text


class Account(BaseModel):
    """The IMAP account: `host` and `port` as they stand in URLs, mapped by `--resolve`."""

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
    """A script, ready to run.

    `media`: URI of the configured media server, used unless discovery finds others (LS-2.2-5).
    `media_length`: seconds of the media, where known; it sets the steps' default deadline.
    `folder`: where the script lies, and the files that it names.
    """

    account: Account
    media: str | None
    media_length: float | None
    steps: tuple[Step, ...]
    folder: Path = field(default=Path(), compare=False)

    @property
    def step_deadline(self) -> float:
        """Seconds that a step may take where it does not say `within`."""
        return (self.media_length or UNKNOWN_MEDIA) + STEP_GRACE


def load_script(path: Path) -> Script:
    """Read a script file, YAML or JSON. Raises ScriptError with file and line."""
    return replace(parse_script(load_yaml_file(path)), folder=path.parent)


def parse_script(node: Node) -> Script:
    """Make a script from a loaded file. Raises ScriptError."""
    if not isinstance(node, MapNode):
        raise node.place.error("a mapping with account, media, media-length and steps is expected")
    head = bind(node.without("steps"), _Head, also=("steps",))
    steps = parse_steps(node.require("steps"))
    return Script(head.account, head.media, head.media_length, tuple(steps))


def dump_script(script: Script) -> str:
    """Return the script's file as JSON (which is YAML too); `load_script` reads the same script back."""
    document: dict[str, Any] = {"account": script.account.model_dump(mode="json")}
    if script.media is not None:
        document["media"] = script.media
    if script.media_length is not None:
        document["media-length"] = script.media_length
    document["steps"] = dump_steps(list(script.steps))
    return json.dumps(document, indent=1) + "\n"
