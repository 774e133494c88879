"""Names of annotations, and which of them a GETMETADATA asks for (RFC 5464, 3.2 and 4.2; LS-2.2-6; E-1).

Pure. Names compare without case and are kept as they were given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lemonade_wire.profile import Profile

MEDIA_SERVERS = "/shared/mediaServers"
PRIVATE = "/private"
_SCOPES = ("/shared", PRIVATE)
_READ_ONLY = "/shared/admin"  # RFC 5464, 3.2.1.1: no client changes it
_LEAST_COMPONENTS = 2
_LEAST_VENDOR_COMPONENTS = 4


class BadEntry(ValueError):  # noqa: N818  what the name is
    """A name that no entry can have: BAD in every command (RFC 5464, 3.2)."""


@dataclass(frozen=True)
class AnnotationLimits:
    """What is kept: `max_value` octets of a value (at least 1024), `max_entries` entries of one server or mailbox and
    of one user or shared (at least 10; RFC 5464, 4.1). `private`: whether users have entries of their own.
    """

    max_value: int = 32768
    max_entries: int = 100
    private: bool = True


@dataclass(frozen=True)
class Names:
    """The names as one profile knows them: the draft's name of the media servers' entry is an alias of RFC 5616's."""

    profile: Profile

    @property
    def alias(self) -> str | None:
        """The other name of MEDIA_SERVERS that is served, if there is one."""
        name = self.profile.media_servers_entry
        return None if name.lower() == MEDIA_SERVERS.lower() else name

    def kept(self, name: str) -> str:
        """Return the name that an entry is kept under."""
        return MEDIA_SERVERS if self.alias is not None and name.lower() == self.alias.lower() else name

    def check(self, name: str, *, above: bool = False) -> None:
        """Raise BadEntry where no entry can have this name, nor, with `above`, a name below it."""
        lowered = self.kept(name).lower()
        components = lowered.split("/")[1:]
        if f"/{components[0]}" not in _SCOPES and not (above and self.alias and is_below(self.alias, name)):
            raise BadEntry("names of entries begin with /shared/ or /private/")
        least = _LEAST_VENDOR_COMPONENTS if components[1:2] == ["vendor"] else _LEAST_COMPONENTS
        if len(components) < least and not above:
            raise BadEntry(f"a name of {least} components at least is expected")

    def asked(self, entries: Mapping[str, bytes], asked: Iterable[str], depth: str) -> dict[str, bytes | None]:
        """Return what a GETMETADATA of these names gives of what is there, each once.

        A name asked for stands in the answer as it was asked, with None where there is nothing and nothing below it
        is asked for either; what `depth` (0, 1 or INFINITY) adds stands there as it is kept.
        """
        there = {name.lower(): (name, value) for name, value in entries.items()}
        if self.alias and MEDIA_SERVERS.lower() in there:
            there[self.alias.lower()] = (self.alias, there[MEDIA_SERVERS.lower()][1])
        found: dict[str, tuple[str, bytes | None]] = {}
        for name in asked:
            if depth == "0" or name.lower() in there:
                found[name.lower()] = (name, there.get(name.lower(), (name, None))[1])
            for key, entry in there.items():
                if is_below(key, name) and (depth == "INFINITY" or (depth == "1" and _is_child(key, name))):
                    found.setdefault(key, entry)
        return dict(found.values())


def is_private(name: str) -> bool:
    """Tell whether each user has an entry of this name for himself."""
    return is_below(name, PRIVATE)


def is_below(name: str, above: str) -> bool:
    """Tell whether a name stands below another."""
    return name.lower().startswith(above.lower() + "/")


def _is_child(name: str, above: str) -> bool:
    return "/" not in name[len(above) + 1 :]


def is_read_only(name: str) -> bool:
    """Tell whether no client sets this server entry, administrators included."""
    return name.lower() == _READ_ONLY


def too_many(present: Iterable[str], changes: Mapping[str, bytes | None], limit: int) -> bool:
    """Tell whether the changes would add entries (None removes) beyond the limit."""
    before = {name.lower() for name in present}
    added = {name.lower() for name, value in changes.items() if value is not None}
    removed = {name.lower() for name, value in changes.items() if value is None}
    return bool(added - before) and len((before | added) - removed) > limit
