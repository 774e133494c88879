"""TLS from the client's side, on Twisted and OpenSSL: 1.2 or later, a chain to an authority, and a name (RFC 7817)."""
# mypy: disable-error-code="no-untyped-call"
# Twisted's certificates have no types.

from __future__ import annotations

import ipaddress
from pathlib import Path

import idna
from cryptography import x509
from OpenSSL import SSL
from OpenSSL.crypto import X509
from service_identity import CertificateError, VerificationError
from service_identity.pyopenssl import verify_hostname, verify_ip_address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import Certificate, CertificateOptions, TLSVersion, platformTrust, trustRootFromCertificates
from zope.interface import implementer  # type: ignore[import-untyped]  # zope ships no types

from lemonade_wire.tls.keylog import KeyLog

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


class NotTrustedError(Exception):
    """A certificate is not for the host that was meant; the message says so."""


class ClientTls:
    """What a client trusts: the authorities in the PEM file `ca`, or else those of the system.

    `log` gets the secrets of its sessions. Without `checks` every certificate is good, which is a fault.
    Raises OSError where the file cannot be read, ValueError where it holds no certificate.
    """

    def __init__(self, ca: Path | None = None, log: KeyLog | None = None, *, checks: bool = True) -> None:
        root = platformTrust() if ca is None else trustRootFromCertificates(_authorities(ca))
        self._context = CertificateOptions(trustRoot=root, raiseMinimumTo=TLSVersion.TLSv1_2).getContext()
        self._checks = checks
        if log is not None:
            log.watch(self._context)

    def handshake(self, host: str) -> Handshake:
        """Return what makes one connection to `host`, a name or an address; raises ValueError for what is neither."""
        return Handshake(self._context, tls_name(host), checks=self._checks)


@implementer(IOpenSSLClientConnectionCreator)
class Handshake:
    """What a transport's startTLS takes, for one connection.

    The chain is verified on the way, the name by `verify_host` at the end; `why` says what went wrong.
    """

    def __init__(self, context: SSL.Context, name: str, *, checks: bool = True) -> None:
        self._context = context
        self._name = name
        self._checks = checks
        self._refusal = ""

    def clientConnectionForTLS(self, _protocol: object) -> SSL.Connection:  # noqa: N802  Twisted's name
        """Make it; an address is no server name (RFC 6066, 3)."""
        connection = SSL.Connection(self._context, None)
        if not _is_address(self._name):
            connection.set_tlsext_host_name(self._name.encode("ascii"))
        connection.set_verify(SSL.VERIFY_PEER, self._verified)
        connection.set_connect_state()
        return connection

    def verify_host(self, connection: SSL.Connection) -> None:
        """See that the peer's certificate names the host; raises NotTrustedError."""
        if not self._checks:
            return
        try:
            (verify_ip_address if _is_address(self._name) else verify_hostname)(connection, self._name)
        except (VerificationError, CertificateError):
            raise NotTrustedError(f"its certificate is not for {self._name}") from None

    def why(self, problem: BaseException) -> str:
        """Say in a few words why the handshake failed."""
        if self._refusal:
            return self._refusal
        if isinstance(problem, SSL.Error) and problem.args and problem.args[0]:
            return str(problem.args[0][-1][-1])  # OpenSSL's own words
        return str(problem)

    def _verified(self, _connection: object, _certificate: object, code: int, _depth: int, good: int) -> bool:
        if not good and self._checks:
            self._refusal = _REFUSALS.get(code, f"its certificate is not good (X.509 error {code})")
        return bool(good) or not self._checks


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
