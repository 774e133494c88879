from __future__ import annotations

from pathlib import Path

import pytest

from lemonade_testbed.errors import EnvironmentBroken
from lemonade_testbed.places import UsageError
from lemonade_testbed.vendors.catalogue import (
    COMPOSE,
    choose,
    chosen_vendors,
    load_vendors,
    read_vendors,
    title_of,
    write_vendors,
)
from lemonade_testbed.vendors.prepare import ready_for_vendors
from lemonade_wire.script import ScriptError


def test_every_peer_has_its_image_files_and_its_rules() -> None:
    known = load_vendors()
    assert {name: vendor.role for name, vendor in known.items()} == {
        "dovecot": "imap",
        "cyrus": "imap",
        "sipp": "client",
        "baresip": "client",
    }
    for vendor in known.values():
        folder = COMPOSE / "vendors" / vendor.built
        assert vendor.overlay == folder / "compose.yaml"
        assert f"image: {vendor.image}\n" in (folder / "compose.yaml").read_text()
        assert "ARG BASE" in (folder / "Dockerfile").read_text()
        if vendor.role == "imap":
            assert (folder / "seed").stat().st_mode & 0o111
            assert vendor.url_host
            assert "none" in vendor.url_port


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: {role: imap, title: A, image: a, colour: red}\n", 1, "colour"),
        ("a:\n  role: imp\n  title: A\n  image: a\n", 2, "imap"),
        ("reference: {role: imap, title: A, image: a}\n", 1, "'reference' is the name of the reference nodes"),
        ("a: {role: imap, title: A, image: a, built: nowhere}\n", 1, "no compose/vendors/nowhere/Dockerfile"),
        ("- a\n", 1, "a mapping of vendors is expected"),
    ],
)
def test_an_error_in_vendors_yaml_is_named_with_its_line(tmp_path: Path, text: str, line: int, said: str) -> None:
    path = tmp_path / "vendors.yaml"
    path.write_text(text)
    with pytest.raises(ScriptError) as caught:
        load_vendors(path)
    assert caught.value.line == line
    assert said in str(caught.value)


def test_a_peer_is_chosen_by_name_or_image() -> None:
    known = load_vendors()
    chosen = choose({"imap": "dovecot", "client": "example/client:1.0", "media": "reference"}, known)
    assert [(one.role, one.image, one.listed) for one in chosen] == [
        ("imap", "lemonade-vendor-dovecot", True),
        ("client", "example/client:1.0", False),
    ]
    assert chosen[1].overlay is None
    assert title_of(chosen) == "dovecot, example-client-1.0"
    assert title_of(choose({"imap": None}, known)) == "reference"


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"imap": "dovcot"}, "no imap 'dovcot'; did you mean 'dovecot'?"),
        ({"client": "dovecot"}, "dovecot is no client: its role is imap"),
        ({"media": "an image"}, "no media 'an image'"),
    ],
)
def test_a_word_that_names_no_peer_is_refused(wanted: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said.replace("?", r"\?")):
        choose(wanted, load_vendors())


def test_a_peer_has_no_faults_to_choose() -> None:
    with pytest.raises(UsageError, match="dovecot has no faults"):
        chosen_vendors({"imap": "dovecot"}, {"imap": "short-part"})
    assert chosen_vendors({"imap": None}, {"imap": "short-part"}) == ()


def test_peers_need_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = {"imap": "dovecot", "client": "sipp"}
    with pytest.raises(UsageError, match="--runtime local: dovecot, sipp runs in a container alone"):
        chosen_vendors(chosen | {"runtime": "local"}, {})
    assert len(chosen_vendors(chosen | {"runtime": "auto"}, {})) == 2
    assert chosen_vendors({"imap": None, "runtime": "local"}, {}) == ()
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(EnvironmentBroken, match="run in containers alone: no container engine answers"):
        ready_for_vendors(chosen_vendors(chosen, {}), pytest.fail)


def test_the_command_line_says_how_mail_gets_into_an_imap_server() -> None:
    chosen = chosen_vendors({"imap": "dovecot", "client": "sipp", "mail": "folder"}, {})
    assert {vendor.role: vendor.mail for vendor in chosen} == {"imap": "folder", "client": "append"}
    assert {vendor.mail for vendor in chosen_vendors({"imap": "dovecot"}, {})} == {"append"}
    assert chosen_vendors({"imap": "example/imap:1.0", "mail": "hook"}, {})[0].mail == "hook"
    for wanted in ({"imap": "reference"}, {"client": "sipp"}, {}):
        with pytest.raises(UsageError, match="--mail hook: that is for an IMAP server of another maker"):
            chosen_vendors(wanted | {"mail": "hook"}, {})


def test_the_peers_of_a_run_are_written_and_read_again(tmp_path: Path) -> None:
    chosen = choose({"imap": "cyrus", "client": "example/client:1.0"}, load_vendors())
    assert read_vendors(tmp_path) == ()
    write_vendors(tmp_path, chosen)
    assert read_vendors(tmp_path) == chosen
    (tmp_path / "vendors.json").write_text("[1]")
    with pytest.raises(UsageError, match="not a note of the peers"):
        read_vendors(tmp_path)
