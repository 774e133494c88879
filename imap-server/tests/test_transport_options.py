"""The options about connections: the settings that they become, and the errors for invalid values."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lemonade_imap.cli import config_from, main, parser
from lemonade_imap.config import ConnectionLimits, ServerConfig
from lemonade_imap.transport_options import server_tls
from lemonade_wire.nodecli import NodeOptions

BASIC = ["--listen", "127.0.0.1:0", "--name", "imap.example.com", "--user", "joe:sesame"]


def key_pem(key: ec.EllipticCurvePrivateKey, passphrase: bytes | None = None) -> bytes:
    locked = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with a certificate, its key, the key of another certificate, and a key with a passphrase."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "imap.example.com")])
    now = datetime(2026, 11, 22, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "cert").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key").write_bytes(key_pem(key))
    (tmp_path / "locked").write_bytes(key_pem(key, b"passphrase"))
    (tmp_path / "other").write_bytes(key_pem(ec.generate_private_key(ec.SECP256R1())))
    return tmp_path


def config_of(*more: str) -> ServerConfig:
    options = parser().read([*BASIC, "--data", "data", *more])
    return config_from(options, NodeOptions.from_namespace("imap", options))


def test_without_options_there_are_no_restrictions() -> None:
    config = config_of()
    assert (config.tls, config.cleartext_login, config.clear_urlmech) == (False, True, True)
    assert config.connections == ConnectionLimits()
    assert (config.connections.per_address, config.connections.per_minute) == (100, 600)
    assert config.connections.unlimited == ()
    assert config.max_message == 2**31


def test_options_become_settings(files: Path) -> None:
    tls = ["--tls-cert", str(files / "cert"), "--tls-key", str(files / "key"), "--listen-tls", "127.0.0.1:0"]
    limits = ["--max-connections", "7", "--max-connections-per-address", "3", "--connection-rate", "5"]
    limits += ["--max-message", "4294967295"]
    config = config_of(
        *tls, *limits, "--max-login-failures", "2", "--cleartext-login", "never", "--urlmech", "confidential"
    )
    assert (config.tls, config.cleartext_login, config.clear_urlmech) == (True, False, False)
    assert (config.connections.total, config.connections.per_address, config.connections.per_minute) == (7, 3, 5)
    assert config.logins.failures == 2
    assert config.max_message == 2**32 - 1


def test_0_turns_the_limits_of_an_address_off_and_proxies_have_none() -> None:
    limits = ["--max-connections-per-address", "0", "--connection-rate", "0"]
    connections = config_of(*limits, "--unlimited", "192.0.2.1", "--unlimited", "2001:db8::/32").connections
    assert (connections.per_address, connections.per_minute) == (None, None)
    assert [str(network) for network in connections.unlimited] == ["192.0.2.1/32", "2001:db8::/32"]


def test_the_environment_sets_the_same_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEMONADE_CLEARTEXT_LOGIN", "never")
    monkeypatch.setenv("LEMONADE_CONNECTION_RATE", "9")
    config = config_of()
    assert not config.cleartext_login
    assert config.connections.per_minute == 9


def test_names_and_passwords_are_prepared_by_saslprep() -> None:
    config = config_of("--user", "an\N{SOFT HYPHEN}n:p\N{NO-BREAK SPACE}w")
    assert config.passwords["ann"] == "p w"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--tls-cert", "cert"], "--tls-cert and --tls-key go together"),
        (["--tls-key", "key"], "--tls-cert and --tls-key go together"),
        (["--listen-tls", "127.0.0.1:0"], "--listen-tls needs --tls-cert and --tls-key"),
        (["--listen-tls", "nowhere"], "HOST:PORT is expected"),
        (["--tls-cert", "nothing", "--tls-key", "key"], "No such file"),
        (["--tls-cert", "key", "--tls-key", "key"], "holds no certificate: PEM is expected"),
        (["--tls-cert", "cert", "--tls-key", "cert"], "holds no key: PEM is expected"),
        (["--tls-cert", "cert", "--tls-key", "other"], "is not the key of the first certificate"),
        (["--tls-cert", "cert", "--tls-key", "locked"], "one without a passphrase is expected"),
        (["--cleartext-login", "perhaps"], "'allowed', 'never'"),
        (["--urlmech", "perhaps"], "'always', 'confidential'"),
        (["--max-connections", "0"], "1 or more is expected"),
        (["--max-connections-per-address", "x"], "0 or more is expected"),
        (["--connection-rate", "-1"], "0 or more is expected"),
        (["--unlimited", "proxy"], "ADDRESS or ADDRESS/BITS is expected"),
        (["--unlimited", "192.0.2.1/24"], "ADDRESS or ADDRESS/BITS is expected"),
        (["--max-login-failures", "\N{SUPERSCRIPT TWO}"], "1 or more is expected"),
        (["--max-message", "1023"], "from 1024 to 4294967295"),
        (["--max-message", "4294967296"], "from 1024 to 4294967295"),
        (["--max-message", "1 GB"], "from 1024 to 4294967295"),
        (["--user", "jo\x07e:x"], "RFC 4013"),
    ],
)
def test_invalid_options_say_what_is_valid(
    more: list[str], said: str, files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(files)
    with pytest.raises(SystemExit) as caught:
        main([*BASIC, "--data", "data", *more])
    assert caught.value.code == 2
    told = capsys.readouterr().err
    assert said in told
    assert "PRIVATE" not in told


def test_a_chain_is_sent_whole(files: Path) -> None:
    (files / "chain").write_bytes((files / "cert").read_bytes() * 2)
    assert len(server_tls(files / "chain", files / "key").extraCertChain) == 1


def test_a_port_in_use_is_reported_and_the_server_ends(tmp_path: Path) -> None:
    address = f"127.{os.getpid() % 250 + 1}.{os.getpid() // 250 % 250}.77:0"
    program = [sys.executable, "-c", "from lemonade_imap.cli import main; main()"]
    first = subprocess.Popen(
        [*program, *BASIC, "--listen", address, "--data", str(tmp_path / "a")], stderr=subprocess.PIPE, text=True
    )
    try:
        assert first.stderr is not None
        taken = first.stderr.readline().partition("ready on ")[2].partition(",")[0]
        second = subprocess.run(
            [*program, *BASIC, "--listen", taken, "--data", str(tmp_path / "b")],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    finally:
        first.terminate()
        first.communicate(timeout=10)
    assert second.returncode == 1
    assert "cannot listen" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_low_limit_of_files_lowers_the_limit_of_connections(tmp_path: Path) -> None:
    few = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (300, 400))"
    program = [sys.executable, "-c", f"{few}; from lemonade_imap.cli import main; main()"]
    with subprocess.Popen([*program, *BASIC, "--data", str(tmp_path)], stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        told = [running.stderr.readline() for _ in range(2)]
        running.terminate()
    assert "144 connections at a time at most" in told[0]
    assert "ready on" in told[1]
