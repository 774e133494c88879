"""What an administrator may ask of tickets beyond the RFCs: who fetches, how often, how much, and for how long.

Pure: addresses, identities and times are arguments. Everything is allowed unless it is forbidden here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

from lemonade_wire.imap.access import AccessKind
from lemonade_wire.imap.url import ImapUrl

MIN_ANONYMOUS_LIFE = 3600
"""Seconds: an anonymous URL that lives no longer is never refused for its EXPIRE (LS-2.3-6)."""

Network = IPv4Network | IPv6Network

_FIRST_DELAY = 0.1
_LONGEST_DELAY = 10.0
_MINUTE = 60.0


@dataclass(frozen=True)
class TicketPolicy:
    """The limits; None is no limit.

    `anonymous_life`: seconds that an anonymous URL may live, at least MIN_ANONYMOUS_LIFE; a longer one, or one without
    EXPIRE, gets no ticket (LS-2.3-5). It could not be shortened instead: a server changes nothing in a URL (E-11).
    `networks`, `users`: where from and as whom URLFETCH is answered (LS-2.2-3); either is enough. Both empty: everyone.
    `max_part`: octets that URLFETCH returns of one URL.
    `fetches`, `authorisations`: URLs that one session may name to URLFETCH and GENURLAUTH in a minute.
    `refusals`: refused URLs in a minute after which a session's next refusals come later and later (RFC 4467, 10).
    """

    anonymous_life: float | None = None
    networks: tuple[Network, ...] = ()
    users: frozenset[str] = frozenset()
    max_part: int | None = None
    fetches: int | None = None
    authorisations: int | None = None
    refusals: int | None = None

    def lives_too_long(self, url: ImapUrl, now: float) -> bool:
        """Tell whether an anonymous URL would be valid for longer than it may."""
        if self.anonymous_life is None or url.access is None or url.access.kind is not AccessKind.ANONYMOUS:
            return False
        return url.expire is None or url.expire.at.timestamp() > now + max(self.anonymous_life, MIN_ANONYMOUS_LIFE)

    def may_fetch(self, user: str | None, host: str) -> bool:
        """Tell whether a session is one of a listed media server; `user` is None for an anonymous one."""
        if not self.networks and not self.users:
            return True
        return user in self.users or _is_within(host, self.networks)

    def fits(self, size: int) -> bool:
        """Tell whether so many octets may be returned of one URL."""
        return self.max_part is None or size <= self.max_part


def _is_within(host: str, networks: tuple[Network, ...]) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped  # an IPv4 peer on a dual-stack socket
    return any(address in network for network in networks)


@dataclass
class _Measure:
    """Counts what happens, and forgets `limit` of it in a minute."""

    limit: int
    level: float = 0.0
    at: float = 0.0

    def now(self, now: float) -> float:
        """Return what is not forgotten yet."""
        self.level = max(0.0, self.level - max(0.0, now - self.at) * self.limit / _MINUTE)
        self.at = now
        return self.level


@dataclass
class TicketUse:
    """What one session did with tickets; times are seconds since 1970."""

    _measures: dict[str, _Measure] = field(default_factory=dict)

    def admits(self, what: str, count: int, limit: int | None, now: float) -> bool:
        """Count `count` more of something, unless that exceeds `limit` in a minute; tell whether it was counted."""
        if limit is None:
            return True
        measure = self._measures.setdefault(what, _Measure(limit))
        if measure.now(now) + count > limit:
            return False
        measure.level += count
        return True

    def delay(self, limit: int | None, now: float) -> float:
        """Count a refusal and return the seconds to wait before it is told: 0 up to the limit, then doubling."""
        if limit is None:
            return 0.0
        measure = self._measures.setdefault("refused", _Measure(limit))
        measure.level = measure.now(now) + 1
        over = measure.level - limit
        return min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** min(over - 1, 30)) if over > 0 else 0.0
