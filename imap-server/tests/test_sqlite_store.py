from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lemonade_imap.store.base import Arriving, Mailbox, Message, StoreBusy, StoreError
from lemonade_imap.store.sqlite import SqliteStore

AT = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)
WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from lemonade_imap.store.base import Arriving
from lemonade_imap.store.sqlite import SqliteStore

store = SqliteStore(Path(sys.argv[1]))
mailbox = store.mailbox("joe", "INBOX")
print(store.make_key(mailbox).hex(), mailbox.uid_validity, flush=True)
while True:
    arrival = store.arrive()
    arrival.write(b"Subject: x\\r\\n\\r\\n")
    arrival.write(b"y" * 50000)
    (message,) = store.append(mailbox, [Arriving(arrival, [], datetime.now(UTC))])
    print(message.uid, flush=True)
"""


def inbox(store: SqliteStore) -> Mailbox:
    mailbox = store.mailbox("joe", "INBOX")
    assert mailbox is not None
    return mailbox


def keep(store: SqliteStore, octets: bytes) -> Message:
    arrival = store.arrive()
    arrival.write(octets)
    (message,) = store.append(inbox(store), [Arriving(arrival, [], AT)])
    return message


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
    mailbox = inbox(store)
    assert store.make_key(mailbox).hex() == key
    assert mailbox.uid_validity == int(validity)
    messages = store.messages(mailbox)
    # one more may be kept than was answered, none less
    assert [message.uid for message in messages][: len(answered)] == answered
    for message in messages:
        assert len(b"".join(store.read(message, 0, message.size))) == message.size == 50014
    assert keep(store, b"x").uid == messages[-1].uid + 1
    assert len(list((tmp_path / "messages" / str(mailbox.ident)).glob("[0-9]*"))) == len(messages) + 1
    assert not list((tmp_path / "arriving").iterdir())
    store.close()


def test_two_servers_on_one_folder_are_refused(tmp_path: Path) -> None:
    first = SqliteStore(tmp_path)
    with pytest.raises(StoreBusy, match="in use by another server"):
        SqliteStore(tmp_path)
    first.close()
    SqliteStore(tmp_path).close()


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        SqliteStore(tmp_path / "file")
    (tmp_path / "index.sqlite").write_text("this is no database, whatever its name says" * 100)
    with pytest.raises(StoreError, match="database"):
        SqliteStore(tmp_path)


def test_a_message_that_the_disk_refuses_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SqliteStore(tmp_path)
    inbox(store)

    def refuses(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuses)
    with pytest.raises(StoreError, match="No space left"):
        keep(store, b"x")
    assert store.messages(inbox(store)) == []
    assert not list((tmp_path / "arriving").iterdir())
    store.close()


def test_uidvalidity_grows_though_the_clock_goes_back(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, clock=lambda: 2_000_000_000.0)
    first = store.create("joe", "a")
    store.close()
    store = SqliteStore(tmp_path, clock=lambda: 1_000_000_000.0)
    assert store.create("joe", "b").uid_validity == first.uid_validity + 1
    store.close()


def test_a_copy_is_a_link_and_where_there_can_be_no_more_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqliteStore(tmp_path)
    keep(store, b"octets")
    folder = tmp_path / "messages" / str(inbox(store).ident)
    store.copy(inbox(store), [1], inbox(store))
    assert (folder / "1").samefile(folder / "2")

    def too_many(_old: Path, _new: Path) -> None:
        raise OSError(errno.EMLINK, "Too many links")

    monkeypatch.setattr(os, "link", too_many)
    store.copy(inbox(store), [1], inbox(store))
    assert not (folder / "1").samefile(folder / "3")
    assert (folder / "3").read_bytes() == b"octets"
    assert (folder / "3").stat().st_mtime == AT.timestamp()
    store.close()
