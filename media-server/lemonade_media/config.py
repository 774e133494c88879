"""The media server's settings, with their defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lemonade_media.decoding.settings import DecodeLimits
from lemonade_media.fetch.settings import ImapSettings
from lemonade_wire.address import Address, IpNetwork, PortRange, Resolver
from lemonade_wire.sip.message.smime import Smime


def existing_folder(text: str) -> Path:
    """Return the path of an existing folder; raises ValueError for any other name."""
    path = Path(text)
    if not text or not path.is_dir():
        raise ValueError(f"{text!r} is no folder")
    return path


@dataclass(frozen=True)
class Limits:
    """The limits of a media server.

    `calls`: calls at a time. `calls_per_minute`: calls that one address may begin in a minute (None: no limit).
    `streams` and `streams_per_address`: TCP connections for SIP at a time (0: no limit). `unlimited`: the networks of
    proxies, for which these limits of addresses and connections do not hold.
    `transactions`: SIP transactions at a time, as `UaSettings` counts them. `body`: octets of a SIP message's body.
    `call_seconds`: a call is ended after so many seconds, since a caller can disappear without a BYE.
    """

    calls: int = 1000
    calls_per_minute: int | None = 300
    transactions: int = 10_000
    body: int = 65_536
    call_seconds: int = 14_400
    streams: int = 200
    streams_per_address: int = 20
    unlimited: tuple[IpNetwork, ...] = ()


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
