"""Reads the section `given` of a scenario: the mail, the accounts, and the servers with their options."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from lemonade_testbed.scenario.model import Given, find_file
from lemonade_testbed.scenario.world import SERVERS, Policy, ServerSetup, Shown, Smime, State, Tls
from lemonade_wire.script.duration import parse_duration
from lemonade_wire.script.yamltext import MapNode, Node, YamlPosition, nearest

_TAKEN = ("client", "relay", "testbed", "capture")
"""Names that no server may have."""
_MOST = 8
"""The most servers that a scenario may have, so that their addresses do not meet those of a relay."""


def _account(text: str) -> str:
    if text != "none" and not all(text.partition(":")):
        raise ValueError(f"{text!r} is not an account: NAME:PASSWORD or none is expected")
    return text


def _password(text: str) -> str:
    # nodes in containers get their accounts in an environment variable, separated by white space
    if len(text.split()) != 1:
        raise ValueError("a password is one word, without white space")
    return text


def _node_name(text: str) -> str:
    if re.fullmatch(r"[a-z][a-z0-9]{0,14}", text) is None or text in _TAKEN:
        raise ValueError(f"{text!r} is not a name of a server: lower-case letters and digits, not {', '.join(_TAKEN)}")
    return text


def _name_alone(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


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


class _ImapOptions(BaseModel):
    """Options of all IMAP servers, or of one of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    submit_users: tuple[_Name, ...] = Field((), alias="submit-users")
    applications: dict[_Name, tuple[_Name, ...]] = Field(default_factory=dict)
    media_servers: str = Field("", alias="media-servers")
    fetch_users: tuple[_Name, ...] = Field((), alias="fetch-users")
    anonymous_life: Annotated[int | None, BeforeValidator(_whole_seconds)] = Field(None, alias="anonymous-life")


class _MediaOptions(BaseModel):
    """Options of all media servers, or of one of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    identity: Annotated[str, AfterValidator(_account)] = "none"
    imap_idle: Annotated[int | None, BeforeValidator(_whole_seconds)] = Field(None, alias="imap-idle")
    imap_contact: str = Field("", alias="imap-contact", pattern=r"^\S+@\S+$|^$")
    imap_fetch_time: Annotated[float | None, BeforeValidator(_seconds)] = Field(
        None, alias="imap-fetch-time", ge=0.1, le=3600
    )
    imap_max_part: Annotated[int | None, BeforeValidator(_octets)] = Field(None, alias="imap-max-part")
    services: tuple[Literal["annc", "ivr"], ...] = ()
    trusted_caller: Literal["yes", "no"] = Field("yes", alias="trusted-caller")


class _Server(BaseModel):
    """One server in the list `nodes`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Annotated[str, AfterValidator(_node_name)]
    state: State = "up"
    wrong: str = ""


class _ImapServer(_Server, _ImapOptions):
    users: dict[_Name, _Password] = Field(default_factory=dict)


class _MediaServer(_Server, _MediaOptions):
    pass


class _Nodes(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    imap: tuple[Annotated[_ImapServer, BeforeValidator(_name_alone)], ...] = Field(
        ({"name": "imap"},), validate_default=True
    )
    media: tuple[Annotated[_MediaServer, BeforeValidator(_name_alone)], ...] = Field(
        ({"name": "media"},), validate_default=True
    )


class GivenText(_ImapOptions, _MediaOptions):
    """The mapping `given` as the scenario file has it."""

    message: str = Field(min_length=1)
    users: dict[_Name, _Password] = Field(min_length=1)
    mailbox: str = Field("INBOX", min_length=1)
    wrong: dict[str, str] = Field(default_factory=dict)
    smime: Smime = "no"
    tls: _Tls | None = None
    nodes: _Nodes = Field(default_factory=dict, validate_default=True)
    account: str = ""


def read_given(
    node: Node, given: GivenText, folders: Iterable[FilePath], known: Mapping[str, Collection[str]] | None
) -> Given:
    """Check the section `given` of a scenario and return its content.

    `node` is the section in the YAML file, for the positions of errors, and `given` its values. `folders` are searched
    for the message. `known` maps a role to its faults; with None faults are not checked. Raises ScriptError.
    """
    places = node.places if isinstance(node, MapNode) else {}
    try:
        find_file(given.message, folders)
    except FileNotFoundError as problem:
        raise places["message"].error(f"message: {problem}") from problem
    servers = _servers(given, places.get("nodes", node.place))
    kinds = {"client": "client", **dict.fromkeys(SERVERS, ""), **{server.name: server.kind for server in servers}}
    if given.account and kinds.get(given.account) != "imap":
        raise places["account"].error(f"account: {given.account!r} is the name of no IMAP server of the scenario")
    wrong = given.wrong | {one.name: one.wrong for one in (*given.nodes.imap, *given.nodes.media) if one.wrong}
    for name, fault in wrong.items():
        where = places["wrong" if name in given.wrong else "nodes"]
        if name not in kinds:
            raise where.error(f"wrong: {name!r} is no node of the scenario; {nearest(name, kinds)}")
        listed = known.get(kinds[name] or name, ()) if known is not None else (fault,)
        if fault not in listed:
            raise where.error(f"wrong: the {name} node has no fault {fault!r}; {nearest(fault, listed)}")
    return Given(
        given.message,
        given.users,
        given.mailbox,
        wrong=wrong,
        tls=None if given.tls is None else Tls(**given.tls.model_dump()),
        smime=given.smime,
        servers=servers,
        account=given.account,
        **_options(given, {*_ImapOptions.model_fields, *_MediaOptions.model_fields}),
    )


def _options(said: BaseModel, names: Collection[str]) -> dict[str, Any]:
    """Return the options `names` of `said` with the types that `Given` and `Setup` have for them."""
    found = {name: getattr(said, name) for name in names}
    if "identity" in found:
        name, _, password = found["identity"].partition(":")
        found["identity"] = None if found["identity"] == "none" else (name, password)
    if "trusted_caller" in found:
        found["trusted_caller"] = found["trusted_caller"] == "yes"
    return found


def _servers(given: GivenText, place: YamlPosition) -> tuple[ServerSetup, ...]:
    """Return the servers of `nodes`; a role that is not mentioned there has one server, named by the role."""
    said: list[tuple[str, _Server]] = [("imap", one) for one in given.nodes.imap]
    said += [("media", one) for one in given.nodes.media]
    names = [one.name for _, one in said]
    for kind, one in said:
        if names.count(one.name) > 1 or (one.name in SERVERS and one.name != kind):
            raise place.error(f"nodes: two nodes cannot have the name {one.name!r}, nor one that of another role")
    for kind in SERVERS:
        if all(one.state != "up" for role, one in said if role == kind):
            raise place.error(f"nodes: no {kind} node runs")
    if len(said) > _MOST:
        raise place.error(f"nodes: {len(said)} servers; {_MOST} are the most that a scenario may have")
    return tuple(
        ServerSetup(one.name, kind, one.state, _options(one, one.model_fields_set - set(_Server.model_fields)))
        for kind, one in said
    )
