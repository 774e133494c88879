"""The options of the server's ports and of TLS (1.2 or later); no error text contains parts of the key."""

from __future__ import annotations

import argparse
from enum import Enum
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from OpenSSL.crypto import X509, PKey
from twisted.internet.ssl import CertificateOptions, TLSVersion

from lemonade_imap.config import LARGEST_MESSAGE, ConnectionLimits, LoginPolicy
from lemonade_wire import tls
from lemonade_wire.address import Address, read_network
from lemonade_wire.nodecli import NodeParser, Permission, add_number, add_words, setting, whole
from lemonade_wire.tls import KeyLog

_LEAST_LARGEST = 1024
_MOST = 0xFFFFFFFF
"""RFC 3501, 9: RFC822.SIZE is a number of 32 bits."""


def server_tls(certificate: Path, key: Path, log: KeyLog | None = None) -> CertificateOptions:
    """Read a certificate chain and the private key, and return the options of the server's side of TLS.

    `certificate`: PEM file with the server's certificate, followed by the intermediate certificates. `key`: PEM file of
    its key, without a passphrase. `log` receives the secrets of every TLS session.
    Raises ValueError that says what is wrong, OSError if a file cannot be read.
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
        privateKey=PKey.from_cryptography_key(private),  # type: ignore[arg-type]  # it raises for keys unfit for TLS
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


class TellsUrlMech(Enum):
    """Whether the server sends URLMECH on a connection that is not encrypted (RFC 4467, 4)."""

    ALWAYS = "always"
    CONFIDENTIAL = "confidential"


def add_options(parser: NodeParser) -> None:
    """Add these options to a parser."""
    limits = ConnectionLimits()
    parser.add_argument(
        "--listen-tls", type=setting(Address.parse), metavar="HOST:PORT", help="listen for TLS from the first octet too"
    )
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="certificate chain (PEM): STARTTLS is offered")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its private key (PEM)")
    tls.add_option(parser)
    add_words(parser, "--cleartext-login", Permission, Permission.ALLOWED, "whether passwords are accepted without TLS")
    add_words(parser, "--urlmech", TellsUrlMech, TellsUrlMech.ALWAYS, "whether SELECT sends URLMECH also without TLS")
    add_number(parser, "--max-connections", whole(), "open at a time", limits.total)
    add_number(
        parser, "--max-connections-per-address", whole(0), "the same for one address, 0: any number", limits.per_address
    )
    add_number(
        parser,
        "--connection-rate",
        whole(0),
        "connections of one address in a minute, 0: any number",
        limits.per_minute,
    )
    parser.add_argument(
        "--unlimited",
        action="append",
        default=[],
        type=setting(read_network),
        metavar="ADDRESS[/BITS]",
        help="a proxy, for which the two limits of one address do not hold; may be given again",
    )
    add_number(parser, "--max-login-failures", whole(), "failed logins that end a connection", LoginPolicy().failures)
    size = whole(_LEAST_LARGEST, _MOST)
    add_number(parser, "--max-message", size, "largest message that APPEND takes", LARGEST_MESSAGE, metavar="OCTETS")


def tls_from(options: argparse.Namespace) -> CertificateOptions | None:
    """Return the server's TLS options, or None without a certificate; raises ValueError that says what is allowed."""
    if (options.tls_cert is None) != (options.tls_key is None):
        raise ValueError("--tls-cert and --tls-key go together")
    if options.tls_cert is None:
        if options.listen_tls is not None:
            raise ValueError("--listen-tls needs --tls-cert and --tls-key")
        return None
    try:
        log = tls.KeyLog(options.tls_keylog) if options.tls_keylog else None
    except OSError as problem:
        raise ValueError(f"--tls-keylog: {problem}") from None
    try:
        return server_tls(options.tls_cert, options.tls_key, log)
    except (OSError, ValueError) as problem:
        raise ValueError(f"--tls-cert, --tls-key: {problem}") from None


def limits_from(options: argparse.Namespace) -> ConnectionLimits:
    """Return the limits on connections from the parsed options."""
    return ConnectionLimits(
        total=options.max_connections,
        per_address=options.max_connections_per_address or None,
        per_minute=options.connection_rate or None,
        unlimited=tuple(options.unlimited),
    )
