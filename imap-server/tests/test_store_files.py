from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from lemonade_imap.store.base import CHUNK, StoreBusy
from lemonade_imap.store.files import chunks_of, link_or_copy, lock_file, replace_file


def test_a_file_is_replaced_whole_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")
    path.chmod(0o644)
    replace_file(path, b"after")
    assert path.read_bytes() == b"after"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="full"):
        replace_file(path, b"after")
    assert path.read_bytes() == b"before"


def test_a_copy_is_a_second_name(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(b"x")
    link_or_copy(old, new)
    assert new.samefile(old)
    with pytest.raises(FileExistsError):
        link_or_copy(old, new)


@pytest.mark.parametrize("why", [errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP])
def test_where_no_more_names_are_to_be_had_it_is_copied(
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


def test_a_lock_is_held_until_it_is_let_go(tmp_path: Path) -> None:
    held = lock_file(tmp_path / "lock")
    with pytest.raises(StoreBusy, match="in use by another server"):
        lock_file(tmp_path / "lock")
    held.close()
    lock_file(tmp_path / "lock").close()


def test_chunks_are_read_from_anywhere_and_the_file_is_closed(tmp_path: Path) -> None:
    octets = os.urandom(2 * CHUNK + 10)
    (tmp_path / "file").write_bytes(octets)
    file = (tmp_path / "file").open("rb")
    chunks = list(chunks_of(file, 5, 2 * CHUNK))
    assert (b"".join(chunks), [len(chunk) for chunk in chunks]) == (octets[5 : 2 * CHUNK + 5], [CHUNK, CHUNK])
    assert file.closed
    # a file that is shorter than it should be gives what it has
    assert b"".join(chunks_of((tmp_path / "file").open("rb"), 2 * CHUNK, 99)) == octets[2 * CHUNK :]
