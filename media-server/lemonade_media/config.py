"""Settings of the media server, with their defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lemonade_media.imap_settings import ImapSettings
from lemonade_media.limits import Limits
from lemonade_wire.address import Address, PortRange, Resolver
from lemonade_wire.sip.smime import Smime


def existing_folder(text: str) -> Path:
    """Read the name of a folder that is there; raises ValueError."""
    path = Path(text)
    if not text or not path.is_dir():
        raise ValueError(f"{text!r} is no folder")
    return path


@dataclass(frozen=True)
class MediaConfig:
    """What a media server is set to.

    An announcement ends after `max_announcement_seconds`, which bounds what `repeat=forever` asks for (RFC 4240
    section 3).
    A recording ends after `max_recording_seconds`, which bounds what `duration="infinite"` asks for; there a second is
    8,000 octets.
    `services` are offered, others get 488. `provisioned` is the folder of `/provisioned/` content; None: there is none.
    `recordings` is the folder below which `<playrecord>` writes; None: it is refused.
    `smime` is what encrypted MSCML is read and answered with.
    """

    listen: Address
    rtp_ports: PortRange
    imap: ImapSettings = field(default_factory=ImapSettings)
    recordings: Path | None = None
    resolver: Resolver = field(default_factory=Resolver)
    max_media_seconds: float = 3600.0
    max_announcement_seconds: int = 3600
    max_recording_seconds: int = 3600
    provisioned: Path | None = None
    services: frozenset[str] = frozenset({"annc", "ivr"})
    smime: Smime = field(default_factory=Smime)
    limits: Limits = field(default_factory=Limits)
