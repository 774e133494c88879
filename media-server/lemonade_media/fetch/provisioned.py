"""Announcements from the operator's folder (`/provisioned/NAME`), and the addresses to which a caller's URL may lead.

`/provisioned/welcome` names the file `welcome.wav` in the folder, or one with another suffix of `SUFFIXES`. A subfolder
whose name is a locale (`de_AT`) holds the same announcements in that language. A sequence, `welcome.seq`, is a text
file with the name of one announcement on each line. `$1` to `$9` in it stand for the values of `param1` to `param9`; a
line whose value is missing is left out.

All other URLs lead to public Internet addresses only. The owner of a host name chooses its address: it may be that of
this machine, of a machine in the local network, or of the metadata service of a cloud. A caller cannot reach these, but
could have the server connect to them.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lemonade_media.decoding.decode import EncodedMedia, FetchedPart, Law
from lemonade_media.model.failures import FailureKind, FetchError
from lemonade_media.model.plans import ProvisionedPlan

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in the last 32 bits
# RFC 5214 section 6.1: the last 32 bits are an IPv4 address if these 32 bits precede it, with or without the
# "universal" bit.
_ISATAP = 0x5EFE
_UNIVERSAL = 0x0200_0000

# Special-purpose networks that some of the supported Python versions do not know.
_SPECIAL = tuple(
    ipaddress.ip_network(text)
    for text in (
        "192.0.0.0/24",  # RFC 6890 section 2.1: protocol assignments
        "192.88.99.0/24",  # RFC 7526: relays of 6to4
        "2001:20::/28",  # RFC 7343: ORCHIDv2, which identifies hosts and is not routed
        "64:ff9b:1::/48",  # RFC 8215: IPv4 addresses, translated within a local network
        "3fff::/20",  # RFC 9637: documentation
        "5f00::/16",  # RFC 9602: segment routing
    )
)


def is_public(address: IpAddress) -> bool:
    """Whether an address is a unicast address of the public Internet.

    For an IPv6 address that contains an IPv4 address, the IPv4 address decides.
    """
    if isinstance(address, ipaddress.IPv6Address) and (inside := _carried(address)) is not None:
        return is_public(inside)
    special = address.is_multicast or address.is_reserved or address.is_unspecified or address.is_loopback
    special = special or getattr(address, "is_site_local", False) or any(address in network for network in _SPECIAL)
    return address.is_global and not special


def same_address(host: str, address: IpAddress) -> bool:
    """Whether a host is written as an IP address and is equal to this one; False for a host name."""
    try:
        return ipaddress.ip_address(host) == address
    except ValueError:
        return False


def _carried(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address in _NAT64 or int(address) >> 32 & 0xFFFFFFFF & ~_UNIVERSAL == _ISATAP:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


PREFIX = "/provisioned/"
SEQUENCE = ".seq"
SUFFIXES: Mapping[str, str] = {
    SEQUENCE: "",
    ".wav": "audio/wav",
    ".au": "audio/basic",
    ".ulaw": "audio/basic",
    ".alaw": "audio/x-alaw-basic",
    ".flac": "audio/flac",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
}
"""The content type of a file by its suffix: raw encodings have no header. The first suffix that exists is played."""
MAX_SEQUENCE_OCTETS = 4096
"""The largest `.seq` file."""
MAX_PIECES = 100
"""The largest number of announcements in a sequence."""
MAX_TAGS = 6
"""More than the subtags of any locale: the rank of locales that share the country only."""
_ID = re.compile(r"[A-Za-z0-9]{1,64}")
_LOCALE = re.compile(r"[A-Za-z]{2,8}([_-][A-Za-z0-9]{1,8}){0,4}")
_PLACE = re.compile(r"\$([1-9])")


def is_provisioned(url: str) -> bool:
    """Whether the `play` parameter names provisioned content, and is not a URL.

    The grammar (RFC 4240 section 3.3) has `"/provisioned/" announcement-id`; literals of ABNF ignore case.
    """
    return url.lower().startswith(PREFIX)


def plan_provisioned(url: str, locale: str, substitutions: tuple[str, ...], folder: Path | None) -> ProvisionedPlan:
    """Read a `/provisioned/` name; raises FetchError (NOT_FOUND).

    A name has letters and digits only, so that no name is a path to another folder.
    """
    name = url[len(PREFIX) :]
    if folder is None or not _ID.fullmatch(name):
        raise FetchError(FailureKind.NOT_FOUND, "there is no such provisioned announcement")
    return ProvisionedPlan(url, folder, name, locale, substitutions)


def find_pieces(plan: ProvisionedPlan) -> list[tuple[Path, str]]:
    """Return the files of an announcement, in the order of playing, each with its suffix. Blocks on the disk.

    There is one file, or those that a sequence names. Raises FetchError.
    """
    path, suffix = _find(plan, plan.name)
    if suffix != SEQUENCE:
        return [(path, suffix)]
    lines = _read(path, MAX_SEQUENCE_OCTETS).decode("ascii", "replace").split()
    names = [_PLACE.sub(lambda place: _value(plan, int(place[1])), line) for line in lines]
    found = [_find(plan, name) for name in names[:MAX_PIECES] if name]
    if not found or len(names) > MAX_PIECES or any(suffix == SEQUENCE for _, suffix in found):
        raise FetchError(FailureKind.REFUSED, "the provisioned sequence cannot be played")
    return found


def read_piece(path: Path, suffix: str, content_type: str, max_octets: int) -> FetchedPart:
    """Read a file of an announcement. Blocks on the disk. Raises FetchError.

    `content_type` overrides the type that the file's suffix gives.
    """
    return FetchedPart(content_type or SUFFIXES[suffix], {}, _read(path, max_octets))


def join_pieces(pieces: Sequence[EncodedMedia], law: Law, max_octets: int) -> EncodedMedia:
    """Return the sounds of a sequence, which have the encoding `law`, as one content; raises FetchError."""
    if sum(len(piece.octets) for piece in pieces) > max_octets:
        raise FetchError(FailureKind.TOO_LARGE, "the sequence is larger than this server plays")
    unreadable = max((piece.unreadable for piece in pieces), default=0.0)
    key = "+".join(piece.key for piece in pieces)
    return EncodedMedia(law, b"".join(piece.octets for piece in pieces), key, unreadable)


def best_locales(wanted: str, present: Iterable[str]) -> list[str]:
    """Return the locales of `present` that match the wanted one, the best first (RFC 4240 section 3, `locale`).

    The order is: the same locale, the same language (first without a country), the same country.
    """
    asked = _tags(wanted)
    ranks = []
    for name in present:
        tags = _tags(name)
        if tags == asked:
            ranks.append((0, name))
        elif tags[0] == asked[0]:
            ranks.append((len(tags), name))
        elif tags[1:] and tags[1:] == asked[1:]:
            ranks.append((MAX_TAGS, name))
    return [name for _, name in sorted(ranks) if _LOCALE.fullmatch(name)]


def _tags(locale: str) -> list[str]:
    return re.split("[_-]", locale.lower())


def _value(plan: ProvisionedPlan, number: int) -> str:
    return plan.substitutions[number - 1] if number <= len(plan.substitutions) else ""


def _find(plan: ProvisionedPlan, name: str) -> tuple[Path, str]:
    """Return the file of an announcement's name, in the best locale that has it, and its suffix; raises FetchError."""
    try:
        root = plan.folder.resolve()
        locales = [entry.name for entry in root.iterdir() if entry.is_dir()] if plan.locale else []
        folders = [*(root / locale for locale in best_locales(plan.locale, locales)), root]
        for folder, suffix in itertools.product(folders, SUFFIXES if _ID.fullmatch(name) else ()):
            path = (folder / f"{name}{suffix}").resolve()
            # A symbolic link may point out of the folder, and reading a pipe would block.
            if path.is_relative_to(root) and path.is_file():
                return path, suffix
    except (OSError, RuntimeError) as problem:  # RuntimeError: links in a circle
        raise FetchError(FailureKind.REFUSED, "the provisioned announcement cannot be read") from problem
    raise FetchError(FailureKind.NOT_FOUND, "there is no such provisioned announcement")


def _read(path: Path, max_octets: int) -> bytes:
    try:
        with path.open("rb") as file:
            octets = file.read(max_octets + 1)
    except OSError as problem:
        raise FetchError(FailureKind.REFUSED, "the provisioned announcement cannot be read") from problem
    if len(octets) > max_octets:
        raise FetchError(FailureKind.TOO_LARGE, "the provisioned announcement is larger than this server plays")
    return octets
