"""`fsck` finds and repairs errors, and a server refuses a data folder that only `fsck` can repair."""

from __future__ import annotations

import shutil
import sqlite3
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from lemonade_imap.cli import main
from lemonade_imap.store.base import Scope, StoreBusy, StoreDamaged, StoreError
from lemonade_imap.store.rebuild import StoreCheck
from lemonade_imap.store.sqlite import SqliteStore
from lemonade_imap.testing.messages import append_message, mailbox_of

AT = datetime(2026, 11, 22, 10, 0, 0, tzinfo=timezone(timedelta(hours=2)))
NOW = AT.timestamp() + 1000


@pytest.fixture
def data(tmp_path: Path, voice: bytes) -> Path:
    store = SqliteStore(tmp_path)
    store.create("joe", "Füße/b")
    append_message(store, mailbox_of(store), voice, flags=("work",), received=AT)
    append_message(store, mailbox_of(store), b"Subject: 2\r\n\r\nx", received=AT)
    append_message(store, mailbox_of(store), b"Subject: 3\r\n\r\nxx", received=AT)
    store.expunge(mailbox_of(store), [3])
    store.change_flags(mailbox_of(store), [2], "+", ["\\Seen", "\\Flagged"])
    store.copy(mailbox_of(store), [1], mailbox_of(store, "Füße/b"))
    store.make_key(mailbox_of(store))
    store.subscribe("joe", "nothing")
    store.set_entries(Scope("joe", mailbox_of(store, "Füße/b")), {"/private/comment": b"hi"})
    store.close()
    return tmp_path


def check(data: Path, *, repairs: bool = True) -> list[str]:
    said: list[str] = []
    made = StoreCheck(data, repairs=repairs, now=NOW, say=said.append)
    made.run()
    assert made.found <= len(said)
    return said


def told(data: Path) -> list[object]:
    """Return all data that must be the same before and after a repair."""
    store = SqliteStore(data)
    seen: list[object] = [store.mailboxes("joe")]
    for name in store.mailboxes("joe"):
        mailbox = mailbox_of(store, name)
        seen.append((mailbox.ident, mailbox.uid_validity, store.key(mailbox)))
        for message in store.messages(mailbox):
            octets = b"".join(store.read(message, 0, message.size))
            seen.append((message.uid, message.flags, message.received.isoformat(), message.root, octets))
    store.close()
    return seen


def test_an_intact_folder_has_no_findings(data: Path) -> None:
    assert check(data) == []


