"""Certificates for one run: a test authority of its own, and what it vouches for (RFC 5280; SIP names: RFC 5922).

The authority's key is never written: when the command ends nobody can issue in its name any more.
"""

from __future__ import annotations

import argparse
import ipaddress
import os
import secrets
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lemonade_testbed.places import UsageError
from lemonade_testbed.run import EXIT_OK

AUTHORITY = "ca.pem"
DEFAULT_NAMES = ("imap.example.com", "media.example.net")
LIFE = timedelta(days=3)
_SKEW = timedelta(minutes=5)  # clocks of nodes differ
_LONGEST_NAME = 253


@dataclass(frozen=True)
class Issued:
    """A certificate and its key, in PEM."""

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        return "Issued(...)"


class Authority:
    """A certificate authority that lives as long as this object; `now` has a zone."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._certificate = certificate
        self._key = key

    @classmethod
    def make(cls, now: datetime) -> Self:
        """Make an authority under a name that no other one has."""
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
        """The authority's certificate: what those who trust it are given."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, names: Sequence[str], now: datetime) -> Issued:
        """Vouch for a node under host names, addresses and `sip:` URIs; raises UsageError."""
        alternatives = [_general_name(name) for name in names]
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = self._certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        made = (
            _builder(_common_name(names[0][:64]), self._certificate.subject, key.public_key(), now)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return Issued(made.public_bytes(serialization.Encoding.PEM), private)


def write(folder: Path, wanted: Sequence[Sequence[str]], now: datetime) -> list[Path]:
    """Make an authority and a certificate for each list of names; returns the files, the authority's first.

    The first of its names is a certificate's file name: `NAME.pem` and `NAME.key`. Raises UsageError where a name is
    wrong or an authority is there already; then nothing is written.
    """
    if (folder / AUTHORITY).exists():
        raise UsageError(f"{folder / AUTHORITY} is there already: --out takes a folder without one")
    if len({names[0] for names in wanted}) < len(wanted):
        raise UsageError("--name: two certificates begin with the same name")
    authority = Authority.make(now)
    files = {AUTHORITY: authority.pem}
    for names in wanted:
        issued = authority.issue(names, now)
        files |= {f"{names[0]}.pem": issued.certificate, f"{names[0]}.key": issued.key}
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, octets in files.items():
        with open(folder / name, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            os.fchmod(file.fileno(), 0o600)  # one that was there keeps its mode otherwise
            file.write(octets)
    return [folder / name for name in files]


def add_command(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add `lemonade certs`; `command` makes a sub-parser of a name, a function and a text."""
    added = command("certs", _certs, "make a test CA, and certificates that it vouches for")
    added.add_argument("--out", type=Path, required=True, metavar="DIR", help="a folder without a CA")
    added.add_argument(
        "--name",
        action="append",
        metavar="NAME[,NAME]",
        help="host names, addresses and sip:DOMAIN of one certificate; may be given again "
        f"(default: {' and '.join(DEFAULT_NAMES)})",
    )


def _certs(options: argparse.Namespace) -> int:
    wanted = [name.split(",") for name in options.name or DEFAULT_NAMES]
    for path in write(options.out, wanted, datetime.now(UTC)):
        sys.stdout.write(f"{path}\n")
    return EXIT_OK


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
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


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
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
        raise UsageError(f"--name: {name!r} is no host name, address or sip:DOMAIN")
    return x509.DNSName(name)


def _is_host(name: str) -> bool:
    labels = name.split(".")
    return name.isascii() and len(name) <= _LONGEST_NAME and all(_is_label(label) for label in labels)


def _is_label(label: str) -> bool:
    return 0 < len(label) < 64 and label.replace("-", "").isalnum() and label.strip("-") == label
