from __future__ import annotations

import errno
import json
import os
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_imap.store.base import CHUNK, StoreBusy, StoredMailbox
from lemonade_imap.store.mailbox_files import (
    RESERVED,
    FileArrival,
    Logged,
    MailboxFiles,
    Record,
    chunks_of,
    link_or_copy,
    lock_file,
    replace_file,
)


def test_a_file_is_replaced_whole_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")
    path.chmod(0o644)
    replace_file(path, b"after")
    assert path.read_bytes() == b"after"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="full"):
        replace_file(path, b"after")
    assert path.read_bytes() == b"before"


def test_a_copy_is_a_hard_link(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(b"x")
    link_or_copy(old, new)
    assert new.samefile(old)
    with pytest.raises(FileExistsError):
        link_or_copy(old, new)


@pytest.mark.parametrize("why", [errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP])
def test_a_file_is_copied_where_no_more_links_are_possible(
    why: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more(_old: Path, _new: Path) -> None:
        raise OSError(why, "no more")

    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(b"x")
    os.utime(old, (1, 1))
    monkeypatch.setattr(os, "link", no_more)
    link_or_copy(old, new)
    assert (new.read_bytes(), new.stat().st_mtime) == (b"x", 1)
    assert not new.samefile(old)


def test_a_lock_is_held_until_its_file_is_closed(tmp_path: Path) -> None:
    held = lock_file(tmp_path / "lock")
    with pytest.raises(StoreBusy, match="in use by another server"):
        lock_file(tmp_path / "lock")
    held.close()
    lock_file(tmp_path / "lock").close()


def test_chunks_are_read_from_any_offset_and_the_file_is_closed(tmp_path: Path) -> None:
    octets = os.urandom(2 * CHUNK + 10)
    (tmp_path / "file").write_bytes(octets)
    file = (tmp_path / "file").open("rb")
    chunks = list(chunks_of(file, 5, 2 * CHUNK))
    assert (b"".join(chunks), [len(chunk) for chunk in chunks]) == (octets[5 : 2 * CHUNK + 5], [CHUNK, CHUNK])
    assert file.closed
    # a file that is shorter than expected gives the octets that it has
    assert b"".join(chunks_of((tmp_path / "file").open("rb"), 2 * CHUNK, 99)) == octets[2 * CHUNK :]


AT = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)
BOX = StoredMailbox(7, "joe", "a/F\u00fc\u00dfe", 9, 5)


def made(folder: Path) -> MailboxFiles:
    files = MailboxFiles(folder)
    files.root.mkdir()
    files.arriving.mkdir()
    files.make(7)
    return files


@pytest.fixture
def files(tmp_path: Path) -> MailboxFiles:
    return made(tmp_path)


def test_mailbox_json_reserves_uids(files: MailboxFiles) -> None:
    files.describe(BOX, b"\1\2")
    assert files.record(7) == Record("joe", "a/F\u00fc\u00dfe", 9, 5 + RESERVED, "0102")
    # the file is not written while its content is still correct
    before = (files.folder(7) / "mailbox.json").stat().st_ino
    files.describe(replace(BOX, uid_next=5 + RESERVED), b"\1\2")
    assert (files.folder(7) / "mailbox.json").stat().st_ino == before
    files.describe(replace(BOX, uid_next=6 + RESERVED), None)
    assert files.record(7) == Record("joe", "a/F\u00fc\u00dfe", 9, 6 + 2 * RESERVED)
    # UIDs that an earlier server reserved stay reserved
    again = MailboxFiles(files.root.parent)
    again.describe(BOX, None)
    assert again.record(7) == Record("joe", "a/F\u00fc\u00dfe", 9, 6 + 2 * RESERVED)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"user": "joe"}', json.dumps({"uid_validity": "x"})])
def test_an_invalid_mailbox_json_is_none(files: MailboxFiles, text: str) -> None:
    assert files.record(8) is None
    (files.folder(7) / "mailbox.json").write_text(text)
    assert files.record(7) is None


FLAGS = st.frozensets(st.sampled_from(["\\Seen", "\\Deleted", "$x", "a\udcff"]), max_size=3)


@given(st.lists(st.tuples(st.integers(1, 5), FLAGS), max_size=10))
def test_the_last_line_of_a_log_counts(changes: list[tuple[int, frozenset[str]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = made(Path(folder))
        for uid, flags in changes:
            files.note(7, [(uid, Logged(AT, flags))])
        wanted = {uid: Logged(AT, flags) for uid, flags in changes}
        assert files.log(7) == wanted
        files.rewrite_log(7, wanted.items())
        assert files.log(7) == wanted


def test_invalid_lines_of_a_log_are_ignored(files: MailboxFiles) -> None:
    assert files.log(7) == {}
    assert files.log_is_long(7, 1)
    assert not files.log_is_long(7, 0)
    line = Logged(AT, frozenset({"\\Seen"})).line(3)
    (files.folder(7) / "log").write_text(f"x {line}4 yesterday\n\n{line}5 {AT.isoformat()} half")
    assert files.log(7) == {3: Logged(AT, frozenset({"\\Seen"}))}
    assert not files.log_is_long(7, 1)
    (files.folder(7) / "log").write_text(line * 10_000)
    assert files.log_is_long(7, 1)


def test_files_that_the_index_does_not_contain_are_removed(files: MailboxFiles) -> None:
    files.describe(BOX, None)
    for path in (files.path(7, 1), files.path(7, 2), files.arriving / "x", files.root / "stray"):
        path.write_bytes(b"x")
    files.make(8)
    assert (files.mailboxes(), files.uids(7)) == ([7, 8], [1, 2])
    files.sweep({7: {2}})
    assert (files.mailboxes(), files.uids(7)) == ([7], [2])
    assert list(files.arriving.iterdir()) == []
    assert [path.name for path in files.root.iterdir()] == ["7"]
    assert files.record(7) is not None


def test_a_message_that_is_ended_holds_no_descriptor(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    arrivals = [FileArrival(tmp_path) for _ in range(3)]
    for arrival in arrivals:
        arrival.write(b"Subject: x\r\n\r\ny")
        arrival.end()
        arrival.end()
    assert len(os.listdir("/proc/self/fd")) == before
    size, root = arrivals[0].finish(datetime(2026, 11, 17, tzinfo=UTC))
    assert (size, root.body_offset) == (15, 14)
    for arrival in arrivals:
        arrival.discard()
    assert list(tmp_path.iterdir()) == []
