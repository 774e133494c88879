"""The server's side of TLS, from PEM files: 1.2 or later, and nothing of the key in any message."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from OpenSSL.crypto import X509, PKey
from twisted.internet.ssl import CertificateOptions, TLSVersion

from lemonade_wire.tls.keylog import KeyLog


def server_tls(certificate: Path, key: Path, log: KeyLog | None = None) -> CertificateOptions:
    """Read a certificate, with those between it and its authority behind it, and its key.

    `log` gets the secrets of every session.
    Raises ValueError with what is wrong, OSError where a file cannot be read.
    """
    chain = _certificates(certificate)
    try:
        private = serialization.load_pem_private_key(key.read_bytes(), None)
    except (ValueError, TypeError) as problem:
        why = "is encrypted: one without a passphrase" if isinstance(problem, TypeError) else "holds no key: PEM"
        raise ValueError(f"{key} {why} is expected") from None
    if private.public_key() != chain[0].public_key():
        raise ValueError(f"{key} is not the key of the first certificate in {certificate}")
    first, *others = (X509.from_cryptography(one) for one in chain)
    made = CertificateOptions(
        privateKey=PKey.from_cryptography_key(private),  # type: ignore[arg-type]  # what TLS cannot use is refused there
        certificate=first,
        extraCertChain=others,
        raiseMinimumTo=TLSVersion.TLSv1_2,
    )
    if log is not None:
        log.watch(made.getContext())
    return made


def _certificates(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except ValueError:
        raise ValueError(f"{path} holds no certificate: PEM is expected") from None
