"""What a key log holds of a session, in memory between two ends of OpenSSL's, and for whom it is."""

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

from lemonade_wire.tls.keylog import KeyLog


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
    """Pass on what each end says until both are done."""
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


def test_it_is_for_its_owner_alone_and_is_added_to(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    for _ in range(2):
        client = SSL.Context(SSL.TLS_METHOD)
        KeyLog(path).watch(client)
        shake_hands(client, server())
    assert path.stat().st_mode & 0o777 == 0o600
    assert len({line.split()[1] for line in path.read_text().splitlines()}) == 2
