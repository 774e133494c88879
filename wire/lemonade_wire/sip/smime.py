"""S/MIME bodies: encrypted ones in and out, and certificates in answers (RFC 3261 section 23, RFC 3853, RFC 8551).

Bodies are encrypted and not signed: the library reads no signatures. Written are AES-128-CBC (RFC 3853) and DER as it
is, never base64 (SM-4-1); AES-256-CBC and base64 are read too (SM-3-1).
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers.algorithms import AES128
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key, pkcs7

from lemonade_wire.sip.body import Entity, Understands, understood
from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.keyring import Keyring, read_certificates
from lemonade_wire.sip.message import Message

PKCS7_MIME = "application/pkcs7-mime"
UNDECIPHERABLE = 493
_SEQUENCE = b"\x30"
"""What every DER body begins with, and no base64 one: that begins with M."""
_INNER = b"Content-Type: %s\r\nContent-Transfer-Encoding: binary\r\n\r\n"


@dataclass(frozen=True)
class MimeBody:
    """A body with the headers that it wants; `content_type` is one of them and stands apart."""

    content_type: str
    headers: tuple[tuple[str, str], ...]
    octets: bytes

    @classmethod
    def of(cls, octets: bytes, kind: str, file: str) -> Self:
        """Put the headers around DER (RFC 3261 section 23.3); `kind` is the smime-type."""
        headers = (
            ("MIME-Version", "1.0"),
            ("Content-Disposition", f"attachment; filename={file}; handling=required"),
            ("Content-Transfer-Encoding", "binary"),
        )
        return cls(f"{PKCS7_MIME}; smime-type={kind}; name={file}", headers, octets)


@dataclass(frozen=True)
class Identity:
    """A certificate and its private key, by which bodies are deciphered."""

    certificate: x509.Certificate
    key: RSAPrivateKey = field(repr=False)

    @classmethod
    def read(cls, certificate: bytes, key: bytes) -> Self:
        """Read both, in PEM; raises ValueError that says what is allowed."""
        own = read_certificates(certificate)[0]
        try:
            private = load_pem_private_key(key, None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise ValueError("there is no private key (PEM, without a password)") from None
        if not isinstance(private, RSAPrivateKey) or private.public_key() != own.public_key():
            raise ValueError("the private key is not the certificate's")
        return cls(own, private)

    def shown(self) -> MimeBody:
        """Return the certificate as a 493 shows it (RFC 3261 section 23.2)."""
        return MimeBody.of(pkcs7.serialize_certificates([self.certificate], Encoding.DER), "certs-only", "smime.p7c")


@dataclass(frozen=True)
class Smime:
    """What a node has for S/MIME: None for one that reads no encrypted bodies, and the certificates of its peers."""

    identity: Identity | None = None
    peers: Keyring = field(default_factory=Keyring)

    @property
    def accepted(self) -> tuple[str, ...]:
        """What Accept lists beside the other types."""
        return (PKCS7_MIME,) if self.identity is not None else ()


class Opening:
    """Opens the encrypted body of one message; `opened` tells whether there was one.

    One alone: each costs a computation with the private key.
    """

    def __init__(self, identity: Identity | None) -> None:
        self.opened = False
        self._identity = identity

    def understood(self, message: Message, understands: Understands) -> list[Entity]:
        """Return the parts of a message to act on, as `body.understood` does, encrypted ones too.

        Raises SipParseError: 493 whatever is wrong with what was encrypted, since every difference would tell something
        of what others have encrypted; but 415 for a type that is not understood.
        """
        try:
            return understood(Entity.of(message), understands, self._open)
        except SipParseError as problem:
            if self.opened and problem.status != 415:
                raise SipParseError("Undecipherable", status=UNDECIPHERABLE) from problem
            raise

    def _open(self, entity: Entity) -> Entity | None:
        """Return what an entity holds, None where it is not encrypted or nothing can be read here."""
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
    # Binary: the library would else make line ends of its own (SM-4-1).
    octets = builder.encrypt(Encoding.DER, [pkcs7.PKCS7Options.Binary])
    return MimeBody.of(octets, "enveloped-data", "smime.p7m")


def shown_certificates(message: Message) -> list[x509.Certificate]:
    """Return the certificates that an answer shows; none where it shows none that can be read."""
    try:
        entity = Entity.of(message)
        if entity.media.name != PKCS7_MIME:
            return []
        return pkcs7.load_der_pkcs7_certificates(_der(entity.content))
    except (ValueError, UnsupportedAlgorithm, SipParseError):
        return []


def _der(content: bytes) -> bytes:
    """Return the octets of a CMS structure, in base64 or not, whatever a header says (E-41); raises ValueError."""
    if content.startswith(_SEQUENCE):
        return content
    try:
        return base64.b64decode(b"".join(content.split()), validate=True)
    except binascii.Error as problem:
        raise ValueError("neither DER nor base64") from problem
