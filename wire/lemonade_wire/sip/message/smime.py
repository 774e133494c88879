"""S/MIME: encrypting and decrypting bodies (RFC 3261 section 23, RFC 3853, RFC 8551), and its command-line options.

Bodies are encrypted but not signed, because the library cannot verify signatures. Sent bodies use AES-128-CBC
(RFC 3853) and binary DER, never base64 (SM-4-1); received bodies may also use AES-256-CBC and base64 (SM-3-1).
"""

from __future__ import annotations

import argparse
import base64
import binascii
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers.algorithms import AES128
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key, pkcs7

from lemonade_wire.nodecli import NodeParser
from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.message.body import Entity, Understands, understood
from lemonade_wire.sip.message.keyring import Keyring, read_certificates
from lemonade_wire.sip.message.message import SipMessage

PKCS7_MIME = "application/pkcs7-mime"
UNDECIPHERABLE = 493
_SEQUENCE = b"\x30"
"""The DER tag of SEQUENCE, with which every CMS structure begins; in base64 it begins with `M`."""
_INNER = b"Content-Type: %s\r\nContent-Transfer-Encoding: binary\r\n\r\n"


@dataclass(frozen=True)
class MimeBody:
    """A body with its headers; its Content-Type is `content_type` and not in `headers`."""

    content_type: str
    headers: tuple[tuple[str, str], ...]
    octets: bytes

    @classmethod
    def of(cls, octets: bytes, kind: str, file: str) -> Self:
        """Make a body from DER octets with the headers of RFC 3261 section 23.3; `kind` is the smime-type."""
        headers = (
            ("MIME-Version", "1.0"),
            ("Content-Disposition", f"attachment; filename={file}; handling=required"),
            ("Content-Transfer-Encoding", "binary"),
        )
        return cls(f"{PKCS7_MIME}; smime-type={kind}; name={file}", headers, octets)


