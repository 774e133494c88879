"""The command-line options for S/MIME."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lemonade_testbed.authority import Issued
from lemonade_wire.faults import FaultList
from lemonade_wire.nodecli import NodeParser
from lemonade_wire.sip.message.keyring import named
from lemonade_wire.sip.message.smime import Smime, add_options, smime_from


@pytest.fixture
def _files(tmp_path: Path, smime: Callable[[str], Issued], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ivr@a.example", "joe@a.example"):
        (tmp_path / f"{name}.pem").write_bytes(smime(name).certificate)
        (tmp_path / f"{name}.key").write_bytes(smime(name).key)
    monkeypatch.chdir(tmp_path)


def read(arguments: str, later: timedelta = timedelta()) -> Smime:
    parser = NodeParser("lemonade-x", "", FaultList.of(), environ={})
    add_options(parser)
    return smime_from(parser.read(arguments.split()), datetime.now(UTC) + later)


def test_without_them_nothing_is_encrypted_or_read() -> None:
    assert read("") == Smime()


@pytest.mark.usefixtures("_files")
def test_own_certificate_and_those_of_peers() -> None:
    own = "--smime-cert ivr@a.example.pem --smime-key ivr@a.example.key"
    made = read(f"{own} --smime-peer joe@a.example.pem --smime-peer ivr@a.example.pem")
    assert made.identity is not None
    assert named(made.identity.certificate) == "ivr@a.example"
    assert [named(one) for one in made.peers.certificates] == ["joe@a.example", "ivr@a.example"]


@pytest.mark.usefixtures("_files")
@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("--smime-cert ivr@a.example.pem", "go together"),
        ("--smime-key ivr@a.example.key", "go together"),
        ("--smime-cert none --smime-key none", "--smime-cert, --smime-key: .*No such file"),
        ("--smime-cert ivr@a.example.pem --smime-key joe@a.example.key", "not the certificate's"),
        ("--smime-peer none", "--smime-peer: .*No such file"),
        ("--smime-peer joe@a.example.key", "--smime-peer: there is no certificate"),
    ],
)
def test_unusable_files_are_refused_with_the_reason(arguments: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read(arguments)


@pytest.mark.usefixtures("_files")
def test_an_expired_certificate_is_refused() -> None:
    with pytest.raises(ValueError, match="is not valid now"):
        read("--smime-peer joe@a.example.pem", timedelta(days=30))
