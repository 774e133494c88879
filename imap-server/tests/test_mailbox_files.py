from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_imap.store.base import Mailbox
from lemonade_imap.store.mailbox_files import RESERVED, Logged, MailboxFiles, Record

AT = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)
BOX = Mailbox(7, "joe", "a/F\u00fc\u00dfe", 9, 5)


def made(folder: Path) -> MailboxFiles:
    files = MailboxFiles(folder)
    files.root.mkdir()
    files.arriving.mkdir()
    files.make(7)
    return files


@pytest.fixture
def files(tmp_path: Path) -> MailboxFiles:
    return made(tmp_path)


def test_a_mailbox_is_described_with_uids_that_may_be_given(files: MailboxFiles) -> None:
    files.describe(BOX, b"\1\2")
    assert files.record(7) == Record("joe", "a/F\u00fc\u00dfe", 9, 5 + RESERVED, "0102")
    # nothing is written until what it tells is no more so
    before = (files.folder(7) / "mailbox.json").stat().st_ino
    files.describe(replace(BOX, uid_next=5 + RESERVED), b"\1\2")
    assert (files.folder(7) / "mailbox.json").stat().st_ino == before
    files.describe(replace(BOX, uid_next=6 + RESERVED), None)
    assert files.record(7) == Record("joe", "a/F\u00fc\u00dfe", 9, 6 + 2 * RESERVED)
    # what an earlier server reserved stays so
    again = MailboxFiles(files.root.parent)
    again.describe(BOX, None)
    assert again.record(7) == Record("joe", "a/F\u00fc\u00dfe", 9, 6 + 2 * RESERVED)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"user": "joe"}', json.dumps({"uid_validity": "x"})])
def test_what_tells_nothing_is_none(files: MailboxFiles, text: str) -> None:
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


def test_a_log_is_read_as_far_as_it_can_be(files: MailboxFiles) -> None:
    assert files.log(7) == {}
    assert files.log_is_long(7, 1)
    assert not files.log_is_long(7, 0)
    line = Logged(AT, frozenset({"\\Seen"})).line(3)
    (files.folder(7) / "log").write_text(f"x {line}4 yesterday\n\n{line}5 {AT.isoformat()} half")
    assert files.log(7) == {3: Logged(AT, frozenset({"\\Seen"}))}
    assert not files.log_is_long(7, 1)
    (files.folder(7) / "log").write_text(line * 10_000)
    assert files.log_is_long(7, 1)


def test_what_nothing_names_is_swept_away(files: MailboxFiles) -> None:
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
