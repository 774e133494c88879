"""SASL exchanges from the client's side: PLAIN (RFC 4616), ANONYMOUS (RFC 4505), SCRAM-SHA-256 (RFC 7677).

    exchange.initial                    # the first message
    exchange.answer(challenge)          # the next one; raises SaslError where the exchange must not go on
    exchange.complete                   # whether the server may say OK now

An exchange is used once.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets
from functools import lru_cache
from typing import Protocol

from lemonade_wire.sasl.keys import ScramKeys, mask, sign
from lemonade_wire.sasl.prep import saslprep

MIN_ITERATIONS = 4096
"""RFC 7677, 4: a server that asks for less makes the password cheap to guess for whoever sees the exchange."""
MAX_ITERATIONS = 600_000
"""The server says how long we compute: beyond this it is no login but an attack."""

_SERVER_FIRST = re.compile(
    r"r=(?P<nonce>[!-+\--~]+),s=(?P<salt>[A-Za-z0-9/+=]+),i=(?P<iterations>[1-9][0-9]{0,8})(?:,[A-Za-z]=[^\0,]+)*"
)
_SERVER_FINAL = re.compile(r"v=(?P<signature>[A-Za-z0-9/+=]+)(?:,[A-Za-z]=[^\0,]+)*")


class SaslError(Exception):
    """The exchange must not go on; the message says why, and holds no secret."""


class Exchange(Protocol):
    """One exchange of a mechanism, from the client's side."""

    @property
    def initial(self) -> bytes:
        """The client's first message."""
        ...

    @property
    def complete(self) -> bool:
        """Whether the server may say OK: it has shown all that the mechanism asks of it."""
        ...

    def answer(self, challenge: bytes) -> bytes:
        """Return the answer to a challenge; raises SaslError."""
        ...


class OneMessage:
    """A mechanism in which the client says one thing and the server proves nothing."""

    complete = True

    def __init__(self, message: bytes) -> None:
        self.initial = message

    def answer(self, challenge: bytes) -> bytes:
        """Raise SaslError: there is nothing more to say."""
        raise SaslError("the server asks for more than the mechanism has")


class ScramSha256:
    """SCRAM-SHA-256 without channel binding: the password is not shown, and the server proves that it knows it too.

    Raises PrepError for a user name that SASLprep prohibits. `nonce` is random, printable ASCII without a comma.
    """

    def __init__(self, user: str, password: str, nonce: str | None = None) -> None:
        name = saslprep(user).replace("=", "=3D").replace(",", "=2C")
        self._password = password
        self._nonce = nonce or base64.b64encode(secrets.token_bytes(18)).decode("ascii")
        self._bare = f"n={name},r={self._nonce}".encode()
        self._signature = b""
        self.complete = False

    @property
    def initial(self) -> bytes:
        """The client's first message; `n`: this client binds no channel."""
        return b"n,," + self._bare

    def answer(self, challenge: bytes) -> bytes:
        """Prove the password, then check the server's proof of it; raises SaslError."""
        text = challenge.decode("utf-8", "replace")
        if self.complete:
            raise SaslError("the server asks for more than SCRAM has")
        return self._check(text) if self._signature else self._prove(text)

    def _prove(self, text: str) -> bytes:
        found = _SERVER_FIRST.fullmatch(text)
        if found is None:
            raise SaslError("the first message of a SCRAM server is expected")
        nonce, iterations = found["nonce"], int(found["iterations"])
        if not nonce.startswith(self._nonce) or nonce == self._nonce:
            raise SaslError("the server's nonce is not of this exchange")
        if not MIN_ITERATIONS <= iterations <= MAX_ITERATIONS:
            raise SaslError(
                f"the server asks for {iterations} iterations: {MIN_ITERATIONS} to {MAX_ITERATIONS} are done"
            )
        # ValueError: PrepError too
        try:
            keys = _keys(self._password, _decoded(found["salt"]), iterations)
        except ValueError as problem:
            raise SaslError(f"the password cannot be used: {problem}") from None
        bare = f"c=biws,r={nonce}".encode("ascii")  # biws: `n,,` again, so that nobody changes it on the way
        said = (self._bare, text.encode("utf-8"), bare)
        self._signature = sign(keys.server, *said)
        return bare + b",p=" + base64.b64encode(mask(keys.client, sign(keys.stored, *said)))

    def _check(self, text: str) -> bytes:
        found = _SERVER_FINAL.fullmatch(text)
        if found is None or not hmac.compare_digest(_decoded(found["signature"]), self._signature):
            raise SaslError("the server does not prove that it knows the password")
        self.complete = True
        return b""


@lru_cache(maxsize=32)
def _keys(password: str, salt: bytes, iterations: int) -> ScramKeys:
    """Make the keys of a password, or have them still (RFC 5802, 5.1 allows it): each login would cost milliseconds."""
    return ScramKeys.make(password, salt, iterations)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise SaslError("base64 is expected") from None
