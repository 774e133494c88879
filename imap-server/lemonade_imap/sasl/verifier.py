"""What is kept of a password: a SCRAM-SHA-256 verifier (RFC 5802, 3), good for SCRAM and for PLAIN alike."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import Self

from lemonade_wire.sasl.keys import ScramKeys

ITERATIONS = 10_000
"""Of PBKDF2, for every password: RFC 7677, 4 asks for 4096 at least, and each login pays them."""
SALT_SIZE = 16


@dataclass(frozen=True)
class ScramVerifier:
    """Enough to verify a password or a proof of it, not enough to log in; both keys have 32 octets."""

    salt: bytes = field(repr=False)
    iterations: int
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)

    @classmethod
    def make(cls, password: str, salt: bytes, iterations: int = ITERATIONS) -> Self:
        """Make the verifier of a password; raises PrepError where SASLprep prohibits it. Takes milliseconds."""
        keys = ScramKeys.make(password, salt, iterations, stored=True)
        return cls(salt, iterations, keys.stored, keys.server)

    def matches(self, password: str) -> bool:
        """Tell whether the password is the one; raises PrepError. Takes milliseconds."""
        return hmac.compare_digest(ScramKeys.make(password, self.salt, self.iterations).stored, self.stored_key)
