"""Limits on tickets (URLAUTH URLs) that an administrator may set: clients, rates, sizes and lifetimes.

Pure: addresses, identities and times are arguments. Without a limit everything is allowed that the RFCs allow.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lemonade_wire.address import IpNetwork, in_networks
from lemonade_wire.imap.url import ImapUrl
from lemonade_wire.imap.url_parts import AccessKind

MIN_ANONYMOUS_LIFE = 3600
"""Seconds; the server never refuses an anonymous URL whose EXPIRE lies no further in the future (LS-2.3-6)."""

_FIRST_DELAY = 0.1
_LONGEST_DELAY = 10.0
_MINUTE = 60.0


@dataclass(frozen=True)
class TicketPolicy:
    """The limits on tickets; None means no limit.

    `anonymous_life`: seconds for which an anonymous URL may be valid, at least MIN_ANONYMOUS_LIFE; GENURLAUTH refuses a
    URL with a later EXPIRE or without one (LS-2.3-5). It does not shorten it: a server must not change a URL (E-11).
    `networks`, `users`: the addresses and the accounts to which URLFETCH is answered (LS-2.2-3); one of the two must
    match. If both are empty, URLFETCH is answered to all.
    `max_part`: octets that URLFETCH returns for one URL.
    `fetches`, `authorisations`: URLs that one session may name in URLFETCH and in GENURLAUTH in a minute.
    `refusals`: refused URLs in a minute after which a session's refusals are delayed more and more (RFC 4467, 10).
    """

    anonymous_life: float | None = None
    networks: tuple[IpNetwork, ...] = ()
    users: frozenset[str] = frozenset()
    max_part: int | None = None
    fetches: int | None = None
    authorisations: int | None = None
    refusals: int | None = None

    def lives_too_long(self, url: ImapUrl, now: float) -> bool:
        """Tell whether an anonymous URL would be valid for longer than allowed; `now` is seconds since 1970."""
        if self.anonymous_life is None or url.access is None or url.access.kind is not AccessKind.ANONYMOUS:
            return False
        return url.expire is None or url.expire.at.timestamp() > now + max(self.anonymous_life, MIN_ANONYMOUS_LIFE)

    def may_fetch(self, user: str | None, host: str) -> bool:
        """Tell whether URLFETCH is answered to this user at this address; `user` is None in an anonymous session."""
        if not self.networks and not self.users:
            return True
        return user in self.users or in_networks(host, self.networks)

    def fits(self, size: int) -> bool:
        """Tell whether URLFETCH may return `size` octets for one URL."""
        return self.max_part is None or size <= self.max_part


@dataclass
class _Measure:
    """A leaky bucket: a count that decreases by `limit` in a minute. Times are seconds."""

    limit: int
    level: float = 0.0
    at: float = 0.0

    def now(self, now: float) -> float:
        """Return the count at the time `now`."""
        self.level = max(0.0, self.level - max(0.0, now - self.at) * self.limit / _MINUTE)
        self.at = now
        return self.level


@dataclass
class TicketUse:
    """Counts one session's use of tickets, for the limits; times are seconds since 1970."""

    _measures: dict[str, _Measure] = field(default_factory=dict)

    def admits(self, what: str, count: int, limit: int | None, now: float) -> bool:
        """Add `count` to the counter named `what`, unless the result exceeds `limit`; returns whether it was added."""
        if limit is None:
            return True
        measure = self._measures.setdefault(what, _Measure(limit))
        if measure.now(now) + count > limit:
            return False
        measure.level += count
        return True

    def delay(self, limit: int | None, now: float) -> float:
        """Count a refusal and return the seconds to wait before it is sent.

        0.0 up to `limit` refusals in a minute; above it 0.1, doubled by each further refusal, at most 10.0.
        """
        if limit is None:
            return 0.0
        measure = self._measures.setdefault("refused", _Measure(limit))
        measure.level = measure.now(now) + 1
        over = measure.level - limit
        return min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** min(over - 1, 30)) if over > 0 else 0.0
