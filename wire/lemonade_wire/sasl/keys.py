"""SCRAM-SHA-256's arithmetic (RFC 5802, 3; RFC 7677), the same at both ends."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Self

from lemonade_wire.sasl.prep import saslprep


@dataclass(frozen=True)
class ScramKeys:
    """What both ends make of a password, 32 octets each: the client proves `client`, the server `server`."""

    client: bytes = field(repr=False)
    stored: bytes = field(repr=False)
    server: bytes = field(repr=False)

    @classmethod
    def make(cls, password: str, salt: bytes, iterations: int, *, stored: bool = False) -> Self:
        """Make the keys of a password; raises PrepError where SASLprep prohibits it. Takes milliseconds.

        `stored`: the password is to be kept, so that Unicode has to know each of its code points (RFC 4013, 2.5).
        """
        prepared = saslprep(password, stored=stored).encode("utf-8")
        salted = hashlib.pbkdf2_hmac("sha256", prepared, salt, iterations)
        client = hmac.digest(salted, b"Client Key", "sha256")
        return cls(client, hashlib.sha256(client).digest(), hmac.digest(salted, b"Server Key", "sha256"))


def sign(key: bytes, *messages: bytes) -> bytes:
    """Sign the messages of an exchange, in their order (AuthMessage), with the stored key or the server's."""
    return hmac.digest(key, b",".join(messages), "sha256")


def mask(proof: bytes, signature: bytes) -> bytes:
    """Return a client key hidden by a signature, or the key again of what hides it; both have 32 octets."""
    return bytes(a ^ b for a, b in zip(proof, signature, strict=True))
