"""SASL: preparation of names and passwords and the keys of SCRAM, for both sides; and the client's exchange.

`saslprep` prepares names and passwords (RFC 4013). The keys of SCRAM-SHA-256 are (RFC 5802 section 3, RFC 7677):

    SaltedPassword   =  PBKDF2(password, salt, iterations)
    ClientKey        =  HMAC(SaltedPassword, "Client Key")
    StoredKey        =  SHA-256(ClientKey)
    ServerKey        =  HMAC(SaltedPassword, "Server Key")
    ClientProof      =  ClientKey XOR HMAC(StoredKey, AuthMessage)
    ServerSignature  =  HMAC(ServerKey, AuthMessage)

A client authenticates by a `SaslExchange`, whatever the mechanism; an exchange can be used once:

    exchange.initial                    # the first message
    exchange.answer(challenge)          # the next message; raises SaslError if the exchange must be cancelled
    exchange.complete                   # whether the server may report success now
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import stringprep
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol, Self

_Table = Callable[[str], bool]

_NEVER: tuple[_Table, ...] = (
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)
_SASLPREP: tuple[_Table, ...] = (*_NEVER, stringprep.in_table_c12, stringprep.in_table_c7)
MIN_ITERATIONS = 4096
"""RFC 7677 section 4: with fewer iterations the password is easy to guess from a captured exchange."""
MAX_ITERATIONS = 600_000
"""The server chooses the number of iterations; the limit keeps a hostile server from using up the client's time."""
# RFC 5802 section 7:
#   server-first-message  =  [reserved-mext ","] nonce "," salt "," iteration-count ["," extensions]
#   nonce                 =  "r=" c-nonce [s-nonce]
#   salt                  =  "s=" base64
#   iteration-count       =  "i=" posit-number
#   server-final-message  =  ( server-error / verifier ) ["," extensions]
#   verifier              =  "v=" base64
_SERVER_FIRST = re.compile(
    r"r=(?P<nonce>[!-+\--~]+),s=(?P<salt>[A-Za-z0-9/+=]+),i=(?P<iterations>[1-9][0-9]{0,8})(?:,[A-Za-z]=[^\0,]+)*"
)
_SERVER_FINAL = re.compile(r"v=(?P<signature>[A-Za-z0-9/+=]+)(?:,[A-Za-z]=[^\0,]+)*")

MAX_PREPARED = 1024
"""Octets of UTF-8 of a name, password or trace; a longer one is refused before any other work.

RFC 4616 section 2 requires a server to accept 255 octets. NFKC puts combining marks in order by a sort
whose time grows with the square of their number: 64 KB of marks take seconds, 1,024 octets less than a millisecond.
"""
_normalised = unicodedata.ucd_3_2_0.normalize


class PrepError(ValueError):
    """A string is too long, or has a character or a form that its stringprep profile prohibits."""


def is_too_long(text: str) -> bool:
    """Tell whether a name, password or trace has more than MAX_PREPARED octets."""
    return len(text) > MAX_PREPARED or len(text.encode("utf-8", "surrogatepass")) > MAX_PREPARED


def saslprep(text: str, *, stored: bool = False) -> str:
    """Return the form of a name or password that is compared and hashed; raises PrepError.

    A text of more than MAX_PREPARED octets is refused unread. `stored`: a server will store the result, so that code
    points that Unicode 3.2 has not assigned are prohibited (RFC 3454 section 7).
    """
    _require_short(text)
    if text.isascii() and text.isprintable():
        return text
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char for char in text if not stringprep.in_table_b1(char)
    )
    made = _normalised("NFKC", mapped)
    _check(made, _SASLPREP)
    if stored and any(stringprep.in_table_a1(char) for char in made):
        raise PrepError("a code point is not assigned in Unicode 3.2")
    return made


def trace_information(text: str) -> str:
    """Return the trace information of ANONYMOUS unchanged, if it is allowed (RFC 4505 section 3); raises PrepError.

    Allowed is an e-mail address of at most MAX_PREPARED octets, or a text of at most 255 characters.
    """
    _require_short(text)
    _check(text, _NEVER)
    if len(text) > 255 and "@" not in text:
        raise PrepError("without @ a trace has at most 255 characters")
    return text


