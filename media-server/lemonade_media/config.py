"""Settings of the media server, with their defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from lemonade_wire.address import Address, Resolver


@dataclass(frozen=True)
class Identity:
    """The account that the media server has on IMAP servers."""

    user: str
    password: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `NAME:PASSWORD`; raises ValueError."""
        user, colon, password = text.partition(":")
        if not colon or not user or not password:
            raise ValueError("NAME:PASSWORD is expected")  # without the text: it may be a password
        return cls(user, password)


@dataclass(frozen=True)
class AllowedHost:
    """An IMAP server that URLs may name: a host, compared without case, and its port; None: any port."""

    host: str
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `HOST[:PORT]`; raises ValueError with what is allowed."""
        host, port = Address.parse(text, default_port=0)
        if port == 0 and text.endswith(":0"):
            raise ValueError(f"{text!r} has the port 0: HOST or HOST:PORT is expected")
        return cls(host.lower(), port or None)

    def allows(self, host: str, port: int) -> bool:
        """Whether a URL with this host and port may be fetched."""
        return host.strip("[]").lower() == self.host and self.port in {None, port}


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

    `allow_imap` empty: every URL is refused, since a server that connects wherever a caller says is a tool for others.
    A call is ended after `max_call_seconds`, since a caller may be gone without a BYE, and an announcement after
    `max_announcement_seconds`, which bounds what `repeat=forever` asks for (RFC 4240 section 3).
    `provisioned` is the folder of `/provisioned/` content; None: there is none.
    `identity` None: IMAP servers are entered by SASL ANONYMOUS, with `anonymous_trace` (RFC 4505).
    """

    listen: Address
    rtp_ports: PortRange
    allow_imap: tuple[AllowedHost, ...] = ()
    identity: Identity | None = None
    resolver: Resolver = field(default_factory=Resolver)
    anonymous_trace: str = "lemonade-media"
    connect_seconds: float = 10.0
    fetch_seconds: float = 30.0
    max_part_octets: int = 64_000_000
    max_media_seconds: float = 3600.0
    max_announcement_seconds: int = 3600
    provisioned: Path | None = None
    max_calls: int = 1000
    max_call_seconds: float = 4 * 3600.0

    def allows(self, host: str, port: int) -> bool:
        """Whether URLs with this host and port may be fetched."""
        return any(allowed.allows(host, port) for allowed in self.allow_imap)
