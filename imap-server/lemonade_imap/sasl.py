"""The server's side of the SASL mechanisms PLAIN, ANONYMOUS and SCRAM-SHA-256, and which of them a session is offered.

PLAIN (RFC 4616) and ANONYMOUS (RFC 4505) have one message, from the client:

    PLAIN:     message = [authzid] UTF8NUL authcid UTF8NUL passwd
    ANONYMOUS: message = [ email / token ]

SCRAM has two messages from each side:

    first = ClientFirst.read(message)
    asked = ServerFirst.answer(first, verifier, nonce)      # send asked.message
    proved = asked.finish(message)                          # send its return; an empty message follows

The caller looks up the verifier after the first message; for an unknown name it passes a decoy, which no password
matches. The client's messages are (RFC 5802, 7):

    client-first-message = gs2-cbind-flag "," ["a=" saslname] ","
                           [reserved-mext ","] "n=" saslname "," "r=" c-nonce ["," extensions]
    client-final-message = "c=" base64 "," "r=" nonce ["," extensions] "," "p=" base64
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Protocol, Self

from lemonade_imap.config import ServerConfig
from lemonade_wire.sasl import PrepError, ScramKeys, is_too_long, mask, saslprep, sign, trace_information

ITERATIONS = 10_000
"""Iterations of PBKDF2 for every password; RFC 7677, 4 asks for at least 4096. Each login takes this work."""
SALT_SIZE = 16
PLAIN = "PLAIN"
ANONYMOUS = "ANONYMOUS"
MECHANISM = "SCRAM-SHA-256"
WRONG = "[AUTHENTICATIONFAILED] user name or password is wrong"
_SASLNAME = r"(?:[^\0,=]|=2C|=3D)+"
_PRINTABLE = r"[!-+\--~]+"  # printable ASCII without the comma
_EXTENSIONS = r"(?:,[A-Za-z]=[^\0,]+)*"
_CLIENT_FIRST = re.compile(
    rf"(?P<gs2>(?P<binding>n|y|p=[A-Za-z0-9.-]+),(?:a=(?P<authzid>{_SASLNAME}))?,)"
    rf"(?P<bare>(?P<mandatory>m=[^\0,]+,)?n=(?P<name>{_SASLNAME}),r=(?P<nonce>{_PRINTABLE}){_EXTENSIONS})"
)
_CLIENT_FINAL = re.compile(
    rf"(?P<bare>c=(?P<binding>[A-Za-z0-9/+=]+),r=(?P<nonce>{_PRINTABLE}){_EXTENSIONS}),p=(?P<proof>[A-Za-z0-9/+=]+)"
)


class SaslRefused(Exception):  # noqa: N818  what happened to the exchange
    """A SASL exchange has failed: `result` is NO or BAD; the text goes to the client and may begin with a code."""

    def __init__(self, result: str, text: str) -> None:
        super().__init__(text)
        self.result = result


@dataclass(frozen=True)
class PasswordShown:
    """A name and a password that the client sent; `authorise` is the account in whose name it wants to act.

    If `authorise` is empty, the client wants to act as `name` (RFC 4616, 2).
    """

    authorise: str
    name: str
    password: str = field(repr=False)


def text_of(message: bytes) -> str:
    """Return a message as text: all mechanisms of this server use UTF-8. Raises SaslRefused."""
    try:
        return message.decode("utf-8")
    except UnicodeDecodeError:
        raise SaslRefused("BAD", "UTF-8 is expected") from None


def read_plain(message: bytes) -> PasswordShown:
    """Parse the message of PLAIN; raises SaslRefused, also for names and passwords that are too long."""
    parts = text_of(message).split("\0", 3)
    if len(parts) != 3 or not parts[1] or not parts[2]:
        raise SaslRefused("BAD", "PLAIN takes authzid NUL authcid NUL password")
    if any(map(is_too_long, parts)):
        raise SaslRefused("NO", WRONG)
    return PasswordShown(*parts)


def read_anonymous(message: bytes) -> str:
    """Return the trace information of ANONYMOUS, which may be empty; raises SaslRefused."""
    try:
        return trace_information(text_of(message))
    except PrepError as problem:
        raise SaslRefused("NO", f"[AUTHENTICATIONFAILED] the trace is not valid by RFC 4505: {problem}") from None


@dataclass(frozen=True)
class ScramVerifier:
    """Verifies a password or a SCRAM proof of it; it does not suffice to log in. Both keys have 32 octets."""

    salt: bytes = field(repr=False)
    iterations: int
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)

    @classmethod
    def make(cls, password: str, salt: bytes, iterations: int = ITERATIONS) -> Self:
        """Make the verifier of a password; takes milliseconds. Raises PrepError if SASLprep prohibits the password."""
        keys = ScramKeys.make(password, salt, iterations, stored=True)
        return cls(salt, iterations, keys.stored, keys.server)

    def matches(self, password: str) -> bool:
        """Tell whether this is the password; takes milliseconds. Raises PrepError if SASLprep prohibits it."""
        return hmac.compare_digest(ScramKeys.make(password, self.salt, self.iterations).stored, self.stored_key)


def mechanisms(config: ServerConfig, *, private: bool) -> tuple[str, ...]:
    """Return the mechanisms that CAPABILITY lists, the best first; `private`: the connection is encrypted."""
    return (MECHANISM, *((PLAIN,) if private or config.cleartext_login else ()), ANONYMOUS)


def why_not(mechanism: str, config: ServerConfig, *, private: bool) -> str | None:
    """Return the text that refuses a mechanism, or None if the mechanism may be used."""
    offered = mechanisms(config, private=private)
    if mechanism in offered:
        return None
    if mechanism == PLAIN:
        return "[PRIVACYREQUIRED] a password is accepted only over TLS"
    return f"[CANNOT] the mechanisms are {', '.join(offered)}"


class Verifier(Protocol):
    """The stored form of a password (RFC 5802, 3): it suffices to verify a login but not to log in."""

    @property
    def salt(self) -> bytes:
        """The account's salt."""
        ...

    @property
    def iterations(self) -> int:
        """The number of iterations of PBKDF2."""
        ...

    @property
    def stored_key(self) -> bytes:
        """StoredKey: the hash of the client's key, 32 octets."""
        ...

    @property
    def server_key(self) -> bytes:
        """ServerKey: the key with which the server proves that it knows the account, 32 octets."""
        ...


