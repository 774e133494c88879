from __future__ import annotations

import mailbox
import os
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from lemonade_imap.store.sqlite import SqliteStore
from lemonade_imap.testing.messages import append_message, mailbox_of
from lemonade_imap.tools.command import run

AT = datetime(2026, 11, 22, 10, 0, 0, tzinfo=timezone(timedelta(hours=2)))
Seen = list[tuple[bytes, frozenset[str], datetime]]


def keep(store: SqliteStore, name: str, octets: bytes, *flags: str) -> None:
    there = store.mailbox("joe", name) or store.create("joe", name)
    append_message(store, there, octets, flags=flags, received=AT + timedelta(seconds=len(octets)))


def told(data: Path, user: str) -> dict[str, Seen]:
    store = SqliteStore(data)
    seen: dict[str, Seen] = {}
    for name in store.mailboxes(user):
        there = mailbox_of(store, name, user)
        seen[name] = [
            (b"".join(store.read(message, 0, message.size)), message.flags, message.received)
            for message in store.messages(there)
        ]
    store.close()
    return seen


@pytest.fixture
def data(tmp_path: Path, voice: bytes) -> Path:
    store = SqliteStore(tmp_path / "data")
    keep(store, "INBOX", voice, "\\Seen", "\\Answered", "work", "$Forwarded", "Zeit")
    keep(store, "INBOX", b"Subject: b\r\n\r\n" + bytes(range(1, 256)) * 2000, "\\Draft", "\\Deleted", "\\Flagged")
    keep(store, "Füße/v1.2/x", b"Subject: c\r\n\r\n", "work")
    keep(store, "Füße", b"Subject: d\r\n\r\n")
    store.close()
    return tmp_path / "data"


def test_export_and_import_keep_messages(data: Path, tmp_path: Path) -> None:
    there = tmp_path / "Maildir"
    assert run(["export", "maildir", str(there), "--data", str(data), "--user", "joe"]) == 0
    assert run(["import", "maildir", str(there), "--data", str(data), "--user", "ann"]) == 0
    assert told(data, "ann") == told(data, "joe")
    assert sorted(path.name for path in there.iterdir() if path.name.startswith(".")) == [
        ".F&APwA3w-e",
        ".F&APwA3w-e.v1&AC4-2.x",
    ]
    assert run(["export", "maildir", str(there), "--data", str(data), "--user", "joe"]) == 1


def test_export_of_one_mailbox_and_those_below(data: Path, tmp_path: Path) -> None:
    there = tmp_path / "Maildir"
    assert run(["export", "maildir", str(there), "--data", str(data), "--user", "joe", "--mailbox", "Füße"]) == 0
    assert run(["import", "maildir", str(there), "--data", str(data), "--user", "ann", "--mailbox", "old/mail"]) == 0
    before = told(data, "joe")
    assert told(data, "ann") == {
        "INBOX": [],
        "old/mail": before["Füße"],
        "old/mail/v1.2/x": before["Füße/v1.2/x"],
    }


def test_maildir_of_the_standard_library_is_compatible(data: Path, tmp_path: Path) -> None:
    there = tmp_path / "Maildir"
    run(["export", "maildir", str(there), "--data", str(data), "--user", "joe"])
    read = mailbox.Maildir(there)
    assert sorted(read.list_folders()) == ["F&APwA3w-e", "F&APwA3w-e.v1&AC4-2.x"]
    assert {message.get_flags() for message in read} == {"PRSab", "DFT"}

    written = mailbox.Maildir(tmp_path / "other")
    message = mailbox.MaildirMessage("Subject: ö\n\nline\nline")
    message.set_subdir("cur")
    message.set_flags("FS")
    message.set_date(AT.timestamp())
    key = written.add(message)
    os.utime(tmp_path / "other" / "cur" / f"{key}:2,FS", (AT.timestamp(), AT.timestamp()))
    assert run(["import", "maildir", str(tmp_path / "other"), "--data", str(data), "--user", "ann"]) == 0
    ((octets, flags, received),) = told(data, "ann")["INBOX"]
    assert octets.endswith(b"\r\n\r\nline\r\nline")
    assert b"\n" not in octets.replace(b"\r\n", b"")
    assert (flags, received) == (frozenset({"\\Flagged", "\\Seen"}), AT.astimezone(UTC))


def test_line_ends_at_the_edge_of_a_chunk(data: Path, tmp_path: Path) -> None:
    there = tmp_path / "Maildir"
    for part in ("cur", "new", "tmp"):
        (there / part).mkdir(parents=True)
    start = b"Subject: x\n\n"
    (there / "new" / "1.x").write_bytes(start + b"y" * (131071 - len(start)) + b"\r\nend\n")
    assert run(["import", "maildir", str(there), "--data", str(data), "--user", "ann"]) == 0
    ((octets, _, _),) = told(data, "ann")["INBOX"]
    assert octets == b"Subject: x\r\n\r\n" + b"y" * (131071 - len(start)) + b"\r\nend\r\n"