@dataclass(frozen=True)
class SmimeIdentity:
    """The own certificate and its private key, with which received bodies are decrypted."""

    certificate: x509.Certificate
    key: RSAPrivateKey = field(repr=False)

    @classmethod
    def read(cls, certificate: bytes, key: bytes) -> Self:
        """Read certificate and key from PEM; raises ValueError if one is unusable or they do not belong together."""
        own = read_certificates(certificate)[0]
        try:
            private = load_pem_private_key(key, None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise ValueError("there is no private key (PEM, without a password)") from None
        if not isinstance(private, RSAPrivateKey) or private.public_key() != own.public_key():
            raise ValueError("the private key is not the certificate's")
        return cls(own, private)

    def shown(self) -> MimeBody:
        """Return the certificate as the body of a 493 response (RFC 3261 section 23.2)."""
        return MimeBody.of(pkcs7.serialize_certificates([self.certificate], Encoding.DER), "certs-only", "smime.p7c")


@dataclass(frozen=True)
class Smime:
    """The S/MIME configuration of a node.

    `identity` decrypts received bodies (None: encrypted bodies are not understood); `peers` has the certificates with
    which bodies are encrypted.
    """

    identity: SmimeIdentity | None = None
    peers: Keyring = field(default_factory=Keyring)

    @property
    def accepted(self) -> tuple[str, ...]:
        """The media types that S/MIME adds to the Accept header."""
        return (PKCS7_MIME,) if self.identity is not None else ()


class Opening:
    """Decrypts the encrypted body of one message; `opened` is true if the message had one.

    A second one in the same message is refused, because each costs a computation with the private key.
    """

    def __init__(self, identity: SmimeIdentity | None) -> None:
        self.opened = False
        self._identity = identity

    def understood(self, message: SipMessage, understands: Understands) -> list[Entity]:
        """Return the parts of a message to act on, as `body.understood` does, including encrypted ones.

        Raises SipParseError. Every error in an encrypted body has the same status 493 and text, because different
        errors would give information about bodies that others have encrypted. A type that is not understood is 415.
        """
        try:
            return understood(Entity.of(message), understands, self._open)
        except SipParseError as problem:
            if self.opened and problem.status != 415:
                raise SipParseError("Undecipherable", status=UNDECIPHERABLE) from problem
            raise

    def _open(self, entity: Entity) -> Entity | None:
        """Return the entity inside an encrypted one; None if it is not encrypted or this node has no private key."""
        if self._identity is None or entity.media.name != PKCS7_MIME:
            return None
        if (entity.media.param("smime-type") or "enveloped-data").lower() != "enveloped-data":
            return None
        if self.opened:
            raise SipParseError("More than one encrypted body", status=415)
        self.opened = True
        content = entity.content
        try:
            plain = pkcs7.pkcs7_decrypt_der(_der(content), self._identity.certificate, self._identity.key, [])
        except (ValueError, UnsupportedAlgorithm) as problem:
            raise SipParseError(str(problem)) from problem
        return Entity.read(plain, entity.depth + 1, what="what is encrypted")


def seal(content: bytes, content_type: str, certificate: x509.Certificate) -> MimeBody:
    """Encrypt an entity for the holder of a certificate (RFC 8551 section 3.3)."""
    builder = (
        pkcs7.PKCS7EnvelopeBuilder()
        .set_data(_INNER % content_type.encode() + content)
        .add_recipient(certificate)
        .set_content_encryption_algorithm(AES128)
    )
    # Without the option Binary the library would convert line ends (SM-4-1).
    octets = builder.encrypt(Encoding.DER, [pkcs7.PKCS7Options.Binary])
    return MimeBody.of(octets, "enveloped-data", "smime.p7m")


def shown_certificates(message: SipMessage) -> list[x509.Certificate]:
    """Return the certificates in the body of a response; an empty list if there are none or they cannot be read."""
    try:
        entity = Entity.of(message)
        if entity.media.name != PKCS7_MIME:
            return []
        return pkcs7.load_der_pkcs7_certificates(_der(entity.content))
    except (ValueError, UnsupportedAlgorithm, SipParseError):
        return []


def _der(content: bytes) -> bytes:
    """Return the DER octets of a CMS structure, decoded if they are base64; raises ValueError.

    The content decides, not the Content-Transfer-Encoding header (E-41).
    """
    if content.startswith(_SEQUENCE):
        return content
    try:
        return base64.b64decode(b"".join(content.split()), validate=True)
    except binascii.Error as problem:
        raise ValueError("neither DER nor base64") from problem


def add_options(parser: NodeParser) -> None:
    """Add the S/MIME options to a parser."""
    parser.add_argument(
        "--smime-cert", type=Path, metavar="FILE", help="own certificate (PEM, RSA): encrypted bodies are read"
    )
    parser.add_argument("--smime-key", type=Path, metavar="FILE", help="its private key (PEM)")
    parser.add_argument(
        "--smime-peer",
        type=Path,
        metavar="FILE",
        action="append",
        default=[],
        help="certificates (PEM) of peers, for whom MSCML is encrypted (repeatable)",
    )


def smime_from(options: argparse.Namespace, now: datetime) -> Smime:
    """Read the files that the options name; raises ValueError if one is unusable or not valid at `now`."""
    if (options.smime_cert is None) != (options.smime_key is None):
        raise ValueError("--smime-cert and --smime-key go together")
    try:
        identity = (
            None
            if options.smime_cert is None
            else SmimeIdentity.read(options.smime_cert.read_bytes(), options.smime_key.read_bytes())
        )
    except (OSError, ValueError) as problem:
        raise ValueError(f"--smime-cert, --smime-key: {problem}") from None
    try:
        peers = Keyring.of((path.read_bytes() for path in options.smime_peer), now)
    except (OSError, ValueError) as problem:
        raise ValueError(f"--smime-peer: {problem}") from None
    return Smime(identity, peers)