@dataclass(frozen=True)
class ClientFirst:
    """The client's first message.

    `gs2`, `bare`: its gs2-header and its client-first-message-bare, as received. `authorise`: the account in whose name
    the client wants to act; empty if it names none.
    """

    gs2: str
    bare: str
    name: str
    authorise: str
    nonce: str = field(repr=False)

    @classmethod
    def read(cls, message: bytes) -> Self:
        """Parse the message; raises SaslRefused.

        The gs2-cbind-flag `y` means that the client supports channel binding and assumes that the server does not,
        which is correct; `p` requires channel binding and is refused (RFC 5802, 6).
        """
        found = _CLIENT_FIRST.fullmatch(text_of(message))
        if found is None:
            raise SaslRefused("BAD", "the first message of SCRAM is expected")
        if found["binding"].startswith("p="):
            raise SaslRefused("NO", "[CANNOT] channel binding is not supported")
        if found["mandatory"]:
            raise SaslRefused("NO", "[CANNOT] this extension of SCRAM is not supported")
        authorise = _unescaped(found["authzid"] or "")
        if is_too_long(authorise):
            raise SaslRefused("NO", WRONG)
        try:
            name = saslprep(_unescaped(found["name"]))
        except PrepError:
            raise SaslRefused("NO", WRONG) from None
        return cls(found["gs2"], found["bare"], name, authorise, found["nonce"])


@dataclass(frozen=True)
class ServerFirst:
    """The server's first message, which is the challenge; `finish` verifies the client's answer to it."""

    first: ClientFirst
    nonce: str = field(repr=False)
    verifier: Verifier = field(repr=False)

    @classmethod
    def answer(cls, first: ClientFirst, verifier: Verifier, nonce: str) -> Self:
        """Make the challenge; `nonce` is random printable ASCII without a comma, to be added to the client's nonce."""
        return cls(first, first.nonce + nonce, verifier)

    @property
    def message(self) -> bytes:
        """The octets of the server's first message: `r=nonce,s=salt,i=iterations`."""
        salt = base64.b64encode(self.verifier.salt).decode("ascii")
        return f"r={self.nonce},s={salt},i={self.verifier.iterations}".encode("ascii")

    def finish(self, message: bytes) -> bytes:
        """Verify the client's final message; returns the server's final message, with the server's signature.

        Raises SaslRefused.
        """
        found = _CLIENT_FINAL.fullmatch(text_of(message))
        if found is None:
            raise SaslRefused("BAD", "the final message of SCRAM is expected")
        binding, proof = _base64(found["binding"]), _base64(found["proof"])
        if binding != self.first.gs2.encode("utf-8") or not hmac.compare_digest(found["nonce"], self.nonce):
            raise SaslRefused("NO", "[AUTHENTICATIONFAILED] this is the end of another exchange")
        said = (self.first.bare.encode("utf-8"), self.message, found["bare"].encode("utf-8"))
        verifier = self.verifier
        # A proof of another length is wrong; it is padded or cut so that its check takes the same time.
        client_key = mask(proof.ljust(32, b"\0")[:32], sign(verifier.stored_key, *said))
        same = hmac.compare_digest(hashlib.sha256(client_key).digest(), verifier.stored_key)
        if not same or len(proof) != 32:
            raise SaslRefused("NO", WRONG)
        return b"v=" + base64.b64encode(sign(verifier.server_key, *said))


@dataclass(frozen=True)
class Proved:
    """Client and server have proved their identities: `user` is logged in when the client's empty message arrives."""

    user: str


def _unescaped(saslname: str) -> str:
    return saslname.replace("=2C", ",").replace("=3D", "=")


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise SaslRefused("BAD", "base64 is expected") from None