def test_invalid_folders_are_refused(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["import", "maildir", str(tmp_path / "x"), "--data", str(data), "--user", "ann"]) == 1
    assert "is no Maildir" in capsys.readouterr().err
    (tmp_path / "m" / "cur").mkdir(parents=True)
    (tmp_path / "m" / ".a&b" / "cur").mkdir(parents=True)
    assert run(["import", "maildir", str(tmp_path / "m"), "--data", str(data), "--user", "ann"]) == 1
    store = SqliteStore(data)
    assert run(["import", "maildir", str(tmp_path / "m"), "--data", str(data), "--user", "ann"]) == 1
    store.close()
    assert "in use by another server" in capsys.readouterr().err


def written(folder: Path, name: str, octets: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(octets)
    return folder / name


def test_import_follows_no_link_opens_no_fifo_and_goes_on(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there, elsewhere = tmp_path / "m", tmp_path / "elsewhere"
    secret = written(elsewhere / "cur", "1.secret", b"Subject: secret\r\n\r\n")
    written(there / "cur", "1.good", b"Subject: good\r\n\r\n")
    written(there / ".sub" / "new", "2.good", b"Subject: too\r\n\r\n")
    (there / ".sub" / "cur").mkdir()
    (there / "cur" / "2.link").symlink_to(secret)
    os.mkfifo(there / "cur" / "3.fifo")
    (there / "cur" / "4.folder").mkdir()
    written(there / "cur", "5.closed", b"x").chmod(0)
    (there / ".link").symlink_to(elsewhere)
    (there / "new").symlink_to(elsewhere / "cur")
    (there / "dovecot-keywords").symlink_to(secret)
    (there / ("." + ".".join("abcdefghijklmnopqrstu")) / "cur").mkdir(parents=True)
    assert run(["import", "maildir", str(there), "--data", str(data), "--user", "ann"]) == 1
    assert {name: [octets for octets, _, _ in seen] for name, seen in told(data, "ann").items()} == {
        "INBOX": [b"Subject: good\r\n\r\n"] + [b"x"] * (os.geteuid() == 0),
        "sub": [b"Subject: too\r\n\r\n"],
    }
    said = capsys.readouterr().err
    for name in ("2.link", "3.fifo", "4.folder", ".link", "new", ".a.b.c"):
        assert f"{name}" in said
    assert said.count(" is skipped: ") == 6 + (os.geteuid() != 0)


def test_a_message_with_nul_is_not_imported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there = tmp_path / "Maildir"
    (there / "cur").mkdir(parents=True)
    written(there / "cur", "1.U1:2,", b"Subject: a\r\n\r\n" + b"a" * 200_000 + b"\0")
    written(there / "cur", "2.U2:2,", b"Subject: b\r\n\r\n")
    assert run(["import", "maildir", str(there), "--data", str(tmp_path / "data"), "--user", "joe"]) == 1
    assert "is skipped: it holds NUL" in capsys.readouterr().err
    assert [octets for octets, _, _ in told(tmp_path / "data", "joe")["INBOX"]] == [b"Subject: b\r\n\r\n"]
    assert not list((tmp_path / "data" / "arriving").glob("*"))


def test_names_that_are_too_long_for_a_file_are_exported_shortened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = SqliteStore(tmp_path / "data")
    names = ["x" * 254, "x" * 255, "x" * 256, "ü" * 300, "ü" * 301, "z"]
    for number, name in enumerate(names):
        keep(store, name, b"Subject: %d\r\n\r\n" % number)
    store.close()
    there = tmp_path / "Maildir"
    assert run(["export", "maildir", str(there), "--data", str(tmp_path / "data"), "--user", "joe"]) == 0
    folders = {path.name for path in there.iterdir() if path.name.startswith(".")}
    assert {".z", "." + "x" * 254, "." + "x" * 252 + "-1", "." + "x" * 252 + "-2"} < folders
    assert len(folders) == len(names)
    assert capsys.readouterr().err.count("is too long for a file") == 4
    assert run(["import", "maildir", str(there), "--data", str(tmp_path / "data"), "--user", "ann"]) == 0
    imported = told(tmp_path / "data", "ann").values()
    assert sorted(octets for seen in imported for octets, _, _ in seen) == [
        b"Subject: %d\r\n\r\n" % number for number in range(len(names))
    ]
