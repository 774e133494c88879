"""Codecs as named in SDP, and the static payload types of RFC 3551."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


class SdpError(ValueError):
    """A session description is malformed, or does not match the offer."""


@dataclass(frozen=True, eq=False)
class Codec:
    """An encoding: its `name` (compared without case), its RTP `clock` in Hz, and its number of `channels`."""

    name: str
    clock: int
    channels: int = 1

    # RFC 4566 section 6: a=rtpmap:<payload type> <encoding name>/<clock rate>[/<encoding parameters>]
    @classmethod
    def parse(cls, text: str) -> Codec:
        """Parse the codec of an rtpmap, such as `PCMU/8000` or `L16/44100/2`; raises SdpError."""
        name, *numbers = text.strip().split("/")
        if not name or " " in name or not 1 <= len(numbers) <= 2 or not all(_is_number(n) for n in numbers):
            raise SdpError(f"not a codec: {text!r} (PCMU/8000 is one)")
        clock, channels = int(numbers[0]), int(numbers[1]) if len(numbers) == 2 else 1
        if clock < 1 or channels < 1:
            raise SdpError(f"codec {text!r} has no clock or channels")
        return cls(name, clock, channels)

    @property
    def is_telephone_event(self) -> bool:
        """Whether this is telephone-event (RFC 4733), which carries keys and no sound."""
        return self.name.lower() == "telephone-event"

    def __str__(self) -> str:
        return f"{self.name}/{self.clock}" + (f"/{self.channels}" if self.channels != 1 else "")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Codec) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[str, int, int]:
        return self.name.lower(), self.clock, self.channels


@dataclass(frozen=True)
class Format:
    """One format of an RTP m-line: its payload type, its codec, and the text of its fmtp (None if it has none)."""

    payload_type: int
    codec: Codec
    fmtp: str | None = None


PCMU = Codec("PCMU", 8000)
PCMA = Codec("PCMA", 8000)
TELEPHONE_EVENT = Codec("telephone-event", 8000)

# The static payload types of RFC 3551 section 6, tables 4 and 5.
STATIC: Mapping[int, Codec] = MappingProxyType(
    {
        0: PCMU,
        3: Codec("GSM", 8000),
        4: Codec("G723", 8000),
        5: Codec("DVI4", 8000),
        6: Codec("DVI4", 16000),
        7: Codec("LPC", 8000),
        8: PCMA,
        9: Codec("G722", 8000),
        10: Codec("L16", 44100, 2),
        11: Codec("L16", 44100),
        12: Codec("QCELP", 8000),
        13: Codec("CN", 8000),
        14: Codec("MPA", 90000),
        15: Codec("G728", 8000),
        16: Codec("DVI4", 11025),
        17: Codec("DVI4", 22050),
        18: Codec("G729", 8000),
        25: Codec("CelB", 90000),
        26: Codec("JPEG", 90000),
        28: Codec("nv", 90000),
        31: Codec("H261", 90000),
        32: Codec("MPV", 90000),
        33: Codec("MP2T", 90000),
        34: Codec("H263", 90000),
    }
)
FIRST_DYNAMIC = 96


def static_payload_type(codec: Codec) -> int | None:
    """Return the static payload type of a codec (RFC 3551 section 6), or None if it has none."""
    return next((number for number, known in STATIC.items() if known == codec), None)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10
