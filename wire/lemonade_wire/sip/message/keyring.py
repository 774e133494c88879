"""Certificates of peers, found by SIP address, with which bodies are encrypted for them (RFC 3261 section 23.1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from urllib.parse import unquote

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.message.uri import SipUri

Record = tuple[str, str]
"""User part ("" if the name has none), and host in lower case."""


@dataclass(frozen=True)
class Keyring:
    """A set of certificates, searched by the names in their subjectAltName."""

    certificates: tuple[x509.Certificate, ...] = ()

    @classmethod
    def of(cls, texts: Iterable[bytes], now: datetime) -> Self:
        """Read PEM certificates; raises ValueError if one is not valid at `now` or names no SIP or mail address."""
        found = tuple(one for text in texts for one in read_certificates(text))
        for certificate in found:
            if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
                raise ValueError(f"the certificate of {named(certificate)} is not valid now")
            if not records(certificate):
                raise ValueError("a certificate has no sip: URI or address in its subjectAltName")
        return cls(found)

    def find(self, uri: SipUri) -> x509.Certificate | None:
        """Return the certificate for a URI: that of the user at the host, or else that of the host; None if unknown.

        The certificate of a user is not valid for another user or for the host (RFC 5922 section 7.1). The port is
        ignored.
        """
        wanted = _record(uri)
        for record in (wanted, ("", wanted[1])):
            for certificate in self.certificates:
                if record in records(certificate):
                    return certificate
        return None


def records(certificate: x509.Certificate) -> list[Record]:
    """Return the addresses of a certificate: the `sip:` and `sips:` URIs and mail addresses of its subjectAltName."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    found = []
    for text in names.get_values_for_type(x509.UniformResourceIdentifier):
        try:
            found.append(_record(SipUri.parse(text)))
        except SipParseError:
            continue
    addresses = (text.rpartition("@") for text in names.get_values_for_type(x509.RFC822Name))
    return [*found, *((user, host.lower()) for user, _, host in addresses)]


def read_certificates(text: bytes) -> list[x509.Certificate]:
    """Read PEM certificates with which bodies can be encrypted.

    Raises ValueError if there is none, or if a key is not RSA or not for encryption (keyEncipherment).
    """
    try:
        found = x509.load_pem_x509_certificates(text)
    except ValueError:
        raise ValueError("there is no certificate (PEM)") from None
    for certificate in found:
        if not isinstance(certificate.public_key(), RSAPublicKey):
            raise ValueError(f"the key of {named(certificate)} is not RSA")
        try:
            usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        except x509.ExtensionNotFound:
            continue
        if not usage.key_encipherment:
            raise ValueError(f"the certificate of {named(certificate)} is not for encryption (keyEncipherment)")
    return found


def _record(uri: SipUri) -> Record:
    return unquote(uri.user or ""), uri.host.lower()


def named(certificate: x509.Certificate) -> str:
    """Return the addresses of a certificate as a text for messages."""
    return ", ".join("@".join(filter(None, record)) for record in records(certificate)) or "no address"
