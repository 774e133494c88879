"""Settings of the media server, with their defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from lemonade_media.imap_settings import ImapSettings
from lemonade_media.limits import Limits
from lemonade_wire.address import Address, Resolver


@dataclass(frozen=True)
class PortRange:
    """UDP ports for RTP and RTCP, both ends included."""

    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `A-B`; raises ValueError with what is allowed."""
        first, dash, last = text.partition("-")
        if not dash or not all(side.isascii() and side.isdigit() and len(side) < 6 for side in (first, last)):
            raise ValueError(f"{text!r} is not a range of ports: A-B is expected")
        if not 1024 <= int(first) < int(last) <= 65535:
            raise ValueError(f"{text!r} has no pair of ports: 1024 to 65535, the lower one first, is expected")
        return cls(int(first), int(last))


def existing_folder(text: str) -> Path:
    """Read the name of a folder that is there; raises ValueError."""
    path = Path(text)
    if not text or not path.is_dir():
        raise ValueError(f"{text!r} is no folder")
    return path


def whole_seconds(text: str) -> int:
    """Read a number of seconds, 1 to 14400; raises ValueError with what is allowed."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= 14_400:
        raise ValueError(f"{text!r} is not a number of seconds: 1 to 14400 is expected")
    return int(text)


@dataclass(frozen=True)
class MediaConfig:
    """What a media server is set to.

    A call is ended after `max_call_seconds`, since a caller may be gone without a BYE, and an announcement after
    `max_announcement_seconds`, which bounds what `repeat=forever` asks for (RFC 4240 section 3).
    `services` are offered, others get 488. `provisioned` is the folder of `/provisioned/` content; None: there is none.
    `recordings` is the folder below which `<playrecord>` writes; None: it is refused.
    """

    listen: Address
    rtp_ports: PortRange
    imap: ImapSettings = field(default_factory=ImapSettings)
    recordings: Path | None = None
    resolver: Resolver = field(default_factory=Resolver)
    max_media_seconds: float = 3600.0
    max_announcement_seconds: int = 3600
    provisioned: Path | None = None
    services: frozenset[str] = frozenset({"annc", "ivr"})
    limits: Limits = field(default_factory=Limits)
    max_call_seconds: float = 4 * 3600.0
