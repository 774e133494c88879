"""The content and the file mode of the key log of a TLS session between two OpenSSL connections in memory."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from lemonade_wire.faults import FaultList
from lemonade_wire.nodecli import NodeParser
from lemonade_wire.tls import ClientTls, KeyLog, add_options, tls_name, trust_from


def server() -> SSL.Context:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "imap.example.com")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )
    context = SSL.Context(SSL.TLS_METHOD)
    context.use_certificate(certificate)
    context.use_privatekey(key)
    return context


def shake_hands(client: SSL.Context, server: SSL.Context) -> None:
    """Exchange the octets of both ends until the handshake is done."""
    caller, called = SSL.Connection(client, None), SSL.Connection(server, None)
    caller.set_connect_state()
    called.set_accept_state()
    for _ in range(4):
        for one, other in ((caller, called), (called, caller)):
            with contextlib.suppress(SSL.WantReadError):
                one.do_handshake()
            with contextlib.suppress(SSL.WantReadError):
                other.bio_write(one.bio_read(65536))


@pytest.mark.parametrize(
    ("version", "labels"),
    [
        (SSL.TLS1_2_VERSION, {"CLIENT_RANDOM"}),
        (SSL.TLS1_3_VERSION, {"CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"}),
    ],
)
def test_both_ends_write_the_same_secrets(tmp_path: Path, version: int, labels: set[str]) -> None:
    client, called = SSL.Context(SSL.TLS_METHOD), server()
    client.set_max_proto_version(version)
    KeyLog(tmp_path / "client").watch(client)
    KeyLog(tmp_path / "server").watch(called)
    shake_hands(client, called)
    ours, theirs = (set((tmp_path / name).read_text().splitlines()) for name in ("client", "server"))
    assert labels <= {line.split()[0] for line in ours}
    wanted = {line for line in ours if line.split()[0] in labels}
    assert wanted <= theirs


def test_the_file_is_for_its_owner_alone_and_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    for _ in range(2):
        client = SSL.Context(SSL.TLS_METHOD)
        KeyLog(path).watch(client)
        shake_hands(client, server())
    assert path.stat().st_mode & 0o777 == 0o600
    assert len({line.split()[1] for line in path.read_text().splitlines()}) == 2


def parser() -> NodeParser:
    made = NodeParser("lemonade-x", "A node.", FaultList.of(), {})
    add_options(made)
    return made


def test_the_system_s_authorities_are_trusted_by_default() -> None:
    options = parser().read([])
    assert options.imap_tls == "preferred"
    assert trust_from(options) is None
    assert trust_from(options, checks=False) is not None


def test_a_key_log_is_written_to_the_given_file(tmp_path: Path) -> None:
    assert trust_from(parser().read(["--tls-keylog", str(tmp_path / "keys")])) is not None
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("argv", "says"),
    [(["--imap-ca", "/nowhere/ca.pem"], "--imap-ca: .*No such"), (["--tls-keylog", "/nowhere/k"], "--tls-keylog: ")],
)
def test_missing_files_are_refused(argv: list[str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        trust_from(parser().read(argv))


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("IMAP.example.com.", "imap.example.com"),
        ("media_server", "media_server"),
        ("192.0.2.1", "192.0.2.1"),
        ("[2001:DB8::1]", "2001:db8::1"),
        ("m\N{LATIN SMALL LETTER U WITH DIAERESIS}ller.example", "xn--mller-kva.example"),
    ],
)
def test_hosts_as_certificates_name_them(host: str, name: str) -> None:
    assert tls_name(host) == name


@pytest.mark.parametrize("host", ["", ".", "\N{SNOWMAN WITHOUT SNOW}" * 70])
def test_invalid_host_names_are_refused(host: str) -> None:
    with pytest.raises(ValueError, match="name of a host"):
        tls_name(host)


def test_an_unusable_file_of_authorities_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "ca.pem"
    with pytest.raises(OSError, match="No such file"):
        ClientTls(wrong)
    wrong.write_text("nothing")
    with pytest.raises(ValueError, match="holds no certificate"):
        ClientTls(wrong)


def test_openssl_says_why() -> None:
    handshake = ClientTls().handshake("imap.example.com")
    assert handshake.why(SSL.Error([("SSL routines", "", "wrong version number")])) == "wrong version number"
    assert handshake.why(SSL.Error()) == ""
    assert handshake.why(ConnectionError("gone")) == "gone"
