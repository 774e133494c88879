"""The gate: who is known, whose password it was, and what failing costs (RFC 4616, 6; RFC 5802, 9)."""

from __future__ import annotations

import hmac
import secrets
from collections import deque
from collections.abc import Callable, Mapping

from lemonade_imap.admission import network_of
from lemonade_imap.config import LoginPolicy
from lemonade_imap.sasl.verifier import ITERATIONS, SALT_SIZE, ScramVerifier
from lemonade_wire.sasl.prep import PrepError, saslprep

_MOST_ADDRESSES = 10_000

Lookup = Callable[[str], ScramVerifier | None]
"""Finds an account's verifier; raises StoreError where nobody can tell."""


def nobody(_name: str) -> ScramVerifier | None:
    """Find no account."""
    return None


class Failures:
    """Failed logins of each address, as long as they are remembered."""

    def __init__(self, policy: LoginPolicy) -> None:
        self._policy = policy
        self._times: dict[str, deque[float]] = {}

    def blocked(self, address: str, now: float) -> bool:
        """Tell whether this address failed too often of late."""
        return len(self._recent(network_of(address), now)) >= self._policy.address_failures

    def failed(self, address: str, now: float) -> float:
        """Count a failure; returns the seconds to wait before it is answered."""
        key = network_of(address)
        times = self._recent(key, now)
        times.append(now)
        if key not in self._times and len(self._times) >= _MOST_ADDRESSES:
            self._times.pop(next(iter(self._times)))  # the oldest
        self._times[key] = times
        doublings = min(len(times) - 1, 16)
        return min(self._policy.delay * 2.0**doublings, self._policy.longest_delay)

    def _recent(self, key: str, now: float) -> deque[float]:
        times = self._times.get(key)
        if times is None:
            return deque(maxlen=self._policy.address_failures)
        while times and times[0] <= now - self._policy.memory:
            times.popleft()
        if not times:
            self._times.pop(key)
        return times


class Gate:
    """Checks passwords. `lookup` finds accounts kept elsewhere, `passwords` are those of the command line.

    Names nobody has are given decoys, made of `secret`: the same salt for the same name every time, and the same work
    as for an account (RFC 5802, 9). `verifier` and `matches` may take milliseconds: they run off the reactor.
    """

    def __init__(
        self,
        passwords: Mapping[str, str],
        policy: LoginPolicy | None = None,
        lookup: Lookup = nobody,
        secret: bytes | None = None,
    ) -> None:
        self.failures = Failures(policy or LoginPolicy())
        self._lookup = lookup
        self._secret = secret or secrets.token_bytes(32)
        self._cache_key = secrets.token_bytes(32)
        self._matched: dict[str, tuple[bytes, bytes]] = {}
        self._own = {name: ScramVerifier.make(password, self._salt(name)) for name, password in passwords.items()}

    def known(self, name: str) -> bool:
        """Tell whether there is such an account."""
        kept = self._lookup(name) is not None  # looked for in any case: it takes as long for every name
        return kept or name in self._own

    def verifier(self, name: str) -> ScramVerifier:
        """Return an account's verifier, or for an unknown name a decoy that nothing matches."""
        return self._own.get(name) or self._lookup(name) or self._decoy(name)

    def matches(self, name: str, password: str) -> bool:
        """Tell whether this is the account's password. A second login with it costs no PBKDF2.

        What did not match always costs it, so that time tells neither who has an account nor who logged in before.
        """
        try:
            shown = hmac.digest(self._cache_key, saslprep(password).encode("utf-8"), "sha256")
        except PrepError:
            return False
        verifier = self.verifier(name)
        stored, before = self._matched.get(name, (b"", b""))
        if stored == verifier.stored_key and hmac.compare_digest(shown, before):
            return True
        if not verifier.matches(password):
            return False
        self._matched[name] = (verifier.stored_key, shown)
        return True

    def _salt(self, name: str) -> bytes:
        return hmac.digest(self._secret, name.encode("utf-8"), "sha256")[:SALT_SIZE]

    def _decoy(self, name: str) -> ScramVerifier:
        salt = self._salt(name)
        # nobody has a password whose hash this is
        return ScramVerifier(salt, ITERATIONS, hmac.digest(self._secret, salt, "sha256"), bytes(32))
