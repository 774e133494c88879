"""The keys and certificates of a world: which node gets which, and that only their owner can read the files."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from lemonade_testbed.runtime.credentials import make_credentials
from lemonade_testbed.runtime.docker_compose import environment
from lemonade_testbed.runtime.local import node_options
from lemonade_testbed.scenario.world import HostAddress, Setup, Shown, Smime, Tls, World
from lemonade_wire.sip.message.keyring import named
from lemonade_wire.sip.message.smime import SmimeIdentity

PLACES = {
    "imap": HostAddress("127.9.8.2", 1143, "imap.example.com"),
    "media": HostAddress("127.9.8.3", 5060, "media.example.net"),
    "client": HostAddress("127.9.8.4", 5060, "client"),
}


def world(folder: Path, smime: Smime = "no", tls: Tls | None = None) -> World:
    made = World(Setup(folder, {"joe": "secret"}, smime=smime, tls=tls), dict(PLACES))
    made.credentials = make_credentials(made)
    return made


def subject(path: Path) -> str:
    return named(x509.load_pem_x509_certificate(path.read_bytes()))


def test_without_smime_and_tls_no_files_are_made(tmp_path: Path) -> None:
    assert world(tmp_path).credentials == {}
    assert not (tmp_path / "secret").exists()


def test_each_has_its_own_key_and_the_other_s_certificate(tmp_path: Path) -> None:
    made = world(tmp_path, "yes").credentials
    assert {role: set(files) for role, files in made.items()} == {
        role: {"smime-cert", "smime-key", "smime-peer"} for role in ("client", "media")
    }
    assert subject(made["client"]["smime-cert"]) == "joe@127.9.8.4"
    assert subject(made["media"]["smime-cert"]) == "ivr@media.example.net"
    for role, peer in (("client", "media"), ("media", "client")):
        own = made[role]
        SmimeIdentity.read(own["smime-cert"].read_bytes(), own["smime-key"].read_bytes())
        assert own["smime-peer"].read_bytes() == made[peer]["smime-cert"].read_bytes()
    assert {path.stat().st_mode & 0o777 for files in made.values() for path in files.values()} == {0o600}
    assert {path.parent for files in made.values() for path in files.values()} == {tmp_path / "secret"}


def test_the_media_server_may_have_none(tmp_path: Path) -> None:
    made = world(tmp_path, "client-alone").credentials
    assert set(made) == {"client"}
    assert subject(made["client"]["smime-peer"]) == "ivr@media.example.net"


def test_wrong_key_gives_the_client_a_certificate_of_another_key(tmp_path: Path) -> None:
    made = world(tmp_path, "wrong-key").credentials
    assert subject(made["client"]["smime-peer"]) == "ivr@media.example.net"
    assert made["client"]["smime-peer"].read_bytes() != made["media"]["smime-cert"].read_bytes()


@pytest.mark.parametrize(
    ("certificate", "host", "trusted"),
    [
        ("own", "imap.example.com", True),
        ("another-host", "other.example.com", True),
        ("another-authority", "imap.example.com", False),
    ],
)
def test_the_imap_server_has_a_certificate(tmp_path: Path, certificate: Shown, host: str, trusted: bool) -> None:
    made = world(tmp_path, tls=Tls("required", "preferred", certificate)).credentials
    assert {role: set(files) for role, files in made.items()} == {
        "imap": {"tls-cert", "tls-key"},
        "media": {"imap-ca"},
        "client": {"imap-ca"},
    }
    shown, trust = (
        x509.load_pem_x509_certificate(made[role][option].read_bytes())
        for role, option in (("imap", "tls-cert"), ("media", "imap-ca"))
    )
    names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [host]
    assert made["client"]["imap-ca"].read_bytes() == made["media"]["imap-ca"].read_bytes()
    try:
        shown.verify_directly_issued_by(trust)
    except (ValueError, InvalidSignature):
        assert not trusted
    else:
        assert trusted


def test_an_imap_server_without_a_certificate_leaves_the_others_their_authority(tmp_path: Path) -> None:
    made = world(tmp_path, tls=Tls("required", certificate="none")).credentials
    assert {role: set(files) for role, files in made.items()} == {"media": {"imap-ca"}, "client": {"imap-ca"}}


def test_smime_and_tls_files_can_be_made_together(tmp_path: Path) -> None:
    made = world(tmp_path, "yes", Tls("required")).credentials
    assert set(made["media"]) == {"smime-cert", "smime-key", "smime-peer", "imap-ca"}
    assert len(list((tmp_path / "secret").iterdir())) == sum(map(len, made.values()))


@pytest.mark.parametrize("role", ["client", "media"])
def test_nodes_get_the_paths_of_their_files(tmp_path: Path, role: str) -> None:
    made = world(tmp_path, "yes")
    words = node_options(made, role)
    for option, path in made.credentials[role].items():
        assert words[words.index(f"--{option}") + 1] == str(path)
        told = environment(made, role)[f"LEMONADE_{option.replace('-', '_').upper()}"]
        assert told == f"/evidence/{path.name}"
    assert not any("smime" in word for word in node_options(made, "imap"))


def test_world_json_has_no_credentials(tmp_path: Path) -> None:
    made = world(tmp_path, "yes")
    made.write()
    assert "smime" not in (tmp_path / "world.json").read_text()