def _require_short(text: str) -> None:
    if is_too_long(text):
        raise PrepError(f"at most {MAX_PREPARED} octets are expected")


def _check(text: str, prohibited: tuple[_Table, ...]) -> None:
    if any(table(char) for char in text for table in prohibited):
        raise PrepError("a character is not allowed here")
    if not any(stringprep.in_table_d1(char) for char in text):
        return
    # RFC 3454 section 6: a string with right-to-left characters has no left-to-right ones, and its first and last
    # characters are right-to-left.
    if any(stringprep.in_table_d2(char) for char in text) or not all(
        stringprep.in_table_d1(end) for end in (text[0], text[-1])
    ):
        raise PrepError("right-to-left and left-to-right characters are mixed")


@dataclass(frozen=True)
class ScramKeys:
    """The keys of a password, 32 octets each: ClientKey, StoredKey and ServerKey of RFC 5802."""

    client: bytes = field(repr=False)
    stored: bytes = field(repr=False)
    server: bytes = field(repr=False)

    @classmethod
    def make(cls, password: str, salt: bytes, iterations: int, *, stored: bool = False) -> Self:
        """Compute the keys of a password, in milliseconds; raises PrepError if SASLprep prohibits the password.

        `stored`: the keys are to be stored, so that unassigned code points are not allowed (RFC 4013 section 2.5).
        """
        prepared = saslprep(password, stored=stored).encode("utf-8")
        salted = hashlib.pbkdf2_hmac("sha256", prepared, salt, iterations)
        client = hmac.digest(salted, b"Client Key", "sha256")
        return cls(client, hashlib.sha256(client).digest(), hmac.digest(salted, b"Server Key", "sha256"))


def sign(key: bytes, *messages: bytes) -> bytes:
    """Return the signature of an exchange with StoredKey or ServerKey; its messages in order are the AuthMessage."""
    return hmac.digest(key, b",".join(messages), "sha256")


def mask(proof: bytes, signature: bytes) -> bytes:
    """Return `proof` XOR `signature`, 32 octets: the ClientProof from the ClientKey, or the other way round."""
    return bytes(a ^ b for a, b in zip(proof, signature, strict=True))


class SaslError(Exception):
    """The exchange must be cancelled; the message says why, and has no secret."""


class SaslExchange(Protocol):
    """The client's side of one exchange of a SASL mechanism."""

    @property
    def initial(self) -> bytes:
        """The client's first message."""
        ...

    @property
    def complete(self) -> bool:
        """Whether the server may report success: it has proved all that the mechanism requires."""
        ...

    def answer(self, challenge: bytes) -> bytes:
        """Return the client's response to a challenge; raises SaslError."""
        ...


class OneMessage:
    """A mechanism with one message of the client and no proof of the server (PLAIN, ANONYMOUS)."""

    complete = True

    def __init__(self, message: bytes) -> None:
        self.initial = message

    def answer(self, challenge: bytes) -> bytes:
        """Raise SaslError: the mechanism has no second message."""
        raise SaslError("the server asks for more than the mechanism has")


class ScramSha256:
    """SCRAM-SHA-256 without channel binding (RFC 7677).

    The password is not sent, and the server proves that it knows the password's keys. Raises PrepError for a user name
    that SASLprep prohibits. `nonce` is printable ASCII without a comma; None for a random one.
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
        """The client-first-message; its GS2 header `n,,` means no channel binding (RFC 5802 section 7)."""
        return b"n,," + self._bare

    def answer(self, challenge: bytes) -> bytes:
        """Answer the first challenge with the client's proof, and check the server's proof in the second.

        Raises SaslError.
        """
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
        # PrepError is a ValueError.
        try:
            keys = _keys(self._password, _decoded(found["salt"]), iterations)
        except ValueError as problem:
            raise SaslError(f"the password cannot be used: {problem}") from None
        # biws is base64 of the GS2 header `n,,`. It is repeated under the proof, so that a change of it is detected.
        bare = f"c=biws,r={nonce}".encode("ascii")
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
    """Return the keys of a password, cached because they take milliseconds (RFC 5802 section 5.1 allows a cache)."""
    return ScramKeys.make(password, salt, iterations)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise SaslError("base64 is expected") from None
