"""Reads session descriptions (RFC 4566) as a trace has them, line by line; shares no code with the nodes.

No function raises an error: a line that cannot be read is ignored, and a number that cannot be read is -1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType

CONTENT_TYPE = "application/sdp"
TELEPHONE_EVENT = "telephone-event"
"""The encoding name of RFC 4733, which carries keys and no sound."""
_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
_UNSPECIFIED = frozenset({"0.0.0.0", "::"})  # noqa: S104  compared with, not bound to


@dataclass(frozen=True)
class CodecText:
    """An encoding that an rtpmap names; `clock` is in Hz."""

    name: str
    clock: int
    channels: int = 1

    @property
    def is_telephone_event(self) -> bool:
        """Tell whether it carries keys (RFC 4733)."""
        return self.name.lower() == TELEPHONE_EVENT


STATIC: Mapping[int, CodecText] = MappingProxyType({
    0: CodecText("PCMU", 8000), 3: CodecText("GSM", 8000), 4: CodecText("G723", 8000),
    5: CodecText("DVI4", 8000), 6: CodecText("DVI4", 16000), 7: CodecText("LPC", 8000),
    8: CodecText("PCMA", 8000), 9: CodecText("G722", 8000), 10: CodecText("L16", 44100, 2),
    11: CodecText("L16", 44100), 12: CodecText("QCELP", 8000), 13: CodecText("CN", 8000),
    14: CodecText("MPA", 90000), 15: CodecText("G728", 8000), 16: CodecText("DVI4", 11025),
    17: CodecText("DVI4", 22050), 18: CodecText("G729", 8000), 25: CodecText("CelB", 90000),
    26: CodecText("JPEG", 90000), 28: CodecText("nv", 90000), 31: CodecText("H261", 90000),
    32: CodecText("MPV", 90000), 33: CodecText("MP2T", 90000), 34: CodecText("H263", 90000),
})  # fmt: skip
"""The payload types that need no rtpmap (RFC 3551, section 6)."""


@dataclass(frozen=True)
class MediaText:
    """One m-line with the lines after it; `address` and `direction` are the session's if it has none of its own.

    `attributes` are its own a-lines as (name, value); the value is empty if there is none.
    """

    media: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    address: str = ""
    direction: str = "sendrecv"
    attributes: tuple[tuple[str, str], ...] = ()

    @property
    def rejected(self) -> bool:
        """Tell whether the port is 0: the stream was refused, or not offered (RFC 3264, section 6)."""
        return self.port == 0

    @property
    def receives(self) -> bool:
        """Tell whether its side receives media, by port, direction and address (RFC 3264, section 8.4)."""
        return not self.rejected and self.direction in {"sendrecv", "recvonly"} and self.address not in _UNSPECIFIED

    def attribute(self, name: str) -> str | None:
        """Return the value of the first a-line of that name; empty for one without a value, None if there is none."""
        return next((value for known, value in self.attributes if known == name), None)

    def codecs(self) -> dict[int, CodecText]:
        """Return the codecs of payload types by the rtpmap lines."""
        found: dict[int, CodecText] = {}
        for name, value in self.attributes:
            number, _, text = value.partition(" ")
            codec = _codec(text) if name == "rtpmap" else None
            if codec is not None and 0 <= _number(number) <= 127:
                found.setdefault(int(number), codec)
        return found


@dataclass(frozen=True)
class SdpText:
    """A session description: its o-line in words, its m-lines, and its session-level a-lines as (name, value)."""

    origin: tuple[str, ...] = ()
    media: tuple[MediaText, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()

    @property
    def version(self) -> int:
        """The version in the o-line, which rises by one with each change (RFC 3264, section 8); -1 without one."""
        return _number(self.origin[2]) if len(self.origin) > 2 else -1


@dataclass
class _Section:
    """The lines from one m-line to the next; the first section is that of the session."""

    line: str
    address: str = ""
    attributes: list[tuple[str, str]] = field(default_factory=list)

    def direction(self) -> str:
        return next((name for name, _ in self.attributes if name in _DIRECTIONS), "")


@lru_cache(maxsize=1024)
def read_sdp(text: str) -> SdpText:
    """Read a description."""
    origin: tuple[str, ...] = ()
    session = section = _Section("")
    sections: list[_Section] = []
    for line in text.replace("\r", "\n").split("\n"):
        kind, equals, value = line.partition("=")
        if not equals:
            continue
        match kind:
            case "o":
                origin = tuple(value.split())
            case "m":
                section = _Section(value)
                sections.append(section)
            case "c" if not section.address:
                section.address = value.split()[-1].partition("/")[0] if value.split() else ""
            case "a":
                name, _, content = value.partition(":")
                section.attributes.append((name.strip(), content.strip()))
    media = tuple(_media(section, session) for section in sections)
    return SdpText(origin, media, tuple(session.attributes))


def _media(section: _Section, session: _Section) -> MediaText:
    media, port, protocol, *formats = (*section.line.split(), "", "", "")
    return MediaText(
        media,
        _number(port.partition("/")[0]),
        protocol,
        tuple(one for one in formats if one),
        section.address or session.address,
        section.direction() or session.direction() or "sendrecv",
        tuple(section.attributes),
    )


def _codec(text: str) -> CodecText | None:
    name, *numbers = text.split("/")
    clock, channels = (_number(numbers[place]) if len(numbers) > place else 1 for place in (0, 1))
    return CodecText(name.strip(), clock, channels) if name.strip() and numbers and clock > 0 else None


def _number(text: str) -> int:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else -1