@pytest.mark.parametrize("how", ["missing", "torn", "overwritten"])
def test_a_rebuilt_index_equals_the_old_one(data: Path, how: str) -> None:
    before = told(data)
    index = data / "index.sqlite"
    octets = index.read_bytes()
    match how:
        case "missing":
            index.unlink()
        case "torn":
            index.write_bytes(octets[: len(octets) // 2])
        case _:
            index.write_bytes(b"this is no database" * 1000)
    with pytest.raises(StoreDamaged, match=f"lemonade-imap fsck --data {data}"):
        SqliteStore(data)
    assert len(check(data, repairs=False)) == 1
    with pytest.raises(StoreDamaged):
        SqliteStore(data)
    assert check(data)[-1] == "the index is made anew: 2 mailboxes, 3 messages"
    assert told(data) == before
    store = SqliteStore(data)
    inbox = mailbox_of(store)
    assert inbox.highest_modseq >= NOW * 1000
    # the UID of the expunged message is not used again
    append_message(store, mailbox_of(store), b"new", received=AT)
    assert store.uids(inbox)[-1] > 3
    assert store.create("joe", "new").uid_validity > mailbox_of(store, "Füße/b").uid_validity
    store.close()
    assert check(data) == []


def test_subscriptions_and_annotations_are_read_from_a_damaged_index(data: Path) -> None:
    db = sqlite3.connect(data / "index.sqlite")
    (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'message'").fetchone()
    (size,) = db.execute("PRAGMA page_size").fetchone()
    db.close()
    with (data / "index.sqlite").open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    with pytest.raises(StoreDamaged):
        SqliteStore(data)
    check(data)
    store = SqliteStore(data)
    assert store.subscriptions("joe") == ["nothing"]
    assert store.entries(Scope("joe", mailbox_of(store, "Füße/b"))) == {"/private/comment": b"hi"}
    store.close()


def test_a_mailbox_without_a_known_owner_is_in_lost_and_found(data: Path) -> None:
    (data / "index.sqlite").unlink()
    (data / "messages" / "1" / "mailbox.json").write_text("{}")
    (data / "messages" / "1" / "log").unlink()
    said = check(data)
    assert any("message 1: its flags are lost" in line for line in said)
    store = SqliteStore(data)
    found = [store.mailbox("lost+found", name) for name in store.mailboxes("lost+found")]
    inbox, *others = found
    assert inbox is not None
    assert len(others) == 1
    assert others[0] is not None
    (message,) = store.messages(others[0])
    assert message.flags == frozenset()
    # the time zone is lost, but the time is the same
    assert message.received == AT
    store.close()


def test_a_missing_and_a_changed_message_file_are_repaired(data: Path) -> None:
    (data / "messages" / "2" / "1").unlink()
    (data / "messages" / "2" / "2").write_bytes(b"Subject: other\r\n\r\nlonger than before")
    (data / "messages" / "2" / "77").write_bytes(b"left by a crash")
    said = check(data, repairs=False)
    assert said == check(data)
    assert [line.partition(": ")[2] for line in said] == [
        "message 1 has no file: it is lost",
        "message 2: its index differs from its file",
        "file 77 belongs to no message: the next start removes it",
    ]
    store = SqliteStore(data)
    (message,) = store.messages(mailbox_of(store))
    assert (message.uid, message.size, message.root.length) == (2, 36, 18)
    store.close()
    assert not (data / "messages" / "2" / "77").exists()
    assert check(data) == []


def test_a_mailbox_without_its_folder_is_repaired(data: Path) -> None:
    shutil.rmtree(data / "messages" / "2")
    assert check(data, repairs=False) == ["'INBOX' of 'joe': its folder is missing"]
    assert len(check(data)) == 4
    store = SqliteStore(data)
    assert store.uids(mailbox_of(store)) == []
    store.close()
    assert check(data) == []


def test_fsck_from_the_command_line(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*more: str) -> object:
        with pytest.raises(SystemExit) as caught:
            main(["fsck", "--data", str(data), *more])
        return caught.value.code

    assert run() == 0
    (data / "index.sqlite").unlink()
    assert run("--check") == 4
    assert run() == 3
    assert run() == 0
    assert capsys.readouterr().out.endswith("nothing is wrong\n")
    store = SqliteStore(data)
    assert run() == 1
    store.close()
    assert "in use by another server" in capsys.readouterr().err


def test_a_folder_in_use_or_missing_is_an_error(data: Path) -> None:
    store = SqliteStore(data)
    with pytest.raises(StoreBusy):
        check(data)
    store.close()
    with pytest.raises(StoreError, match="is no folder"):
        check(data / "nothing")


V1 = """
CREATE TABLE mailbox (
    ident INTEGER PRIMARY KEY AUTOINCREMENT, user TEXT NOT NULL, name TEXT NOT NULL,
    uid_validity INTEGER NOT NULL, uid_next INTEGER NOT NULL, key BLOB, UNIQUE (user, name));
CREATE TABLE message (
    ident INTEGER PRIMARY KEY AUTOINCREMENT, mailbox INTEGER NOT NULL REFERENCES mailbox ON DELETE CASCADE,
    uid INTEGER NOT NULL, flags TEXT NOT NULL, received TEXT NOT NULL, size INTEGER NOT NULL, parts TEXT NOT NULL,
    file TEXT NOT NULL, UNIQUE (mailbox, uid));
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
INSERT INTO mailbox VALUES (4, 'joe', 'INBOX', 1700000000, 9, x'ABCD');
INSERT INTO mailbox VALUES (6, 'joe', 'a/b', 1700000007, 1, NULL);
INSERT INTO message VALUES (11, 4, 8, '["\\\\Seen", "work"]', '2026-11-22T10:00:00+02:00', 15, '{parts}', 'abcdef');
INSERT INTO counter VALUES ('validity', 1700000007);
"""


@pytest.fixture
def version_1(tmp_path: Path, data: Path) -> Path:
    """A data folder in the format of version 1."""
    folder = tmp_path / "v1"
    (folder / "messages").mkdir(parents=True)
    (folder / "messages" / "abcdef").write_bytes(b"Subject: 2\r\n\r\nx")
    parts = sqlite3.connect(data / "index.sqlite").execute(
        "SELECT parts FROM message JOIN content ON content.ident = content WHERE size = 15"
    )
    db = sqlite3.connect(folder / "index.sqlite")
    db.executescript(V1.replace("{parts}", parts.fetchone()[0]))
    db.close()
    return folder


def test_a_folder_of_version_1_is_converted(version_1: Path) -> None:
    for _ in range(2):
        store = SqliteStore(version_1)
        inbox = mailbox_of(store)
        assert (inbox.ident, inbox.uid_validity, inbox.uid_next, store.key(inbox)) == (4, 1700000000, 9, b"\xab\xcd")
        (message,) = store.messages(inbox)
        assert (message.uid, message.flags, message.received, message.root.length) == (
            8,
            frozenset({"\\Seen", "work"}),
            AT,
            1,
        )
        assert b"".join(store.read(message, 0, 99)) == b"Subject: 2\r\n\r\nx"
        assert store.recent(inbox) == frozenset()
        assert store.mailboxes("joe") == ["INBOX", "a/b"]
        store.close()
        assert not (version_1 / "messages" / "abcdef").exists()
    assert check(version_1) == []
    (version_1 / "index.sqlite").unlink()
    check(version_1)
    store = SqliteStore(version_1)
    assert store.messages(mailbox_of(store))[0].flags == {"\\Seen", "work"}
    store.close()


def test_a_lost_index_of_version_1_is_rebuilt(version_1: Path) -> None:
    (version_1 / "index.sqlite").unlink()
    with pytest.raises(StoreDamaged):
        SqliteStore(version_1)
    check(version_1)
    store = SqliteStore(version_1)
    found = store.mailbox("lost+found", "mailbox-1")
    assert found is not None
    assert [message.size for message in store.messages(found)] == [15]
    store.close()


def test_an_index_of_a_later_version_is_not_changed(data: Path) -> None:
    db = sqlite3.connect(data / "index.sqlite")
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreError, match="version 99"):
        SqliteStore(data)
