from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lemonade_imap.store.accounts import Accounts, kept_secret
from lemonade_imap.store.base import StoreBusy, StoreError
from lemonade_imap.store.sqlite import SqliteStore
from lemonade_imap.testing.messages import RECEIVED, append_message, mailbox_of

WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from lemonade_imap.store.base import NewMessage
from lemonade_imap.store.sqlite import SqliteStore

store = SqliteStore(Path(sys.argv[1]))
mailbox = store.mailbox("joe", "INBOX")
print(store.make_key(mailbox).hex(), mailbox.uid_validity, flush=True)
while True:
    arrival = store.arrive()
    arrival.write(b"Subject: x\\r\\n\\r\\n")
    arrival.write(b"y" * 50000)
    (message,) = store.append(mailbox, [NewMessage(arrival, [], datetime.now(UTC))])
    print(message.uid, flush=True)
"""


def test_what_was_answered_survives_kill_9(tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    key, validity = writer.stdout.readline().split()
    answered = [int(writer.stdout.readline()) for _ in range(5)]
    os.kill(writer.pid, signal.SIGKILL)
    answered += [int(line) for line in writer.stdout.read().split()]
    writer.wait()
    writer.stdout.close()
    store = SqliteStore(tmp_path)
    mailbox = mailbox_of(store)
    assert store.make_key(mailbox).hex() == key
    assert mailbox.uid_validity == int(validity)
    messages = store.messages(mailbox)
    # one message more than was answered may be stored, but not fewer
    assert [message.uid for message in messages][: len(answered)] == answered
    for message in messages:
        assert len(b"".join(store.read(message, 0, message.size))) == message.size == 50014
    assert append_message(store, mailbox_of(store), b"x").uid == messages[-1].uid + 1
    assert len(list((tmp_path / "messages" / str(mailbox.ident)).glob("[0-9]*"))) == len(messages) + 1
    assert not list((tmp_path / "arriving").iterdir())
    store.close()


def test_two_servers_on_one_folder_are_refused(tmp_path: Path) -> None:
    first = SqliteStore(tmp_path)
    with pytest.raises(StoreBusy, match="in use by another server"):
        SqliteStore(tmp_path)
    first.close()
    SqliteStore(tmp_path).close()


def test_the_error_names_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        SqliteStore(tmp_path / "file")
    (tmp_path / "index.sqlite").write_text("this is no database, whatever its name says" * 100)
    with pytest.raises(StoreError, match="database"):
        SqliteStore(tmp_path)


def test_a_message_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SqliteStore(tmp_path)
    mailbox_of(store)

    def refuses(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuses)
    with pytest.raises(StoreError, match="No space left"):
        append_message(store, mailbox_of(store), b"x")
    assert store.messages(mailbox_of(store)) == []
    assert not list((tmp_path / "arriving").iterdir())
    store.close()


def test_uidvalidity_increases_even_if_the_clock_goes_back(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, clock=lambda: 2_000_000_000.0)
    first = store.create("joe", "a")
    store.close()
    store = SqliteStore(tmp_path, clock=lambda: 1_000_000_000.0)
    assert store.create("joe", "b").uid_validity == first.uid_validity + 1
    store.close()


def test_a_copy_is_a_link_or_a_file_if_no_more_links_are_possible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqliteStore(tmp_path)
    append_message(store, mailbox_of(store), b"octets")
    folder = tmp_path / "messages" / str(mailbox_of(store).ident)
    store.copy(mailbox_of(store), [1], mailbox_of(store))
    assert (folder / "1").samefile(folder / "2")

    def too_many(_old: Path, _new: Path) -> None:
        raise OSError(errno.EMLINK, "Too many links")

    monkeypatch.setattr(os, "link", too_many)
    store.copy(mailbox_of(store), [1], mailbox_of(store))
    assert not (folder / "1").samefile(folder / "3")
    assert (folder / "3").read_bytes() == b"octets"
    assert (folder / "3").stat().st_mtime == RECEIVED.timestamp()
    store.close()


def modes(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mode & 0o777 for path in [folder, *folder.rglob("*")]}


def filled(folder: Path) -> SqliteStore:
    store = SqliteStore(folder)
    kept_secret(folder)
    accounts = Accounts(folder)
    if "joe" not in accounts.names():
        accounts.add("joe", "secret")
    append_message(store, mailbox_of(store), b"Subject: x\r\n\r\n")
    store.make_key(mailbox_of(store))
    return store


@pytest.mark.parametrize("umask", [0, 0o022, 0o077, 0o277])
def test_only_the_owner_may_read_the_data_folder(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        store = filled(tmp_path / "data")
        found = modes(tmp_path / "data")
        store.close()
    finally:
        os.umask(before)
    assert {"index.sqlite", "index.sqlite-wal", "secret", "accounts.json", "lock"} <= found.keys()
    folders = {".", "messages", "arriving", "messages/1"}
    assert {name: mode for name, mode in found.items() if mode != (0o700 if name in folders else 0o600)} == {}


def test_a_folder_that_others_may_read_is_closed_when_it_is_opened(tmp_path: Path) -> None:
    filled(tmp_path / "data").close()
    for path in [tmp_path / "data", *(tmp_path / "data").rglob("*")]:
        path.chmod(0o777 if path.is_dir() else 0o666)
    store = SqliteStore(tmp_path / "data")
    found = modes(tmp_path / "data")
    store.close()
    # A message is readable only through its mailbox's folder.
    assert {name for name, mode in found.items() if mode & 0o077} <= {"messages/1/1"}
    assert found["."] == found["messages"] == found["messages/1"] == 0o700
