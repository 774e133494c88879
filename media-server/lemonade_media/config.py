"""The media server's settings, with their defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lemonade_media.calls.limits import Limits
from lemonade_media.decoding.settings import DecodeLimits
from lemonade_media.fetch.settings import ImapSettings
from lemonade_wire.address import Address, PortRange, Resolver
from lemonade_wire.sip.message.smime import Smime


def existing_folder(text: str) -> Path:
    """Return the path of an existing folder; raises ValueError for any other name."""
    path = Path(text)
    if not text or not path.is_dir():
        raise ValueError(f"{text!r} is no folder")
    return path


@dataclass(frozen=True)
class MediaConfig:
    """All settings of one media server.

    `listen` is the SIP address; its host is also the source of RTP and of IMAP connections.
    An announcement ends after `max_announcement_seconds`, also one with `repeat=forever` (RFC 4240 section 3).
    A recording ends after `max_recording_seconds`, also one with `duration="infinite"`; a second has 8,000 octets.
    A part that plays longer than `max_media_seconds` is refused. `decoding` limits the processes that decode parts.
    `services` are the services offered; an INVITE to any other one gets 488.
    `provisioned` is the folder with the content of `/provisioned/` names; None: there is no such content.
    `recordings` is the folder below which `<playrecord>` writes its files; None: recording is refused.
    `smime` holds the key and the certificates for encrypted MSCML.
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
    decoding: DecodeLimits = field(default_factory=DecodeLimits)
    smime: Smime = field(default_factory=Smime)
    limits: Limits = field(default_factory=Limits)
