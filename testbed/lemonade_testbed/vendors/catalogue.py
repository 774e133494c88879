"""The peers that `compose/vendors.yaml` knows, and a run's choice of them: one a role, the reference node else."""

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
from lemonade_testbed.runtime.world import ROLES
from lemonade_wire.script import bind, load_yaml_file
from lemonade_wire.script.yamltext import MapNode, nearest

COMPOSE = SCENARIOS.parent / "compose"
NOTE = "vendors.json"
REFERENCE = "reference"
"""The name of the reference node of every role."""
CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID", "SYS_CHROOT")
"""What a container of another maker may do as root; a reference node gets none of them."""
Role = Literal["imap", "media", "client"]
Mail = Literal["append", "hook", "folder"]
MAIL_WAYS: tuple[Mail, ...] = get_args(Mail)
"""Who stores a scenario's message: the testbed, the image's seed hook, the server itself as it starts."""
_IMAGE = re.compile(r"[a-z0-9][a-z0-9._/-]*(:[0-9]+/[a-z0-9._/-]+)?(:[A-Za-z0-9._-]+)?(@sha256:[0-9a-f]{64})?")


class _UrlRules(BaseModel):
    """What the server asks of host and port in its URLs."""

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
    """A peer in the place of a reference node.

    `name`: the word that the command line takes. `image`: the container image. `built`: the folder of its Dockerfile
    below `compose/vendors`, empty for an image that its maker gives. `profile`: whose names it knows. `mail`: how
    messages get in (see docs/vendor-contract.md). `url_host`, `url_port`: what it asks of its URLs, in words. `lacks`:
    capabilities that it does not have, in words. `listed`: known to `compose/vendors.yaml`.
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
        """What the command line calls it: its name, or its image where it is no known peer."""
        return self.name if self.listed else self.image

    @property
    def overlay(self) -> Path | None:
        """The compose file that is laid over the testbed's own, None where the image's name says all."""
        path = COMPOSE / "vendors" / self.built / "compose.yaml"
        return path if self.built and path.is_file() else None


def load_vendors(path: Path | None = None) -> dict[str, Vendor]:
    """Read `compose/vendors.yaml`; raises ScriptError."""
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
    """Return the peers that a command line names by role; None and `reference` mean the reference node.

    A word that is no known name but has a `:` or a `/` is an image that nothing is known of. Raises UsageError.
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
    """Return the peers that the options `imap`, `media` and `client` name; raises UsageError, ScriptError.

    `mail` says how a message gets into the IMAP server among them; `runtime` may not be the one without containers.
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
    """Note in a scenario's folder who stood in the place of reference nodes."""
    words = {vendor.role: vendor.word for vendor in vendors}
    (folder / NOTE).write_text(json.dumps(words) + "\n", encoding="utf-8")


def read_vendors(folder: Path) -> tuple[Vendor, ...]:
    """Return who stood in the place of reference nodes in a recorded scenario; raises UsageError, ScriptError."""
    path = folder / NOTE
    if not path.is_file():
        return ()
    try:
        words = dict(json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError) as problem:
        raise UsageError(f"{path}: not a note of the peers of a run ({problem})") from problem
    return choose(words, load_vendors())


def title_of(vendors: tuple[Vendor, ...]) -> str:
    """Return what to call a choice of peers: `dovecot, sipp`, or `reference`."""
    return ", ".join(vendor.name for vendor in vendors) or REFERENCE
