"""Provisioned announcements (RFC 4240 section 3): content from a folder of the media server's own.

`/provisioned/welcome` names `welcome.wav`, or another file of `SUFFIXES`, in the folder. A folder in it that is called
like a locale (`de_AT`) holds the same announcements in that language. A sequence, `welcome.seq`, is a text of one
announcement's name on each line; `$1` to `$9` stand for `param1` to `param9`, and a line without its value is left out.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lemonade_media.decode import EncodedMedia, Law, MediaCache, MediaPart
from lemonade_media.failures import FailureKind, FetchError

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
"""What a file is, by its name: some encodings do not tell themselves. The first one found is played."""
MAX_SEQUENCE_OCTETS = 4096
MAX_PIECES = 100
MAX_TAGS = 6
_ID = re.compile(r"[A-Za-z0-9]{1,64}")
_LOCALE = re.compile(r"[A-Za-z]{2,8}([_-][A-Za-z0-9]{1,8}){0,4}")
_PLACE = re.compile(r"\$([1-9])")


@dataclass(frozen=True)
class ProvisionedPlan:
    """An announcement of this server's own: what was asked for, and where to look for it."""

    url: str
    folder: Path
    name: str
    locale: str = ""
    substitutions: tuple[str, ...] = ()


def is_provisioned(url: str) -> bool:
    """Whether `play` names provisioned content and no URL (RFC 4240 section 3.3; a literal in ABNF has no case)."""
    return url.lower().startswith(PREFIX)


def plan_provisioned(url: str, locale: str, substitutions: tuple[str, ...], folder: Path | None) -> ProvisionedPlan:
    """Read a name; raises FetchError. Nothing but letters and digits is a name, so that none leads elsewhere."""
    name = url[len(PREFIX) :]
    if folder is None or not _ID.fullmatch(name):
        raise FetchError(FailureKind.NOT_FOUND, "there is no such provisioned announcement")
    return ProvisionedPlan(url, folder, name, locale, substitutions)


def load(plan: ProvisionedPlan, content_type: str, law: Law, cache: MediaCache, max_octets: int) -> EncodedMedia:
    """Read and decode an announcement, the pieces of a sequence as one content; blocks on the disk.

    `content_type` overrides what the files' names say. Raises FetchError, or MediaError for what cannot be played.
    """
    pieces = []
    for path, suffix in _pieces(plan):
        part = MediaPart(content_type or SUFFIXES[suffix], {}, _read(path, max_octets))
        pieces.append(cache.encoded(part, law))
    whole = b"".join(piece.octets for piece in pieces)
    if len(whole) > max_octets:
        raise FetchError(FailureKind.TOO_LARGE, "the sequence is larger than this server plays")
    return EncodedMedia(law, whole, "+".join(piece.key for piece in pieces))


def best_locales(wanted: str, present: Iterable[str]) -> list[str]:
    """Return those of the locales present that may serve, the best first (RFC 4240 section 3, `locale`).

    The same, then the same language (without a country before others), then the same country.
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


def _pieces(plan: ProvisionedPlan) -> list[tuple[Path, str]]:
    """Return the files to play, in order, each with the suffix that says what it is."""
    path, suffix = _find(plan, plan.name)
    if suffix != SEQUENCE:
        return [(path, suffix)]
    lines = _read(path, MAX_SEQUENCE_OCTETS).decode("ascii", "replace").split()
    names = [_PLACE.sub(lambda place: _value(plan, int(place[1])), line) for line in lines]
    found = [_find(plan, name) for name in names[:MAX_PIECES] if name]
    if not found or len(names) > MAX_PIECES or any(suffix == SEQUENCE for _, suffix in found):
        raise FetchError(FailureKind.REFUSED, "the provisioned sequence cannot be played")
    return found


def _value(plan: ProvisionedPlan, number: int) -> str:
    return plan.substitutions[number - 1] if number <= len(plan.substitutions) else ""


def _find(plan: ProvisionedPlan, name: str) -> tuple[Path, str]:
    """Return the file of a name, in the best locale that has it, and its suffix; raises FetchError."""
    try:
        root = plan.folder.resolve()
        locales = [entry.name for entry in root.iterdir() if entry.is_dir()] if plan.locale else []
        folders = [*(root / locale for locale in best_locales(plan.locale, locales)), root]
        for folder, suffix in itertools.product(folders, SUFFIXES if _ID.fullmatch(name) else ()):
            path = (folder / f"{name}{suffix}").resolve()
            # A link may lead out of the folder, and a pipe would block.
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
