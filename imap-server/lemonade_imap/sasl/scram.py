"""SCRAM-SHA-256 from the server's side (RFC 5802, RFC 7677), without channel binding.

    first = ClientFirst.read(message)
    asked = ServerFirst.answer(first, verifier, nonce)      # send asked.message
    proved = asked.finish(message)                          # send its return; an empty message follows

The verifier is looked up between the two by whoever drives it, for a name that no account has a decoy.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Protocol, Self

from lemonade_imap.sasl.messages import SaslRefused, text_of
from lemonade_wire.sasl.keys import mask, sign
from lemonade_wire.sasl.prep import PrepError, saslprep

MECHANISM = "SCRAM-SHA-256"
WRONG = "[AUTHENTICATIONFAILED] user name or password is wrong"

_SASLNAME = r"(?:[^\0,=]|=2C|=3D)+"
_PRINTABLE = r"[!-+\--~]+"  # printable ASCII but the comma
_EXTENSIONS = r"(?:,[A-Za-z]=[^\0,]+)*"
_CLIENT_FIRST = re.compile(
    rf"(?P<gs2>(?P<binding>n|y|p=[A-Za-z0-9.-]+),(?:a=(?P<authzid>{_SASLNAME}))?,)"
    rf"(?P<bare>(?P<mandatory>m=[^\0,]+,)?n=(?P<name>{_SASLNAME}),r=(?P<nonce>{_PRINTABLE}){_EXTENSIONS})"
)
_CLIENT_FINAL = re.compile(
    rf"(?P<bare>c=(?P<binding>[A-Za-z0-9/+=]+),r=(?P<nonce>{_PRINTABLE}){_EXTENSIONS}),p=(?P<proof>[A-Za-z0-9/+=]+)"
)


class Verifier(Protocol):
    """What a server keeps of a password (RFC 5802, 3): enough to verify, not enough to log in."""

    @property
    def salt(self) -> bytes:
        """Salt of the account's own."""
        ...

    @property
    def iterations(self) -> int:
        """Iterations of PBKDF2."""
        ...

    @property
    def stored_key(self) -> bytes:
        """Hash of the client's key, 32 octets."""
        ...

    @property
    def server_key(self) -> bytes:
        """What the server proves itself with, 32 octets."""
        ...


@dataclass(frozen=True)
class ClientFirst:
    """The client's first message. `gs2` and `bare` are its halves as they came; `authorise` is empty where none is."""

    gs2: str
    bare: str
    name: str
    authorise: str
    nonce: str = field(repr=False)

    @classmethod
    def read(cls, message: bytes) -> Self:
        """Read the message; raises SaslRefused.

        `y` says that the client would bind the channel and believes that the server cannot, which is so; `p` demands
        it, and is refused (RFC 5802, 6).
        """
        found = _CLIENT_FIRST.fullmatch(text_of(message))
        if found is None:
            raise SaslRefused("BAD", "the first message of SCRAM is expected")
        if found["binding"].startswith("p="):
            raise SaslRefused("NO", "[CANNOT] channel binding is not supported")
        if found["mandatory"]:
            raise SaslRefused("NO", "[CANNOT] this extension of SCRAM is not supported")
        try:
            name = saslprep(_unescaped(found["name"]))
        except PrepError:
            raise SaslRefused("NO", WRONG) from None
        return cls(found["gs2"], found["bare"], name, _unescaped(found["authzid"] or ""), found["nonce"])


@dataclass(frozen=True)
class ServerFirst:
    """The challenge: `message` is sent, `finish` takes what the client proves with."""

    first: ClientFirst
    nonce: str = field(repr=False)
    verifier: Verifier = field(repr=False)

    @classmethod
    def answer(cls, first: ClientFirst, verifier: Verifier, nonce: str) -> Self:
        """Make the challenge; `nonce` is random printable ASCII without a comma, added to the client's."""
        return cls(first, first.nonce + nonce, verifier)

    @property
    def message(self) -> bytes:
        """The server's first message."""
        salt = base64.b64encode(self.verifier.salt).decode("ascii")
        return f"r={self.nonce},s={salt},i={self.verifier.iterations}".encode("ascii")

    def finish(self, message: bytes) -> bytes:
        """Verify the client's final message; returns the server's, which proves it. Raises SaslRefused."""
        found = _CLIENT_FINAL.fullmatch(text_of(message))
        if found is None:
            raise SaslRefused("BAD", "the final message of SCRAM is expected")
        binding, proof = _base64(found["binding"]), _base64(found["proof"])
        if binding != self.first.gs2.encode("utf-8") or not hmac.compare_digest(found["nonce"], self.nonce):
            raise SaslRefused("NO", "[AUTHENTICATIONFAILED] this is the end of another exchange")
        said = (self.first.bare.encode("utf-8"), self.message, found["bare"].encode("utf-8"))
        verifier = self.verifier
        # a proof of another length is wrong, and is found so in the same time
        client_key = mask(proof.ljust(32, b"\0")[:32], sign(verifier.stored_key, *said))
        same = hmac.compare_digest(hashlib.sha256(client_key).digest(), verifier.stored_key)
        if not same or len(proof) != 32:
            raise SaslRefused("NO", WRONG)
        return b"v=" + base64.b64encode(sign(verifier.server_key, *said))


@dataclass(frozen=True)
class Proved:
    """Client and server have both proved who they are: `user` comes in when the client's empty message is here."""

    user: str


def _unescaped(saslname: str) -> str:
    return saslname.replace("=2C", ",").replace("=3D", "=")


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise SaslRefused("BAD", "base64 is expected") from None
