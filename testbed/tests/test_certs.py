from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from lemonade_testbed import cli
from lemonade_testbed.authority import LIFE, Authority
from lemonade_testbed.certs import write
from lemonade_testbed.places import UsageError
from lemonade_wire.sip.message.keyring import Keyring
from lemonade_wire.sip.message.smime import SmimeIdentity
from lemonade_wire.sip.message.uri import SipUri

NOW = datetime(2026, 11, 22, tzinfo=UTC)
NAMES = ("imap.example.com", "127.0.0.1", "::1", "sip:example.com")


def test_a_certificate_names_hosts_addresses_and_sip_domains() -> None:
    authority = Authority.make(NOW)
    certificate = x509.load_pem_x509_certificate(authority.issue(NAMES, NOW).certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["imap.example.com"]
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1")]
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["sip:example.com"]
    assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.pem))


def test_a_certificate_is_valid_for_days_and_is_no_authority() -> None:
    authority = Authority.make(NOW)
    for pem, is_authority in ((authority.pem, True), (authority.issue(NAMES, NOW).certificate, False)):
        certificate = x509.load_pem_x509_certificate(pem)
        assert certificate.not_valid_before_utc == NOW - timedelta(minutes=5)
        assert certificate.not_valid_after_utc == NOW + LIFE
        assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is is_authority
        assert certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign is is_authority


def test_a_certificate_is_not_valid_under_another_authority() -> None:
    first, second = Authority.make(NOW), Authority.make(NOW)
    certificate = x509.load_pem_x509_certificate(first.issue(NAMES, NOW).certificate)
    with pytest.raises(ValueError, match=r"[Ii]ssuer"):
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(second.pem))


def test_a_key_is_not_shown() -> None:
    issued = Authority.make(NOW).issue(NAMES, NOW)
    assert b"PRIVATE KEY" in issued.key
    assert "PRIVATE" not in repr(issued)


def test_only_the_owner_reads_the_files(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "imap.example.com.key").touch(0o644)
    written = write(tmp_path / "c", [NAMES, ["media.example.net"]], NOW)
    assert [path.name for path in written] == [
        "ca.pem",
        "imap.example.com.pem",
        "imap.example.com.key",
        "media.example.net.pem",
        "media.example.net.key",
    ]
    assert {path.stat().st_mode & 0o777 for path in written} == {0o600}
    # the authority's own key is nowhere
    assert sum(b"PRIVATE KEY" in path.read_bytes() for path in (tmp_path / "c").iterdir()) == 2


@pytest.mark.parametrize("name", ["", "a b", "-a", "a..b", "x" * 64, "a.b:143", "../x", "sip:joe@example.com", "a/b"])
def test_an_invalid_name_is_refused_and_no_file_is_written(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no host name, address or sip:DOMAIN"):
        write(tmp_path / "c", [[name]], NOW)
    assert not (tmp_path / "c").exists()


def test_a_certificate_for_s_mime_names_users_and_enciphers_keys() -> None:
    authority = Authority.make(NOW)
    issued = authority.issue_smime(["ivr@media.example.net", "annc@media.example.net"], NOW)
    certificate = x509.load_pem_x509_certificate(issued.certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [
        "sip:ivr@media.example.net",
        "sip:annc@media.example.net",
    ]
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.key_encipherment, usage.digital_signature) == (True, False)
    assert isinstance(certificate.public_key(), rsa.RSAPublicKey)
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.pem))


@pytest.mark.parametrize("user", ["", "ivr", "@media.example.net", "ivr@", "i/r@media.example.net", "../x@a", "a@b@c"])
def test_an_invalid_user_is_refused(user: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no USER@DOMAIN"):
        write(tmp_path / "c", [], NOW, [[user]])
    assert not (tmp_path / "c").exists()


def test_the_commands_smime_files_can_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "certs"
    command = ["certs", "--out", str(folder), "--name", "a.example", "--smime", "ivr@a.example,annc@a.example"]
    assert cli.main([*command, "--smime", "joe@b.example"]) == 0
    made = [folder / f"{name}.{kind}" for name in ("ivr@a.example", "joe@b.example") for kind in ("pem", "key")]
    said = capsys.readouterr().out
    assert all(f"{path}\n" in said for path in made)
    SmimeIdentity.read(made[0].read_bytes(), made[1].read_bytes())
    ring = Keyring.of([made[0].read_bytes(), made[2].read_bytes()], datetime.now(UTC))
    assert ring.find(SipUri.parse("sip:annc@a.example")) == ring.certificates[0]


def test_an_authority_is_not_replaced(tmp_path: Path) -> None:
    write(tmp_path, [NAMES], NOW)
    with pytest.raises(UsageError, match="is there already"):
        write(tmp_path, [NAMES], NOW)
    with pytest.raises(UsageError, match="two certificates"):
        write(tmp_path / "other", [NAMES, NAMES], NOW)


def test_the_commands_tls_files_can_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "certs"
    assert cli.main(["certs", "--out", str(folder), "--name", "imap.example.com,127.0.0.1"]) == 0
    said = capsys.readouterr()
    assert str(folder / "imap.example.com.pem") in said.out
    assert "PRIVATE" not in said.out + said.err
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(folder / "imap.example.com.pem", folder / "imap.example.com.key")
    client = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    left, right = socket.socketpair()

    def serve() -> None:
        with server.wrap_socket(left, server_side=True) as secure:
            secure.sendall(b"* OK")

    thread = threading.Thread(target=serve)
    thread.start()
    with client.wrap_socket(right, server_hostname="imap.example.com") as secure:
        assert secure.recv(10) == b"* OK"
    thread.join()
    assert cli.main(["certs", "--out", str(folder)]) == 2
    assert "is there already" in capsys.readouterr().err
