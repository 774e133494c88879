from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lemonade_imap.cli import main
from lemonade_imap.store.accounts import SIZE, AccountExists, AccountMissing, Accounts, kept_secret
from lemonade_imap.store.base import StoreError


def test_a_folder_keeps_its_secret_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    made = kept_secret(tmp_path)
    assert len(made) == SIZE
    assert kept_secret(tmp_path) == made
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    (tmp_path / "other").mkdir()
    assert kept_secret(tmp_path / "other") != made


def test_an_invalid_secret_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"")
    with pytest.raises(StoreError, match="0 octets instead of 32"):
        kept_secret(tmp_path)
    with pytest.raises(StoreError, match="No such file"):
        kept_secret(tmp_path / "nowhere")


def test_the_file_contains_verifiers_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    Accounts(tmp_path / "data").add("joe", "sesame")
    found = Accounts(tmp_path / "data").find("joe")
    assert found is not None
    assert found.matches("sesame")
    assert not found.matches("Sesame")
    kept = tmp_path / "data" / "accounts.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert b"sesame" not in kept.read_bytes()
    assert [path.name for path in kept.parent.iterdir()] == ["accounts.json"]


def test_changes_of_accounts_are_seen_by_another_reader(tmp_path: Path) -> None:
    changed, seen = Accounts(tmp_path), Accounts(tmp_path)
    assert seen.names() == []
    changed.add("joe", "a")
    changed.add("ann", "b")
    assert seen.names() == ["ann", "joe"]
    changed.change("joe", "c")
    found = seen.find("joe")
    assert found is not None
    assert found.matches("c")
    changed.remove("joe")
    assert seen.find("joe") is None
    with pytest.raises(AccountExists, match="ann"):
        changed.add("ann", "d")
    calls: tuple[Callable[[], None], ...] = (lambda: changed.change("joe", "x"), lambda: changed.remove("joe"))
    for refused in calls:
        with pytest.raises(AccountMissing, match="joe"):
            refused()


@pytest.mark.parametrize(
    ("name", "password"), [("", "x"), ("a\n", "x"), ("Anonymous", "x"), ("joe", ""), ("joe", "\0")]
)
def test_invalid_accounts_are_refused(tmp_path: Path, name: str, password: str) -> None:
    with pytest.raises(ValueError, match=r"name|anonymous|password"):
        Accounts(tmp_path).add(name, password)
    assert Accounts(tmp_path).names() == []


@pytest.mark.parametrize("text", ["", "[]", '{"joe": {}}', '{"joe": {"mechanism": "PLAIN"}}'])
def test_an_invalid_file_of_accounts_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "accounts.json").write_text(text)
    with pytest.raises(StoreError, match=r"accounts.json is no file of accounts"):
        Accounts(tmp_path).names()


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    def run(words: str, *more: str, said: str = "") -> int:
        monkeypatch.setattr("sys.stdin", io.StringIO(said))
        with pytest.raises(SystemExit) as caught:
            main([*words.split(), "--data", str(tmp_path), *more])
        assert isinstance(caught.value.code, int)
        return caught.value.code

    return run


def test_user_administration_from_the_command_line(
    command: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("user add joe", said="sesame\n") == 0
    assert command("user add joe", said="sesame\n") == 1
    assert command("user passwd joe", said="öffne dich\r\n") == 0
    assert command("user passwd ann", said="x\n") == 1
    assert command("user list") == 0
    assert capsys.readouterr().out == "joe\n"
    found = Accounts(tmp_path).find("joe")
    assert found is not None
    assert found.matches("öffne dich")
    assert command("user add empty", said="") == 2
    assert command("user add joe secret", said="x\n") == 2
    assert command("user remove joe") == 0
    assert command("user remove joe") == 1
    assert json.loads((tmp_path / "accounts.json").read_bytes()) == {}
    assert "no account 'joe'" in capsys.readouterr().err
