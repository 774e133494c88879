"""Names of METADATA entries, and which entries a GETMETADATA command returns (RFC 5464, 3.2 and 4.2; LS-2.2-6; E-1).

Pure: no I/O. Two names that differ only in letter case are equal (RFC 5464, 3.2); each is stored as the client gave it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from lemonade_wire.profile import Profile

MEDIA_SERVERS = "/shared/mediaServers"
PRIVATE = "/private"
_SCOPES = ("/shared", PRIVATE)
_READ_ONLY = "/shared/admin"  # RFC 5464, 3.2.1.1: no client may change this entry
LONGEST_NAME = 1024
"""Octets that the name of an entry may have."""
_LEAST_COMPONENTS = 2
_LEAST_VENDOR_COMPONENTS = 4


class BadEntry(ValueError):  # noqa: N818  what the name is
    """The text is not a valid entry name; every command that holds it is answered BAD (RFC 5464, 3.2)."""


@dataclass(frozen=True)
class AnnotationLimits:
    """How much METADATA the server stores (RFC 5464, 4.1).

    `max_value`: octets of one value, at least 1024. `max_entries`: entries of one server or mailbox in one scope (the
    shared entries, or those of one user), at least 10. `private`: whether users may have /private/ entries.
    """

    max_value: int = 32768
    max_entries: int = 100
    private: bool = True


@dataclass(frozen=True)
class Names:
    """Entry names in one profile: a profile may give the entry of the media servers a second name (an alias).

    The entry is stored as MEDIA_SERVERS, the name of RFC 5616. The draft-07 profile also serves the draft's name (E-1).
    """

    profile: Profile

    @property
    def alias(self) -> str | None:
        """The second name of MEDIA_SERVERS in this profile, or None if the profile has none."""
        name = self.profile.media_servers_entry
        return None if name.lower() == MEDIA_SERVERS.lower() else name

    def kept(self, name: str) -> str:
        """Return the name under which an entry is stored: MEDIA_SERVERS for its alias, any other name unchanged."""
        return MEDIA_SERVERS if self.alias is not None and name.lower() == self.alias.lower() else name

    def check(self, name: str, *, above: bool = False) -> None:
        """Raise BadEntry if `name` is not a valid entry name.

        With `above`, a name is also valid if valid entry names can stand below it, as GETMETADATA with DEPTH needs it.
        """
        if len(name) > LONGEST_NAME:
            raise BadEntry(f"a name of at most {LONGEST_NAME} octets is expected")
        lowered = self.kept(name).lower()
        components = lowered.split("/")[1:]
        if f"/{components[0]}" not in _SCOPES and not (above and self.alias and is_below(self.alias, name)):
            raise BadEntry("names of entries begin with /shared/ or /private/")
        least = _LEAST_VENDOR_COMPONENTS if components[1:2] == ["vendor"] else _LEAST_COMPONENTS
        if len(components) < least and not above:
            raise BadEntry(f"a name of {least} components at least is expected")

    def asked(self, entries: Mapping[str, bytes], asked: Iterable[str], depth: str) -> dict[str, bytes | None]:
        """Return the entries that GETMETADATA returns for the names `asked`; each name appears once.

        `entries`: the stored entries. `depth`: 0, 1 or INFINITY (RFC 5464, 4.2.2). A name that was asked for is
        returned in the letter case of the request; it is mapped to None if no such entry exists and `depth` is 0.
        Entries that `depth` adds are returned with the names under which they are stored.
        """
        there = {name.lower(): (name, value) for name, value in entries.items()}
        if self.alias and MEDIA_SERVERS.lower() in there:
            there[self.alias.lower()] = (self.alias, there[MEDIA_SERVERS.lower()][1])
        wanted: dict[str, str] = {}
        for name in asked:
            wanted.setdefault(name.lower(), name)
        below = _keys_below(there, wanted, depth)
        found: dict[str, tuple[str, bytes | None]] = {}
        for lowered, name in wanted.items():
            if depth == "0" or lowered in there:
                found[lowered] = (name, there.get(lowered, (name, None))[1])
            for key in below.get(lowered, ()):
                found.setdefault(key, there[key])
        return dict(found.values())


def _keys_below(keys: Iterable[str], wanted: Collection[str], depth: str) -> dict[str, list[str]]:
    """Return the keys that `depth` adds to each wanted name; each key looks only at the names above itself."""
    found: dict[str, list[str]] = {}
    for key in () if depth == "0" else keys:
        above = key.rpartition("/")[0]
        while above:
            if above in wanted:
                found.setdefault(above, []).append(key)
            above = above.rpartition("/")[0] if depth == "INFINITY" else ""
    return found


def is_private(name: str) -> bool:
    """Tell whether the name begins with /private/: each user has an own entry of that name (RFC 5464, 3.2)."""
    return is_below(name, PRIVATE)


def is_below(name: str, above: str) -> bool:
    """Tell whether `name` stands below `above` in the hierarchy of entry names, at any depth."""
    return name.lower().startswith(above.lower() + "/")


def is_read_only(name: str) -> bool:
    """Tell whether no client may set this server entry, not even as an administrator (RFC 5464, 3.2.1.1)."""
    return name.lower() == _READ_ONLY


def too_many(present: Iterable[str], changes: Mapping[str, bytes | None], limit: int) -> bool:
    """Tell whether `changes` add entries and the total would then exceed `limit`; a value of None removes an entry."""
    before = {name.lower() for name in present}
    added = {name.lower() for name, value in changes.items() if value is not None}
    removed = {name.lower() for name, value in changes.items() if value is None}
    return bool(added - before) and len((before | added) - removed) > limit
