"""Reads the known peers from `compose/vendors.yaml`, and the choice of peers for a run: at most one for each role."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from lemonade_testbed.clauses import SCENARIOS
from lemonade_testbed.places import UsageError
from lemonade_testbed.runtime.choice import LOCAL
from lemonade_testbed.scenario.world import ROLES
from lemonade_wire.script import bind, load_yaml_file
from lemonade_wire.script.yamltext import MapNode, nearest

COMPOSE = SCENARIOS.parent / "compose"
NOTE = "vendors.json"
REFERENCE = "reference"
"""The name of the reference node of every role."""
CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID", "SYS_CHROOT")
"""The Linux capabilities of another maker's container; a reference node has none of them."""
Role = Literal["imap", "media", "client"]
Mail = Literal["append", "hook", "folder"]
MAIL_WAYS: tuple[Mail, ...] = get_args(Mail)
"""How a scenario's message is stored: by the testbed, by the image's seed hook, or by the server when it starts."""
_IMAGE = re.compile(r"[a-z0-9][a-z0-9._/-]*(:[0-9]+/[a-z0-9._/-]+)?(:[A-Za-z0-9._-]+)?(@sha256:[0-9a-f]{64})?")


class _UrlRules(BaseModel):
    """The server's rules, in words, for host and port in its URLs."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    host: str = Field(min_length=1)
    port: str = Field(min_length=1)


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    role: Role
    title: str = Field(min_length=1)
    image: str = Field(min_length=1)
    built: str = ""
    profile: Literal["draft-07", "rfc5616"] = "draft-07"
    mail: Mail = "append"
    url: _UrlRules | None = None
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Vendor:
    """Another maker's node, which replaces a reference node.

    `name` is the word for it on the command line. `image` is the container image, and `built` the folder of its
    Dockerfile below `compose/vendors`, empty for an image that its maker provides. `profile` is the protocol profile
    whose names it knows. `mail` is the way in which messages are stored (see docs/vendor-contract.md). `url_host` and
    `url_port` are its rules for URLs, in words. `lacks` are capabilities that it does not have, in words. `listed` is
    True if it is in `compose/vendors.yaml`.
    """

    name: str
    role: Role
    title: str
    image: str
    built: str = ""
    profile: str = "draft-07"
    mail: str = "append"
    url_host: str = ""
    url_port: str = ""
    lacks: tuple[str, ...] = ()
    listed: bool = True

    @property
    def word(self) -> str:
        """The word for it on the command line: its name, or its image if it is no known peer."""
        return self.name if self.listed else self.image

    @property
    def overlay(self) -> Path | None:
        """The compose file that is used together with the testbed's own, or None if the image's name is enough."""
        path = COMPOSE / "vendors" / self.built / "compose.yaml"
        return path if self.built and path.is_file() else None


def load_vendors(path: Path | None = None) -> dict[str, Vendor]:
    """Read `compose/vendors.yaml` or another file; returns the peers by name. Raises ScriptError."""
    root = load_yaml_file(path or COMPOSE / "vendors.yaml")
    if not isinstance(root, MapNode):
        raise root.place.error("a mapping of vendors is expected, name: {role, title, image, ...}")
    found = {}
    for name, node in root.entries.items():
        if name == REFERENCE:
            raise root.places[name].error(f"{REFERENCE!r} is the name of the reference nodes")
        entry = bind(node, _Entry, what=name)
        if entry.built and not (COMPOSE / "vendors" / entry.built / "Dockerfile").is_file():
            raise root.places[name].error(f"built: there is no compose/vendors/{entry.built}/Dockerfile")
        found[name] = Vendor(
            name=name,
            role=entry.role,
            title=entry.title,
            image=entry.image,
            built=entry.built,
            profile=entry.profile,
            mail=entry.mail,
            url_host=entry.url.host if entry.url else "",
            url_port=entry.url.port if entry.url else "",
            lacks=entry.lacks,
        )
    return found


def choose(wanted: Mapping[str, str | None], known: Mapping[str, Vendor]) -> tuple[Vendor, ...]:
    """Return the peers that a command line names for the roles; None and `reference` stand for the reference node.

    A word that is no known name but has a `:` or a `/` is the name of an unknown image. Raises UsageError.
    """
    chosen = []
    for role in ROLES:
        word = wanted.get(role)
        if word is None or word == REFERENCE:
            continue
        vendor = known.get(word)
        if vendor is None and re.search("[:/]", word) and _IMAGE.fullmatch(word):
            name = re.sub(r"[^a-z0-9.-]+", "-", word)
            vendor = Vendor(name, role, word, word, listed=False)  # type: ignore[arg-type]  # one of ROLES
        if vendor is None:
            names = [REFERENCE, *(name for name, one in known.items() if one.role == role)]
            raise UsageError(f"no {role} {word!r}; {nearest(word, names)}; or an image as NAME:TAG")
        if vendor.role != role:
            raise UsageError(f"{word} is no {role}: its role is {vendor.role}")
        chosen.append(vendor)
    return tuple(chosen)


def chosen_vendors(options: Mapping[str, Any], faults: Mapping[str, str]) -> tuple[Vendor, ...]:
    """Return the peers that the options `imap`, `media` and `client` name.

    The option `mail` replaces the way in which the chosen IMAP server stores the message; `runtime` must not be
    `local`. Raises UsageError and ScriptError.
    """
    wanted = {role: options.get(role) for role in ROLES}
    chosen = choose(wanted, load_vendors()) if any(wanted.values()) else ()
    for vendor in chosen:
        if vendor.role in faults:
            raise UsageError(f"--fault {vendor.role}={faults[vendor.role]}: {vendor.word} has no faults to choose")
    if chosen and options.get("runtime") == LOCAL:
        words = ", ".join(vendor.word for vendor in chosen)
        raise UsageError(f"--runtime local: {words} runs in a container alone; leave the runtime out, or say docker")
    mail = options.get("mail")
    if mail and not any(vendor.role == "imap" for vendor in chosen):
        raise UsageError(f"--mail {mail}: that is for an IMAP server of another maker; name it with --imap")
    return tuple(replace(vendor, mail=mail) if mail and vendor.role == "imap" else vendor for vendor in chosen)


def write_vendors(folder: Path, vendors: tuple[Vendor, ...]) -> None:
    """Write into a scenario's folder which peers replaced reference nodes."""
    words = {vendor.role: vendor.word for vendor in vendors}
    (folder / NOTE).write_text(json.dumps(words) + "\n", encoding="utf-8")


def read_vendors(folder: Path) -> tuple[Vendor, ...]:
    """Return the peers that replaced reference nodes in a recorded scenario; raises UsageError, ScriptError."""
    path = folder / NOTE
    if not path.is_file():
        return ()
    try:
        words = dict(json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError) as problem:
        raise UsageError(f"{path}: not a note of the peers of a run ({problem})") from problem
    return choose(words, load_vendors())


def title_of(vendors: tuple[Vendor, ...]) -> str:
    """Return the title of a choice of peers, such as `dovecot, sipp`, or `reference` for no peer."""
    return ", ".join(vendor.name for vendor in vendors) or REFERENCE
