"""Checks names and passwords, and limits failed logins by address (RFC 4616, 6; RFC 5802, 9)."""

from __future__ import annotations

import hmac
import secrets
from collections import deque
from collections.abc import Callable, Mapping

from lemonade_imap.admission import network_of
from lemonade_imap.config import LoginPolicy
from lemonade_imap.sasl import ITERATIONS, SALT_SIZE, ScramVerifier
from lemonade_wire.sasl import PrepError, saslprep

_MOST_ADDRESSES = 10_000

Lookup = Callable[[str], ScramVerifier | None]
"""Finds the verifier of an account, or None if there is no such account; raises StoreError."""


def no_accounts(_name: str) -> ScramVerifier | None:
    """Return None for every name: there are no accounts outside the settings."""
    return None


class LoginFailures:
    """The failed logins of each address during the last `policy.memory` seconds."""

    def __init__(self, policy: LoginPolicy) -> None:
        self._policy = policy
        self._times: dict[str, deque[float]] = {}

    def blocked(self, address: str, now: float) -> bool:
        """Tell whether this address has too many failed logins; `now` is in seconds."""
        return len(self._recent(network_of(address), now)) >= self._policy.address_failures

    def failed(self, address: str, now: float) -> float:
        """Count a failed login; returns the seconds to wait before it is answered."""
        key = network_of(address)
        times = self._recent(key, now)
        times.append(now)
        if key not in self._times and len(self._times) >= _MOST_ADDRESSES:
            self._times.pop(next(iter(self._times)))  # the address that was added first
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


class Authenticator:
    """Checks passwords.

    `passwords`: accounts of the settings. `lookup`: finds the accounts of the data folder. An unknown name gets a decoy
    verifier that is computed from `secret`: it has the same salt each time and takes the same work as an account, so
    that a client cannot learn which accounts exist (RFC 5802, 9). `verifier` and `matches` may take milliseconds and
    must not run in the reactor's thread.
    """

    def __init__(
        self,
        passwords: Mapping[str, str],
        policy: LoginPolicy | None = None,
        lookup: Lookup = no_accounts,
        secret: bytes | None = None,
    ) -> None:
        self.failures = LoginFailures(policy or LoginPolicy())
        self._lookup = lookup
        self._secret = secret or secrets.token_bytes(32)
        self._cache_key = secrets.token_bytes(32)
        self._matched: dict[str, tuple[bytes, bytes]] = {}
        self._own = {name: ScramVerifier.make(password, self._salt(name)) for name, password in passwords.items()}

    def known(self, name: str) -> bool:
        """Tell whether an account of this name exists."""
        kept = self._lookup(name) is not None  # also for names of the settings: it takes the same time for every name
        return kept or name in self._own

    def verifier(self, name: str) -> ScramVerifier:
        """Return an account's verifier, or for an unknown name a decoy that no password matches."""
        return self._own.get(name) or self._lookup(name) or self._decoy(name)

    def matches(self, name: str, password: str) -> bool:
        """Tell whether this is the account's password.

        A password that matched before is recognised by a keyed hash, without PBKDF2. A wrong password always takes
        PBKDF2, so that the time of a failure shows neither whether the account exists nor whether it logged in before.
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
        # The stored key is a random value: no known password has this hash.
        return ScramVerifier(salt, ITERATIONS, hmac.digest(self._secret, salt, "sha256"), bytes(32))
