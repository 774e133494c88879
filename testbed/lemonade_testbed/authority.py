"""A certificate authority for tests, and the certificates that it issues (RFC 5280; SIP names: RFC 5922).

The authority's private key stays in memory: after its program ends, no further certificate can be issued with it.

A node's certificate is for TLS and has an elliptic curve key. A user's certificate is for S/MIME (RFC 3261 section
23.1) and has an RSA key, because bodies are encrypted with key transport.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY = "ca.pem"
LIFE = timedelta(days=3)
_SKEW = timedelta(minutes=5)  # the clocks of nodes differ, so a certificate is valid from before its issue
_LONGEST_NAME = 253
_RSA_BITS = 2048
_PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


@dataclass(frozen=True)
class Issued:
    """A certificate and its private key, both in PEM."""

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        return "Issued(...)"


class Authority:
    """A certificate authority that exists as long as this object. Each `now` is a datetime with a time zone."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._certificate = certificate
        self._key = key

    @classmethod
    def make(cls, now: datetime) -> Self:
        """Make an authority with a new key and a common name with a random suffix, so that two never share a name."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _common_name(f"lemonade test CA {secrets.token_hex(4)}")
        made = (
            _builder(name, name, key.public_key(), now)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
        )
        return cls(made.sign(key, hashes.SHA256()), key)

    @property
    def pem(self) -> bytes:
        """The authority's own certificate in PEM, for the trust stores of the nodes."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, names: Sequence[str], now: datetime) -> Issued:
        """Issue a TLS certificate for a node.

        `names` are host names, IP addresses and `sip:DOMAIN` URIs (RFC 5922); the first is the common name too. Raises
        ValueError for any other name.
        """
        alternatives = [_general_name(name) for name in names]
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._builder(names[0], alternatives, key.public_key(), now)
        purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        return self._sign(_for(made, _usage(signs=True), purposes), key)

    def issue_smime(self, users: Sequence[str], now: datetime) -> Issued:
        """Issue an S/MIME certificate with which SIP bodies are encrypted.

        `users` are SIP users such as `ivr@media.example.net`. Raises ValueError for any other text.
        """
        alternatives = [_user(name) for name in users]
        key = rsa.generate_private_key(65537, _RSA_BITS)
        made = self._builder(users[0], alternatives, key.public_key(), now)
        return self._sign(_for(made, _usage(enciphers=True), [ExtendedKeyUsageOID.EMAIL_PROTECTION]), key)

    def _builder(
        self, subject: str, names: Sequence[x509.GeneralName], key: _PublicKey, now: datetime
    ) -> x509.CertificateBuilder:
        issuer = self._certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        return (
            _builder(_common_name(subject[:64]), self._certificate.subject, key, now)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False)
        )

    def _sign(self, made: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> Issued:
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return Issued(made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM), private)


def keep(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write files with mode 0600 into a folder, which is made with mode 0700 if it is missing; returns their paths."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, octets in files.items():
        with open(folder / name, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            os.fchmod(file.fileno(), 0o600)  # the opener's mode applies to a new file only
            file.write(octets)
    return [folder / name for name in files]


def _builder(subject: x509.Name, issuer: x509.Name, key: _PublicKey, now: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _for(
    made: x509.CertificateBuilder, usage: x509.KeyUsage, purposes: Sequence[x509.ObjectIdentifier]
) -> x509.CertificateBuilder:
    return made.add_extension(usage, critical=True).add_extension(x509.ExtendedKeyUsage(purposes), critical=False)


def _usage(*, signs: bool = False, enciphers: bool = False, signs_certificates: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs,
        content_commitment=False,
        key_encipherment=enciphers,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    if name.startswith("sip:") and _is_host(name.removeprefix("sip:")):
        return x509.UniformResourceIdentifier(name)
    if not _is_host(name):
        raise ValueError(f"--name: {name!r} is no host name, address or sip:DOMAIN")
    return x509.DNSName(name)


def _user(name: str) -> x509.GeneralName:
    user, at, host = name.partition("@")
    if not at or not user.replace("-", "").replace(".", "").isalnum() or not name.isascii() or not _is_host(host):
        raise ValueError(f"--smime: {name!r} is no USER@DOMAIN")
    return x509.UniformResourceIdentifier(f"sip:{name}")


def _is_host(name: str) -> bool:
    labels = name.split(".")
    return name.isascii() and len(name) <= _LONGEST_NAME and all(_is_label(label) for label in labels)


def _is_label(label: str) -> bool:
    return 0 < len(label) < 64 and label.replace("-", "").isalnum() and label.strip("-") == label
