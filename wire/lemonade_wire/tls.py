"""TLS of the nodes: the policy and options of a client, its handshakes and certificates, and the key log.

The key log is for tests only: with this file the captured sessions can be read in full, including the passwords.
"""

# mypy: disable-error-code="no-untyped-call"
# Twisted's certificates have no types.

from __future__ import annotations

import argparse
import ipaddress
import os
from enum import Enum
from pathlib import Path

import idna
from cryptography import x509
from OpenSSL import SSL
from OpenSSL.crypto import X509
from service_identity import CertificateError, VerificationError
from service_identity.pyopenssl import verify_hostname, verify_ip_address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import Certificate, CertificateOptions, TLSVersion, platformTrust, trustRootFromCertificates
from zope.interface import implementer

from lemonade_wire.nodecli import NodeParser, add_words

IMAPS_PORT = 993
"""The port on which TLS begins with the first octet (RFC 8314 section 3.2), whatever the policy for STARTTLS is."""
_UNKNOWN = "its certificate is of no authority that is trusted here"
_REFUSALS = {
    SSL.X509VerificationCodes.ERR_CERT_HAS_EXPIRED: "its certificate has expired",
    SSL.X509VerificationCodes.ERR_CERT_NOT_YET_VALID: "its certificate is not valid yet",
    SSL.X509VerificationCodes.ERR_DEPTH_ZERO_SELF_SIGNED_CERT: _UNKNOWN,
    SSL.X509VerificationCodes.ERR_SELF_SIGNED_CERT_IN_CHAIN: _UNKNOWN,
    SSL.X509VerificationCodes.ERR_UNABLE_TO_GET_ISSUER_CERT: _UNKNOWN,
    SSL.X509VerificationCodes.ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY: _UNKNOWN,
    SSL.X509VerificationCodes.ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE: _UNKNOWN,
    SSL.X509VerificationCodes.ERR_CERT_SIGNATURE_FAILURE: _UNKNOWN,
}


def add_option(parser: argparse.ArgumentParser) -> None:
    """Add `--tls-keylog` to a node's options."""
    parser.add_argument(
        "--tls-keylog",
        type=Path,
        metavar="FILE",
        help="for tests alone: append the secrets of TLS sessions to FILE, with which a capture of them can be read",
    )


class KeyLog:
    """Appends secrets to a file that only its owner may read; raises OSError if it cannot be opened."""

    def __init__(self, path: Path) -> None:
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab", buffering=0)

    def watch(self, context: SSL.Context) -> None:
        """Log the secrets of every session that `context` makes from now on."""
        context.set_keylog_callback(self._write)

    def _write(self, _connection: SSL.Connection, line: bytes) -> None:
        self._file.write(line + b"\n")


class TlsPolicy(Enum):
    """Whether a client uses STARTTLS."""

    REQUIRED = "required"  # without STARTTLS the client does not log in
    PREFERRED = "preferred"  # if the server offers it
    NEVER = "never"


def add_options(parser: NodeParser) -> None:
    """Add the TLS options to a parser."""
    what = "whether STARTTLS is used; preferred: where it is offered"
    add_words(parser, "--imap-tls", TlsPolicy, TlsPolicy.PREFERRED, what)
    parser.add_argument(
        "--imap-ca", type=Path, metavar="FILE", help="authorities (PEM) that are trusted in place of the system's"
    )
    add_option(parser)


def trust_from(options: argparse.Namespace, *, checks: bool = True) -> ClientTls | None:
    """Return the TLS configuration of the options; None for the default one, which trusts the system's authorities.

    With `checks=False` every certificate is accepted. Raises ValueError if a file cannot be used.
    """
    if checks and options.imap_ca is None and options.tls_keylog is None:
        return None
    try:
        log = KeyLog(options.tls_keylog) if options.tls_keylog else None
    except OSError as problem:
        raise ValueError(f"--tls-keylog: {problem}") from None
    try:
        return ClientTls(options.imap_ca, log, checks=checks)
    except (OSError, ValueError) as problem:
        raise ValueError(f"--imap-ca: {problem}") from None


class NotTrustedError(Exception):
    """The certificate of the peer does not name the host that the client connects to."""


class ClientTls:
    """The TLS configuration of a client: it trusts the authorities in the PEM file `ca`, or else those of the system.

    `log` gets the secrets of its sessions. With `checks=False` every certificate is accepted; a fault uses this.
    Raises OSError if the file cannot be read, ValueError if it has no certificate.
    """

    def __init__(self, ca: Path | None = None, log: KeyLog | None = None, *, checks: bool = True) -> None:
        root = platformTrust() if ca is None else trustRootFromCertificates(_authorities(ca))
        self._context = CertificateOptions(trustRoot=root, raiseMinimumTo=TLSVersion.TLSv1_2).getContext()
        self._checks = checks
        if log is not None:
            log.watch(self._context)

    def handshake(self, host: str) -> Handshake:
        """Return the handshake for one connection to `host`, a name or an IP address; raises ValueError if invalid."""
        return Handshake(self._context, tls_name(host), checks=self._checks)


@implementer(IOpenSSLClientConnectionCreator)
class Handshake:
    """The handshake of one connection: the argument of the transport's startTLS.

    The chain is verified during the handshake, and the name by `verify_host` after it; `why` explains a failure.
    """

    def __init__(self, context: SSL.Context, name: str, *, checks: bool = True) -> None:
        self._context = context
        self._name = name
        self._checks = checks
        self._refusal = ""

    def clientConnectionForTLS(self, _protocol: object) -> SSL.Connection:  # noqa: N802  Twisted's name
        """Make the OpenSSL connection; an IP address is not sent as server name (RFC 6066 section 3)."""
        connection = SSL.Connection(self._context, None)
        if not _is_address(self._name):
            connection.set_tlsext_host_name(self._name.encode("ascii"))
        connection.set_verify(SSL.VERIFY_PEER, self._verified)
        connection.set_connect_state()
        return connection

    def verify_host(self, connection: SSL.Connection) -> None:
        """Check that the peer's certificate names the host; raises NotTrustedError."""
        if not self._checks:
            return
        try:
            (verify_ip_address if _is_address(self._name) else verify_hostname)(connection, self._name)
        except (VerificationError, CertificateError):
            raise NotTrustedError(f"its certificate is not for {self._name}") from None

    def why(self, problem: BaseException) -> str:
        """Return a short text that says why the handshake failed."""
        if self._refusal:
            return self._refusal
        if isinstance(problem, SSL.Error) and problem.args and problem.args[0]:
            return str(problem.args[0][-1][-1])  # the reason text of OpenSSL
        return str(problem)

    def _verified(self, _connection: object, _certificate: object, code: int, _depth: int, good: int) -> bool:
        if not good and self._checks:
            self._refusal = _REFUSALS.get(code, f"its certificate is not good (X.509 error {code})")
        return bool(good) or not self._checks


def tls_name(host: str) -> str:
    """Return a host as written in certificates: ASCII, lower case, an address without brackets; raises ValueError."""
    name = host.removeprefix("[").removesuffix("]").lower().removesuffix(".")
    if not name:
        raise ValueError("the name of a host is expected")
    if name.isascii():
        return name
    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except idna.IDNAError:
        raise ValueError(f"{host!r} is not the name of a host") from None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _authorities(path: Path) -> list[Certificate]:
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except ValueError:
        raise ValueError(f"{path} holds no certificate: PEM is expected") from None
    return [Certificate(X509.from_cryptography(one)) for one in found]
