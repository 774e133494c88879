"""TLS from the client's side, on Twisted and OpenSSL: 1.2 or later, a chain to an authority, and a name (RFC 7817)."""
# mypy: disable-error-code="no-untyped-call"
# Twisted's certificates have no types.

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import idna
from cryptography import x509
from OpenSSL import SSL
from OpenSSL.crypto import X509
from service_identity import CertificateError, VerificationError
from service_identity.pyopenssl import verify_hostname, verify_ip_address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import Certificate, CertificateOptions, TLSVersion, platformTrust, trustRootFromCertificates
from zope.interface import implementer  # type: ignore[import-untyped]  # zope ships no types


class NotTrustedError(Exception):
    """A certificate is not for the host that was meant; the message says so."""


class ClientTls:
    """What a client trusts: the authorities in the PEM file `ca`, or else those of the system.

    Raises OSError where the file cannot be read, ValueError where it holds no certificate.
    """

    def __init__(self, ca: Path | None = None) -> None:
        root = platformTrust() if ca is None else trustRootFromCertificates(_authorities(ca))
        self._context = CertificateOptions(trustRoot=root, raiseMinimumTo=TLSVersion.TLSv1_2).getContext()

    def creator(self, host: str) -> Any:  # noqa: ANN401  what a transport's startTLS takes
        """Return what makes the connection to `host`, a name or an address; raises ValueError for what is neither."""
        return _Creator(self._context, tls_name(host))


@implementer(IOpenSSLClientConnectionCreator)
class _Creator:
    """Makes one connection; the chain is verified in the handshake, the name by `verify_host` behind it."""

    def __init__(self, context: SSL.Context, name: str) -> None:
        self._context = context
        self._name = name

    def clientConnectionForTLS(self, _protocol: object) -> SSL.Connection:  # noqa: N802  Twisted's name
        """Make it; an address is no server name (RFC 6066, 3)."""
        connection = SSL.Connection(self._context, None)
        if not _is_address(self._name):
            connection.set_tlsext_host_name(self._name.encode("ascii"))
        connection.set_connect_state()
        return connection


def verify_host(connection: SSL.Connection, host: str) -> None:
    """See that the peer's certificate names `host`; raises NotTrustedError."""
    name = tls_name(host)
    try:
        (verify_ip_address if _is_address(name) else verify_hostname)(connection, name)
    except (VerificationError, CertificateError):
        raise NotTrustedError(f"its certificate is not for {name}") from None


def tls_name(host: str) -> str:
    """Return a host as certificates name it: ASCII, in lower case, an address without brackets; raises ValueError."""
    name = host.removeprefix("[").removesuffix("]").lower().removesuffix(".")
    if not name:
        raise ValueError("the name of a host is expected")
    if name.isascii():
        return name
    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except idna.IDNAError:
        raise ValueError(f"{host!r} is not the name of a host") from None


def tls_problem(problem: BaseException) -> str:
    """Say in a few words why a handshake failed, as OpenSSL does."""
    if isinstance(problem, SSL.Error) and problem.args and problem.args[0]:
        return str(problem.args[0][-1][-1])
    return str(problem)


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
