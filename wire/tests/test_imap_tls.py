"""IMAP with TLS over loopback TCP with real certificates: servers that are accepted, and servers that are refused."""

from __future__ import annotations

import io
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL.crypto import X509, PKey
from twisted.internet import reactor as installed
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.trial.unittest import TestCase

from lemonade_wire.address import Address
from lemonade_wire.imap import command
from lemonade_wire.imap.endpoint import ImapConnection, ImapConnectionError, ImapTimeoutError, ImapTlsError, TlsPlan
from lemonade_wire.imap.endpoint import connect as connect_imap
from lemonade_wire.redaction import Redactor
from lemonade_wire.tls import ClientTls
from lemonade_wire.trace import Trace

reactor: Any = installed  # the same holds for its methods as for those of `transport` below
GREETING = b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n"
NAME = "imap.example.com"


class Authority:
    """A certificate authority; `issue` takes the names of a certificate, none for one without any."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")])
        basic = x509.BasicConstraints(ca=True, path_length=None)
        built = self._builder(self.name, self.key.public_key(), timedelta(days=1)).add_extension(basic, critical=True)
        self.certificate = built.sign(self.key, hashes.SHA256())

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey, life: timedelta) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=2))
            .not_valid_after(now + life)
        )

    def issue(self, names: Sequence[x509.GeneralName], life: timedelta = timedelta(days=1)) -> CertificateOptions:
        key = ec.generate_private_key(ec.SECP256R1())
        common = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
        built = self._builder(common, key.public_key(), life)
        if names:
            built = built.add_extension(x509.SubjectAlternativeName(names), critical=False)
        made = X509.from_cryptography(built.sign(self.key, hashes.SHA256()))
        return CertificateOptions(privateKey=PKey.from_cryptography_key(key), certificate=made)

    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)


@dataclass
class Served:
    """What the servers of a test share; `options`: their certificate, None for servers that begin no TLS."""

    options: CertificateOptions | None
    at_once: bool
    injected: bytes
    seen: list[bytes] = field(default_factory=list)
    """The lines that came."""


class TlsServer(Protocol):
    """An IMAP server that answers every command with OK, and begins TLS; it can add octets in the clear to STARTTLS."""

    transport: Any  # mypy takes the first argument of a method of zope's interfaces for self

    def __init__(self, served: Served) -> None:
        self.served = served

    def connectionMade(self) -> None:  # noqa: N802  Twisted's name
        if self.served.at_once:
            self.transport.startTLS(self.served.options)
        self.transport.write(GREETING)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802  Twisted's name
        if data.startswith(b"\x16"):
            return  # a TLS handshake that this server does not expect
        for line in data.splitlines():
            self.served.seen.append(line)
            tag, name = line.split()[:2]
            if name == b"LOGOUT":
                self.transport.write(b"* BYE bye\r\n" + tag + b" OK bye\r\n")
                self.transport.loseConnection()
                continue
            self.transport.write(tag + b" OK [CAPABILITY IMAP4rev1 AUTH=EVIL] done\r\n" + self.served.injected)
            if name == b"STARTTLS" and self.served.options is not None:
                self.transport.startTLS(self.served.options)


class TlsTests(TestCase):
    timeout = 20

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.ca = tmp_path / "ca.pem"

    def setUp(self) -> None:
        self.authority = Authority()
        self.ca.write_bytes(self.authority.pem())
        self.sink = io.StringIO()

    def serve(self, options: CertificateOptions | None, *, at_once: bool = False, injected: bytes = b"") -> Address:
        self.served = Served(options, at_once, injected)
        factory = Factory.forProtocol(lambda: TlsServer(self.served))
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return Address("127.0.0.1", port.getHost().port)

    async def open(
        self, address: Address, host: str = NAME, *, at_once: bool = False, ca: Path | None = None, within: float = 5
    ) -> ImapConnection:
        plan = TlsPlan(ClientTls(ca or self.ca), host, at_once)
        trace = Trace("media", self.sink, Redactor("salt"))
        return await connect_imap(reactor, address, trace, bind="127.0.0.1", within=within, tls=plan)

    async def refused(self, options: CertificateOptions, host: str = NAME, ca: Path | None = None) -> str:
        """Return why STARTTLS failed; the client must not have sent another command."""
        connection = await self.open(self.serve(options), host, ca=ca)
        gone = connection.gone()
        with pytest.raises(ImapTlsError) as caught:
            await connection.run(command.starttls())
        await gone
        assert self.served.seen == [b"a1 STARTTLS"]
        assert connection.engine.tls_awaited
        return str(caught.value)

    async def test_starttls_makes_the_connection_private(self) -> None:
        connection = await self.open(self.serve(self.authority.issue([x509.DNSName(NAME)])))
        assert (await connection.run(command.starttls())).ok
        assert connection.engine.encrypted
        assert connection.engine.capabilities is None
        assert (await connection.run(command.login("joe", "secret"))).ok
        assert self.served.seen == [b"a1 STARTTLS", b'a2 LOGIN "joe" "secret"']
        await connection.close()
        await connection.gone()
        assert "LOGIN" in self.sink.getvalue()
        assert "secret" not in self.sink.getvalue()

    async def test_tls_from_the_first_octet(self) -> None:
        options = self.authority.issue([x509.DNSName("*.example.com")])
        connection = await self.open(self.serve(options, at_once=True), "IMAP.example.com.", at_once=True)
        assert connection.engine.encrypted
        assert connection.engine.has("STARTTLS")
        await connection.close()

    async def test_a_certificate_may_name_an_ip_address(self) -> None:
        options = self.authority.issue([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        connection = await self.open(self.serve(options), "127.0.0.1")
        assert (await connection.run(command.starttls())).ok
        await connection.close()

    async def test_a_certificate_of_another_host_is_refused(self) -> None:
        options = self.authority.issue([x509.DNSName("other.example.com")])
        assert "certificate is not for imap.example.com" in await self.refused(options)

    async def test_a_certificate_without_a_host_is_refused(self) -> None:
        assert "certificate is not for imap.example.com" in await self.refused(self.authority.issue([]))

    async def test_a_certificate_of_an_unknown_authority_is_refused(self) -> None:
        assert "no authority that is trusted" in await self.refused(Authority().issue([x509.DNSName(NAME)]))

    async def test_an_expired_certificate_is_refused(self) -> None:
        options = self.authority.issue([x509.DNSName(NAME)], timedelta(days=-1))
        assert "has expired" in await self.refused(options)

    async def test_tls_at_once_with_an_unknown_authority_is_refused(self) -> None:
        with pytest.raises(ImapTlsError, match="no authority that is trusted"):
            await self.open(self.serve(Authority().issue([x509.DNSName(NAME)]), at_once=True), at_once=True)
        assert self.served.seen == []

    async def test_tls_at_once_with_a_server_that_speaks_in_the_clear(self) -> None:
        with pytest.raises(ImapTlsError):
            await self.open(self.serve(None), at_once=True)

    async def test_octets_in_the_clear_behind_starttls_end_the_connection(self) -> None:
        options = self.authority.issue([x509.DNSName(NAME)])
        connection = await self.open(self.serve(options, injected=b"* CAPABILITY IMAP4rev1 AUTH=EVIL\r\n"))
        with pytest.raises(ImapConnectionError, match="in the clear"):
            await connection.run(command.starttls())
        await connection.gone()
        assert self.served.seen == [b"a1 STARTTLS"]

    async def test_a_handshake_without_an_answer_times_out(self) -> None:
        connection = await self.open(self.serve(None))
        with pytest.raises(ImapTimeoutError, match="STARTTLS"):
            await connection.run(command.starttls(), within=0.2)
        await connection.gone()
